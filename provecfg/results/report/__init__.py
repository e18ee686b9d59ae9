"""What a report says: verdicts in sentences, tables and series as plain data, which `formats` writes."""
