"""The pages of `docs/` that are made from the definitions, and the tools that make them."""
