"""Inputs that a coverage-guided fuzzer makes for the config reader and the study loader.

`make fuzz SECONDS=3600`, or `python -m tests.attack.coverage_guided --folder build/fuzz` where atheris is installed.
The first byte of an input says what it is given to, the rest is the file. A fault does not end the run: its input is
kept in the folder of finds, one for each place in the code, and is judged again at the end, without the fuzzer's
instruments, which slow it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from tests.attack.bounds import MAX_SECONDS, measured, watch

HEADING = "## A coverage-guided run"
"""Of its figures, the last section of docs/reliability.md."""
SUFFIXES = (".py", ".py", ".py", ".yaml", ".json", ".study.yaml")
"""By the first byte of an input; most are Python."""
_MAX_LENGTH = 8000
_MAX_INSTRUMENTED_SECONDS = 10 * MAX_SECONDS
_WORDS = [
    "_base_",
    "_delete_",
    "type",
    "dict(",
    "list(",
    "model",
    "custom_imports",
    "read_base",
    "__file__",
    "lambda",
    "yield",
    "async",
    "await",
    "match",
    "case",
    "global",
    "nonlocal",
    "import",
    "from",
    "del",
    "try:",
    "except",
    "finally:",
    "with",
    "for",
    "while",
    "if",
    "else:",
    "class",
    "def",
    "return",
    "break",
    "continue",
    "assert",
    "raise",
    "f'{",
    "%s",
    ".format(",
    ":=",
    "**",
    "//",
    "<<",
    "[::-1]",
    "{{",
    "$ENV:",
    "&a",
    "*a",
    "<<:",
    "!!int",
    "!!binary",
    "!!timestamp",
    "!!omap",
    "1:59",
    ".inf",
    "0x",
    "1e999",
    "\\ud800",
    "name:",
    "models:",
    "losses:",
    "auxiliary:",
    "seeds:",
    "schedule:",
    "optimizer:",
    "early_stopping:",
    "data:",
    "datasets:",
    "strategies:",
    "head_weights:",
]


def fault_of_input(data: bytes, folder: Path) -> str | None:
    """What the reader or the loader does with an input that it may not, or None; raises what it raises.

    Args:
        data: A byte that picks one of `SUFFIXES`, and the file.
        folder: Where the file is said to stand; nothing is written.
    """
    from provecfg.mmconfig import read_config
    from provecfg.study.load import read_study

    suffix = SUFFIXES[data[0] % len(SUFFIXES)] if data else SUFFIXES[0]
    text = data[1:].decode("utf-8", "ignore")
    path = folder / f"input{suffix}"
    if suffix == ".study.yaml":
        study, findings = read_study(path, text=text)
        return None if (study is None) == bool(findings) else f"{study!r} with {len(findings)} findings"
    view = read_config(path, text=text)
    for node in view.root.walk():
        node.key  # noqa: B018  # is made from steps of any kind
    if suffix == ".py" and not view.problems and "{{" not in text:
        try:
            compile(text, str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"Python refuses it: {error}"
    return None


def seeds() -> Iterator[bytes]:
    """Inputs to begin with: made programs, studies, configs that mmseg ships, and hostile files that are small."""
    from provecfg.mmconfig.shipped_bases import whole_configs
    from tests.attack.hostile_files import DATA_CONFIGS, PYTHON_CONFIGS, STUDIES
    from tests.attack.mutants import STUDIES as WHOLE_STUDIES
    from tests.attack.programs import Programs

    for seed in range(300):
        yield b"\0" + Programs(seed).program().encode("utf-8", "ignore")
    for text in sorted(whole_configs().values(), key=len)[::10]:
        yield b"\0" + text.encode()
    study = bytes([SUFFIXES.index(".study.yaml")])
    yield from (study + text.encode() for text in WHOLE_STUDIES)
    for content in STUDIES.values():
        if isinstance(content, str):
            yield study + content.encode("utf-8", "surrogatepass")
    for name, content in {**DATA_CONFIGS, **PYTHON_CONFIGS}.items():
        if isinstance(content, str):
            yield bytes([SUFFIXES.index(Path(name).suffix)]) + content.encode("utf-8", "surrogatepass")


def _fuzz(seconds: int, seed: int, corpus: Path, finds: Path) -> None:
    """Let the fuzzer work; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["provecfg.mmconfig", "provecfg.study"]):
        import provecfg.mmconfig
        import provecfg.study.load  # noqa: F401
    folder = finds.with_name("nowhere")
    warnings.simplefilter("ignore")
    executed = watch(finds.parent)

    def one_input(data: bytes) -> None:
        start = time.process_time()
        try:
            fault = fault_of_input(data, folder)
            where = fault or ""
        except BaseException as error:
            fault = traceback.format_exc()
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} {Path(frame.filename).name} {frame.lineno}"
        if executed:
            fault = where = f"executed {executed}"
            executed.clear()
        if fault is None and time.process_time() - start > _MAX_INSTRUMENTED_SECONDS:
            fault = where = f"slow {len(data)}"
        if fault is not None:
            name = re.sub(r"\W+", "-", where)[:80]
            if not (finds / name).exists():
                (finds / name).write_bytes(data)
                print(f"find: {name}\n{fault}", flush=True)

    dictionary = finds.with_name("dictionary")
    dictionary.write_text("".join(f'"{word}"\n'.replace("\\", "\\\\") for word in _WORDS))
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={_MAX_LENGTH}", f"-dict={dictionary}"]
    options += ["-timeout=120", "-rss_limit_mb=4096", f"-artifact_prefix={finds}/", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


def confirmed(finds: Path, folder: Path, slack: float = 1.0) -> dict[str, str]:
    """Name of a find -> its fault, of those that are one without the fuzzer's instruments.

    Args:
        finds: The folder of their inputs.
        folder: Where they are said to stand.
        slack: How many times the processor time that it should take a thing may take.
    """
    faults = {}
    for find in sorted(finds.iterdir()):
        data = find.read_bytes()
        outcome = measured(lambda data=data: fault_of_input(data, folder), folder)  # type: ignore[misc]
        fault = outcome.fault(MAX_SECONDS * slack) or outcome.result
        if fault is not None:
            faults[find.name] = fault
    return faults


def with_figures(page: str, tried: int, kept: int, branches: int, finds: int) -> str:
    """docs/reliability.md with the figures of a coverage-guided run in their place, which is its last section.

    Args:
        page: The text so far.
        tried: Inputs.
        kept: Of them, those that reached something new.
        branches: Of the reader and the loader, that they reached.
        finds: Faults.
    """
    head, _, _ = page.partition(f"\n{HEADING}\n")
    return f"""{head.rstrip()}

{HEADING}

`make fuzz SECONDS=3600` lets [atheris](https://github.com/google/atheris) make files for the config reader and the
study loader that reach branches no file before them reached; each is held to the same. One such run: {tried:,} files,
{kept:,} of which reached something new, {branches:,} branches in all; {finds or "no"} finds.
"""


def main() -> int:
    """Fuzz in a process of its own, which the fuzzer ends; then judge what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True, help="for corpus, finds and log; continues what is there")
    parser.add_argument("--slack", type=float, default=1.0, help="how much more time a busy machine may take")
    parser.add_argument("--page", type=Path, help="write the figures there")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    corpus, finds = options.folder.resolve() / "corpus", options.folder.resolve() / "finds"
    if options.in_process:
        _fuzz(options.seconds, options.seed, corpus, finds)
    for path in (corpus, finds):
        path.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        if len(data) <= _MAX_LENGTH:
            (corpus / f"seed{number}").write_bytes(data)
    with open(options.folder / "log", "w", encoding="utf-8") as log:
        subprocess.run([sys.executable, "-m", __spec__.name, *sys.argv[1:], "--in-process"], stderr=log, check=False)
    statuses = re.findall(r"^#(\d+)\s.*cov: (\d+) .*corp: (\d+)/", (options.folder / "log").read_text(), re.MULTILINE)
    if not statuses:
        print((options.folder / "log").read_text()[-3000:])
        return 2
    tried, branches, kept = map(int, statuses[-1])
    faults = confirmed(finds, options.folder.resolve(), options.slack)
    for name, fault in faults.items():
        print(f"{finds / name}: {fault}\n")
    print(f"{tried:,} files, {kept:,} kept, {branches:,} branches, {len(faults)} finds")
    if options.page is not None:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(with_figures(page, tried, kept, branches, len(faults)), encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
