"""What the repository around a config registers, found by reading its files. Nothing is imported.

Which files name a registry, and under which names they register something, is asked of all files of a repository at
once, with expressions for text; a file is parsed when a config uses one of its names (`local_classes`). The answer of a
large repository is kept in the user's cache folder, so that the next process looks only at what has changed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from provecfg.files import read_json
from provecfg.paths import cache_dir, write_bytes_atomically
from provecfg.registry.registering_calls import registering_calls, registers
from provecfg.registry.syntax import dotted_text, is_text

FARTHEST_FOLDER: Final = 8
"""Folders above a config in which the root of its repository is looked for."""
MOST_FILES: Final = 12_000
MOST_ENTRIES: Final = 150_000
"""Files, folders, images: what a walk looks at before it ends."""
MOST_BYTES: Final = 150_000_000
LARGEST_FILE: Final = 1_000_000
DEEPEST: Final = 12
MOST_PARSED: Final = 100
"""Files whose registrations the expressions for text do not understand."""
_FORMAT: Final = 1
_WORTH_KEEPING: Final = 300
"""Files below which reading all of them costs less than looking after a kept answer."""
FRESH_FOR_S: Final = 2.0
"""How long an answer is taken for granted within one process."""

_PASSED_OVER: Final = frozenset(
    {"site-packages", "node_modules", "__pycache__", "build", "dist", "docs", "test", "tests", "work_dirs", "wandb"}
)
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_MARKS: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_READMES: Final = ("README.md", "README.rst", "README.txt", "README")
"""What a folder of a repository may have, and a folder of repositories."""
_WEAK_MARKS: Final = (
    *("LICENSE", "LICENSE.md", "LICENSE.txt"),
    *("requirements.txt", "environment.yml", "environment.yaml", "Dockerfile", ".gitignore"),
)
"""What a repository that was unpacked without its `.git` has at its top, beside a README; folders in it may, too."""

_DECORATED: Final = re.compile(
    r"""^[ \t]*@([\w.]+)\.register_module\(([^()]*)\)[ \t]*(?:\#.*)?\n
        (?=(?:[ \t]*@.*\n|[ \t]*\#.*\n|[ \t]*\n)*[ \t]*(?:class|def)[ \t]+(\w+))""",
    re.MULTILINE | re.VERBOSE,
)
_A_CALL: Final = re.compile(r"\.\s*_?register_module\s*\(")
_QUOTED: Final = re.compile(r"""(?:"([^"\n]*)"|'([^'\n]*)')""")
_PLAIN_ARGUMENTS: Final = re.compile(
    r"""\s*(?:(?:name\s*=\s*)?(?:None|\[[\s"'\w.,-]*\]|["'][\w.-]*["'])\s*,?\s*)?(?:force\s*=\s*(?:True|False)\s*,?\s*)?"""
)
# mmcv 2 has neither
_OF_MMCV_1: Final = re.compile(rb"^\s*(?:from|import) mmcv\.(?:runner|parallel)\b", re.MULTILINE)


class RegisteredName(NamedTuple):
    """A name under which a file registers a class or a function.

    Args:
        name: The type name that configs write.
        variable: The registry as the file writes it (`MODELS`, `builder.BACKBONES`).
        target: The class's name in that file.
        force: Whether it takes the place of a class of its name.
        file: The file.
    """

    name: str
    variable: str
    target: str
    force: bool
    file: Path


class _Contents(NamedTuple):
    """What one file says."""

    names: tuple[tuple[str, str, str, bool], ...] = ()
    registers_unseen: bool = False
    is_of_mmcv_1: bool = False


_NOTHING: Final = _Contents()


@dataclass(frozen=True, eq=False)
class RepositoryIndex:
    """The names that the files below a folder register.

    Args:
        root: The folder.
        names: By type name, every file that registers it.
        is_complete: Whether all files were looked at, and none registers names that only running it would tell.
        is_of_mmcv_1: Whether a file imports what only mmcv 1.x has.
    """

    root: Path
    names: Mapping[str, tuple[RegisteredName, ...]] = field(default_factory=dict)
    is_complete: bool = True
    is_of_mmcv_1: bool = False

    @functools.cached_property
    def folders(self) -> tuple[Path, ...]:
        """The folders whose files register something."""
        return tuple(dict.fromkeys(entry.file.parent for entries in self.names.values() for entry in entries))

    @functools.cached_property
    def import_roots(self) -> tuple[Path, ...]:
        """The folders that the top-level packages of those files stand in."""
        return tuple(dict.fromkeys(_import_root(folder) for folder in self.folders))


def _import_root(folder: Path) -> Path:
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


class Project(NamedTuple):
    """Where the code around a config may stand.

    Args:
        folders: Folders that hold it, the nearest first.
        is_marked: Whether something marks the folder as a project. Of one that nothing marks, only the modules and
            packages that stand right in it are read.
    """

    folders: tuple[Path, ...]
    is_marked: bool


def project_of(config: Path, here: Path) -> Project:
    """The project that a config belongs to.

    Args:
        config: The config's file.
        here: The current folder, which is one where nothing marks one and the config stands below it.

    Returns:
        The nearest folder above that has a `.git`, else a build file; else the topmost of those that have what the top
        of a repository has, from the one that holds `configs/` on without a gap, the home folder and the root of a disk
        left out, and of those above that one those that have a README alone; else the config's own, the one that holds
        `configs/`, and `here`. Folders above an installed package are none of its project.
    """
    above = list(config.absolute().parents)
    installed = next((number for number, folder in enumerate(above) if folder.name in _INSTALLED), None)
    parents = above[: min(FARTHEST_FOLDER, len(above) if installed is None else installed)]
    if installed is None:
        for marks in ((".git",), _MARKS):
            for folder in parents:
                if any((folder / mark).exists() for mark in marks):
                    return Project((folder,), is_marked=True)
    holders = [folder.parent for folder in parents if folder.name in ("configs", "config")]
    if installed is None:
        root = _unpacked_root(holders[-1] if holders else parents[0], parents)
        if root is not None:
            return Project((root,), is_marked=True)
    folders = parents[:1]
    folders += holders[:1]
    if installed is None and here in parents:
        folders.append(here)
    return Project(tuple(dict.fromkeys(folders)), is_marked=False)


def _unpacked_root(start: Path, parents: list[Path]) -> Path | None:
    """The topmost folder of an unmarked repository, or None; `start` is the lowest that may be it, a home is none."""
    root: Path | None = None
    home = os.path.expanduser("~")
    for folder in parents[parents.index(start) :] if start in parents else ():
        is_marked = any((folder / mark).is_file() for mark in _WEAK_MARKS)
        is_described = is_marked or any((folder / name).is_file() for name in _READMES)
        if str(folder) == home or folder.parent == folder or not is_described:
            break
        if is_marked or folder == start:
            root = folder
    return root


_indices: dict[tuple[Path, bool], tuple[float, RepositoryIndex, dict[str, tuple[int, int, _Contents]]]] = {}


def index_of(root: Path, *, is_marked: bool = True) -> RepositoryIndex:
    """The names that the files below a folder register; the same object as long as no file has changed.

    Args:
        root: A folder, or a single module.
        is_marked: Whether the folder is known to be a project. Of one that is not, only the modules and packages that
            stand right in it are read.
    """
    key = (root, is_marked)
    known = _indices.get(key)
    if known is not None and time.monotonic() - known[0] < FRESH_FOR_S:
        return known[1]
    before = known[2] if known is not None else _kept(root)
    rows, is_whole = _rows(root, before, is_marked)
    if known is not None and rows == before:
        index = known[1]
    else:
        index = _index(root, rows, is_whole)
        if rows != before and len(rows) >= _WORTH_KEEPING:
            _keep(root, rows)
    _indices[key] = (time.monotonic(), index, rows)
    return index


def _index(root: Path, rows: Mapping[str, tuple[int, int, _Contents]], is_whole: bool) -> RepositoryIndex:
    names: dict[str, tuple[RegisteredName, ...]] = {}
    for relative, (_, _, contents) in rows.items():
        if not contents.names:  # most files: their paths are not worth making
            continue
        file = root / relative if relative else root
        for name, variable, target, force in contents.names:
            names[name] = (*names.get(name, ()), RegisteredName(name, variable, target, force, file))
    registering = [contents for _, _, contents in rows.values() if contents is not _NOTHING]
    return RepositoryIndex(
        root,
        names,
        is_complete=is_whole and not any(contents.registers_unseen for contents in registering),
        is_of_mmcv_1=any(contents.is_of_mmcv_1 for contents in registering),
    )


def _rows(
    root: Path, before: Mapping[str, tuple[int, int, _Contents]], is_marked: bool
) -> tuple[dict[str, tuple[int, int, _Contents]], bool]:
    """Per file: time of its last change in ns, size, and what it says; and whether every file was looked at."""
    rows: dict[str, tuple[int, int, _Contents]] = {}
    budget = _Budget()
    prefix = len(str(root).rstrip(os.sep)) + 1
    for path, status in _python_files(root, is_marked, budget):
        relative = path[prefix:]
        kept = before.get(relative)
        if kept is not None and kept[:2] == (status.st_mtime_ns, status.st_size):
            rows[relative] = kept
        else:
            rows[relative] = (status.st_mtime_ns, status.st_size, _contents(path, status.st_size, budget))
    return rows, budget.is_enough


@dataclass
class _Budget:
    files: int = MOST_FILES
    entries: int = MOST_ENTRIES
    size: int = MOST_BYTES
    parsed: int = MOST_PARSED
    is_enough: bool = True


def _python_files(root: Path, is_marked: bool, budget: _Budget) -> Iterator[tuple[str, os.stat_result]]:
    """The modules below a folder, near ones first; links are not followed."""
    if root.is_file():
        yield str(root), root.stat()
        return
    level = [str(root)]
    for depth in range(DEEPEST):
        below: list[str] = []
        for folder in level:
            for entry in _entries(folder):
                budget.entries -= 1
                if budget.entries < 0 or budget.files <= 0:
                    budget.is_enough = False
                    return
                try:
                    if entry.name.endswith(".py"):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            budget.files -= 1
                            yield entry.path, status
                    elif _is_searched(entry) and (is_marked or depth or _is_package(entry)):
                        below.append(entry.path)
                except OSError:
                    continue
        level = below
        if not level:
            return
    budget.is_enough = False


def _is_searched(entry: os.DirEntry[str]) -> bool:
    return "." not in entry.name and entry.name not in _PASSED_OVER and entry.is_dir(follow_symlinks=False)


def _is_package(entry: os.DirEntry[str]) -> bool:
    return os.path.isfile(os.path.join(entry.path, "__init__.py"))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _contents(path: str, size: int, budget: _Budget) -> _Contents:
    budget.size -= size
    if size > LARGEST_FILE or budget.size < 0:
        budget.is_enough = budget.is_enough and size > LARGEST_FILE  # a module of a megabyte is data
        return _NOTHING
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST_FILE)
    except OSError:
        return _NOTHING
    is_old = b"mmcv." in data and _OF_MMCV_1.search(data) is not None
    if b"register_module" not in data:
        return _Contents(is_of_mmcv_1=True) if is_old else _NOTHING
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    names, is_understood = _names_in(text)
    unseen = False
    if not is_understood:
        if budget.parsed <= 0:
            unseen = True
        else:
            budget.parsed -= 1
            names, unseen = _names_by_syntax(text)
    return _Contents(tuple(names), unseen, is_old)


def _names_in(text: str) -> tuple[list[tuple[str, str, str, bool]], bool]:
    """What decorators register, and whether that is all that the text registers."""
    names: list[tuple[str, str, str, bool]] = []
    understood = 0
    for match in _DECORATED.finditer(text):
        variable, arguments, target = match.groups()
        if not _PLAIN_ARGUMENTS.fullmatch(arguments):
            continue
        understood += 1
        quoted = [a or b for a, b in _QUOTED.findall(arguments)] or [target]
        force = re.search(r"force\s*=\s*True", arguments) is not None
        names += [(name, variable, target, force) for name in quoted]
    return names, understood == len(_A_CALL.findall(text))


def _names_by_syntax(text: str) -> tuple[list[tuple[str, str, str, bool]], bool]:
    """The same of a module's syntax tree; and whether something is registered that only running it would tell."""
    try:
        tree = ast.parse(text)
        names: list[tuple[str, str, str, bool]] = []
        seen: set[int] = set()
        for call, target in registering_calls(tree.body):
            given_names = _given_names(call)
            variable = dotted_text(call.func.value) if isinstance(call.func, ast.Attribute) else None
            if target is None or given_names is None or variable is None:
                continue
            seen.add(id(call))
            force = any(k.arg == "force" and getattr(k.value, "value", None) is True for k in call.keywords)
            names += [(name, variable, target, force) for name in given_names or [target.rpartition(".")[2]]]
        unseen = any(isinstance(node, ast.Call) and registers(node) and id(node) not in seen for node in ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [], False  # what does not parse registers nothing
    return names, unseen


def _given_names(call: ast.Call) -> list[str] | None:
    """The names that a call says; [] where it leaves that to the class's own, None where they are no literals."""
    node = next((k.value for k in call.keywords if k.arg == "name"), call.args[0] if call.args else None)
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return []
    items = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    return [item.value for item in items if is_text(item)] if all(map(is_text, items)) else None


# What is kept for the next process


def _cache_file(root: Path) -> Path:
    digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return cache_dir() / "repositories" / f"{digest}.json"


def _kept(root: Path) -> dict[str, tuple[int, int, _Contents]]:
    """What an earlier process read, or nothing."""
    try:
        data = read_json(_cache_file(root))
        if data["format"] != _FORMAT or data["root"] != str(root):
            return {}
        return {relative: _row(*row) for relative, row in data["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _row(
    changed_at: int, size: int, names: Iterable[Iterable[Any]] = (), unseen: bool = False, old: bool = False
) -> tuple[int, int, _Contents]:
    if not (names or unseen or old):
        return changed_at, size, _NOTHING
    rows = tuple((str(name), str(variable), str(target), bool(force)) for name, variable, target, force in names)
    return changed_at, size, _Contents(rows, bool(unseen), bool(old))


def _keep(root: Path, rows: Mapping[str, tuple[int, int, _Contents]]) -> None:
    files: dict[str, list[Any]] = {}
    for relative, (changed_at, size, contents) in rows.items():
        files[relative] = [changed_at, size]
        if contents is not _NOTHING:
            files[relative] += [contents.names, contents.registers_unseen, contents.is_of_mmcv_1]
    text = json.dumps({"format": _FORMAT, "root": str(root), "files": files}, separators=(",", ":"))
    with contextlib.suppress(OSError, UnicodeEncodeError):  # then it is read again next time
        write_bytes_atomically(_cache_file(root), text.encode("utf-8"))
