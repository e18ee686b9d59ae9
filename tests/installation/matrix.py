"""Install provecfg from nothing on each Python, with each set of the stack, and try its commands: `make matrix`.

For each combination a fresh environment is made, the wheel of this checkout is installed into it with its extra by
plain pip, and every command that imports the stack is run in an empty folder. The newest torch that the package index
has is tried once, whatever the declared range says. What was run, and what could not be, becomes the table of
docs/installing.md, in place of what it says of the same Python and extra; its other rows stay. It downloads gigabytes
and is no part of CI.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = ("train", "openmmlab", "")
"""Extra of the package; '' is the core without torch."""
SECONDS = 1800
"""Of one command; pip may download a CUDA build."""

PSPNET, MASK2FORMER = ("generated/pspnet_r50_bdd10k_focal.py", "generated/mask2former_swin-b_bdd10k_ce.py")
CORE: dict[str, list[str]] = {
    "version": ["--version"],
    "generate": ["generate", "--all"],
    "validate": ["validate", "generated", "--strict"],
    "compare": ["compare", PSPNET, "generated/pspnet_r50_bdd10k_ce.py"],
}
STACK: dict[str, list[str]] = {
    "prove": ["prove", PSPNET],
    "run": ["run", PSPNET, MASK2FORMER, "--smoke", "--work-dir", "runs"],
    "eval": ["eval", f"runs/{Path(PSPNET).stem}"],
    "report": ["report", "runs", "-o", "report.html"],
    "forecast": ["forecast", PSPNET],
    "class-weights": ["class-weights", "--data-root", "{data}", "-o", "weights.yaml"],
}
SHOWN = ("torch", "numpy", "mmengine", "mmsegmentation", "onedl-mmengine", "onedl-mmsegmentation", "setuptools")


@dataclass
class Row:
    """One combination.

    Args:
        python: `3.11`, and after installing the whole version.
        extra: Of the package.
        torch: A requirement that replaces the declared range, or ''.
        versions: Package -> what was installed of it.
        passed, failed: Names of the commands; a failed one with the last line that it wrote.
        not_run: Why nothing was tried, or ''.
    """

    python: str
    extra: str
    torch: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: str = ""


def interpreter(version: str) -> str | None:
    """A Python of that version, wherever it was installed, or None."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    candidates = [shutil.which(f"python{version}"), *map(str, reversed(installed))]
    for candidate in filter(None, candidates):
        done = subprocess.run([candidate, "--version"], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.startswith(f"Python {version}."):
            return candidate
    return None


def environment_variables(place: Path) -> dict[str, str]:
    """Those of a user: no path into this checkout, and no constraint of this machine's on what pip takes."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "PROVECFG"))
    }
    return {**kept, "PIP_CONSTRAINT": os.devnull, "PROVECFG_HOME": str(place / "cache")}


def tried(row: Row, wheel: Path, folder: Path, *, installs_only: bool) -> Row:
    """Fill a row in: install unless the folder has the environment already, and run the commands."""
    located = interpreter(row.python)
    if located is None:
        row.not_run = f"no Python {row.python} here"
        return row
    environment, place = folder / "environment", folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    python, pip = str(environment / "bin" / "python"), ["-m", "pip", "install", "--quiet"]
    if not environment.exists():
        start = time.monotonic()
        subprocess.run([located, "-m", "venv", str(environment)], check=True)
        done = called([python, *pip, f"{wheel}[{row.extra}]" if row.extra else str(wheel)], place)
        if done.returncode == 0 and row.torch:
            # past the declared range: pip says so, and installs it
            done = called([python, *pip, "--upgrade", row.torch], place)
        if done.returncode != 0:
            shutil.rmtree(environment)
            row.failed["pip install"] = last_line(done)
            return row
        print(f"  {row.python} {row.extra or 'core'}: {time.monotonic() - start:.0f} s to install", file=sys.stderr)
    if installs_only:
        return row
    row.versions = versions(environment)
    if row.extra and (missing := opencv([python], pip, place)):
        row.failed["import cv2"] = missing
        return row
    data = ""
    for name, words in (CORE | STACK if row.extra else CORE).items():
        if "{data}" in words:
            data = drawn_data(place)
            if not data:
                row.failed[name] = "the smoke run drew no data"
                continue
        command = [str(environment / "bin" / "provecfg"), *(word.format(data=data) for word in words)]
        done = called(command, place)
        print(f"  {row.python} {row.extra or 'core'}: {name}: {done.returncode}", file=sys.stderr, flush=True)
        if done.returncode == 0:
            row.passed.append(name)
        else:
            row.failed[name] = last_line(done)
            print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr, flush=True)
    return row


def called(command: Sequence[str], place: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=place, env=environment_variables(place), capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"not done after {SECONDS} s")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if re.search(r"[Ee]rror", line)), lines[-1] if lines else "")


def versions(environment: Path) -> dict[str, str]:
    done = called([str(environment / "bin" / "python"), "-m", "pip", "list", "--format", "json"], environment)
    listed = {entry["name"].lower(): entry["version"] for entry in json.loads(done.stdout)}
    python = called([str(environment / "bin" / "python"), "--version"], environment).stdout.split()[-1]
    return {"python": python} | {name: listed[name] for name in SHOWN if name in listed}


def opencv(python: Sequence[str], pip: Sequence[str], place: Path) -> str:
    """Why OpenCV does not load, or ''.

    Where the system has no libGL, its headless build is put over it, as the README says.
    """
    probe = [*python, "-c", "import cv2"]
    if called(probe, place).returncode == 0:
        return ""
    called([*python, *pip, "--no-deps", "--force-reinstall", "opencv-python-headless"], place)
    done = called(probe, place)
    return "" if done.returncode == 0 else last_line(done)


def drawn_data(place: Path) -> str:
    """The folder of the scenes that a smoke run drew, or ''."""
    located = sorted(place.glob("cache/smoke/*/images/10k/train"))
    return str(located[0].parents[2]) if located else ""


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as Markdown."""
    yield "| Python | extra | torch | stack | commands that passed | not |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        stack = ", ".join(f"{name} {row.versions[name]}" for name in SHOWN[2:-1] if name in row.versions)
        failed = "; ".join(f"{name}: {reason}" for name, reason in row.failed.items()) or row.not_run
        expected = len(CORE | STACK if row.extra else CORE)
        passed = f"{len(row.passed)} of {expected}" if row.passed else ""
        torch = row.versions.get("torch", "")
        yield (
            f"| {row.versions.get('python', row.python)} | {f'`{row.extra}`' if row.extra else 'none'} | {torch} "
            f"| {stack} | {passed} | {failed} |"
        )


def page_with(page: str, rows: Sequence[Row]) -> str:
    """A page with the rows in the table between its marks, in place of those of the same Python and extra."""
    (marked,) = re.findall(r"<!-- matrix -->\n(.*?)<!-- /matrix -->", page, re.DOTALL)
    head, lines = list(table([])), list(table(rows))[2:]
    tried_now = {_combination(line) for line in lines}
    kept = [line for line in marked.splitlines()[len(head) :] if _combination(line) not in tried_now]
    return page.replace(marked, "\n".join([*head, *sorted([*kept, *lines], key=_combination)]) + "\n")


def _combination(line: str) -> tuple[str, str]:
    """Python, without its last number, and extra of a row of the table, '' for none."""
    _, python, extra, *_ = (cell.strip() for cell in line.split("|"))
    return ".".join(python.split(".")[:2]), extra.removeprefix("none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", nargs="+", default=list(PYTHONS))
    parser.add_argument("--extras", nargs="+", default=list(EXTRAS), help="`core` for none")
    parser.add_argument(
        "--newest-torch", metavar="PYTHON", help="also `train` with the newest torch there is, on this one"
    )
    parser.add_argument("--results", type=Path, default=PROJECT / "build" / "matrix.json", help="kept between calls")
    parser.add_argument("--page", type=Path, help="write the table between its marks in this page")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="environments stay there, and are used again")
    parser.add_argument("--install-only", action="store_true", help="with --keep: make the environments, try nothing")
    arguments = parser.parse_args()

    extras = ["" if extra == "core" else extra for extra in arguments.extras]
    rows = [Row(python, extra) for python in arguments.pythons for extra in extras]
    if arguments.newest_torch:
        rows.append(Row(arguments.newest_torch, "train", torch="torch"))
    kept: dict[str, Row] = {}
    if arguments.results.exists():
        kept = {key: Row(**fields) for key, fields in json.loads(arguments.results.read_text()).items()}
    with tempfile.TemporaryDirectory() as scratch:
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", scratch]
        subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
        (wheel,) = Path(scratch).glob("*.whl")
        for row in rows:
            folder = (arguments.keep or Path(scratch)).resolve() / "-".join(
                filter(None, [row.python, row.extra or "core", row.torch])
            )
            result = tried(row, wheel, folder, installs_only=arguments.install_only)
            if not arguments.keep:
                shutil.rmtree(folder)  # gigabytes
            if not arguments.install_only:
                kept[f"{row.python} {row.extra} {row.torch}"] = result
                arguments.results.parent.mkdir(parents=True, exist_ok=True)
                arguments.results.write_text(json.dumps({key: vars(row) for key, row in kept.items()}, indent=1))
    lines = list(table([kept[key] for key in sorted(kept)]))
    print("\n".join(lines))
    if arguments.page:
        text = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(page_with(text, list(kept.values())), encoding="utf-8")
    if any(row.failed for row in kept.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
