"""Rules about early stopping and the best checkpoint, codes STOP."""
