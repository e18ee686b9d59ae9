"""`provecfg snapshot`: what the classes that are installed accept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.paths import write_bytes_atomically

if TYPE_CHECKING:
    from provecfg.registry.snapshot_changes import SnapshotChanges

_SHOWN = 8
"""Names of a list that are written out; the rest is counted."""


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there, and judge by what was judged by before.",
)
@terminal_options
def command(output: Path | None, terminal: Terminal) -> int:
    """Read what every class of the installed mmengine, mmcv, mmseg and mmdet accepts, and judge by it from now on.

    provecfg comes with this of one release of each set. Where others are installed, this imports them, in a process
    without network that writes into a folder of its own alone, keeps what it reads in the cache, and says what differs.
    It takes a minute or two.
    """
    from provecfg.registry.release import excerpts_file, load, made_file, read_snapshot
    from provecfg.registry.snapshot_changes import changes_between

    with tempfile.TemporaryDirectory(prefix="provecfg-snapshot-") as folder:
        file = Path(folder) / "snapshot.json"
        _made(file)
        snapshot = read_snapshot(file)
        changes = changes_between(load(snapshot.release), snapshot)
        target = output or made_file(snapshot.release, snapshot.packages)
        is_kept = output is not None or changes.has_classes
        if is_kept:
            for made, kept in ((excerpts_file(file), excerpts_file(target)), (file, target)):
                write_bytes_atomically(kept, made.read_bytes())
        elif target.exists():
            target.unlink()
    classes = sum(len(names) for scopes in snapshot.registered.values() for names in scopes.values())
    packages = ", ".join(f"{name} {version}" for name, version in sorted(snapshot.packages.items()))
    terminal.result("\n".join([f"{classes} classes of {packages}", *_as_lines(changes)]))
    if is_kept:
        terminal.note(f"wrote {target}")
    return ExitCode.CLEAN


def _made(file: Path) -> None:
    """Make the snapshot in a process of its own.

    Raises:
        ProvecfgError: The packages are not installed, or cannot be imported.
    """
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    done = subprocess.run(
        [sys.executable, "-m", "provecfg.registry.snapshot", "-o", str(file), "--confined", str(file.parent)],
        cwd=file.parent,  # a fork's mmseg/ beside a config is not what is installed
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0 and file.is_file():
        return
    lines = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
    if done.returncode == ExitCode.USAGE and lines[0].startswith("error: "):
        message, *hint = "\n".join(lines).removeprefix("error: ").split("\n  hint: ")
        raise ProvecfgError(message, hint=hint[0] if hint else None)
    raise ProvecfgError(f"what is installed cannot be read: {lines[-1]}", hint="`python -c 'import mmseg'` has to work")


def _as_lines(changes: SnapshotChanges) -> Iterator[str]:
    if not changes.has_classes:
        yield "they accept what provecfg's own snapshot says, by which they are judged"
    for name, (old, new) in changes.versions.items():
        yield f"  {name}: {new or 'not'} here, {old or 'not'} in provecfg's own snapshot"
    for names, what in (
        (changes.added, "that provecfg's own snapshot does not have"),
        (changes.removed, "of provecfg's own snapshot that are not here"),
        ([f"{name} ({', '.join(arguments)})" for name, arguments in changes.arguments.items()], "with other arguments"),
    ):
        if names:
            yield f"  {len(names)} class{'es' * (len(names) != 1)} {what}: {_first(names)}"


def _first(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
