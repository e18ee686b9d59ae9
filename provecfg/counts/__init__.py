"""What a validation counted, per image and class: the counting, and the file that keeps it.

Needs NumPy; counting needs OpenCV, too, and torch nowhere. The plugin's metric counts and writes, `results` reads.
"""
