"""How much memory a step takes."""
