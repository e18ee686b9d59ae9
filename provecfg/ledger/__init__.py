"""A study's state on disk: what it has, what was submitted, and where each of its cells stands. Nothing heavy is imported."""
