"""Whether learning rates, intervals and hooks happen when the config says."""
