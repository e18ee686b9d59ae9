"""What provecfg's own plugin registers, kept as data.

Every generated config imports the plugin, so its classes are not read from source each time.
"""

from __future__ import annotations

import functools
import json
from typing import Final

from provecfg.registry.release import DATA_DIR, record_of
from provecfg.registry.user_modules import UserModules

PLUGIN: Final = "provecfg.plugin"

PLUGIN_FILE: Final = DATA_DIR / "plugin.json"


@functools.cache
def plugin_modules() -> UserModules:
    """The plugin's classes, as reading its source would give them, less the places in the source."""
    data = json.loads(PLUGIN_FILE.read_text(encoding="utf-8"))
    modules = UserModules(registered=data["registered"])
    for dotted, row in data["classes"].items():
        module, _, name = dotted.rpartition(".")
        modules.add(record_of(module, name, row))
    return modules
