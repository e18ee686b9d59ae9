"""Rules about the file itself, codes CFG03x: what it inherits, and what its header and its name say."""
