from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from provecfg.results.formats.page import MOST_DATA, page
from provecfg.results.formats.svg import Interval, Series, forest_plot, line_chart, standalone
from provecfg.results.formats.tables import as_csv, as_latex, as_markdown, cells_as_csv, report_as_markdown, tables_of
from provecfg.results.report.data import report_data
from provecfg.results.scores import METRICS
from provecfg.results.study import read_study, study_results
from tests.results.simulated_study import Effects, SimulatedRun, study_of, write_study

HOSTILE = '"><script>alert(1)</script>&`|${x}\\_%=1'


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report's data of a study of 4 models x 4 losses x 2 seeds, of a hostile name, where one cell failed."""

    def change(run: SimulatedRun) -> None:
        if run.name == "pspnet_r50_bdd10k_focal_s0":
            run.record["attempts"][0] |= {"state": "failed", "message": HOSTILE}

    effects = Effects(iou={"focal": 2.0}, run_sd=0.2)
    folder = tmp_path_factory.mktemp("study")
    return report_data(read_study(f"study {HOSTILE}", write_study(folder, study_of(4, 2), effects, change)))


class _Page(HTMLParser):
    """Names of the elements, their ids and attributes, and all text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_the_data_hold_a_verdict_for_each_loss_and_metric(data: dict[str, Any]) -> None:
    primary = {verdict["loss"]: verdict for verdict in data["verdicts"] if verdict["is_primary"]}
    assert set(primary) == {"focal", "lovasz", "boundary"}
    assert primary["focal"]["outcome"] == "better"
    assert primary["focal"]["sentence"].startswith("focal is better than ce, by ")
    assert primary["lovasz"]["outcome"] == "not decided"
    assert primary["lovasz"]["sentence"].startswith("Whether lovasz differs from ce is not decided: the difference is ")
    assert "Four such studies of five would have found an effect of " in primary["lovasz"]["sentence"]
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_page_begins_with_which_cells_count(data: dict[str, Any]) -> None:
    shown = _Page(page(data))
    ids = [attributes["id"] for tag, attributes in shown.elements if tag == "section"]
    assert ids == [
        *("fairness", "verdict", "coverage", "effect", "tables", "classes"),
        *("curves", "edges", "images", "confusion", "calibration", "cost", "method"),
    ]
    assert "31 of 32 cells are complete" in shown.text
    assert f"pspnet_r50_bdd10k_focal_s0 : {HOSTILE}" in shown.text


def test_the_page_loads_nothing(data: dict[str, Any]) -> None:
    text = page(data)
    for tag, attributes in _Page(text).elements:
        assert tag not in ("link", "img", "iframe", "object", "base"), tag
        assert not {"src", "srcset", "onclick", "onload", "onerror"} & set(attributes), (tag, attributes)
        if tag == "a":
            assert (attributes["href"] or "").startswith("#")
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) == {"http://www.w3.org/2000/svg"}


def test_names_from_elsewhere_are_text_in_the_page(data: dict[str, Any]) -> None:
    text = page(data)
    assert "<script>alert" not in text
    assert HOSTILE in _Page(text).text


def test_a_script_cannot_be_ended_by_a_name(data: dict[str, Any]) -> None:
    replay = [{**data["replay"][0], "loss": "</script><b>"}]
    text = page({**data, "replay": replay})
    assert "</script><b>" not in text
    assert len([tag for tag, _ in _Page(text).elements if tag == "script"]) == 2


def test_the_page_of_72_cells_is_below_half_a_megabyte(data: dict[str, Any]) -> None:
    """What grows with seeds is the matrix and the reasons; what grows with models are the charts."""

    def size_without_json(data: dict[str, Any]) -> int:
        return len(re.sub(r'id="data">.*?</script>', "", page(data)).encode())

    size = size_without_json(data)
    per_model = (size - size_without_json({**data, "terms": [], "curves": []})) / 4
    assert size + 2 * per_model + 40 * 400 + MOST_DATA < 500_000


def test_tables_and_pictures_are_named_for_those_who_do_not_see_them(data: dict[str, Any]) -> None:
    shown = _Page(page(data))
    tags = [tag for tag, _ in shown.elements]
    assert tags.count("table") == tags.count("caption") >= 7
    assert tags.count("svg") == tags.count("title") - 1 > 10
    assert all(attributes.get("role") == "img" for tag, attributes in shown.elements if tag == "svg")
    assert all("scope" in attributes for tag, attributes in shown.elements if tag == "th")
    assert "" not in [title for table in tables_of(data) for title in table.head]
    landmarks = [attributes["aria-label"] for _, attributes in shown.elements if attributes.get("role") == "region"]
    landmarks += re.findall(r"<h2 [^>]*>([^<]+)</h2>", page(data))
    assert len(landmarks) == len(set(landmarks)) > 20
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_metric_that_is_shown_is_defined(data: dict[str, Any]) -> None:
    text = _Page(page(data)).text
    for metric in METRICS:
        assert metric.definition in text


def test_bold_is_what_the_verdict_calls_better(data: dict[str, Any]) -> None:
    table = next(table for table in tables_of(data) if table.key == "by-loss")
    bold = {(table.rows[row][0], table.head[column]) for row, column in table.bold}
    assert ("focal", "mIoU, last four") in bold
    assert {loss for loss, _ in bold} == {"focal"}
    assert ("focal", "mIoU, best") not in bold


def test_markdown_and_latex_have_no_markup_of_the_names(data: dict[str, Any]) -> None:
    markdown = report_as_markdown(data)
    assert "<script>" not in markdown
    assert r"\<script\>alert(1)\</script\>\&\`\|" in markdown
    table = next(table for table in tables_of(data) if table.key == "by-loss")
    hostile = type(table)("x", HOSTILE, [HOSTILE, "b"], [[HOSTILE, "1 ± 2"]], frozenset({(0, 1)}))
    latex = as_latex(hostile)
    assert r"\$\{x\}\textbackslash{}\_\%=1" in latex
    assert r"\textbf{1 $\pm$ 2} \\" in latex
    assert re.search(r"(?<!\\)[%_&](?!\s)", latex.replace(" & ", "")) is None
    assert as_markdown(hostile).splitlines()[-1].endswith("| **1 ± 2** |")


def test_csv_is_read_back_and_holds_no_formula(data: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(cells_as_csv(data))))
    assert {row["name"] for row in rows} == {cell["name"] for cell in data["cells"]}
    scored = next(row for row in rows if row["metric"] == "mIoU" and row["moment"] == "last four")
    cell = next(cell for cell in data["cells"] if cell["name"] == scored["name"])
    assert float(scored["value"]) == cell["scores"]["last four"]["mIoU"]
    assert as_csv(["a"], [["=1+1"], ["-2.50"], ["@x"], ['say "no"']]) == 'a\n\'=1+1\n-2.50\n\'@x\n"say ""no"""\n'


def test_charts_are_well_formed_and_escaped() -> None:
    rows = [Interval(HOSTILE, 0.4, -0.1, 0.9), Interval("all", 0.5, 0.2, 0.8, is_summary=True, colour=2)]
    series = [
        Series(HOSTILE, [(0, 1.0), (10, 2.0)], [(0, 0.5, 1.5), (10, 1.5, 2.5)], [(10, 2.0)]),
        Series("b", [(0, 1)]),
    ]
    for chart in (forest_plot(rows, HOSTILE), line_chart(series, HOSTILE, x_label="x")):
        root = ElementTree.fromstring(standalone(chart))
        assert root.find("{http://www.w3.org/2000/svg}title").text == HOSTILE
        texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert HOSTILE in texts


def test_a_chart_of_one_value_has_a_scale() -> None:
    chart = line_chart([Series("a", [(5, 40.0)])], "one")
    assert "nan" not in chart
    assert ElementTree.fromstring(chart) is not None


def test_a_study_of_one_loss_has_no_verdict_and_a_page(tmp_path: Path) -> None:
    work_dirs = write_study(tmp_path, study_of(1, 1, losses={"auxiliary": ["none"]}), Effects())
    data = report_data(read_study("one", work_dirs))
    assert data["verdicts"] == []
    assert "It has one loss, so there is nothing to compare." in data["limits"]
    assert "There is nothing to compare." in page(data)


def test_a_study_of_which_nothing_is_complete_has_a_page(tmp_path: Path) -> None:
    def change(run: SimulatedRun) -> None:
        run.record["attempts"][0]["state"] = "running"

    data = report_data(read_study("young", write_study(tmp_path, study_of(1, 1), Effects(), change)))
    assert "0 of 4 cells" in _Page(page(data)).text
    assert report_data(study_results("none", []))["cells"] == []


def said_in_browser(text: str, script: str, folder: Path, wait_ms: int = 300) -> Any:
    """What a script at the end of a page pushes to `answers`; an error of any script of the page fails."""
    wrapped = f"""
    window.addEventListener("error", (event) => {{ document.title = JSON.stringify("error: " + event.message); }});
    (() => {{
      const answers = [];
      {script}
      setTimeout(() => {{ document.title = JSON.stringify(answers); }}, {wait_ms});
    }})();
    """
    file = folder / "page.html"
    file.write_text(text.replace("</body>", f"<script>{wrapped}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", f"--user-data-dir={folder / 'profile'}"),
            *("--virtual-time-budget=6000", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    return json.loads(unescape(title[1]))


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_sorts_copies_and_replays_when_it_is_clicked(data: dict[str, Any], tmp_path: Path) -> None:
    clicks = """
      const table = document.getElementById("by-loss");
      const button = table.querySelectorAll("thead button")[2];
      const column = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].textContent));
      const isSorted = (values, sign) => values.every((v, i) => i === 0 || sign * (v - values[i - 1]) >= 0);
      button.click(); answers.push(isSorted(column(), 1), button.parentNode.getAttribute("aria-sort"));
      button.click(); answers.push(isSorted(column(), -1), button.parentNode.getAttribute("aria-sort"));
      const text = document.getElementById("replayed"), before = text.textContent;
      const patience = document.getElementById("patience"), delta = document.getElementById("delta");
      patience.value = 1; delta.value = 2; patience.dispatchEvent(new Event("input"));
      answers.push(before !== text.textContent, patience.nextElementSibling.value, delta.nextElementSibling.value);
      answers.push(text.textContent);
      const copy = document.querySelector("button[data-copy]");
      copy.focus(); copy.click();
      copy.click();  // again, before it is what it was
      setTimeout(() => answers.push(copy.textContent, document.getElementById("told").textContent), 200);
      setTimeout(() => answers.push(copy.textContent), 2500);
    """
    answers = said_in_browser(page(data), clicks, tmp_path, wait_ms=2600)
    assert answers[:7] == [True, "ascending", True, "descending", True, "1", "2.00"]
    # The simulated scores rise by less than two points at last.
    assert "boundary: 8 of 8 runs end early, saving " in answers[7]
    assert answers[8:] == ["Copied", f"Copied LaTeX: {tables_of(data)[0].caption}", "Copy LaTeX"]


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_gives_its_figures_away_and_unfolds_for_paper(data: dict[str, Any], tmp_path: Path) -> None:
    clicks = """
      const blobs = [], names = [];
      URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
      HTMLAnchorElement.prototype.click = function () { names.push(this.download); };
      document.getElementById("save").click();
      answers.push(names);
      blobs[0].text().then((text) => answers.push(JSON.parse(text)));
      const folded = [...document.querySelectorAll("details")];
      answers.push(folded.length > 3 && folded.every((details) => !details.open));
      dispatchEvent(new Event("beforeprint"));
      answers.push(folded.every((details) => details.open));
    """
    names, was_folded, is_unfolded, saved = said_in_browser(page(data), clicks, tmp_path)
    assert names == ["report.json"]
    assert (was_folded, is_unfolded) == (True, True)
    assert saved == data


def test_the_page_of_a_large_study_leaves_its_figures_to_another_file(data: dict[str, Any]) -> None:
    small, large = page(data), page({**data, "cells": data["cells"] * 40})
    assert 'id="save"' in small
    assert 'id="save"' not in large
    assert "provecfg report -o report.json" in large


@pytest.mark.slow
@pytest.mark.browser
def test_the_replay_of_the_page_stops_where_mmengines_hook_stops(data: dict[str, Any], tmp_path: Path) -> None:
    hooks = pytest.importorskip("mmengine.hooks", reason="needs mmengine")

    def stop_of_hook(history: list[list[float]], patience: int, min_delta: float) -> int | None:
        hook = hooks.EarlyStoppingHook("val/mIoU", rule="greater", min_delta=min_delta, patience=patience)
        loop = SimpleNamespace(stop_training=False)
        runner = SimpleNamespace(train_loop=loop, logger=SimpleNamespace(info=lambda text: None))
        for index, (_, score) in enumerate(history):
            hook.after_val_epoch(runner, {"val/mIoU": score})
            if loop.stop_training:
                return index
        return None

    histories = [run["history"] for run in data["replay"]]
    # With scores that repeat and fall, as simulated ones do not.
    histories += [
        [[step, score] for step, score in enumerate(scores)] for scores in ([3, 3, 3, 4], [5, 4, 5, 4, 6], [1])
    ]
    rules = [(patience, min_delta) for patience in (1, 2, 3) for min_delta in (0.0, 0.3, 1.0)]
    expected = [stop_of_hook(history, *rule) for history in histories for rule in rules]
    assert len(set(expected)) > 2
    script = f"""
      for (const history of {json.dumps(histories)})
        for (const [patience, delta] of {json.dumps(rules)}) answers.push(stopOf(history, true, patience, delta));
    """
    assert said_in_browser(page(data), script, tmp_path) == expected


COMMAND_FILES = ("page.html", "report.md", "cells.csv", "tables.tex", "report.json", "effect.svg")


def test_the_command_writes_each_format(provecfg: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    write_study(folder, study_of(4, 1), Effects())
    outputs = [tmp_path / name for name in COMMAND_FILES]
    code, out, err = provecfg("report", folder, *(word for path in outputs for word in ("-o", path)))
    assert (code, out) == (0, "")
    assert err.strip().endswith("16 of 16 cells enter the means")
    assert all(path.stat().st_size > 500 for path in outputs)
    assert json.loads((tmp_path / "report.json").read_text())["study"]["name"] == "study"
    assert "\\begin{tabular}" in (tmp_path / "tables.tex").read_text()


def test_the_command_finds_a_studys_work_dirs_and_what_was_not_started(
    provecfg: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path / "work_dirs" / "simulated", study_of(1, 1), Effects())
    (tmp_path / "study.yaml").write_text("name: simulated\nmodels: [deeplabv3plus_r50]\nseeds: [0, 1]\n")
    code, _, err = provecfg("report", "study.yaml", "--format", "json")
    assert code == 0
    assert "report.json: 4 of 8 cells enter the means" in err
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["study"]["losses"] == ["ce", "focal", "lovasz", "boundary"]
    assert data["study"]["states"] == {"finished": 4, "not started": 4}
    (tmp_path / "work_dirs" / "simulated").rename(tmp_path / "work_dirs" / "loss-study")
    code, _, err = provecfg("report", "loss-study", "--format", "json")  # of other seeds
    assert (code, "report.json: 4 of 28 cells enter the means" in err) == (0, True), err


def test_watch_rewrites_the_file_until_all_cells_are_complete(
    provecfg: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(run: SimulatedRun) -> None:
        if run.cell["loss"] == "focal":
            run.record["attempts"][0]["state"] = "running"

    study = study_of(1, 1, losses={"auxiliary": ["none", "focal"]})
    _, focal = write_study(tmp_path / "runs", study, Effects(), change)
    page_file, pages = tmp_path / "page.html", []

    def the_run_ends(seconds: float) -> None:
        pages.append(_Page(page_file.read_text()).text)
        record = json.loads((focal / "provecfg.json").read_text())
        record["attempts"][0]["state"] = "finished"
        (focal / "provecfg.json").write_text(json.dumps(record))

    monkeypatch.setattr("provecfg.commands.report.time.sleep", the_run_ends)
    code, _, err = provecfg("report", tmp_path / "runs", "-o", page_file, "--watch")
    assert code == 0
    assert err.count("cells enter the means") == 2
    assert len(pages) == 1
    assert "1 of 2 cells" in pages[0]
    assert "All 2 cells are complete" in _Page(page_file.read_text()).text


@pytest.mark.slow
def test_serve_shows_the_page_of_a_running_study_until_it_is_interrupted(tmp_path: Path) -> None:
    def change(run: SimulatedRun) -> None:
        run.record["attempts"][0]["state"] = "running"

    work_dirs = write_study(tmp_path / "runs", study_of(1, 1, losses={"auxiliary": ["none"]}), Effects(), change)
    before = {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))}
    command = [sys.executable, "-m", "provecfg", "report", str(work_dirs[0].parent), "--serve"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            assert "(Ctrl-C ends it)" in line
            with urllib.request.urlopen(line.split()[0], timeout=30) as response:
                assert "0 of 1 cells" in _Page(response.read().decode()).text
        finally:
            server.send_signal(signal.SIGINT)
            _, err = server.communicate(timeout=30)
    assert "Traceback" not in err
    assert {path: path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*"))} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "no run in empty"),
        (["loss-study"], "no run in work_dirs/loss-study"),
        (["study", "--reference", "dice"], "no run has the loss 'dice'"),
        (["study", "-o", "page.docx"], ".docx names no format"),
        (["study", "-o", "a.html", "--format", "html", "--format", "md"], "2 formats for 1 files"),
        (["study", "--serve", "--watch"], "--serve shows the page and writes no file"),
    ],
)
def test_what_the_command_is_not_given_is_named(
    arguments: list[str],
    message: str,
    provecfg: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_study(tmp_path / "study", study_of(1, 1, losses={"auxiliary": ["none"]}), Effects())
    code, _, err = provecfg("report", *arguments)
    assert code == 2
    assert message in err
