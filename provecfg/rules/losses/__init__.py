"""Rules about losses, codes LOSS."""
