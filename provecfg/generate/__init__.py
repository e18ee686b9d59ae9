"""From a study to config files."""
