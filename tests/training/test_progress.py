from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from provecfg.training import progress
from provecfg.training.progress import (
    LineDisplay,
    LiveDisplay,
    NoDisplay,
    RunStatus,
    display_for,
    duration,
    validations_left,
)

pytestmark = pytest.mark.stack


def status(**changes: object) -> RunStatus:
    losses = {"loss": 1.5, "decode.loss_ce": 1.0, "aux.loss_ce": 0.5}
    return RunStatus("pspnet", "val/mIoU", 150, **{"iteration": 50, "losses": losses, "lr": 0.01, **changes})


def test_a_line_says_iteration_losses_rate_and_time_left() -> None:
    assert (
        status(seconds_left=83.0).line() == "pspnet  iter 50/150  loss 1.5 (decode.ce 1, aux.ce 0.5)  lr 0.01  eta 1:23"
    )


def test_a_line_says_the_last_and_the_best_metric_once_there_is_one() -> None:
    assert status(last=20.0, best=25.0).line().endswith("val/mIoU 20.00 (best 25.00)")
    assert "val/mIoU" not in status().line()


def test_losses_repeated_after_inner_layers_are_counted_only() -> None:
    losses = {"loss": 3.0, "decode.loss_cls": 1.0, "decode.d0.loss_cls": 1.0, "decode.d8.loss_cls": 1.0}
    assert status(losses=losses).losses_text() == "loss 3 (decode.cls 1, 2 of inner layers)"


def test_lines_come_as_often_as_asked_and_always_when_important(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    stream = io.StringIO()
    display = LineDisplay(stream, every=50)
    for iteration in range(101):
        display.show(status(iteration=iteration), important=iteration == 7)
    display.show(status(iteration=100, validating=(1, 2)))
    display.close()
    shown = [int(line.split("iter ")[1].split("/")[0]) for line in stream.getvalue().splitlines()]
    assert shown == [7, 50, 100]


def test_lines_of_a_fast_run_are_a_second_apart() -> None:
    stream = io.StringIO()
    display = LineDisplay(stream, every=1)
    for iteration in range(1, 100):
        display.show(status(iteration=iteration))
    assert len(stream.getvalue().splitlines()) == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_renewed_lines_and_a_file_plain_ones() -> None:
    live = display_for(Terminal())
    assert isinstance(live, LiveDisplay)
    live.close()
    assert isinstance(display_for(io.StringIO()), LineDisplay)
    assert isinstance(display_for(Terminal(), quiet=True), NoDisplay)


def test_the_terminal_shows_all_of_it() -> None:
    stream = Terminal()
    live = LiveDisplay(stream)
    live.show(status(last=20.0, best=25.0, seconds_left=3700.0, validating=(3, 26)), important=True)
    live.close()
    for text in ("pspnet", "50/150", "decode.ce 1", "lr 0.01", "1:01:40 left", "20.00 (best 25.00)", "validating 3/26"):
        assert text in stream.getvalue()


def test_a_narrow_terminal_parts_no_name_from_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    losses = {"loss": 4.986, "decode.loss_ce": 2.994, "decode.loss_focal": 0.4052, "aux.loss_ce": 1.187}
    stream = Terminal()
    live = LiveDisplay(stream)
    live.show(status(losses=losses), important=True)
    live.close()
    for pair in ("loss 4.986", "decode.ce 2.994", "decode.focal 0.4052", "aux.ce 1.187", "lr 0.01"):
        assert pair in stream.getvalue()


@pytest.mark.parametrize(
    ("iteration", "begin", "left"),
    [(0, 1, 4), (19, 1, 4), (20, 1, 4), (21, 1, 3), (61, 1, 1), (70, 1, 1), (0, 50, 2)],
)
def test_the_validations_that_are_left_are_those_that_the_loop_will_make(iteration: int, begin: int, left: int) -> None:
    """Of 70 iterations, one every 20 and at the end: 20, 40, 60, 70."""
    loop = SimpleNamespace(val_interval=20, val_begin=begin)
    runner = SimpleNamespace(train_loop=loop, val_loop=object(), max_iters=70)
    assert validations_left(runner, iteration) == left  # type: ignore[arg-type]


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.6, 3599, 3661)] == ["0:00", "1:00", "59:59", "1:01:01"]
