"""The losses' peak memory, which unlike their time is the same on a busy machine."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.slow]

if importlib.util.find_spec("mmseg") is None:
    pytest.skip("needs torch and the mm stack", allow_module_level=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_every_loss_peaks_below_its_goal_and_below_cross_entropy():
    spec = importlib.util.spec_from_file_location("bench_losses", Path(__file__).with_name("bench_losses.py"))
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    peaks = {name: values[0] for name, values in bench.measured_in_own_process("memory", 1, 1).items()}
    assert set(bench.GOALS) <= set(peaks)
    assert {name: peaks[name] for name, goal in bench.GOALS.items() if peaks[name] > goal.memory} == {}
    assert max(peaks[name] for name in bench.GOALS) < peaks["F.cross_entropy"]
