"""Rules about heads, codes HEAD: their classes, features, labels, samplers, and the model around them."""
