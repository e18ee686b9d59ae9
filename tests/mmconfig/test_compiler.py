"""What Python's parser takes and its compiler does not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provecfg.findings import Span
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.compiler import check_compiles

REFUSED = [
    "x = dict(type='A', type='B')",
    "x = f(a=1, **b, a=2)",
    "_base_ = f(a=1, a=2)",
    "break",
    "continue",
    "for i in a: pass\nelse: break",
    "return 1",
    "yield 1",
    "async def f(): pass\nawait f()",
    "async with a: pass",
    "def f(a, a): pass",
    "f = lambda a, a: 1",
    "nonlocal a",
    "def f():\n    nonlocal a",
    "def f():\n    a = 1\n    global a",
    "def f(a):\n    global a",
    "x = *a",
    "*a, *b = c",
    "del __debug__",
    "from __future__ import nothing",
    "def f():\n    from os import *",
    "x = [y := 1 for y in z]",
    "class A:\n    return 1",
    "try: pass\nexcept: pass\nexcept A: pass",
    "match x:\n    case a: pass\n    case b: pass",
    "x = [(yield) for i in a]",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_python_refuses_to_compile_is_a_syntax_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SyntaxError) as refused:
        compile(text, "config.py", "exec")
    view = read_config(tmp_path / "config.py", text=f"{text}\n")
    assert [(problem.code, problem.message) for problem in view.problems] == [("CFG001", refused.value.msg)]
    assert view.problems[0].span is not None
    assert view.problems[0].span.row == refused.value.lineno
    assert view.values == {}


def test_the_compilers_columns_count_characters_too(tmp_path: Path) -> None:
    text = "x = ['éé', dict(a=1,\n  é=2, a=3)]\n"
    (problem,) = read_config(tmp_path / "config.py", text=text).problems
    assert problem.span == Span(2, 8, 2, 11)
    quoted = "x = '{{ fileDirname }}', dict(a=1, a=2)\n"
    (problem,) = read_config(tmp_path / "config.py", text=quoted).problems
    assert problem.span is not None
    assert quoted[problem.span.column - 1 : problem.span.end_column - 1] == "a=2"


def test_deleting_an_unknown_name_is_a_finding(tmp_path: Path) -> None:
    view = read_config(tmp_path / "config.py", text="del x\ny = 1\ndel y, y\ndef f():\n    del z\nf()\n")
    assert [(problem.code, problem.span and problem.span.row) for problem in view.problems] == [
        ("CFG011", 1),
        ("CFG011", 3),
        ("CFG011", 5),
    ]


COSTLY = {
    "folded text": "x = " + "+".join(["'" + "a" * 400 + "'"] * 2_400),
    "folded tuples": "x = " + "+".join(["(" + "1," * 150 + ")"] * 2_400),
    "folded repetitions": "x = [" + "'a' * 4096," * 37_000 + "]",
    "keywords": "x = dict(" + ",".join(f"a{i}=1" for i in range(37_000)) + ")",
    "finally in finally": "".join(f"{' ' * i}try:\n{' ' * i} x=1\n{' ' * i}finally:\n" for i in range(19))
    + " " * 19
    + "x",
    "many ways into finally": "def f():\n try:\n" + "  if x: return\n" * 8_000 + " finally:\n" + "  a()\n" * 9_000,
    "copied names": "f = lambda "
    + ",".join(f"a{i}" for i in range(20_000))
    + ": ("
    + "lambda: (" * 60
    + "a1"
    + ")" * 61,
    "names of a class": f"class {'C' * 400_000}:\n" + "".join(f" __a{i}=1\n" for i in range(5_000)),
    "names of a pattern": "match x:\n case [" + ",".join(f"a{i}" for i in range(5_000)) + "] | [*a]: pass\n",
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_would_cost_the_compiler_hours_is_not_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ast

    compiled: list[object] = []
    monkeypatch.setattr("builtins.compile", lambda *arguments, **_: compiled.append(arguments))
    check_compiles(ast.Module([], []), COSTLY[name])
    assert not compiled


LARGEST = {
    "calls": "f(a)\n" * 9_900,
    "keywords": "x = dict(" + ",".join(f"a{i}=1" for i in range(3_990)) + ")",
    "repetitions": "x = [" + "'a' * 4096," * 1_300 + "]",
    "text": "x = " + "+".join(["'" + "a" * 120 + "'"] * 390),
    "functions": "".join(f"def f{i}(a, b): return a\n" for i in range(30)) + "x = 1\n" * 3_900,
    "finally": "def f():\n try:\n" + "  return\n" * 250 + " finally:\n" + "  a()\n" * 350,
}


@pytest.mark.parametrize("name", LARGEST)
def test_what_is_compiled_costs_little_more_than_as_much_plain_text(name: str, tmp_path: Path) -> None:
    def read(text: str) -> tuple[ConfigView, float]:
        start = time.process_time()
        return read_config(tmp_path / "config.py", text=text), time.process_time() - start

    text = f"{LARGEST[name]}\nx = dict(k=1, k=2)\n"
    view, cost = read(text)
    assert cost < 20 * read("x = 1\n" * (len(text) // 6))[1]  # measured: up to 3; what it could cost: hours
    assert [problem.code for problem in view.problems] == ["CFG001"]


def test_nothing_is_executed_by_compiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch = "open('pwned', 'w').write('x')"
    for text in (
        f"x = {touch}",
        f"@{touch}\nclass A(metaclass={touch}):\n    {touch}",
        f"def f(x={touch}): {touch}\nf()",
    ):
        read_config(tmp_path / "config.py", text=text)
    assert list(tmp_path.iterdir()) == []
