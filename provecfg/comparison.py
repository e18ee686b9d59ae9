"""What configs differ in, after inheritance and defaults."""
