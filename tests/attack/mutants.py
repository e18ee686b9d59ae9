"""Configs and studies with something changed in them by chance, and what every command has to make of them.

The configs are those that mmseg ships, the studies a few of ours. A change is one that people make (a key misspelt, a
line lost, a value of another kind) or one that is meant to break a reader (a value without end, a control character).
"""

from __future__ import annotations

import ast
import json
import random
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from provecfg.findings.fixes import apply_fixes
from provecfg.findings.settings import Settings
from provecfg.validate import judge_for_fixes
from tests.attack.bounds import Ran, run_command
from tests.attack.outcomes import difference, fault_of
from tests.attack.programs import forms

_HOSTILE_VALUES = (
    *forms(r"""
    None   -1   0   1e999   []   {}   ()   ''   True   'x' * 10 ** 9   10 ** 10 ** 10   range(10 ** 9)   1.5
    '\x1b[31m\x9b2J\u202e'   '\ud800'   lambda: 0   float('nan')   (1,)   [[1]]   dict(type='X')   dict(type=1)
    {1: 2, (3, 4): 5}   b'x'   1j   open('pwned', 'w')   __import__('os').system('touch pwned')   [*a]   undefined
    '{{_base_.model}}'   {{_base_.model}}   {{$HOME:x}}   _base_.model   [dict()] * 1000   {'a': {'a': {'a': {}}}}
    dict(_delete_=True)   'mmseg.EncoderDecoder'   set()   not_there()   ...
    """),
    "9" * 5000,
    "'" + "a" * 5000 + "'",
)
_HOSTILE_LINES = (
    *forms(r"""
    x = [0] * 10 ** 9   while True: pass   model = model   _base_ = ['./mutant.py']   _base_ = '/dev/zero'
    del model   from os import *   import subprocess; subprocess.run(['touch', 'pwned'])   exec('1')
    model.update(model)   break   model = dict(model, **model)   def f(): return f()   f()   raise SystemExit
    custom_imports = dict(imports=['os'])   model['decode_head'] = model   class model: pass
    with open('pwned', 'w') as f: f.write('x')   '''   # provecfg: ignore[REG001] x
    model = dict(type='EncoderDecoder', type='X')
    """),
    "\t",
    "\x00",
    "try: model = 1\nexcept: pass",
    "\ufeff",
)
_STUDY_VALUES = (
    *forms(r"""
    []   {}   ~   -1   0   1e999   .nan   .inf   true   ''   '\e'   "\e[31m"   "\ud800"   [[]]   2001-01-01
    !!python/object/apply:os.system ['touch pwned']   !!binary aGVsbG8=   *a   &a [*a]   1:59:59   [1, 1]   none
    '{{ 7 }}'   {type: focal, weight: -1}   [focal, focal]   1_000   !!set {1}   {? [1] : 2}
    """),
    "9" * 5000,
    "a" * 5000,
    "0x" + "f" * 900,
)

STUDIES = (
    "name: one\nmodels: [pspnet_r50]\nlosses:\n  auxiliary: [none]\n",
    "name: two\nmodels: [segformer_mit-b3]\nlosses:\n  primary: {type: cross_entropy}\n  auxiliary:\n    - focal\n"
    "    - {type: lovasz, weight: 0.3}\nhead_weights: {decode: 1.0, auxiliary: 0.4}\n",
    "name: three\nmodels: [deeplabv3plus_r50]\ndatasets: [bdd10k]\nstrategies: [baseline]\nseeds: [1, 2]\n"
    "losses: {auxiliary: [boundary]}\nschedule: {max_iters: 8000, val_interval: 500}\n"
    "early_stopping: {monitor: val/mIoU, rule: greater, patience: 5}\ndata: {crop_size: [512, 512], batch_size: 2}\n"
    "optimizer: {lr: 0.01}\nruntime: {amp: false}\n",
)
"""Studies of few cells: each is judged, and that takes its time."""


class Mutator:
    """Changes texts.

    Args:
        seed: Equal seeds make equal changes.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def config(self, text: str) -> str:
        """A Python config with one to four changes."""
        for _ in range(self._chance.randint(1, 4)):
            change: Callable[[str], str] = self._chance.choices(
                (self._other_value, self._other_key, self._without_key, self._other_line, self._other_text),
                (5, 4, 2, 3, 1),
            )[0]
            text = change(text)
        return text

    def study(self, text: str) -> str:
        """A study with one to four changes."""
        for _ in range(self._chance.randint(1, 4)):
            change: Callable[[str], str] = self._chance.choices(
                (self._other_study_value, self._other_study_key, self._other_study_line, self._other_text), (5, 3, 2, 1)
            )[0]
            text = change(text)
        return text

    # Of configs

    def _other_value(self, text: str) -> str:
        nodes = [node for node in _nodes(text) if isinstance(node, ast.expr) and _is_value(node)]
        if not nodes:
            return self._other_text(text)
        node = self._pick(nodes)
        new = self._pick(_HOSTILE_VALUES)
        if self._chance.random() < 0.4:
            new = ast.get_source_segment(text, self._pick(nodes)) or new
        return _replaced(text, node, new)

    def _other_key(self, text: str) -> str:
        keywords = [node for node in _nodes(text) if isinstance(node, ast.keyword) and node.arg]
        if not keywords:
            return self._other_line(text)
        keyword = self._pick(keywords)
        name = keyword.arg or ""
        new = self._pick((self._misspelt(name), self._pick(keywords).arg or name, "_delete_", "type", "é", name * 50))
        start = _offset(text, keyword.lineno, keyword.col_offset)
        return text[:start] + new + text[start + len(name) :]

    def _without_key(self, text: str) -> str:
        keywords = [node for node in _nodes(text) if isinstance(node, ast.keyword) and node.arg]
        if not keywords:
            return self._other_line(text)
        keyword = self._pick(keywords)
        start = _offset(text, keyword.lineno, keyword.col_offset)
        end = _offset(text, keyword.value.end_lineno or 1, keyword.value.end_col_offset or 0)
        rest = text[end:]
        return text[:start] + re.sub(r"^\s*,\s*", "", rest)

    def _other_line(self, text: str) -> str:
        lines = text.split("\n")
        at = self._chance.randrange(len(lines))
        kind = self._chance.randrange(4)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, self._pick(_HOSTILE_LINES))
        elif kind == 2:
            lines.insert(at, lines[self._chance.randrange(len(lines))])
        else:
            lines[at] = self._pick(
                (lines[at].lstrip(), f"  {lines[at]}", f"{lines[at]}\\", lines[at][: len(lines[at]) // 2])
            )
        return "\n".join(lines)

    # Of studies

    def _other_study_value(self, text: str) -> str:
        values = list(re.finditer(r"(?<=[:\-,\[] )[^\s,\[\]{}:][^,\[\]{}\n]*|\[[^\]\n]*\]|\{[^}\n]*\}", text))
        if not values:
            return self._other_text(text)
        match = self._pick(values)
        new = self._pick(_STUDY_VALUES) if self._chance.random() < 0.6 else self._pick(values)[0]
        return text[: match.start()] + new + text[match.end() :]

    def _other_study_key(self, text: str) -> str:
        keys = list(re.finditer(r"[\w]+(?=:)", text))
        if not keys:
            return self._other_text(text)
        match = self._pick(keys)
        new = self._pick(
            (self._misspelt(match[0]), self._pick(keys)[0], "<<", "~", "1", "? [a]", '"\\e[31m"', "models")
        )
        return text[: match.start()] + new + text[match.end() :]

    def _other_study_line(self, text: str) -> str:
        lines = text.split("\n")
        at = self._chance.randrange(len(lines))
        kind = self._chance.randrange(3)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[self._chance.randrange(len(lines))])
        else:
            lines[at] = self._pick(
                (lines[at].lstrip(), f"  {lines[at]}", f"\t{lines[at]}", f"- {lines[at]}", "---", "...")
            )
        return "\n".join(lines)

    # Of any text

    def _other_text(self, text: str) -> str:
        start = self._chance.randrange(len(text) + 1)
        end = min(len(text), start + self._chance.choice((0, 1, 1, 5, 40)))
        piece = self._pick(
            ("", "(", ")", "'", '"', ",", "=", "\\", "\n", "\t", "{{", "}}", "[", "é", "\x1b", "\r", "*", "#", ":")
        )
        return text[:start] + piece + text[end:]

    def _misspelt(self, word: str) -> str:
        at = self._chance.randrange(len(word))
        return self._pick(
            (word[:at] + word[at + 1 :] or "x", word[:at] + word[at] + word[at:], word.upper(), f"{word}s")
        )

    def _pick(self, options: Sequence):  # type: ignore[type-arg, no-untyped-def]
        return self._chance.choice(options)


def _nodes(text: str) -> list[ast.AST]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _is_value(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Call, ast.UnaryOp))


def _replaced(text: str, node: ast.expr, new: str) -> str:
    start = _offset(text, node.lineno, node.col_offset)
    return text[:start] + new + text[_offset(text, node.end_lineno or 1, node.end_col_offset or 0) :]


def _offset(text: str, row: int, byte: int) -> int:
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: row - 1]) + len(
        lines[row - 1].encode()[:byte].decode("utf-8", "ignore")
    )


# Where they stand, and what is asked of them


def lay_out_zoo(configs: Path, folder: Path) -> None:
    """Links to the fragments and the families of mmseg's configs, so that a mutant finds its bases there.

    Args:
        configs: The `.mim/configs` of mmseg.
        folder: Gets `_base_`, and a folder for each family in which a file `mutant.py` can stand.
    """
    (folder / "_base_").symlink_to(configs / "_base_")
    for family in sorted(path for path in configs.iterdir() if path.is_dir() and path.name != "_base_"):
        (folder / family.name).mkdir()
        for file in family.glob("*.py"):
            (folder / family.name / file.name).symlink_to(file)


def fault_of_config(mutant: Path, original: Path) -> str | None:
    """What a command does with a changed config that it may not, or None.

    Every command says the same twice, ends with a code that it may have and without a traceback, and prints what a
    terminal can be shown; nothing is executed. A config that fixes were made to has no more errors than before.

    Args:
        mutant: The file; is changed by fixes.
        original: What it was made from.
    """
    name = str(mutant)
    for command in (
        ("validate", name, "--output-format", "json"),
        ("show", name),
        ("show", name, "--output-format", "yaml"),
        ("compare", str(original), name),
        ("validate", name, "--diff", "--unsafe-fixes"),
    ):
        ran = run_command(*command)
        fault = fault_of(ran) or difference(ran, run_command(*command))
        if fault is not None:
            return f"{' '.join(command)}: {fault}"
    return fault_of_fixes(mutant)


def fault_of_fixes(config: Path) -> str | None:
    """What is wrong with the safe fixes of a config, or None: more errors than before, or a change to another's value.

    Args:
        config: The file; is changed by its fixes.
    """
    name = str(config)
    fixes = apply_fixes([config.absolute()], judge_for_fixes(lambda folder: Settings()))
    judge, show = ("validate", name, "--output-format", "json"), ("show", name, "--output-format", "json")
    errors, values = _errors(run_command(*judge)), _values(run_command(*show))
    ran = run_command("validate", name, "--fix", "-q")
    fault = fault_of(ran)
    if fault is not None:
        return f"validate --fix: {fault}"
    after = _errors(run_command(*judge))
    if after > errors:
        return f"validate --fix: {errors} errors became {after}"
    own = {finding.key for finding in fixes.applied}
    own |= {key for finding in fixes.applied if finding.fix for edit in finding.fix.edits for key in edit.keys}
    fixed = _values(run_command(*show))
    for path in values.keys() | fixed.keys():
        is_own = any(path == key or path.startswith((f"{key}.", f"{key}[")) for key in own)
        if values.get(path) != fixed.get(path) and not is_own:
            return f"validate --fix, which mends {sorted(own)}: {path} was {values.get(path)}, is {fixed.get(path)}"
    return None


def _values(ran: Ran) -> dict[str, str]:
    """Dotted path of everything that holds no others in what `show` printed -> the value as text."""
    values: dict[str, str] = {}
    pending = [("", json.loads(ran.output))] if ran.output.strip() else []
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict) and value:
            pending += [(f"{path}.{key}".lstrip("."), item) for key, item in value.items()]
        elif isinstance(value, list) and value:
            pending += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        else:
            values[path] = repr(value)
    return values


def fault_of_study(path: Path) -> str | None:
    """The same of a changed study."""
    for command in (
        ("validate", str(path), "--output-format", "json"),
        ("generate", str(path), "--check"),
        ("compare", str(path), str(path)),
    ):
        ran = run_command(*command)
        fault = fault_of(ran) or difference(ran, run_command(*command))
        if fault is not None:
            return f"{command[0]}: {fault}"
    return None


def _errors(ran: Ran) -> int:
    try:
        return sum(finding["severity"] == "error" for finding in json.loads(ran.output))
    except (ValueError, TypeError):
        return 0
