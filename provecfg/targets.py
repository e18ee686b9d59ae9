"""Which files a target stands for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.registry.layout import TELLING_KEYS

CONFIGS = "configs"
"""The target that stands for every study and generated config of the project."""

_SUFFIXES = (".py", ".yaml", ".yml", ".json")
_YAML = (".yaml", ".yml")
_PASSED_OVER = frozenset({"_base_", "__pycache__", "node_modules", "site-packages"})
_TEXT_KEYS, _DICT_KEYS = "|".join(TELLING_KEYS[:2]), "|".join(TELLING_KEYS[2:])
# with what a config gives the key: a script's `model = Model()` is none
_ASSIGNS_A_KEY = re.compile(
    rf"""^(?:{_TEXT_KEYS})\s*=\s*["'\[(]|^(?:{_DICT_KEYS})\s*=\s*(?:dict\s*\(|[\[{{])|^with read_base\(\)""",
    re.MULTILINE,
)
_OF_A_CONFIG = rf"""(?:{_TEXT_KEYS})["']?\s*:|(?:{_DICT_KEYS})["']?\s*:\s*(?:[{{\[]|$)"""
_OF_A_STUDY = r"""(?:models|losses|head_weights|schedule|early_stopping|strategies|seeds)["']?\s*:"""
_NAME = r"""name["']?\s*:"""
_FIRST_LINE = re.compile(r"""^(?!---)([ \t]*)([{"'\w-])""", re.MULTILINE)
"""Of YAML and JSON, past comments, directives and the mark of a document: its indentation, and its first sign."""
_MODELS_UNDER_A_WRONG_KEY = re.compile(r"^model\s*:(?:[ \t]*\[|[ \t]*[\w./:-]+[ \t]*$|[ \t]*\n[ \t]*-)", re.MULTILINE)
"""A study's `models`, misspelt: a config's model is a mapping."""


def files_of(targets: Iterable[str], here: Path) -> list[Path]:
    """The files that targets stand for, each once, in the order named.

    A file stands for itself. A folder stands for the configs and studies below it: files that look like one; folders
    named `_base_` hold fragments, which are judged through the configs that inherit from them.

    Args:
        targets: Files, folders, or `configs`.
        here: The folder that relative targets, and the project of `configs`, start from.

    Raises:
        ProvecfgError: A target that does not exist, or stands for nothing.
    """
    files: dict[Path, None] = {}
    for target in targets:
        if not target:
            raise ProvecfgError("'' names no file", hint="name a config, a study, a folder of them, or `configs`")
        path = Path(os.path.abspath(here / target))
        if path.is_dir():
            below = [file for file in _below(path) if _looks_like_study(file) or is_config(file)]
            if not below:
                raise ProvecfgError(f"no config and no study below {target}")
            files.update(dict.fromkeys(below))
        elif os.path.lexists(path):
            files[path] = None
        elif target == CONFIGS:
            files.update(dict.fromkeys(_of_project(here)))
        else:
            raise ProvecfgError(f"{target} does not exist")
    return list(files)


def is_study(path: Path, text: str | None = None) -> bool:
    """Whether a YAML file is a study, not a config: it has a study's keys and none that only a config has.

    Args:
        path: The file.
        text: Looked at as if it stood there.
    """
    if path.suffix not in _YAML or (text is None and not path.is_file()):
        return False
    text = _text(path) if text is None else text
    text = _MODELS_UNDER_A_WRONG_KEY.sub("models:", text)
    return not _top_keys(_OF_A_CONFIG, text) and bool(_top_keys(_OF_A_STUDY, text) or _top_keys(_NAME, text))


def refuse_study(path: Path, verb: str) -> None:
    """Say so where a study is given to a command that takes what is made of it.

    Args:
        path: The file, or what is none.
        verb: What the command does with configs, regular: "train".

    Raises:
        ProvecfgError: It is a study.
    """
    if path.is_file() and is_study(path):
        raise ProvecfgError(
            f"{path} is a study, and configs are {verb.removesuffix('e')}ed",
            hint=f"provecfg generate {path}, then {verb} what that writes",
        )


def _looks_like_study(path: Path) -> bool:
    """The same of a file that nobody named: other tools' files have a `name`, too."""
    if not is_study(path):
        return False
    text = _text(path)
    if _top_keys(_OF_A_STUDY, text):
        return True
    from provecfg.study.schema import Study  # a tenth of a second, for the few files that have a name

    return Study.model_fields.keys() >= set(_top_keys(r"""[\w-]+(?=["']?\s*:)""", text))


def _top_keys(pattern: str, text: str) -> list[str]:
    """What matches at the beginning of the keys of the top level; in braces, of those that begin a line."""
    first = _FIRST_LINE.search(text)
    if first is None or first[2] == "-":  # a list
        return []
    before = r"[{ \t]*" if first[2] == "{" else first[1]
    return re.findall(rf"""^{before}["']?({pattern})""", text, re.MULTILINE)


def _of_project(here: Path) -> list[Path]:
    """Every study and every generated config of the project that `here` is in."""
    project = next((folder for folder in (here, *here.parents) if _is_project(folder)), here)
    studies = [
        path for folder in (project, project / "studies") for path in _files_in(folder) if _looks_like_study(path)
    ]
    generated = [path for path in _below(project / "generated") if is_config(path)]
    if not studies and not generated:
        raise ProvecfgError(
            f"no study and no generated config in {project}",
            hint="`provecfg generate --all` writes the loss study's configs; a file or folder can be named instead",
        )
    return [*studies, *generated]


def _is_project(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("pyproject.toml", ".git", "generated"))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_SUFFIXES):
                yield Path(parent, name)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _YAML) if folder.is_dir() else []


def is_config(path: Path, text: str | None = None) -> bool:
    """Whether a file that nobody named looks like a config, rather than a module or data beside it.

    Args:
        path: The file.
        text: Looked at as if it stood there.
    """
    text = _text(path) if text is None else text
    return bool(_ASSIGNS_A_KEY.search(text) if path.suffix == ".py" else _top_keys(_OF_A_CONFIG, text))


def _text(path: Path) -> str:
    """The text of a file as far as it can be had; what cannot is for the reader to report."""
    try:
        return read_text(path, errors="replace")
    except OSError:
        return ""
