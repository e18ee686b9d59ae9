"""The way in: `read_config`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from provecfg.findings import Finding, in_file_order
from provecfg.mmconfig.budget import Budget, LimitError
from provecfg.mmconfig.cache import ParsedFileCache
from provecfg.mmconfig.chain import Chain
from provecfg.mmconfig.classic import resolve_classic
from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.lazy import resolve_lazy
from provecfg.mmconfig.merge import OptionError, merge_options, options_as_dict
from provecfg.mmconfig.problems import BAD_OPTION, RESERVED_KEY, TOO_LARGE, file_finding
from provecfg.mmconfig.resolved import Resolved
from provecfg.mmconfig.values import ConfigDict
from provecfg.mmconfig.view import ConfigView

# mmengine config/config.py, RESERVED_KEYS
_RESERVED_KEYS = ("filename", "text", "pretty_text", "env_variables")
_CACHE = ParsedFileCache()


def read_config(
    path: str | os.PathLike[str],
    *,
    text: str | None = None,
    unsaved: Mapping[Path, str] | None = None,
    cfg_options: Iterable[tuple[str, Any]] = (),
) -> ConfigView:
    """Read a config, its inheritance applied, as mmengine's `Config.fromfile` would load it; nothing is executed.

    Whatever the file holds, this returns: what is wrong is in the view's `problems`.

    Args:
        path: The file.
        text: Read as if it stood at `path`, which need not exist then: its bases are relative to that folder, and
            findings point into it.
        unsaved: Texts of other files, by absolute path, that are read instead of what is on disk.
        cfg_options: Dotted paths and the values to merge there, as of `--cfg-options`; digits are indices of lists.
    """
    file = Path(os.path.abspath(os.path.expanduser(path)))
    texts = dict(unsaved or {})
    if text is not None:
        texts[file] = text
    resolved, problems = _resolved(file, texts)
    values, problems = _with_options(resolved.values, file, tuple(cfg_options), problems)
    for key in _RESERVED_KEYS:
        if key in values:
            origin = values.origins.get(key)
            setter = origin.source.path if origin else file
            span = origin.key_span if origin else None
            problems.append(file_finding(RESERVED_KEY, f"{key!r} is reserved by mmengine", setter, span, key=key))
    placed = [problem if problem.filename == file else replace(problem, target=file) for problem in problems]
    return ConfigView(file, values, tuple(in_file_order(placed)), resolved.layers)


def _resolved(file: Path, texts: Mapping[Path, str]) -> tuple[Resolved, list[Finding]]:
    chain = Chain(_CACHE, Budget(), texts)
    try:
        is_lazy = file.suffix == ".py" and chain.open(file, lazy=False).is_lazy
        resolved = resolve_lazy(chain, file) if is_lazy else resolve_classic(chain, file)
    except UnreadableError as error:
        problem = file_finding(error.problem, error.message, file, error.span, hint=error.hint)
        return Resolved(ConfigDict(), (), ()), [problem]
    except LimitError as limit:
        return Resolved(ConfigDict(), (), ()), [file_finding(TOO_LARGE, limit.what, file)]
    return resolved, list(resolved.problems)


def _with_options(
    values: ConfigDict, file: Path, options: tuple[tuple[str, Any], ...], problems: list[Finding]
) -> tuple[ConfigDict, list[Finding]]:
    if not options:
        return values, problems
    try:
        merged: ConfigDict = merge_options(options_as_dict(options), values)
    except OptionError as error:
        return values, [*problems, file_finding(BAD_OPTION, str(error), file)]
    return merged, problems
