"""Whether what the pipelines yield is what the config says."""
