"""A study's state on disk: what it has, what was submitted, and where each cell stands. Imports nothing heavy."""
