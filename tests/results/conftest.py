from __future__ import annotations

import importlib.util

# Reading results needs NumPy and SciPy, which come with the stack.
if importlib.util.find_spec("scipy") is None:
    collect_ignore_glob = ["*"]
