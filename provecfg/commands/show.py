"""`provecfg show`: a config as it is after inheritance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from provecfg.commands.findings import show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import is_failure
from provecfg.spelling import printable_lines
from provecfg.targets import refuse_study


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output-format", type=click.Choice(["py", "json", "yaml"]), default="py", show_default=True)
@terminal_options
def command(config: Path, output_format: str, terminal: Terminal) -> int:
    """Print a config with its bases merged and its expressions worked out; nothing is executed.

    What cannot be known without running stands as text in angle brackets, with the reason.
    """
    from provecfg.mmconfig import read_config

    if not config.exists():
        raise ProvecfgError(f"no such file: {config}")
    refuse_study(config, "print")
    view = read_config(config)
    texts = {file: view.sources(file) for file in view.files}
    show_findings(view.problems, terminal, files=[config], texts=texts, on_stderr=True, says_none=False)
    terminal.result(WRITERS[output_format](plain(view.values)).rstrip("\n"))
    return ExitCode.FINDINGS if is_failure(view.problems) else ExitCode.CLEAN


def plain(value: Any) -> Any:
    """A config's value as dicts, lists, tuples and text alone."""
    from provecfg.mmconfig import Opaque

    if isinstance(value, Opaque):
        return f"<not known without running: {value.reason}>"
    if isinstance(value, dict):
        return {_plain_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=repr)]
    return repr(value)


def _plain_key(key: Any) -> Any:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, tuple):
        return tuple(map(_plain_key, key))
    return key if key is None or isinstance(key, bool | int | float) else repr(key)


def _as_python(values: dict[str, Any]) -> str:
    from provecfg.generate.literal import literal

    return "\n".join(f"{name} = {literal(value, len(name) + 3)}" for name, value in values.items())


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps(_with_plain_keys(values), indent=2)


def _as_yaml(values: dict[str, Any]) -> str:
    import yaml

    without_tuples = json.loads(json.dumps(_with_plain_keys(values)))
    text = yaml.safe_dump(without_tuples, sort_keys=False, allow_unicode=True)
    if printable_lines(text) != text:  # YAML lets some characters stand that a terminal obeys
        text = yaml.safe_dump(without_tuples, sort_keys=False, allow_unicode=False)
    return text


def _with_plain_keys(value: Any) -> Any:
    """The value with text for keys that JSON has not, such as pairs."""
    if isinstance(value, dict):
        return {
            key if key is None or isinstance(key, str | int | float) else repr(key): _with_plain_keys(item)
            for key, item in value.items()
        }
    return [_with_plain_keys(item) for item in value] if isinstance(value, list | tuple) else value


WRITERS = {"py": _as_python, "json": _as_json, "yaml": _as_yaml}
