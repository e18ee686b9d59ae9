"""Files that want to break what reads them, by kind: settings, studies, weights, configs, options.

A case is a folder and a command that is typed in it. Each is made so that it starts something, or leaves a file
`pwned`, if anything in it is executed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.attack.bounds import MAX_SECONDS, MAX_SECONDS_OF_LARGE

Content = str | bytes | Callable[[Path], None]
"""What a file holds, or what makes it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A command in a folder of files.

    Args:
        name: What is hostile about it.
        command: The words after `provecfg`.
        files: Path -> content.
        seconds: What it may take of processor time.
    """

    name: str
    command: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    seconds: float = MAX_SECONDS

    def lay_out(self, folder: Path) -> None:
        """Write the files."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content, encoding="utf-8", errors="surrogatepass")


# What stands where a file should


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _own_memory(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("gone")


def _gigabyte(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 30)


NO_FILES: dict[str, Content] = {
    "pipe": _pipe,
    "folder": Path.mkdir,
    "endless device": _endless,
    "own memory": _own_memory,
    "link to itself": _loop,
    "dangling link": _dangling,
    "gigabyte": _gigabyte,
    "nothing": b"",
    "null bytes": b"\0" * 1000,
    "random bytes": bytes(range(256)) * 100,
    "latin-1": b"name: \xe9\n",
    "byte order mark": "\ufeffname: x\nmodels: [pspnet_r50]\n",
    "half of a character": b"name: '\xed\xa0\x80'\nmodels: [pspnet_r50]\n",
    "other newlines": "name: x\rmodels: [pspnet_r50]\r",
}

SETTINGS: dict[str, Content] = {
    "deep list": "[tool.provecfg]\nselect = " + "[" * 100_000,
    "deep balanced list": "[tool.provecfg]\nselect = " + "[" * 20_000 + "]" * 20_000,
    "deep key": "[tool.provecfg]\n" + ".".join(["a"] * 100_000) + " = 1\n",
    "deep keys": "[tool.provecfg]\n" + "".join(f"a{i}.{'.'.join(['a'] * 900)} = 1\n" for i in range(300)),
    "deep table": "[tool.provecfg]\n[" + ".".join(["a"] * 100_000) + "]\n",
    "many tables": "[tool.provecfg]\n" + "".join(f"[t{i}]\n" for i in range(50_000)),
    "huge number": "[tool.provecfg]\nstrict = " + "9" * 100_000,
    "huge hexadecimal number": "[tool.provecfg]\nstrict = 0x" + "f" * 100_000,
    "half of a character": '[tool.provecfg]\nselect = ["\\ud800"]\n',
    "control characters": '[tool.provecfg]\n"\\u001b[31m" = 1\n',
    "blank lines": "[tool.provecfg]\n" + "\n" * 900_000,
    "almost a table": "[ " * 400_000 + "tool.provecfg",
    "wrong kinds": "[tool.provecfg]\nselect = 1\n",
    "wrong kinds inside": "[tool.provecfg]\nselect = [1, [2]]\n",
    "tool is a number": "tool = 1  # tool.provecfg\n",
    "table is a list": "[[tool.provecfg]]\n",
    "date": "[tool.provecfg]\nstrict = 2001-01-01\n",
    "pattern": "[tool.provecfg.per-file-ignores]\n" + f'"{"*a" * 2000}b" = ["LOSS"]\n',
    "class in a pattern": '[tool.provecfg.per-file-ignores]\n"[z-a][[]" = ["LOSS"]\n',
    "not TOML": "[tool.provecfg\n",
    "execution": "[tool.provecfg]\nselect = [\"__import__('os').system('touch pwned')\"]\n",
}

_STUDY = "name: x\nmodels: [pspnet_r50]\n"
STUDIES: dict[str, Content] = {
    "deep list": _STUDY + "losses: " + "[" * 100_000,
    "deep balanced list": _STUDY + "losses: " + "[" * 3_000 + "]" * 3_000,
    "deep mapping": _STUDY + "losses: " + "{a: " * 20_000,
    "deep block": _STUDY + "".join(" " * i + "a:\n" for i in range(900)),
    "aliases": "a0: &a0 [1, 1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60)) + _STUDY,
    "merged aliases": "a0: &a0 {k0: 1}\n"
    + "".join(f"a{i + 1}: &a{i + 1}\n  <<: [*a{i}, *a{i}]\n  k{i + 1}: 1\n" for i in range(40))
    + _STUDY,
    "alias in itself": _STUDY + "losses: &a [*a]\n",
    "long list": _STUDY + "seeds: [" + "1, " * 200_000 + "1]\n",
    # It is a study like any other; to write or to compare its configs takes as long as that takes.
    "many seeds": _STUDY + "seeds: [" + ", ".join(map(str, range(50_000))) + "]\n",
    "long block list": _STUDY + "seeds:\n" + "- 1\n" * 150_000,
    "many keys": _STUDY + "".join(f"k{i}: 1\n" for i in range(50_000)),
    "one key many times": _STUDY + "k: 1\n" * 50_000,
    "huge number": _STUDY + "seeds: [" + "9" * 300_000 + "]\n",
    "huge hexadecimal number": _STUDY + "seeds: [0x" + "f" * 300_000 + "]\n",
    "sexagesimal number": _STUDY + "seeds: [1" + ":59" * 200_000 + "]\n",
    "sexagesimal float": _STUDY + "head_weights: {decode: 1" + ":59" * 200_000 + ".5}\n",
    "digits of a float": _STUDY + "head_weights: {decode: " + "1" * 300_000 + ".5}\n",
    "infinity": _STUDY + "head_weights: {decode: .inf, auxiliary: .nan}\n",
    "huge exponent": _STUDY + "head_weights: {decode: 1e999999999}\n",
    "date": _STUDY + "seeds: [2001-01-01, 2001-12-14t21:59:43.10-05:00]\n",
    "date of no calendar": _STUDY + "seeds: [!!timestamp 2001-99-99]\n",
    "binary": _STUDY + "seeds: [!!binary aGVsbG8=]\n",
    "broken binary": _STUDY + "seeds: [!!binary é]\n",
    "binary key": _STUDY + "!!binary aGVsbG8=: 1\n",
    "date as a key": _STUDY + "2001-01-01: 1\n",
    "list as a key": _STUDY + "[1, 2]: 1\n",
    "mapping as a key": _STUDY + "{a: 1}: 1\n",
    "nothing as a key": _STUDY + "~: 1\n",
    "number as a key": _STUDY + "1: 1\n1.5: 2\ntrue: 3\n",
    "set": _STUDY + "seeds: !!set {1, 2}\n",
    "ordered mapping": _STUDY + "seeds: !!omap [a: 1, a: 2]\n",
    "pairs": _STUDY + "seeds: !!pairs [a: 1, a: 2]\n",
    "broken ordered mapping": _STUDY + "seeds: !!omap {a: 1}\n",
    "integer of nothing": _STUDY + "seeds: [!!int '']\n",
    "integer of text": _STUDY + "seeds: [!!int abc, !!float abc, !!bool abc, !!null abc]\n",
    "boolean of a list": _STUDY + "seeds: !!bool [1]\n",
    "merge of a number": _STUDY + "losses:\n  <<: 1\n",
    "unknown tag": _STUDY + "seeds: !unknown [1]\n",
    "tag of Python": _STUDY + "seeds: !!python/object/apply:os.system ['touch pwned']\n",
    "name of Python": _STUDY + "seeds: !!python/name:os.system\n",
    "module of Python": _STUDY + "seeds: !!python/module:os\n",
    "long tag": _STUDY + "seeds: !" + "a" * 100_000 + " [1]\n",
    "many directives": "%TAG ! tag:x,2000:\n" * 1_000 + "---\n" + _STUDY,
    "several documents": "---\n" + _STUDY + "---\n" + _STUDY,
    "nothing in it": "---\n...\n",
    "half of a character": _STUDY + 'seeds: ["\\ud800"]\n"\\udc80": 1\n',
    "control characters": _STUDY + '"\\e[31m\\a": "\\e[0m"\n',
    "template": _STUDY + "strategies: ['{{ 7 * 7 }}{% for i in range(10 ** 9) %}x{% endfor %}']\n",
    "template as a name": "name: \"{{ ''.__class__ }}\\n__import__('os').system('touch pwned')\"\nmodels: []\n",
    "code as a root": _STUDY + "data: {root: \"')\\n__import__('os').system('touch pwned')\\n('\"}\n",
    "path as a name": "name: ../../../pwned\nmodels: [pspnet_r50]\n",
    "long name": "name: " + "a" * 100_000 + "\nmodels: [pspnet_r50]\n",
    "long value": _STUDY + "data: {root: " + "a" * 500_000 + "}\n",
    "text for a mapping": "name: x\nmodels: pspnet_r50\nlosses: focal\ndata: here\n",
    "number for everything": "name: 1\nmodels: 1\nlosses: 1\ndata: 1\nschedule: 1\nruntime: 1\noptimizer: 1\n",
    "nothing for everything": "name:\nmodels:\nlosses:\ndata:\nschedule:\nruntime:\noptimizer:\n",
    "list for everything": "name: []\nmodels: {}\nlosses: []\ndata: []\nschedule: []\nearly_stopping: []\n",
    "only blanks": " \t\n" * 100_000,
    "only comments": "# models:\n" * 90_000,
    "many colons": "models: " + "a: " * 200_000,
    "brackets after a key": "models: [" + "]" * 100_000,
    "quotes": "name: '" + "''" * 200_000,
    "folded text": "name: >\n" + " a\n" * 100_000,
    "extremes": _STUDY + "schedule: {max_iters: 1" + "0" * 4000 + ", val_interval: -1" + "0" * 4000 + "}\n",
}

_WEIGHTS = "digest: x\nweights: "
WEIGHTS: dict[str, Content] = {
    "deep list": _WEIGHTS + "[" * 100_000,
    "deep balanced list": _WEIGHTS + "[" * 3_000 + "]" * 3_000,
    "aliases": "a0: &a0 [1, 1]\n"
    + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    + "weights: *a60\n",
    "long mapping": _WEIGHTS + "\n" + "".join(f"  k{i}: 1\n" for i in range(60_000)),
    "huge number": _WEIGHTS + "{road: " + "9" * 300_000 + "}\n",
    "sexagesimal number": _WEIGHTS + "{road: 1" + ":59" * 200_000 + "}\n",
    "binary": _WEIGHTS + "{!!binary aGVsbG8=: !!binary aGVsbG8=}\n",
    "date": _WEIGHTS + "{2001-01-01: 2001-01-01}\n",
    "broken date": _WEIGHTS + "{road: 2001-99-99}\n",
    "broken integer": _WEIGHTS + "{road: !!int abc}\n",
    "tag of Python": _WEIGHTS + "!!python/object/apply:os.system ['touch pwned']\n",
    "list as a key": _WEIGHTS + "{[1]: 1}\n",
    "half of a character": _WEIGHTS + '{"\\ud800": 1}\n',
    "control characters": _WEIGHTS + '{"\\e[31m": 1}\n',
    "list": "[1, 2]\n",
    "number": "1\n",
}

_DATA_CONFIG = "model: {type: EncoderDecoder, x: "
DATA_CONFIGS: dict[str, Content] = {
    "date.yaml": _DATA_CONFIG + "2001-01-01, 2001-01-01: 2001-12-14t21:59:43.10-05:00}\n",
    "binary.yaml": _DATA_CONFIG + "!!binary aGVsbG8=, !!binary aGVsbG8=: 1}\n",
    "set.yaml": _DATA_CONFIG + "!!set {a, b}}\n",
    "ordered.yaml": _DATA_CONFIG + "!!omap [a: 1]}\n",
    "pairs.yaml": _DATA_CONFIG + "!!pairs [a: 1]}\n",
    "list_as_a_key.yaml": _DATA_CONFIG + "{[1, 2]: 3}}\n",
    "odd_keys.yaml": _DATA_CONFIG + "{~: 1, 1: 2, 1.5: 3, true: 4, .nan: 5, .inf: 6, '': 7}}\n",
    "broken_integer.yaml": _DATA_CONFIG + "!!int abc}\n",
    "broken_float.yaml": _DATA_CONFIG + "!!float abc}\n",
    "broken_bool.yaml": _DATA_CONFIG + "!!bool abc}\n",
    "empty_integer.yaml": _DATA_CONFIG + "!!int ''}\n",
    "broken_date.yaml": _DATA_CONFIG + "2001-99-99}\n",
    "sexagesimal.yaml": _DATA_CONFIG + "1" + ":59" * 200_000 + "}\n",
    "sexagesimal_float.yaml": _DATA_CONFIG + "1" + ":59" * 200_000 + ".5}\n",
    "huge_hexadecimal.yaml": _DATA_CONFIG + "0x" + "f" * 300_000 + "}\n",
    "huge_binary.yaml": _DATA_CONFIG + "0b" + "1" * 300_000 + "}\n",
    "huge_octal.yaml": _DATA_CONFIG + "0" + "7" * 300_000 + "}\n",
    "surrogates.yaml": _DATA_CONFIG + '"\\ud800", "\\udc80": 1}\n"\\ud800": 2\n',
    "control_characters.yaml": _DATA_CONFIG + '"\\e[31m\\a\\x9b2J", "\\e": 1}\n"\\e[31m": "\\N\\_\\L\\P"\n',
    "surrogates.json": '{"\\ud800": {"\\udc80": "\\ud800"}}',
    "control_characters.json": '{"\\u001b[31m": {"\\u009b2J": "\\u202e\\u0007"}}',
    "deep_strings.json": '{"a": "' + "\\" * 400_001 + '"}',
    "infinity.json": '{"a": [NaN, Infinity, -Infinity, 1e999, -0.0, 1E400]}',
    "one_key_many_times.json": "{" + '"a": 1,' * 100_000 + '"a": 2}',
    "brackets_after.json": "{}" + "}" * 100_000,
}
PYTHON_CONFIGS: dict[str, Content] = {
    "tuple_keys.py": "model = {(1, 2): {(): 1}, 1.5: 2, None: 3, True: 4, 'a': {1, 2}, b'x': 5}\n",
    "surrogates.py": "model = {'\\ud800': '\\udc80'}\nx = '\\ud800'\n",
    "control_characters.py": "model = {'\\x1b[31m': '\\x9b2J\\u202e', 'type': '\\x1b]0;x\\x07'}\n",
    "numbers.py": "x = [1e999, -1e999, 1e999 - 1e999, 10 ** 3000, -0.0, 1j, 0.1 + 0.2]\nmodel = dict(x=x)\n",
    "other_values.py": "x = [b'\\x00', ..., range(3), {1}, frozenset({2}), len, print, lambda: 1]\nmodel = dict(x=x)\n",
    "deep_dicts.py": "model = " + "dict(a=" * 90 + "1" + ")" * 90 + "\n",
    "keyword_twice.py": "model = dict(type='A', type='B')\n",
    # of the coverage-guided run: six seconds where what is looked through each time was not counted as work
    "functions_in_a_loop.py": "while 1:\n def f():\n  def g():\n   x = [" + "len(a) + b, " * 100 + "]\n",
    "nested_finally.py": "".join(f"{' ' * i}try:\n{' ' * i} x=1\n{' ' * i}finally:\n" for i in range(19))
    + " " * 19
    + "x=1\n",
}
LARGE_CONFIGS: dict[str, Content] = {
    "long_names.py": f"{'a' * 100_000} = 1\nmodel = dict({'b' * 100_000}={'a' * 100_000})\n",
    "many_keys.py": "model = dict(" + ", ".join(f"k{i}={i}" for i in range(20_000)) + ")\n",
    "many_calls.py": "model = dict(" + ", ".join(f"k{i}=dict(type='A{i}')" for i in range(8_000)) + ")\n",
    "folded_text.py": "x = " + "+".join(["'" + "a" * 400 + "'"] * 2_400) + "\n",
    "folded_tuples.py": "x = " + "+".join(["(" + "1," * 150 + ")"] * 2_000) + "\n",
    "folded_repetitions.py": "x = [" + "'a' * 4096," * 37_000 + "]\n",
    "keywords.py": "x = dict(" + ",".join(f"a{i}=1" for i in range(37_000)) + ")\n",
    "long_finally.py": "def f():\n try:\n" + "  if x: return\n" * 8_000 + " finally:\n" + "  a()\n" * 9_000,
    "copied_names.py": "f = lambda "
    + ",".join(f"a{i}" for i in range(20_000))
    + ": ("
    + "lambda: (" * 60
    + "a1"
    + ")" * 61,
    "class_name.py": f"class {'C' * 400_000}:\n" + "".join(f" __a{i}=1\n" for i in range(5_000)),
    "alternatives.py": "match x:\n case ["
    + ",".join(f"a{i}" for i in range(5_000))
    + "] | ["
    + ",".join(f"a{i}" for i in reversed(range(5_000)))
    + "]: pass\n",
    "ignore_comments.py": "x = 1  # provecfg: ignore[LOSS001] reason\n" * 20_000,
    "ignore_everything.py": "x = 1  # provecfg: ignore[" + "LOSS001," * 100_000 + "] reason\n",
    "almost_ignore_comments.py": "x = 1  # provecfg: ignore[\n" * 20_000 + "x = (\n",
    "quotes_before_comments.yaml": "a: '" + "# provecfg: ignore[" * 20_000 + "\n",
    "many_hashes.yaml": "a: 1 " + "# provecfg:" * 80_000 + "\n",
    "header.py": "# Written by provecfg 1 from the study " + "x (" * 200_000 + "\nmodel = dict()\n",
    "unread_statements.py": "a = []\n" + "try:\n    a.append(b)\nexcept E: pass\n" * 8_000,
    "unread_functions.py": "a = []\n" + "def f():\n    yield a.append(1)\n" * 8_000,
}
"""Each takes a good part of its second."""

OPTIONS: tuple[tuple[str, ...], ...] = (
    ("validate", "good.py", "--cfg-options", "x=" + "[" * 100_000),
    ("validate", "good.py", "--cfg-options", "x=" + "[" * 3_000 + "]" * 3_000),
    ("validate", "good.py", "--cfg-options", "x=" + "9" * 100_000),
    ("validate", "good.py", "--cfg-options", "a" + ".a" * 30_000 + "=1"),
    ("validate", "good.py", "--cfg-options", "x=" + "1," * 50_000),
    ("validate", "good.py", "--cfg-options", "model.\x1b[31m=\x1b[0m"),
    ("validate", "good.py", "--cfg-options", "x=\udcff"),
    ("validate", "good.py", "--cfg-options", "x=__import__('os').system('touch pwned')"),
    ("validate", "good.py", "--select", "LOSS," * 30_000),
    ("validate", "good.py", "--select", "\x1b[31m"),
    ("validate", "good.py", "--select", "A" * 100_000),
    ("validate", "\udcff.py"),
    ("validate", "a" * 100_000),
    ("show", "\udcff"),
    ("generate", "--all", "--set", "schedule.max_iters=" + "[" * 100_000, "--check"),
    ("generate", "--all", "--set", "schedule.max_iters=" + "9" * 100_000, "--check"),
    ("generate", "--all", "--set", "a" + ".a" * 30_000 + "=1", "--check"),
    ("generate", "--all", "--set", "data.root=\udcff", "--check", "--model", "pspnet_r50", "--aux-loss", "none"),
    ("generate", "--all", "--set", "name=!!python/object/apply:os.system ['touch pwned']", "--check"),
    ("generate", "--all", "--set", "seeds=1" + ":59" * 60_000, "--check"),
    ("generate", "--all", "--set", "losses=&a [*a]", "--check"),
    ("generate", "--model", "a" * 100_000),
    ("generate", "--aux-loss", "focal" + "-focal" * 20_000),
    ("rule", "A" * 100_000),
    ("list", "a" * 100_000),
)
RECORD = '{"name": "x", "max_iters": 10, "attempts": [{"state": "finished"}], "config": {"path": "x.py"}}'
_RECORD = RECORD[:-1]
RECORDS: dict[str, Content] = {
    "deep list": _RECORD + ', "best": ' + "[" * 100_000,
    "deep balanced list": _RECORD + ', "best": ' + "[" * 50_000 + "]" * 50_000 + "}",
    "huge number": _RECORD + ', "seed": ' + "9" * 4_000 + "}",
    "number too long": _RECORD + ', "seed": ' + "9" * 400_000 + "}",
    "no numbers": _RECORD + ', "max_iters": NaN, "seed": Infinity}',
    "control characters": '{"name": "\\u001b[31m\\u202e", "attempts": [{"state": "\\u009b2J"}]}',
    "half of a character": '{"name": "\\ud800", "attempts": [{"state": "\\udc80", "message": "\\udc80"}]}',
    "list": "[1]",
    "number": "1",
    "number for everything": '{"name": 1, "attempts": 1, "config": 1, "best": 1, "versions": 1, "data": 1}',
    "list for everything": '{"name": [], "attempts": [[]], "config": [], "best": [], "versions": [], "seed": []}',
    "nothing for everything": '{"name": null, "attempts": null, "config": null, "best": null, "versions": null}',
    "wrong cell": _RECORD[:-1] + ', "cell": {"model": [1], "seed": {}, "1": null}, "study": 1}}',
    "markup": '{"name": "<script>alert(1)</script>", "config": {"study": "<img onerror=1>", "cell": {"model": "<b>"}}}',
    "path as a name": '{"name": "../../../pwned", "config": {"path": "/etc/passwd"}}',
}
LOGS: dict[str, Content] = {
    "deep list": '{"loss": ' + "[" * 100_000 + "\n",
    "deep lists": ('{"loss": ' + "[" * 2_000 + "]" * 2_000 + ', "iter": 1}\n') * 50,
    "huge number": '{"loss": ' + "9" * 400 + ', "iter": 1, "time": ' + "9" * 400 + ', "memory": ' + "9" * 400 + "}\n",
    "huge metric": '{"mIoU": ' + "9" * 400 + ', "step": 1}\n',
    "huge step": '{"mIoU": 1.0, "step": ' + "9" * 400 + "}\n",
    "no numbers": '{"loss": NaN, "iter": 1}\n{"mIoU": Infinity, "step": 1}\n{"mIoU": "a", "step": []}\n',
    "control characters": '{"mIoU\\u001b[31m": 1.0, "loss_\\u202e": 1, "step": 1}\n',
    "half of a character": '{"mIoU\\ud800": 1.0, "step": 1}\n',
    "one long line": '{"loss": "' + "a" * 900_000 + "\n",
    "many lines": '{"loss": 1.0, "iter": 1}\n' * 20_000,
    "a log of text": "2026/01/01 00:00:00 - mmengine - INFO - Iter(train) [" + "9" * 5_000 + "/10] loss: nan\n",
    "almost a log of text": "Iter(val) [" * 50_000,
}
STUDY_COMMANDS = (("validate", "s.yaml"), ("generate", "s.yaml", "--check"), ("compare", "s.yaml", "good.py"))
_GOOD = "model = dict(type='EncoderDecoder')\n"


def cases() -> Iterator[Case]:
    """Every case but those of `costly_cases`; the commands of one file are next to each other."""
    good: dict[str, Content] = {"good.py": _GOOD}
    for name, content in {**NO_FILES, **SETTINGS}.items():
        yield Case(f"settings, {name}", ("validate", "good.py"), {**good, "pyproject.toml": content})
    for name, content in {**NO_FILES, **STUDIES}.items():
        for command in STUDY_COMMANDS[:1] if name == "many seeds" else STUDY_COMMANDS:
            yield Case(f"study, {name}", command, {**good, "s.yaml": content})
    study = _STUDY + "losses: {auxiliary: [none], primary: {class_weight: weights.yaml}}\n"
    for name, content in {**NO_FILES, **WEIGHTS}.items():
        yield Case(f"weights, {name}", ("generate", "s.yaml", "--check"), {"s.yaml": study, "weights.yaml": content})
    for name, content in {**DATA_CONFIGS, **PYTHON_CONFIGS}.items():
        for command in config_commands(name):
            yield Case(f"config, {name}", command, {**good, name: content})
    for name, content in NO_FILES.items():
        for command in config_commands("config.py"):
            yield Case(f"config, {name}", command, {**good, "config.py": content})
        yield Case(f"base, {name}", ("show", "child.py"), {"child.py": "_base_ = 'base.py'\n", "base.py": content})
        target = {"out/pspnet_r50_bdd10k_ce.py": content, "s.yaml": _STUDY + "losses: {auxiliary: [none]}\n"}
        yield Case(f"target, {name}", ("generate", "s.yaml", "-o", "out"), target)
    for name, content in {**NO_FILES, **RECORDS}.items():
        yield Case(f"record, {name}", ("report", "run"), {"run/provecfg.json": content})
    for name, content in {**NO_FILES, **LOGS}.items():
        log = {"run/20260101_000000/vis_data/scalars.json": content, "run/provecfg.json": RECORD}
        yield Case(f"log, {name}", ("report", "run"), log)
    for name, content in NO_FILES.items():
        counts = {"run/counts/iter_1.npz": content, "run/provecfg.json": RECORD}
        yield Case(f"counts, {name}", ("report", "run"), counts)
    for command in OPTIONS:
        yield Case(f"option, {command[0]} {command[-1][:20]!r}", command, good)


def costly_cases() -> Iterator[Case]:
    """Configs of hundreds of kilobytes, and logs for `replay`, which imports the stack."""
    for name, content in {**NO_FILES, **LOGS}.items():
        yield Case(f"log to replay, {name}", ("replay", "log.json"), {"log.json": content})
    for name, content in LARGE_CONFIGS.items():
        for command in config_commands(name):
            yield Case(f"large config, {name}", command, {"good.py": _GOOD, name: content}, MAX_SECONDS_OF_LARGE)


def config_commands(name: str) -> Iterator[tuple[str, ...]]:
    """The commands that read a config without executing it."""
    yield ("validate", name, "--output-format", "json")
    for output_format in ("py", "json", "yaml"):
        yield ("show", name, "--output-format", output_format)
    yield ("compare", "good.py", name)
    yield ("validate", name, "--diff", "--unsafe-fixes")
