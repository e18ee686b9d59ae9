"""Training a config: what is checked before, the run itself, and what is kept of it."""
