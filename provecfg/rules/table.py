"""Every rule there is: those that the modules of the subject folders define."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Final

from provecfg import rules
from provecfg.rules.rule import Rule, registered_rules


def rules_in(package: ModuleType) -> tuple[Rule, ...]:
    """The rules of all modules in the folders of a package, by code. A module needs to be named nowhere.

    Raises:
        ValueError: Two rules have one code.
    """
    for folder in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if folder.ispkg:
            subject = importlib.import_module(folder.name)
            for module in pkgutil.iter_modules(subject.__path__, f"{subject.__name__}."):
                importlib.import_module(module.name)
    own = (rule for rule in registered_rules() if rule.check.__module__.startswith(f"{package.__name__}."))
    return tuple(sorted(own, key=lambda rule: rule.code))


RULES: Final = rules_in(rules)
