"""Rules about the optimizer, the hooks and the environment, codes RUN."""
