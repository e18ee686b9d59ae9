"""What a config is, derived from its text: the rules and comparisons read it."""
