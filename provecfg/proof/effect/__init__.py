"""What each declared key does: it is changed, and something has to change with it."""
