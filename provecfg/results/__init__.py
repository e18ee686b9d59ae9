"""What a study's runs came to: scores from counts, comparisons that hold, tables and the page."""
