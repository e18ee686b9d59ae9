from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

FOCAL = "pspnet_r50_bdd10k_focal.py"


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path) -> Path:
    """A folder with one model's generated configs, where we are."""
    monkeypatch.chdir(tmp_path)
    for path in (project / "generated").glob("pspnet_r50_*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_generated_study_is_fair(provecfg: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    code, out, _ = provecfg("compare", "generated")
    assert code == 0
    assert out.startswith("study loss-study: 24 configs\n  model: deeplabv3plus_r50, hrnet_hr48, ")
    assert "\nloss: ce -> boundary (deeplabv3plus_r50, hrnet_hr48, pspnet_r50)\n" in out
    assert out.endswith("24 configs, 38 comparisons: nothing differs but what is declared, and what follows from it.\n")


def test_another_learning_rate_in_one_cell_is_shown_where_it_is_written(provecfg: Command, cells: Path) -> None:
    edit(cells / FOCAL, "lr=0.01", "lr=0.02")
    lines = (cells / FOCAL).read_text().splitlines()
    ((row, line),) = [(row, line) for row, line in enumerate(lines, 1) if "lr=0.02" in line]
    code, out, _ = provecfg("compare", ".")
    assert code == 1
    place = f"{FOCAL}:{row}:{line.index('0.02') + 1}"
    assert f"{place}: error PROOF100 pspnet_r50_bdd10k_ce.py and {FOCAL} are to differ in the auxiliary loss" in out
    assert "differ in the optimizer: optim_wrapper.optimizer.lr: 0.01 -> 0.02" in out
    assert "--factor optimizer" in out
    assert f"\n  edited by hand: {FOCAL}\n" in out


def test_two_configs_print_their_differences(provecfg: Command, cells: Path) -> None:
    Path("a.py").write_text("_base_ = 'pspnet_r50_bdd10k_ce.py'\n")
    Path("b.py").write_text("_base_ = 'pspnet_r50_bdd10k_ce.py'\nrandomness = dict(seed=7)\nwork_dir = 'b'\n")
    assert provecfg("compare", "a.py", "b.py") == (
        0,
        "2 configs: a.py, b.py\n"
        "\n"
        "a.py -> b.py: seed alone\n"
        "  declared: randomness.seed: 42 -> 7\n"
        "  record: work_dir\n"
        "\n"
        "2 configs, 1 comparison: nothing differs but what is declared, and what follows from it.\n",
        "",
    )


def test_json_is_one_object_and_nothing_else(provecfg: Command, cells: Path) -> None:
    edit(cells / FOCAL, "seed=42", "seed=43")
    code, out, _ = provecfg("compare", "pspnet_r50_bdd10k_ce.py", FOCAL, "--output-format", "json")
    assert code == 1
    data = json.loads(out)
    assert set(data) == {"factors", "differences", "findings"}
    assert data["factors"][FOCAL]["loss"] == "focal"
    assert {
        "configs": ["pspnet_r50_bdd10k_ce.py", FOCAL],
        "declared": "loss",
        "key": "randomness.seed",
        "factor": "seed",
        "status": "unexplained",
        "reason": None,
        "before": 42,
        "after": 43,
    } in data["differences"]
    (finding,) = data["findings"]
    assert (finding["code"], finding["key"], finding["filename"]) == ("PROOF100", "randomness.seed", str(cells / FOCAL))


def test_what_is_declared_on_the_command_line_may_differ(provecfg: Command, cells: Path) -> None:
    Path("b.py").write_text(f"_base_ = '{FOCAL}'\noptim_wrapper = dict(optimizer=dict(lr=0.02))\n")
    assert provecfg("compare", "pspnet_r50_bdd10k_ce.py", "b.py")[0] == 1
    assert provecfg("compare", "pspnet_r50_bdd10k_ce.py", "b.py", "--factor", "loss")[0] == 1
    assert provecfg("compare", "pspnet_r50_bdd10k_ce.py", "b.py", "--factor", "loss", "--factor", "optimizer")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (FOCAL,),
            f"error: {FOCAL} is one config\n  hint: name another one to compare it with, or a folder, or a study",
        ),
        (("one.yaml",), "error: one.yaml is a study of one cell\n  hint: name another one"),
        ((FOCAL, "absent.py"), "absent.py does not exist"),
        ((FOCAL, FOCAL, "--factor", "lss"), "'lss' is not one of"),
        ((), "Missing argument 'CONFIG...'"),
    ],
)
def test_wrong_usage_is_said_in_words(provecfg: Command, cells: Path, arguments: tuple[str, ...], message: str) -> None:
    Path("one.yaml").write_text("name: one\nmodels: [pspnet_r50]\nlosses: {auxiliary: [focal]}\n")
    code, out, err = provecfg("compare", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_config_that_cannot_be_read_is_a_finding(provecfg: Command, cells: Path) -> None:
    Path("broken.py").write_text("model = dict(\n")
    code, out, _ = provecfg("compare", FOCAL, "broken.py")
    assert code == 1
    assert out.startswith("broken.py:1:13: error CFG001 ")


def test_a_value_that_is_not_known_is_listed_and_no_error(provecfg: Command, cells: Path) -> None:
    Path("b.py").write_text(f"import os\n_base_ = '{FOCAL}'\nrandomness = dict(seed=int(os.environ['N']))\n")
    code, out, _ = provecfg("compare", FOCAL, "b.py")
    assert code == 0
    assert "not compared: randomness.seed: 42 -> <" in out
    assert "PROOF103" not in out
    assert "PROOF103" in provecfg("compare", FOCAL, "b.py", "-v")[1]


def test_nothing_heavy_is_imported(project: Path) -> None:
    script = (
        "import sys\n"
        "for name in ('torch', 'mmengine', 'mmcv', 'mmseg', 'numpy'): sys.modules[name] = None\n"
        "from provecfg.cli import run\n"
        f"sys.exit(run(['compare', {str(project / 'generated')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
