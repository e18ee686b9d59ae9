"""What an editor is told: findings while one types, explanations, fixes, and what can be written next."""
