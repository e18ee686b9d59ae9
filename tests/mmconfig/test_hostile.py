"""Files that want to break the reader: each gets a finding within a second and 200 MB, and none is executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="measuring needs fork and resource limits"),
]

MEASURE = Path(__file__).with_name("measure.py")
LAUGHS = "a = [1] * 10\n" + "a = [a] * 10\n" * 40
TOUCH = "open('pwned', 'w').write('x')"

WORK = {
    "power_tower": "x = 9 ** 9 ** 9 ** 9",
    "power": "x = 10 ** 100000",
    "power_by_squaring": "x = 2\nfor i in range(100): x = x * x",
    "shift": "x = 1 << 10 ** 9",
    "round": "x = round(5, -10 ** 9)",
    "long_list": "x = [0] * 10 ** 9",
    "long_text": "x = 'a' * 10 ** 10",
    "long_tuple": "x = (1,)\nfor i in range(40): x = x * 2",
    "doubled_list": "x = [1]\nfor i in range(64): x = x + x",
    "doubled_in_place": "x = [1]\nwhile True: x += x",
    "extended_by_itself": "x = [1]\nwhile True: x.extend(x)",
    "doubled_text": "x = 'a'\nwhile True: x = x + x",
    "billion_laughs": LAUGHS,
    "billion_laughs_in_dicts": "a = dict(a=1)\n" + "a = dict(a=a, b=a)\n" * 60,
    "billion_laughs_copied": "import copy\n" + LAUGHS + "b = copy.deepcopy(a)",
    "billion_laughs_compared": LAUGHS + "b = a == [a]",
    "billion_laughs_printed": LAUGHS + "b = str(a)\nc = f'{a}'\nd = '%s' % a\ne = '{}'.format(a)",
    "billion_laughs_hashed": "x = ()\nfor i in range(50): x = (x, x)\ny = {x: 1}",
    "billion_laughs_sorted": LAUGHS + "b = sorted([a, a])\nc = max(a, a)\nd = a in [a]\ne = [a].index(a)",
    "range": "x = list(range(10 ** 12))",
    "endless_range": "x = [i for i in range(10 ** 30)]",
    "nested_comprehension": "x = [[j for j in range(10 ** 6)] for i in range(10 ** 6)]",
    "set": "x = set(range(10 ** 9))",
    "dict": "x = {i: i for i in range(10 ** 8)}",
    "sum": "x = sum(range(10 ** 9))",
    "zip": "x = list(zip(range(10 ** 9), range(10 ** 9)))",
    "product": "import itertools\nx = list(itertools.product(range(1000), repeat=3))",
    "map": "x = list(map(lambda i: [0] * 1000, range(10 ** 9)))",
    "unpacking": "a, *b = range(10 ** 9)",
    "star": "x = [*range(10 ** 9)]",
    "endless_loop": "while True: pass",
    "endless_appending": "x = []\nwhile True: x.append({})",
    "recursion": "def f(n):\n    return f(n + 1)\nx = f(0)",
    "exponential_recursion": "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nx = f(30)",
    "self_application": "f = lambda f: f(f)\nx = f(f)",
    "percent_width": "x = '%1000000000d' % 1",
    "percent_precision": "x = '%.1000000000f' % 1.0",
    "percent_star": "x = '%*d' % (10 ** 9, 1)",
    "percent_mapping": "x = '%(a)s' * 10000 % {'a': 'b' * 100000}",
    "format_width": "x = '{:>999999999}'.format(1)",
    "format_nested_width": "x = '{:{}}'.format(1, 10 ** 9)",
    "format_many_fields": "x = ('{0}' * 10000).format('b' * 100000)",
    "fstring_width": "x = f'{1:{10 ** 9}}'",
    "format_function": "x = format(1, '999999999')",
    "join": "x = ('a' * 10 ** 5).join(['b'] * 10 ** 5)",
    "replace": "x = ('a' * 10 ** 4).replace('a', 'b' * 10 ** 4)",
    "zfill": "x = '1'.zfill(10 ** 10)",
    "split": "x = ('a ' * 10 ** 6).split()",
    "list_in_itself": "x = []\nx.append(x)",
    "dict_in_itself": "x = {}\nx['a'] = [x]",
    "deep_list": "x = []\nfor i in range(50000): x = [x]",
    "deep_tuple_as_key": "x = ()\nfor i in range(50000): x = (x,)\ny = {x: 1}",
    "deep_comparison": "x, y = [], []\nfor i in range(50000):\n    x, y = [x], [y]\nz = x == y",
    "slices": "x = list(range(10 ** 4))\nfor i in range(10 ** 5): y = x[:]",
    "searches": "x = [0] * 10000\nfor i in range(10 ** 5): y = 1 in x",
    "undefined_names": "\n".join(f"x{i} = y{i}" for i in range(20000)),
    "unknown_calls": "import os\n" + "\n".join(f"x{i} = os.getcwd()" for i in range(20000)),
    "plus_chain": "x = 1" + " + 1" * 100_000,
    "minus_chain": "x = " + "-" * 500_000 + "1",
    "not_chain": "x = " + "not " * 100_000 + "1",
    "power_chain": "x = 1" + " ** 1" * 100_000,
    "conditional_chain": "x = " + "1 if 1 else " * 60_000 + "1",
    "lambda_chain": "x = " + "lambda: " * 100_000 + "1",
    "attribute_chain": "x = a" + ".b" * 200_000,
    "call_chain": "x = a" + "()" * 200_000,
    "subscript_chain": "x = a" + "[0]" * 200_000,
    "elif_chain": "if 0:\n pass\n" + "elif 0:\n pass\n" * 50_000,
    "brackets": "x = " + "(" * 300_000,
    "balanced_brackets": "x = " + "[" * 150 + "]" * 150,
    "fstring_chain": "x = f'{" + "-" * 400_000 + "1}'",
    "fstrings": "x = " + "f'{1}' " * 120_000,
    "commas": "x = [" + "1," * 490_000 + "]",
    "lines": "x = 1\n" * 160_000,
    "strings": "x = [" + "''," * 300_000 + "]",
    "digits": "x = " + "9" * 900_000,
    "hexadecimal_digits": "x = 0x" + "f" * 900_000,
    "substitutions": "x = {{$A:" * 100_000,
    "substitution_of_blanks": "x = {{$A:" + " " * 900_000,
    "base_substitutions": "x = [" + "{{_base_.a}}," * 70_000 + "]",
    "many_bases": "_base_ = ['none.py'] * 100000",
    "base_from_work": "_base_ = ['a' * 10 ** 9]",
    "many_large_bases": "_base_ = [f'large{i}.py' for i in range(40)]",
    "chain_of_bases": "_base_ = 'chain0.py'",
    "diamonds": "_base_ = 'diamond0.py'",
    "laughing_bases": "_base_ = 'laugh30.py'",
    "includes_itself": "_base_ = './includes_itself.py'",
    "two_in_a_circle": "_base_ = './circle.py'",
}
EXECUTION = {
    "open": f"x = {TOUCH}",
    "import_function": "x = __import__('os').system('touch pwned')",
    "os_system": "import os\nos.system('touch pwned')",
    "from_os": "from os import system as s\nx = s('touch pwned')",
    "subprocess": "import subprocess\nsubprocess.run(['touch', 'pwned'])",
    "class_walk": "x = ().__class__.__bases__[0].__subclasses__()",
    "class_walk_by_format": "x = '{0.__class__.__mro__}'.format(1)",
    "globals_of_a_function": "def f(): pass\nx = f.__globals__['__builtins__']",
    "builtins": f"x = __builtins__['open']('pwned', 'w')\n{TOUCH}",
    "eval": f'x = eval("{TOUCH}")',
    "exec": f'exec("{TOUCH}")',
    "getattr": "x = getattr('', '__class__')",
    "decorator": "@print\ndef f(): pass\n@f\nclass C: pass",
    "metaclass": "class C(metaclass=print): pass",
    "class_body": f"class C:\n    {TOUCH}",
    "default_argument": f"def f(x={TOUCH}): return x\ny = f()",
    "try": f"try:\n    1 / 0\nexcept ZeroDivisionError:\n    {TOUCH}",
    "generator": f"def f():\n    yield {TOUCH}\nx = list(f())",
    "async": f"async def f():\n    {TOUCH}",
    "match": f"match 1:\n    case 1:\n        x = {TOUCH}",
    "base_expression": f"_base_ = {TOUCH}",
    "with_open": "with open('pwned', 'w') as f:\n    f.write('x')",
    "assertion": f"assert {TOUCH}",
    "lambda_called": f"x = (lambda: {TOUCH})()",
    "sort_key": f"x = sorted([1, 2], key=lambda _: {TOUCH})",
    "lazy_class_called": "from os import path\nfrom subprocess import Popen\nimport torch\nx = torch.load('a')",
}
BASES = {
    "device": "/dev/zero.py",
    "folder": "folder.py",
    "pipe": "pipe.py",
    "gigabyte": "gigabyte.py",
    "null_in_the_name": "a\\0.py",
    "long_name": "a" * 5000 + ".py",
    "endless_device": "/dev/urandom",
    "standard_input": "/dev/stdin",
    "memory": "/proc/self/mem",
    "folder_link_loop": "loop/loop/loop/loop.py",
    "latin1": "latin1.py",
    "out_of_a_package": "mmseg::a/../../../../../../etc/passwd",
}
OTHER_FORMATS = {
    "aliases.yaml": "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(20)),
    "merges.yaml": "a0: &a0 {k0: 1}\n"
    + "".join(f"a{i + 1}: &a{i + 1}\n  <<: [*a{i}, *a{i}]\n  k{i + 1}: [*a{i}, *a{i}]\n" for i in range(40)),
    "in_itself.yaml": "a: &a [*a]\n",
    "deep_flow.yaml": "[" * 100_000,
    "deep_block.yaml": "- " * 100_000 + "x",
    "long.yaml": "- 1\n" * 240_000,
    "python_tag.yaml": "a: !!python/object/apply:os.system ['touch pwned']\nb: !!python/name:os.system\n",
    "no_anchor.yaml": "a: *b\n",
    "tabs.yaml": "\t\t\ta: 1\n",
    "big_number.yaml": "a: " + "9" * 100_000 + "\n",
    "deep.json": "[" * 500_000,
    "long.json": '{"a": [' + "1," * 400_000 + "1]}",
    "big_number.json": '{"a": ' + "9" * 900_000 + "}",
    "empty.json": "",
    "empty.yaml": "",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What reading each file costs; the folder is the working directory of the process that reads them."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    (folder / "loop").symlink_to(folder)
    (folder / "latin1.py").write_bytes(b"a = '\xe9'")
    with open(folder / "gigabyte.py", "wb") as file:
        file.truncate(1 << 30)
    files = {f"{name}.py": text for name, text in {**WORK, **EXECUTION}.items()} | OTHER_FORMATS
    files |= {f"base_{name}.py": f"_base_ = '{base}'\nx = 1\n" for name, base in BASES.items()}
    files["circle.py"] = "_base_ = './two_in_a_circle.py'"
    beside = {f"large{i}.py": f"x{i} = [" + "1," * 60_000 + "]" for i in range(40)}
    beside |= {f"chain{i}.py": f"_base_ = 'chain{i + 1}.py'\nx{i} = 1" for i in range(300)}
    for i in range(40):
        bases = f"_base_ = ['diamond{i + 1}.py', 'diamonds{i + 1}.py']"
        beside |= {f"diamond{i}.py": bases, f"diamonds{i}.py": bases}
        twice = "dict(_delete_=True, a={{_base_.x}}, b={{_base_.x}})"
        beside[f"laugh{i}.py"] = f"_base_ = 'laugh{i - 1}.py'\nx = {twice}" if i else "x = dict(a=1)"
    for name, text in (files | beside).items():
        (folder / name).write_text(text, encoding="utf-8")
    names = [*files, "folder.py", "pipe.py", "gigabyte.py", "latin1.py"]
    run = subprocess.run(
        [sys.executable, MEASURE, *names], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    reports = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(reports) == len(names)
    assert not (folder / "pwned").exists()
    return dict(zip(names, reports, strict=True))


def assert_harmless(report: dict[str, Any]) -> None:
    assert "raised" not in report, report
    assert report["seconds"] < 1.0, report
    assert report["megabytes"] < 200, report


@pytest.mark.parametrize("name", WORK)
def test_work_is_bounded(name: str, measured: dict[str, dict[str, Any]]) -> None:
    report = measured[f"{name}.py"]
    assert_harmless(report)
    assert report["codes"], report


@pytest.mark.parametrize("name", EXECUTION)
def test_nothing_is_executed(name: str, measured: dict[str, dict[str, Any]]) -> None:
    report = measured[f"{name}.py"]
    assert_harmless(report)
    assert report["codes"], report


@pytest.mark.parametrize("name", BASES)
def test_only_regular_files_are_bases(name: str, measured: dict[str, dict[str, Any]]) -> None:
    report = measured[f"base_{name}.py"]
    assert_harmless(report)
    assert set(report["codes"]) <= {"CFG003", "CFG007", "CFG008", "CFG009", "CFG010"}
    assert len(report["codes"]) == 1, report


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_formats_are_bounded_too(name: str, measured: dict[str, dict[str, Any]]) -> None:
    report = measured[name]
    assert_harmless(report)
    assert report["codes"], report


@pytest.mark.parametrize(
    ("name", "code"),
    [("folder.py", "CFG009"), ("pipe.py", "CFG009"), ("gigabyte.py", "CFG008"), ("latin1.py", "CFG007")],
)
def test_what_is_no_config_is_said_to_be_none(name: str, code: str, measured: dict[str, dict[str, Any]]) -> None:
    assert_harmless(measured[name])
    assert measured[name]["codes"] == [code]
