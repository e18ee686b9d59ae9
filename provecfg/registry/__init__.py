"""What the classes that a config names accept.

`registry_for` gives the `Registry` of a config: the classes of the installed release of mmengine, mmcv, mmseg and mmdet
(a snapshot made beforehand), and those of the config's `custom_imports`, read from their source. Nothing is imported.
"""

from __future__ import annotations

from provecfg.registry.classes import ClassInfo, ClassRecord, Fate
from provecfg.registry.lookup import registry_for
from provecfg.registry.signatures import REQUIRED, UNKNOWN_DEFAULT, Kind, Parameter
from provecfg.registry.tree import Registry
from provecfg.registry.user_modules import Unread

__all__ = [
    "REQUIRED",
    "UNKNOWN_DEFAULT",
    "ClassInfo",
    "ClassRecord",
    "Fate",
    "Kind",
    "Parameter",
    "Registry",
    "Unread",
    "registry_for",
]
