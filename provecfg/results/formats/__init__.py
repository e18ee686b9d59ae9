"""What a report is written as: a page, tables, charts and figures. Each takes the report's data."""
