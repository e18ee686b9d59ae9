"""How an excerpt is made of a constructor's source, and followed: what is not known is refused nowhere."""

from __future__ import annotations

import ast
import sys
import textwrap
from typing import Any

import pytest

from provecfg.mmconfig import Opaque
from provecfg.registry.classes import ClassInfo, ClassRecord, Excerpts
from provecfg.registry.preconditions import Refusal, refusal
from provecfg.registry.preconditions.excerpt import attributes_set, excerpt
from provecfg.registry.signatures import parameters_of

UNKNOWN = Opaque("os.environ['VALUE']")


def function_of(source: str) -> ast.FunctionDef:
    function = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def refused(constructor: str, **values: Any) -> Refusal | None:
    """What a class of this constructor refuses."""
    function = function_of(constructor)
    known = {"copy.deepcopy": "copy.deepcopy"}
    body = excerpt(function, known.get, lambda name: False, lambda name: frozenset())
    text = ast.unparse(ast.fix_missing_locations(ast.Module(body, [])))
    record = ClassRecord(
        "lanes",
        "Net",
        bases=(),
        parameters=parameters_of(function.args, origin="lanes.Net", skip_first=True),
        read_excerpts=lambda module, name: Excerpts({"__init__": text}),
    )
    info = ClassInfo("Net", "model", "", record, lambda dotted: None, lambda name, registry: None)
    return refusal(info, values)


DECIDED = [
    ("if depth > 3: raise ValueError('deep')", 4, 3),
    ("ratio = depth or 2\n    assert ratio < 3, 'deep'", 4, 0),
    ("for _ in range(depth): assert False, 'a turn'", 1, 0),
    ("try:\n        import lanes\n    except ImportError:\n        lanes = None\n    assert depth < 3", 4, 2),
    ("return None if depth is None else {depth}", [1], 1),
    ("return None if depth is None else {depth: 1}", [1], 1),
    ("return {item for item in [depth]}", [1], 1),
    ("table = {}\n    table[open('a')] = 1\n    table[depth]", [1], "b"),
    ("try:\n        open('a')\n    except OSError:\n        return\n    assert depth < 3", 4, 2),
]
"""A statement, a depth that it refuses, and one that it does not."""


@pytest.mark.parametrize(("statement", "bad", "good"), DECIDED, ids=[case[0] for case in DECIDED])
def test_what_is_certain_is_said_and_no_more(statement: str, bad: Any, good: Any) -> None:
    constructor = f"def __init__(self, depth):\n    {statement}"
    assert refused(constructor, depth=good) is None
    assert refused(constructor, depth=UNKNOWN) is None
    assert refused(constructor, depth=bad) is not None


@pytest.mark.parametrize(
    "body",
    [
        # the first is taken where it is anything, and it may be a text
        "name = names or 'net'\n    name.lower()",
        "size = names or [1, 2]\n    len(size)",
        # each may return before the end is reached
        "try:\n        return names[0]\n    except KeyError:\n        pass\n    raise ValueError('none')",
        "while names:\n        return\n    raise ValueError('none')",
        "for name in open('names'):\n        return\n    raise ValueError('none')",
        "for _ in depth:\n        try:\n            continue\n        finally:\n            pass\n        assert 0",
        # the end of a loop that was not left may have run
        "best = None\n    for name in [1]:\n        pass\n    else:\n        best = 1\n    best + 1",
    ],
)
def test_what_is_not_certain_is_not_said(body: str) -> None:
    assert refused(f"def __init__(self, names, depth=(1, 2)):\n    {body}", names=UNKNOWN) is None


def test_a_config_nested_deeper_than_python_goes_is_not_refused_for_it() -> None:
    deep: Any = 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        for _ in range(400):
            deep = [deep]
            assert refused("def __init__(self, depth): copy.deepcopy(depth)", depth=deep) is None
    finally:
        sys.setrecursionlimit(limit)


def test_what_a_method_sets_is_found_in_all_that_it_calls() -> None:
    methods = {
        name: function_of(f"def {name}(self): {body}")
        for name, body in {"first": "self.second()", "second": "self.third()", "third": "self.depth = 1"}.items()
    }
    assert attributes_set(methods["first"], methods.get) == {"depth"}
