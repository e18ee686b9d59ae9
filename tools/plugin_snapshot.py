"""Write what provecfg's own plugin registers: `python -m tools.plugin_snapshot [--check]`.

The plugin is read as any user's modules are; nothing is imported.
"""

from __future__ import annotations

import ast
import json
import sys
from typing import Any

from provecfg.errors import ExitCode
from provecfg.paths import write_atomically
from provecfg.registry.module_search import read_user_modules
from provecfg.registry.plugin_record import PLUGIN, PLUGIN_FILE
from provecfg.registry.release import flow_row, load
from provecfg.registry.signatures import parameters_as_text


def as_text() -> str:
    """The file as the plugin's source says now."""
    known = load("onedl").top_packages
    modules = read_user_modules((PLUGIN,), (), known)
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
        ]
        waiting += record.bases or ()
    return json.dumps({"registered": modules.registered, "classes": classes}, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with --check say whether it is what would be written."""
    text = as_text()
    if "--check" in arguments:
        fresh = PLUGIN_FILE.is_file() and PLUGIN_FILE.read_text(encoding="utf-8") == text
        if not fresh:
            print(f"{PLUGIN_FILE} is out of date: python -m tools.plugin_snapshot", file=sys.stderr)
        return ExitCode.CLEAN if fresh else ExitCode.FINDINGS
    write_atomically(PLUGIN_FILE, text)
    return ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
