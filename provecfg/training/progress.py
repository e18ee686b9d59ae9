"""What a person sees of a run: iteration, losses by name, learning rate, time left, last and best metric."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from provecfg.spelling import printable

_INNER_LAYER = re.compile(r"\.d\d+\.")  # mmdet's names for Mask2Former's: `decode.d3.loss_cls`
_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 1.0  # a log with more lines than that says less


@dataclass(slots=True)
class RunStatus:
    """Where a run is.

    Args:
        name: The config's name.
        metric: The metric that best checkpoints and early stopping go by.
        iteration, max_iters: Done, and to be done.
        losses: Every term of the last iteration by its log key, and their sum under `loss`.
        lr: Learning rate.
        seconds_left: Or None before it can be told.
        iters_per_second: Since training began or was resumed, validations left out; None before the first.
        last, best: Value of the metric, or None before the first validation.
        validating: Batches done and to be done of the validation that is going on, or None.
    """

    name: str
    metric: str
    max_iters: int
    iteration: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    lr: float | None = None
    seconds_left: float | None = None
    iters_per_second: float | None = None
    last: float | None = None
    best: float | None = None
    validating: tuple[int, int] | None = None

    def line(self) -> str:
        """All of it in a line of plain text."""
        parts = [f"{printable(self.name)}  iter {self.iteration}/{self.max_iters}"]
        if self.losses:
            parts.append(self.losses_text())
        if self.lr is not None:
            parts.append(f"lr {self.lr:.3g}")
        if self.seconds_left is not None and self.iteration < self.max_iters:
            parts.append(f"eta {duration(self.seconds_left)}")
        if self.last is not None:
            parts.append(self.metric_text())
        return "  ".join(parts)

    def losses_text(self) -> str:
        """The sum, then the terms; of a decoder that repeats its losses after each layer, those of the last."""
        total, *terms = self.loss_parts()
        return total + (f" ({', '.join(terms)})" if terms else "")

    def loss_parts(self) -> list[str]:
        """The same, each name with its number."""
        names = [name for name in self.losses if name != "loss"]
        shown = [name for name in names if not _INNER_LAYER.search(name)]
        terms = [f"{name.replace('.loss_', '.')} {self.losses[name]:.4g}" for name in shown]
        if len(shown) < len(names):
            terms.append(f"{len(names) - len(shown)} of inner layers")
        total = self.losses.get("loss", math.nan)
        return [printable(part) for part in (f"loss {total:.4g}", *terms)]

    def metric_text(self) -> str:
        """The metric's last value and its best."""
        metric = printable(self.metric)
        if self.last is None:
            return f"{metric} -"
        best = "" if self.best is None else f" (best {self.best:.2f})"
        return f"{metric} {self.last:.2f}{best}"


class Display(Protocol):
    """Shows the status of a run."""

    def show(self, status: RunStatus, *, important: bool = False) -> None:
        """Show it now, or at the next occasion unless it is important."""

    def note(self, text: str) -> None:
        """Show a line of text that stays."""

    def close(self) -> None:
        """Leave the terminal in order."""


class NoDisplay:
    """Shows nothing."""

    def show(self, status: RunStatus, *, important: bool = False) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineDisplay:
    """A line of text for what is important, and between as often as `every` iterations. For logs.

    Args:
        stream: Where to.
        every: Iterations between lines.
    """

    def __init__(self, stream: TextIO, every: int) -> None:
        self.stream, self.every = stream, max(1, every)
        self._shown_at = -math.inf

    def show(self, status: RunStatus, *, important: bool = False) -> None:
        """Print a line if one is due."""
        due = (
            status.iteration > 0
            and status.iteration % self.every == 0
            and time.monotonic() - self._shown_at >= _LINE_SECONDS
        )
        if status.validating is None and (important or due):
            print(status.line(), file=self.stream, flush=True)
            self._shown_at = time.monotonic()

    def note(self, text: str) -> None:
        """Print it."""
        print(printable(text), file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing."""


class LiveDisplay:
    """A few lines that are renewed in place. For terminals."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        # Renewed by hand: a thread of its own would take turns with training.
        self._live = Live(console=Console(file=stream), auto_refresh=False, transient=False)
        self._live.start()
        self._shown_at = -math.inf

    def show(self, status: RunStatus, *, important: bool = False) -> None:
        """Renew the lines, twice a second at most."""
        if important or time.monotonic() - self._shown_at >= _REFRESH_SECONDS:
            self._shown_at = time.monotonic()
            self._live.update(_panel(status), refresh=True)

    def note(self, text: str) -> None:
        """Print it above the lines that are renewed."""
        from rich.text import Text

        self._live.console.print(Text(printable(text)))

    def close(self) -> None:
        """Leave the last state standing."""
        self._live.stop()


class _Pairs:
    """Words that belong together stay in one line: a name and its number. For rich."""

    def __init__(self, parts: list[str]) -> None:
        self._parts = [part for part in parts if part]

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        line = " "
        for part in self._parts:
            if line.strip() and len(line) + 1 + len(part) > options.max_width:
                yield Text(line, no_wrap=True, overflow="ellipsis")
                line = "   "
            line += f" {part}"
        yield Text(line, no_wrap=True, overflow="ellipsis")


def _panel(status: RunStatus) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    time_left = "" if status.seconds_left is None else f"{duration(status.seconds_left)} left"
    head.add_row(
        Text(printable(status.name), style="bold"),
        ProgressBar(total=max(1, status.max_iters), completed=status.iteration, width=30),
        f"{status.iteration}/{status.max_iters}",
        time_left,
    )
    rate = "" if status.lr is None else f"lr {status.lr:.3g}"
    second = _Pairs([*status.loss_parts(), rate]) if status.losses else Text("  starting")
    third = Text("  " + status.metric_text())
    if status.validating is not None:
        third.append(f"   validating {status.validating[0]}/{status.validating[1]}", style="cyan")
    return Group(head, second, third)


def display_for(stream: TextIO | None = None, *, quiet: bool = False, every: int = 50) -> Display:
    """What suits the stream: renewed lines on a terminal, plain ones elsewhere, none if quiet."""
    stream = stream or sys.stderr
    if quiet:
        return NoDisplay()
    return LiveDisplay(stream) if stream.isatty() else LineDisplay(stream, every)


class ProgressHook(Hook):
    """Keeps a `RunStatus` and shows it. Reads numbers that mmengine has fetched from the device anyway.

    Args:
        name: The config's name.
        metric: The metric that best checkpoints and early stopping go by.
        higher_is_better: Its direction.
        display: Where it is shown.
    """

    priority = "LOWEST"

    def __init__(self, name: str, metric: str, higher_is_better: bool, display: Display) -> None:
        self.status = RunStatus(name, metric, max_iters=0)
        self.display = display
        self._better = max if higher_is_better else min
        self._began = 0.0
        self._began_at = 0
        self._validation_began = 0.0
        self._validating_seconds = 0.0
        self._validations = 0

    def before_train(self, runner: Runner) -> None:
        """Start the clock, and take up what a resumed run knows."""
        status = self.status
        status.iteration, status.max_iters = runner.iter, runner.max_iters
        if runner.message_hub.get_info("best_score") is not None:
            status.best = float(runner.message_hub.get_info("best_score"))
        self._began, self._began_at = time.monotonic(), runner.iter
        self.display.show(status, important=runner.iter > 0)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Count, and show if it is time."""
        status = self.status
        status.iteration = runner.iter + 1
        scalars = runner.message_hub.log_scalars
        names = [name for name in outputs or {} if f"train/{name}" in scalars]
        status.losses = {name: float(scalars[f"train/{name}"].current()) for name in names if "loss" in name}
        if "train/lr" in scalars:
            status.lr = float(scalars["train/lr"].current())
        done = status.iteration - self._began_at
        training = max(time.monotonic() - self._began - self._validating_seconds, 1e-9)
        status.iters_per_second = done / training
        status.seconds_left = training / done * (status.max_iters - status.iteration)
        if self._validations:
            validating = self._validating_seconds / self._validations
            status.seconds_left += validating * validations_left(runner, status.iteration)
        self.display.show(status, important=done == 1 or status.iteration == status.max_iters)

    def before_val(self, runner: Runner) -> None:
        """Stop the clock of training."""
        self._validation_began = time.monotonic()

    def after_val(self, runner: Runner) -> None:
        """Let it go on."""
        self._validating_seconds += time.monotonic() - self._validation_began
        self._validations += 1

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Show how far the validation is."""
        self.status.validating = (batch_idx + 1, len(runner.val_dataloader))
        self.display.show(self.status)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Take the metric."""
        status = self.status
        status.validating = None
        value = (metrics or {}).get(status.metric)
        if value is not None:
            status.last = float(value)
            status.best = status.last if status.best is None else self._better(status.best, status.last)
        self.display.show(status, important=True)


def validations_left(runner: Runner, iteration: int) -> int:
    """How many validations come after an iteration, that of its own included, as mmengine's loops decide it."""
    loop = runner.train_loop
    if runner.val_loop is None or not hasattr(loop, "val_interval"):
        return 0
    done, end = iteration, runner.max_iters
    if isinstance(loop, EpochBasedTrainLoop):
        done, end = iteration // max(1, len(loop.dataloader)), runner.max_epochs
    first = max(done, loop.val_begin)
    due = {end, *range(first + -first % loop.val_interval, end + 1, loop.val_interval)}
    return sum(at > done or at == iteration for at in due if at >= first)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as `1:02:03` or `2:03`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
