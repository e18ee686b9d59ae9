from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gpu.figures import Figures, read, read_all
from tests.gpu.page import BEGIN, COPY, END, NOTHING, PAGE, UNIT, fastest, section, with_section, write_page

MIB = 2**20
CARD = {"card": "Card X 24GB", "driver": "1.2", "torch": "2.0"}


def cost(path: str, device_ms: float, peak: int = 8) -> dict[str, Any]:
    """A row of the table of losses, of logits of 4 MiB."""
    return {
        "loss": "focal", "path": path, "size": [2, 19, 8, 8], "device_ms": device_ms, "host_ms": 0.5,
        "peak_bytes": peak * MIB, "logits_bytes": 4 * MIB,
    }  # fmt: skip


def some_figures() -> Figures:
    figures = Figures(CARD, day="2020-01-02")
    rows = [cost(UNIT, 2.0), cost(COPY, 0.25), cost("own", 3.0, 12), cost("plain", 4.0), cost("plain, compiled", 1.5)]
    figures.tables["losses"] = [
        *rows,
        {"loss": "focal", "path": "own, compiled", "size": [2, 19, 8, 8], "error": "no|t"},
    ]
    figures.add(
        "models", config="a_ce", amp=True, crop=[512, 512], batch=2, iterations=20, seconds_an_iteration=0.125,
        allocated=100 * MIB, reserved=120 * MIB,
    )  # fmt: skip
    figures.add("attention", operator="stand-in", size=[2, 64, 64], device_ms=7.0, peak_bytes=9 * MIB)
    for batch, state in ((2, "finished"), (8, "out of memory")):
        figures.add(
            "forecast", model="a", amp=False, batch=batch, forecast=110 * MIB, with_allowances=0, allocated=100 * MIB,
            reserved=121 * MIB, outside=300 * MIB, state=state,
        )  # fmt: skip
    figures.add("largest batch", model="a", amp=False, batch=6, state="finished", more="out of memory")
    figures.count("losses are right", "passed")
    figures.count("losses are right", "failed")
    figures.count("two processes", "skipped", "needs two GPUs: there is 1")
    return figures


def test_without_a_machine_the_page_says_so() -> None:
    assert section([]) == NOTHING


def test_the_committed_page_is_what_the_machines_measured() -> None:
    page = PAGE.read_text()
    assert with_section(page, section(read_all())) == page, "run `python -m tests.gpu.page` and read the diff"


def test_every_table_is_on_the_page_with_the_machine_it_is_of() -> None:
    text = section([some_figures()])
    assert "### Card X 24GB\n\n2020-01-02: driver 1.2, torch 2.0." in text
    assert "| losses are right | 1 | 1 | 0 |  |" in text
    assert "| two processes | 0 | 0 | 1 | needs two GPUs: there is 1 |" in text
    assert "times `F.cross_entropy` (2.000 ms, peak 8 MiB; one read and one write of the logits 0.250 ms)" in text
    assert (
        "| focal | 1.50 / 3.00 / 0.50 | does not run: no/t | 2.00 / 2.00 / 0.50 | 0.75 / 2.00 / 0.50 |  | "
        "plain, torch.compile, 2.00 times as fast as the own kernel |"
    ) in text
    assert "| a_ce | on | 512x512 | 2 | 20 | 0.125 | 100 | 120 |" in text
    assert "| stand-in | 2x64x64 | 7.00 | 9 |" in text
    assert "| a | off | 2 | 110 | 100 | +10.0% | 121 | 300 | finished |" in text
    assert "| a | off | 8 | 110 | 100 |  | 121 | 300 | out of memory |" in text
    assert "fitted to these 1 runs: 10% of the forecast on top (enough for 95 % of them) and 300 MiB" in text
    assert "| a | off | 6 | finished | out of memory |" in text


def test_the_own_kernel_is_named_alone_where_it_is_the_fastest() -> None:
    assert fastest([cost("own", 1.0), cost("plain", 1.5)]) == "own kernel"
    assert fastest([cost("own", 1.0), cost("mmseg", 0.5), cost(COPY, 0.1)]) == "own kernel"
    assert fastest([cost("plain", 1.5)]) == "plain PyTorch"
    assert fastest([{"path": "own", "error": "x"}]) == "none ran"


def test_only_what_is_between_the_markers_changes(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    page.write_text(f"before\n\n{BEGIN}\n\nold\n\n{END}\nafter\n")
    write_page(page, [])
    assert page.read_text() == f"before\n\n{BEGIN}\n\n{NOTHING}\n\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["", BEGIN, END, END + BEGIN, BEGIN + END + END, BEGIN + BEGIN + END])
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        with_section(page, "text")


def test_a_second_run_on_a_machine_keeps_what_it_did_not_measure(tmp_path: Path) -> None:
    some_figures().write(tmp_path)
    second = Figures(CARD)
    second.add("attention", operator="compiled", size=[1, 1, 1], device_ms=1.0, peak_bytes=1)
    path = second.write(tmp_path)
    kept = read(path)
    assert path.name == "card-x-24gb.json"
    assert [row["operator"] for row in kept.tables["attention"]] == ["compiled"]
    assert set(kept.tables) == {"losses", "models", "attention", "forecast", "largest batch"}
    assert read_all(tmp_path) == [kept]


def test_another_driver_is_another_measurement(tmp_path: Path) -> None:
    some_figures().write(tmp_path)
    second = Figures({**CARD, "driver": "1.3"})
    second.add("attention", operator="compiled", size=[1, 1, 1], device_ms=1.0, peak_bytes=1)
    assert set(read(second.write(tmp_path)).tables) == {"attention"}


def test_readme_says_whether_a_gpu_has_run_this(project: Path) -> None:
    says_none = "Nothing here has been run on a GPU yet" in (project / "README.md").read_text()
    assert says_none == (read_all() == [])
