"""What a user may write: a study file, its losses and its numbers, with every rule that a single study can break."""
