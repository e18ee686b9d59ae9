"""What is not run may have changed what stands around it: that is not claimed to be as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.findings import Severity
from provecfg.mmconfig import Opaque, read_config

# name of what is not known after it, the config
CHANGED = r"""
a: a = []; try: a.append(1) | except E: pass
a: a = {}; try: a['k'] = 1 | except E: pass
a: a = {'k': []}; try: a['k'].append(1) | except E: pass
a: a = []; b = a; try: b.append(1) | except E: pass
a: a = []; for i in unknown(): a.append(i)
a: a = [[]]; for i in unknown(): | for j in a: j.append(i)
a: a = 1; if unknown(): a = 2
a: a = [1]; del a[:]
a: a = [1, 2]; a[1:] = [3]
a: a = [1]; a.__setitem__(0, 2)
a: a = []; unknown() and a.append(1)
a: a = []; a.append(1) if unknown() else None
a: a = []; x = 1 < unknown() < a.append(1)
a: a = []; [a.append(i) for i in unknown()]
a: a = []; unknown(a)
a: a = []; unknown.change(k=a)
a: a = []; b = a; a += unknown()
a: a = 1; def f(): | global a | a = 2; f()
a: a = 1; def f(): | global a | a = 2; a = 3; f()
a: a = []; def f(): | yield a.append(1); list(f())
a: a = []; def f(): | a.append(1); try: f() | except E: pass
a: a = []; def f(): | a.append(1); unknown(f)
a: a = []; class A: | a.append(1)
a: a = 1; match unknown(): | case a: pass
a: a = 1; try: import a | except E: pass
a: a = 1; [(a := i) for i in [1, 2]]
a: a = 1; while True: | a += 1 | if unknown(): break | if a > 3: break
a: a = zip([1], [2]); b = list(a)
a: from math import *; a = 1
a: a = 1; from math import *
a: _base_ = []; a = 1; from nowhere import *
a: _base_ = []; with unknown() as f: | exec(f.read()); a = bound_there
a: exec('b = 1'); a = b; del b
a: globals().update(b=1); a = b
"""


def _program(line: str) -> tuple[str, str]:
    name, _, text = line.partition(": ")
    lines: list[str] = []
    for statement in text.split("; "):
        head, *body = statement.split(" | ")
        lines.append(head)
        # What follows `:` on a line of its own goes in; `except` and further lines of a block by their look.
        opened = 1
        for part in body:
            if part.startswith(("except", "case")) and not head.startswith("match"):
                lines.append(part)
                continue
            lines.append("    " * opened + part)
            opened += part.endswith(":")
    return name, "\n".join(lines) + "\n"


@pytest.mark.parametrize("line", CHANGED.strip().split("\n"))
def test_what_may_have_been_changed_is_not_known(tmp_path: Path, line: str) -> None:
    name, text = _program(f"{line}")
    view = read_config(
        tmp_path / "config.py", text=f"from somewhere import unknown, E\n{text}".replace("somewhere", "os")
    )
    assert [problem for problem in view.problems if problem.severity is Severity.ERROR] == [], text
    if "from math import *; a = 1" in line:
        assert view.values[name] == 1
        return
    assert isinstance(view.values[name], Opaque), (text, view.values)


UNCHANGED: list[tuple[str, dict[str, Any]]] = [
    ("a = []\ntry: b = len(a)\nexcept E: pass\n", {"a": []}),
    ("a = []\nb = ','.join(unknown())\n", {"a": []}),
    ("a = []\ntry: b = dict(k=a)\nexcept E: pass\n", {"a": []}),
    ("a = []\nb = unknown('x')\n", {"a": []}),
    ("a = []\nfor i in unknown(): b = a\n", {"a": []}),
    ("a = []\nb = a\nb = unknown()\n", {"a": []}),
    ("a = []\ndef f():\n    a.append(1)\n    return 1\nb = f\n", {"a": []}),
    ("a = []\nfor i in [1, 2]:\n    a.append(i)\n    if a == [1, 2]: break\nelse: unknown(a)\n", {"a": [1, 2]}),
    ("global a\na = 1\n", {"a": 1}),
]


@pytest.mark.parametrize(("text", "values"), UNCHANGED)
def test_what_cannot_have_been_changed_stays_known(tmp_path: Path, text: str, values: dict[str, Any]) -> None:
    view = read_config(tmp_path / "config.py", text=f"from os import unknown, E\n{text}")
    assert {name: view.values[name] for name in values} == values


RAISING = [
    "def f():\n    x = y\n    y = 1\ny = 2\nf()\n",
    "a = dict(k=1)\nb = dict(k=1, **a)\n",
    "a = dict(**{1: 2})\n",
    "for k in (a := {1: 1}): a[k + 1] = 1\n",
    "a = {}\ndel a.k\n",
    "a = (1,)\ndel a[0]\n",
]


@pytest.mark.parametrize("text", RAISING)
def test_what_python_raises_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises((LookupError, NameError, TypeError, RuntimeError, AttributeError)):
        exec(text, {})
    problems = read_config(tmp_path / "config.py", text=text).problems
    assert Severity.ERROR in [problem.severity for problem in problems]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a = [3, 1, 2]\nd = 0\nfor i in a:\n    d += 1\n    del a[0]\n", {"d": 2, "a": [2]}),
        ("a = [1]\nb = a\na *= 2\n", {"a": [1, 1], "b": [1, 1]}),
        ("a = {1}\nb = a\na |= {2}\n", {"b": {1, 2}}),
        ("a = {(b := 'k'): b}\n", {"a": {"k": "k"}}),
        ("from math import *\nx = 1\n", {"x": 1}),
    ],
)
def test_what_is_run_is_run_as_python_does(tmp_path: Path, text: str, values: dict[str, Any]) -> None:
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    view = read_config(tmp_path / "config.py", text=text)
    assert {name: view.values[name] for name in values} == values == {name: namespace[name] for name in values}
    assert [problem for problem in view.problems if problem.severity is Severity.ERROR] == []


def test_how_often_a_loop_runs_over_what_may_have_changed_is_not_known() -> None:
    for iterable in ("l", "enumerate(l)", "zip(l, 'ab')"):
        text = f"l = [1, 2]\nj = 0\nfor i in {iterable}:\n    j += 1\n    l[:] = unknown\n"
        view = read_config(Path("config.py"), text=f"from os import path as unknown\n{text}")
        assert isinstance(view.values["j"], Opaque), iterable
