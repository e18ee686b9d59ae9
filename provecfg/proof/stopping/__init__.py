"""Whether early stopping stops when it should."""
