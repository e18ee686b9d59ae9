"""Every rule there is: those that the modules of the subject folders define."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Final

from provecfg.rules.rule import Rule, registered_rules


def rules_in(package: str, folder: Path) -> tuple[Rule, ...]:
    """The rules of all modules in the folders of a package, by code. A module needs to be named nowhere.

    Args:
        package: Its dotted name.
        folder: Where it is.

    Raises:
        ValueError: Two rules have one code.
    """
    for subject in pkgutil.iter_modules([str(folder)], f"{package}."):
        if subject.ispkg:
            for module in pkgutil.iter_modules(importlib.import_module(subject.name).__path__, f"{subject.name}."):
                importlib.import_module(module.name)
    own = (rule for rule in registered_rules() if rule.check.__module__.startswith(f"{package}."))
    return tuple(sorted(own, key=lambda rule: rule.code))


RULES: Final = rules_in("provecfg.rules", Path(__file__).parent)
