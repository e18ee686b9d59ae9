"""Rules about data and evaluation, codes DATA."""
