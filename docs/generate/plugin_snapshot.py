"""Write what provecfg's own plugin registers: `python -m docs.generate.plugin_snapshot [--check]`.

The plugin is read as any user's modules are; nothing is imported. What its classes accept goes to `registry/data`, what
its losses say of themselves to the catalog.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any, Final

from docs.generate.plugin_losses import losses_as_text
from provecfg.errors import ExitCode
from provecfg.paths import write_atomically
from provecfg.registry.module_search import read_user_modules
from provecfg.registry.plugin_record import PLUGIN, PLUGIN_FILE
from provecfg.registry.release import flow_row, load
from provecfg.registry.signatures import parameters_as_text
from provecfg.registry.user_modules import UserModules

LOSSES_FILE: Final = Path(__file__).parents[2] / "provecfg" / "catalog" / "losses.json"


def texts() -> dict[Path, str]:
    """The files as the plugin's source says now."""
    modules = read_user_modules((PLUGIN,), (), load("onedl").top_packages)
    return {PLUGIN_FILE: _classes_as_text(modules), LOSSES_FILE: losses_as_text(modules)}


def _classes_as_text(modules: UserModules) -> str:
    classes: dict[str, list[Any]] = {}
    waiting = [
        dotted for scopes in modules.registered.values() for names in scopes.values() for dotted in names.values()
    ]
    while waiting:
        dotted = waiting.pop()
        record, place = modules.record(dotted), modules.definition(dotted)
        if dotted in classes or record is None or place is None:
            continue
        functions = {node.name: node for node in place[1].body if isinstance(node, ast.FunctionDef)}

        def text(name: str, functions: dict[str, ast.FunctionDef] = functions) -> str | None:
            function = functions.get(name)
            return None if function is None else parameters_as_text(function.args, skip_first=True, values={})

        classes[record.dotted] = [
            record.bases and list(record.bases),
            text("__init__"),
            record.flow and flow_row(record.flow),
            text("forward"),
            int(record.has_loss_name) or None,
            None,
            record.own_names and sorted(record.own_names),
        ]
        waiting += record.bases or ()
    return json.dumps({"registered": modules.registered, "classes": classes}, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files, or with --check say which are not what would be written."""
    stale = [
        (file, text) for file, text in texts().items() if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    for file, text in stale:
        if "--check" in arguments:
            print(f"{file} is out of date: python -m docs.generate.plugin_snapshot", file=sys.stderr)
        else:
            write_atomically(file, text)
    return ExitCode.FINDINGS if stale and "--check" in arguments else ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
