from __future__ import annotations

import importlib.util

# Counting needs NumPy and OpenCV, which come with the stack.
if importlib.util.find_spec("cv2") is None:
    collect_ignore_glob = ["*"]
