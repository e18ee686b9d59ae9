"""Weights of classes from how often the training labels hold them: the formulas, and the file that keeps them."""
