"""Repair for what was imported before the stand-in of `mmcv_ops`, and gave up on mmcv's operators.

OneDL's mmseg and mmdet wrap their imports of `mmcv.ops` in `try`, and put None, a function that raises or an empty base
class in the place of what is missing. A process that imports them before `provecfg.plugin` keeps these for good, since
importing again does not run a module again. Upstream's fail to import instead, and simply succeed the next time.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType

_PREFIXES = ("mmcv.", "mmdet.", "mmseg.")


def mend_loaded_modules() -> None:
    """Give the loaded modules of mmcv, mmdet and mmseg the names that they could not import when they were loaded."""
    # Sorted, so that mmcv's come first: the others take names from them.
    for module_name in sorted(name for name in sys.modules if name.startswith(_PREFIXES)):
        module = sys.modules[module_name]
        for source, name, bound in _guarded_imports(module):
            # What cannot be imported for another reason keeps its fallback.
            with contextlib.suppress(ImportError, AttributeError):
                _rebind(module, bound, getattr(importlib.import_module(source), name))


def _guarded_imports(module: ModuleType) -> Iterator[tuple[str, str, str]]:
    """Imports from the packages above that stand in a `try` of the module: where from, the name, and the name here."""
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):
        return
    if "except ImportError" not in text and "except ModuleNotFoundError" not in text:
        return
    for guard in ast.parse(text).body:
        if not isinstance(guard, ast.Try):
            continue
        for statement in guard.body:
            if not isinstance(statement, ast.ImportFrom):
                continue
            source = "." * statement.level + (statement.module or "")
            source = importlib.util.resolve_name(source, module.__package__)
            if source.startswith(_PREFIXES):
                for alias in statement.names:
                    yield source, alias.name, alias.asname or alias.name


def _rebind(module: ModuleType, bound: str, operator: object) -> None:
    fallback = getattr(module, bound, None)
    if fallback is operator:
        return
    setattr(module, bound, operator)
    if not isinstance(fallback, type) or not isinstance(operator, type):
        return
    for cls in vars(module).values():
        if isinstance(cls, type) and cls.__module__ == module.__name__ and fallback in cls.__bases__:
            cls.__bases__ = tuple(operator if parent is fallback else parent for parent in cls.__bases__)
