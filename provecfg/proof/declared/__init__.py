"""Whether every declared key reaches what is built."""
