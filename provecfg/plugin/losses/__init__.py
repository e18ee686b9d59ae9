"""Segmentation losses that mmseg's decode heads can use; importing this registers them.

Every module of this folder is imported, and every loss that one of them defines can be had from here: a new loss is
its file, and is named in no list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from .contract import SegLoss

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def _losses(parent: type[SegLoss] = SegLoss) -> Iterator[type[SegLoss]]:
    """The losses of this folder, one that inherits from another included."""
    for loss in parent.__subclasses__():
        if loss.__module__.startswith(f"{__name__}."):
            yield loss
        yield from _losses(loss)


globals().update({loss.__name__: loss for loss in _losses()})
__all__ = sorted({loss.__name__ for loss in _losses()})
