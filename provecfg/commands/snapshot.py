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
        file = _made(Path(folder))
        snapshot = read_snapshot(file)
        changes = changes_between(load(snapshot.release), snapshot)
        target = output or made_file(snapshot.release, snapshot.packages)
        written = (target, excerpts_file(target))
        is_kept = output is not None or not changes.are_alike or bool(changes.versions.keys() - {"torch"})
        if is_kept:
            for kept, made in zip(reversed(written), (excerpts_file(file), file), strict=True):
                write_bytes_atomically(kept, made.read_bytes())
        else:
            for kept in written:
                kept.unlink(missing_ok=True)
    classes = sum(len(names) for scopes in snapshot.registered.values() for names in scopes.values())
    packages = ", ".join(f"{name} {version}" for name, version in sorted(snapshot.packages.items()))
    terminal.result("\n".join([f"{classes} classes of {packages}", *_as_lines(changes)]))
    if is_kept:
        terminal.note(f"wrote {written[0]} and {written[1].name}")
    return ExitCode.CLEAN


def _made(folder: Path) -> Path:
    """Make the snapshot in a process of its own; returns its file.

    Args:
        folder: An empty folder.

    Raises:
        ProvecfgError: The packages are not installed, or cannot be imported.
    """
    # The process stands in one folder and writes into another, so that a path that is relative to whatever else is none
    # of those that it may write to; and a fork's mmseg/ beside a config is not what is installed.
    scratch, standing = folder / "scratch", folder / "standing"
    for each in (scratch, standing):
        each.mkdir()
    file = scratch / "snapshot.json"
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    done = subprocess.run(
        [sys.executable, "-m", "provecfg.registry.snapshot", "-o", str(file), "--confined", str(scratch)],
        cwd=standing,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0 and file.is_file():
        return file
    lines = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
    if done.returncode == ExitCode.USAGE and lines[0].startswith("error: "):
        message, *hint = "\n".join(lines).removeprefix("error: ").split("\n  hint: ")
        raise ProvecfgError(message, hint=hint[0] if hint else None)
    raise ProvecfgError(f"what is installed cannot be read: {lines[-1]}", hint="`python -c 'import mmseg'` has to work")


def _as_lines(changes: SnapshotChanges) -> Iterator[str]:
    if changes.are_alike:
        yield "they accept what provecfg's own snapshot says, by which they are judged"
    for name, (old, new) in changes.versions.items():
        yield f"  {name}: {new or 'not'} here, {old or 'not'} in provecfg's own snapshot"
    if not (changes.are_alike or changes.added or changes.removed or changes.arguments):
        yield "  the same classes and arguments; what they document or refuse is not the same"
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
