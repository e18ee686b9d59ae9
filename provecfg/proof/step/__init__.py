"""Whether one training step computes the declared loss."""
