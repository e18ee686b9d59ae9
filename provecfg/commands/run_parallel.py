"""`provecfg run --parallel`: the queue, and the one display of all that it trains."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provecfg.commands.cfg_options import parse_cfg_options
from provecfg.commands.options import Terminal
from provecfg.engines.cell_process import Verdict, run_command
from provecfg.engines.local import Event, LocalQueue, QueuedCell, slots_for
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopSignals
from provecfg.ledger.cell_status import CellStatus, server_clock, status_of
from provecfg.ledger.status_table import as_table, as_time
from provecfg.mmconfig import read_config
from provecfg.spelling import printable_lines
from provecfg.training.work_dir import work_dir_of

if TYPE_CHECKING:
    from provecfg.training.options import RunOptions

_LINE_SECONDS = 60.0
_REFRESH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Queueing:
    """How the queue is to work.

    Args:
        parallel: A number, or `auto`.
        gpus_per_run: Of each cell, or None for one.
        devices: A list with commas, or None for all.
        retries: How often a cell is tried again that was killed.
        fail_fast: Begin nothing more after the first failure.
    """

    parallel: str
    gpus_per_run: int | None
    devices: str | None
    retries: int
    fail_fast: bool


def run_in_parallel(
    configs: Sequence[Path],
    options: RunOptions,
    queueing: Queueing,
    signals: StopSignals,
    terminal: Terminal,
    *,
    dry_run: bool,
    require_proof: bool,
) -> int:
    """Train configs, several at once.

    Raises:
        click.UsageError: `parallel` is no number, or options do not go together.
        ProvecfgError: Two of them would train in one work dir, or there are too few GPUs.
    """
    if options.nodes > 1 or options.gpus > 1:
        raise click.UsageError("--parallel trains on this machine; --gpus-per-run N gives each config N GPUs")
    gpus = queueing.gpus_per_run or 1
    devices = None if queueing.devices is None else [name.strip() for name in queueing.devices.split(",")]
    slots = slots_for(
        _number(queueing.parallel),
        gpus,
        [name for name in devices if name] if devices else devices,
        on_cpu=options.device == "cpu",
    )
    cells = _cells(configs, options)
    words = _words(options, gpus, require_proof)
    if dry_run:
        terminal.result("\n".join(shlex.join(run_command(cell.config, cell.work_dir, words)) for cell in cells))
        return ExitCode.CLEAN
    display = _Display(cells, terminal)
    queue = LocalQueue(
        cells,
        slots,
        words,
        retries=queueing.retries,
        fail_fast=queueing.fail_fast,
        tell=display.tell,
        tick=display.tick,
    )
    terminal.note(f"{len(cells)} cells in {len(slots)} slot{'s' * (len(slots) != 1)}")
    try:
        code = queue.run(signals)
    finally:
        display.close()
    if queue.not_begun and queue.stopped_by is not None:
        terminal.failure(f"{len(queue.not_begun)} not begun: {queue.stopped_by}")
    failed = [name for name, end in queue.ends.items() if end.verdict in (Verdict.FAILED, Verdict.KILLED)]
    if failed:
        terminal.failure(f"{len(failed)} of {len(cells)} failed: {', '.join(failed)}")
    return code


def _number(parallel: str) -> int | None:
    if parallel == "auto":
        return None
    if not parallel.isdecimal() or int(parallel) < 1:
        raise click.UsageError(f"--parallel {parallel!r} is no number above 0, nor auto")
    return int(parallel)


def _cells(configs: Sequence[Path], options: RunOptions) -> list[QueuedCell]:
    cells: dict[Path, QueuedCell] = {}
    stems = Counter(path.stem for path in dict.fromkeys(configs))
    for path in configs:
        chosen = options.work_dir / path.stem if options.work_dir and len(configs) > 1 else options.work_dir
        view = read_config(path, cfg_options=parse_cfg_options(options.cfg_options))
        work_dir = work_dir_of(path, view.values, chosen=chosen, cfg_options=options.cfg_options, smoke=options.smoke)
        name = path.stem if stems[path.stem] == 1 else str(path)
        other = cells.setdefault(work_dir.absolute(), QueuedCell(name, path, work_dir))
        if other.config != path:
            raise ProvecfgError(
                f"{other.config} and {path} would train in one work dir, {work_dir}",
                hint="run them one after the other, or give them names of their own",
            )
    return list(cells.values())


def _words(options: RunOptions, gpus: int, require_proof: bool) -> list[str]:
    """The options that every cell gets as they were given."""
    words: list[str] = []
    named: dict[str, Any] = {
        "--data-root": options.data_root,
        "--device": options.device,
        "--gpus": gpus,
        "--launcher": options.launcher,
        "--max-iters": options.max_iters,
    }
    for name, value in named.items():
        words += [] if value is None else [name, str(value)]
    flags = {
        "--smoke": options.smoke,
        "--no-resume": not options.resume,
        "--no-pretrained": not options.pretrained,
        "--trust-checkpoint": options.trust_checkpoint,
        "--require-proof": require_proof,
        "--verbose": options.verbose,
    }
    words += [name for name, is_set in flags.items() if is_set]
    for option in options.cfg_options:
        words += ["--cfg-options", option]
    return words


class _Display:
    """All cells in one table that is renewed in place, or, where the output is no terminal, a line for what happens."""

    def __init__(self, cells: Sequence[QueuedCell], terminal: Terminal) -> None:
        self._terminal = terminal
        self._waiting = {cell.name for cell in cells}
        self._shown_at = time.monotonic()
        self._live: Any = None
        if not terminal.quiet and terminal.colors_errors:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False)
            self._live.start()

    def tell(self, event: Event) -> None:
        """Say what has happened."""
        name, end = event.cell.name, event.end
        if end is None:
            self._waiting.discard(name)
            self._print(f"{name}: begun, see {event.cell.work_dir}")
            return
        text = f"{name}: {end.verdict.value}: {end.message} (iteration {end.iteration})"
        if event.will_retry:
            self._waiting.add(name)
            text += "; it is started again"
        self._print(text, is_failure=end.verdict in (Verdict.FAILED, Verdict.KILLED))

    def _print(self, text: str, *, is_failure: bool = False) -> None:
        if self._live is not None:  # above the table
            self._live.console.print(printable_lines(text), markup=False, highlight=False)
        elif is_failure:
            self._terminal.failure(text)
        else:
            self._terminal.note(text)

    def tick(self, running: Sequence[QueuedCell]) -> None:
        """Say how far they are, if it is time."""
        every = _LINE_SECONDS if self._live is None else _REFRESH_SECONDS
        if time.monotonic() - self._shown_at < every or self._terminal.quiet:
            return
        self._shown_at = time.monotonic()
        statuses = [status_of(cell.name, cell.work_dir, server_clock(cell.work_dir)) for cell in running]
        if self._live is None:
            self._terminal.note("; ".join(map(_briefly, statuses)) + f"; {len(self._waiting)} waiting")
        else:
            from rich.text import Text

            self._live.update(Text(f"{as_table(statuses)}, {len(self._waiting)} waiting"), refresh=True)

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._live is not None:
            self._live.stop()


def _briefly(status: CellStatus) -> str:
    left = "" if status.seconds_left is None else f", {as_time(status.seconds_left)} left"
    return f"{status.id} {status.iteration or 0}/{status.max_iters or '?'}{left}"
