"""One module a command: its arguments, and a function that returns an exit code."""
