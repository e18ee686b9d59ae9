"""Import the mm stack once, before the tests of this folder."""

from __future__ import annotations

import importlib.util
import warnings

if importlib.util.find_spec("mmseg") is None:
    collect_ignore_glob = ["*"]
else:
    with warnings.catch_warnings():
        # While imported, mmcv's modules use torch.jit.script, which torch deprecates, and say that a class moved.
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401, I001  (first: upstream's mmseg needs what it installs)
        import mmseg.models  # noqa: F401
