from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provecfg.errors import ExitCode
from provecfg.header import sealed
from provecfg.ledger.study_folder import engine_jobs_of, require_study, submissions_of

PROJECT = Path(__file__).parents[2]
CONFIG = PROJECT / "generated" / "pspnet_r50_bdd10k_ce.py"


@pytest.fixture(autouse=True)
def _scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `sbatch` that takes everything, and a `squeue` that has the first task run and the second wait."""
    commands = tmp_path / "bin"
    commands.mkdir()
    lines = {"sbatch": 'echo "$@" >> "$(dirname "$0")/asked"; echo 7', "squeue": "printf '7|0|RUNNING|None\\n'"}
    for name, line in lines.items():
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)


def configs(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / f"{name}.py").write_text(CONFIG.read_text())
    return [folder / f"{name}.py" for name in names]


def test_what_is_submitted_is_frozen_and_stands_where_the_engine_says_also_when_moved(tmp_path: Path, provecfg) -> None:
    paths = configs(tmp_path, "one", "two")
    words = ["submit", *paths, "--study-dir", "study", "--no-proof", "--run-options", "--max-iters 40"]
    code, out, err = provecfg(*words)
    assert (code, out) == (0, "submission 1 to slurm: 2 cells, job 7\n"), err
    study = require_study(Path("study"))
    assert [cell.name for cell in study.cells] == ["one", "two"]
    assert study.run_options == ("--max-iters", "40")
    (submission,) = submissions_of(Path("study"))
    assert [job.id for job in engine_jobs_of(Path("study"), submission)] == ["7"]
    assert all(Path("study", cell.config).read_text() == CONFIG.read_text() for cell in study.cells)
    paths[1].write_text(CONFIG.read_text().replace("lr=0.01", "lr=0.02"))
    forgotten = "its engine has ended it (Slurm has forgotten it), and it left no record"
    for folder, other in (("study", "moved"), ("moved", "study")):
        code, out, _ = provecfg("status", folder, "--output-format", "json")
        assert [(each["id"], each["state"], each["reason"], each["is_stale"]) for each in json.loads(out)] == [
            (study.cells[0].id, "running", "", False),
            (study.cells[1].id, "missing", forgotten, True),
        ]
        Path(folder).rename(other)
    paths[1].write_text(CONFIG.read_text())
    code, _, err = provecfg(*words)
    assert code == ExitCode.USAGE
    assert "study holds this study already\n  hint: provecfg resume study submits what is not finished" in err
    code, _, err = provecfg("submit", *paths[:1], "--study-dir", "study", "--no-proof")
    assert "study holds another study, study" in err


def test_a_scheduler_that_does_not_answer_is_named_and_nothing_is_submitted_twice(tmp_path: Path, provecfg) -> None:
    provecfg("submit", *configs(tmp_path, "one"), "--study-dir", "study", "--no-proof")
    Path("bin/squeue").write_text("#!/bin/sh\nexit 0\n")
    provecfg("resume", "study")
    Path("bin/squeue").write_text("#!/bin/sh\necho 'squeue: error: Unable to contact slurm controller' >&2; exit 1\n")
    code, out, err = provecfg("status", "study")
    assert (code, out.splitlines()[-1]) == (0, "1 cell: 1 waiting")
    assert err == "the engine was not heard: squeue: error: Unable to contact slurm controller\n"
    code, _, err = provecfg("resume", "study")
    assert code == ExitCode.FINDINGS
    assert len(submissions_of(Path("study"))) == 2
    console = next(Path("study/cells").iterdir()) / "console.log"
    console.write_text("trains\n")
    assert provecfg("logs", "study", "one")[:2] == (0, f"==> {console} <==\ntrains\n")


def test_a_submission_that_was_refused_goes_on_when_that_is_mended(tmp_path: Path, provecfg) -> None:
    sbatch, paths = Path("bin/sbatch"), configs(tmp_path, "one")
    taken = sbatch.read_text()
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: Invalid account' >&2; exit 1\n")
    code, _, err = provecfg("submit", *paths, "--study-dir", "study", "--no-proof")
    assert (code, err) == (
        ExitCode.FINDINGS,
        "error: sbatch: error: Invalid account\n  hint: it was not taken; mend that, and `provecfg resume study` "
        "(--profile FILE for another profile)\n",
    )
    sbatch.write_text(taken)
    paths[0].write_text(CONFIG.read_text().replace("lr=0.01", "lr=0.02"))
    assert provecfg("resume", "study") == (
        0,
        "submission 2: 1 cell, job 7\n",
        "of 1 the config has changed: what is trained is the one that was submitted\n",
    )


def test_a_scheduler_that_says_nothing_may_have_taken_it(tmp_path: Path, provecfg, monkeypatch) -> None:
    monkeypatch.setattr("provecfg.engines.shell._SECONDS", 0.2)
    Path("bin/sbatch").write_text("#!/bin/sh\nexec sleep 30\n")
    code, _, err = provecfg("submit", *configs(tmp_path, "one"), "--study-dir", "study", "--no-proof")
    assert code == ExitCode.FINDINGS
    assert err == (
        "error: sbatch has not answered in 0.2 s\n  hint: it may have been taken: look for it in the engine's own "
        "list, and end it there; then `provecfg resume study`\n"
    )


def test_a_job_that_cannot_be_written_down_is_named(tmp_path: Path, provecfg) -> None:
    Path("bin/sbatch").write_text("#!/bin/sh\nmkdir study/submissions/0001.jobs\necho 7\n")
    code, _, err = provecfg("submit", *configs(tmp_path, "one"), "--study-dir", "study", "--no-proof")
    assert code == ExitCode.FINDINGS
    assert err.startswith("error: slurm has taken it as job 7, which cannot be written down: it is a folder\n")
    assert err.endswith("hint: end job 7, and `provecfg resume study`\n")


def test_what_was_cancelled_before_it_began_waits_until_it_is_submitted_again(
    tmp_path: Path, provecfg, monkeypatch: pytest.MonkeyPatch
) -> None:
    def states() -> list[str]:
        return [each["state"] for each in json.loads(provecfg("status", "study", "--output-format", "json")[1])]

    provecfg("submit", *configs(tmp_path, "one", "two"), "--study-dir", "study", "--no-proof")
    Path("bin/scancel").write_text("#!/bin/sh\n")
    Path("bin/scancel").chmod(0o755)
    remembered = "#!/bin/sh\nprintf '7|0|PENDING|None\\n7|1|PENDING|None\\n'\n"
    Path("bin/squeue").write_text(remembered)
    assert provecfg("cancel", "study", "two") == (0, "", "1 task told to end\n")
    assert states() == ["queued", "queued"]
    Path("bin/squeue").write_text("#!/bin/sh\n")
    assert states() == ["missing", "waiting"]
    assert provecfg("resume", "study")[:2] == (0, "submission 2: 2 cells, job 7\n")
    assert states() == ["missing", "missing"]
    Path("bin/squeue").write_text(remembered)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("provecfg.ledger.study_folder.write_json_file", full)
    code, _, err = provecfg("cancel", "study")
    assert code == 0
    assert err.splitlines() == [
        *2 * ["that they were cancelled is not written down: cannot write to study: No space left on device"],
        "4 tasks told to end",
    ]


def test_where_the_scheduler_is_not_nothing_is_asked_of_it(tmp_path: Path, provecfg, monkeypatch) -> None:
    path = configs(tmp_path, "one")[0]
    provecfg("submit", path, "--study-dir", "study", "--no-proof")
    monkeypatch.setenv("PATH", "")
    for words in (["submit", path, "--study-dir", "other", "--no-proof"], ["resume", "study"], ["cancel", "study"]):
        code, out, err = provecfg(*words)
        assert (code, out) == (ExitCode.USAGE, "")
        assert err.startswith("error: sbatch is not on this machine\n  hint: ")
    assert not Path("other").exists()
    assert len(submissions_of(Path("study"))) == 1
    code, _, err = provecfg("submit", path, "--study-dir", "other", "--no-proof", "--engine", "kubernetes")
    assert code == ExitCode.USAGE
    assert "only the manifest of a Kubernetes Job is made here" in err


def test_print_writes_and_submits_nothing(tmp_path: Path, provecfg) -> None:
    code, out, _ = provecfg("submit", *configs(tmp_path, "one"), "--study-dir", "study", "--print", "--after", "6")
    assert (code, out.splitlines()[0]) == (0, "#!/bin/bash")
    assert "#SBATCH --dependency=afterany:6\n" in out
    assert not Path("study").exists()
    assert not Path("bin/asked").exists()


def test_what_has_errors_is_not_submitted(tmp_path: Path, provecfg) -> None:
    (path,) = configs(tmp_path, "one")
    path.write_text(CONFIG.read_text().replace("type='CrossEntropyLoss'", "type='CrossEntropyLos'"))
    code, _, err = provecfg("submit", path, "--study-dir", "study", "--no-proof")
    assert code == ExitCode.FINDINGS
    assert "CrossEntropyLos" in err
    assert "error: nothing was submitted, see above" in err
    assert not Path("study").exists()


@pytest.mark.parametrize(
    ("run_options", "message"),
    [
        ("--max-iter 40", "--max-iter"),
        ("--work-dir x", "--work-dir is not for the cells of a study\n  hint: the study's folder says where"),
        ("--no-resume", "--resume/--no-resume is not for the cells of a study"),
        ("--gpus 2", "--gpus is not for the cells of a study"),
        ("other.py", "it names a config"),
        ("'--device cpu", "no closing quotation"),
    ],
)
def test_options_that_run_does_not_take_are_wrong_usage(
    tmp_path: Path, provecfg, run_options: str, message: str
) -> None:
    words = ["--study-dir", "study", "--no-proof", "--run-options", run_options]
    code, _, err = provecfg("submit", *configs(tmp_path, "one"), *words)
    assert code == ExitCode.USAGE
    assert message in err


def test_cells_are_commands_of_their_own(tmp_path: Path, provecfg) -> None:
    path = configs(tmp_path, "one")[0]
    work_dir = "work_dirs/loss-study/pspnet_r50_bdd10k_ce"
    code, out, _ = provecfg("cells", path, "--run-options", "--device cpu")
    assert (code, out) == (0, f"provecfg run one.py --work-dir {work_dir} --device cpu\n")
    code, out, _ = provecfg("cells", path, "--format", "json")
    assert json.loads(out) == [
        {
            "name": "one",
            "config": "one.py",
            "work_dir": work_dir,
            "command": ["provecfg", "run", "one.py", "--work-dir", work_dir],
        }
    ]


def test_where_a_study_stands_is_said_without_torch(tmp_path: Path, provecfg) -> None:
    provecfg("submit", *configs(tmp_path, "one"), "--study-dir", "study", "--no-proof")
    script = (
        "import sys; from provecfg.cli import run; code = run(['status', 'study']);"
        "sys.exit(code or bool({'torch', 'numpy', 'mmengine'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 cell: 1 running")


def test_a_study_stands_for_what_was_generated_of_it(tmp_path: Path, provecfg) -> None:
    Path("study.yaml").write_text("name: small\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none, focal]}\n")
    code, _, err = provecfg("cells", "study.yaml")
    assert code == ExitCode.USAGE
    assert "does not exist\n  hint: provecfg generate" in err
    assert provecfg("generate", "study.yaml")[0] == 0
    code, out, _ = provecfg("cells", "study.yaml")
    assert [line.split()[2] for line in out.splitlines()] == [
        "generated/pspnet_r50_bdd10k_ce.py",
        "generated/pspnet_r50_bdd10k_focal.py",
    ]


def test_configs_that_a_study_does_not_make_are_not_taken_for_its_own(tmp_path: Path, provecfg) -> None:
    made = "name: {}\nmodels: [pspnet_r50]\nlosses: {{auxiliary: [none]}}\nschedule: {{max_iters: {}}}\n"
    Path("study.yaml").write_text(made.format("mine", 20_000))
    assert provecfg("generate", "study.yaml")[0] == 0
    Path("study.yaml").write_text(made.format("mine", 40_000))
    code, out, err = provecfg("cells", "study.yaml")
    assert (code, out) == (ExitCode.USAGE, "")
    assert re.search(r"_ce\.py is not what .*\n  hint: provecfg generate", err)
    Path("study.yaml").write_text(made.format("another", 20_000))
    code, out, err = provecfg("cells", "study.yaml")
    assert (code, out) == (ExitCode.USAGE, "")
    assert re.search(r"_ce\.py is of another study than .*\n  hint: provecfg generate .* -o DIR", err)
    Path("study.yaml").write_text(made.format("mine", 40_000))
    assert provecfg("generate", "study.yaml")[0] == 0
    config = Path("generated/pspnet_r50_bdd10k_ce.py")
    text = config.read_text()
    for taken in (
        sealed(text.replace("Written by provecfg ", "Written by provecfg 1")),
        text + "randomness = dict(seed=7)\n",
    ):
        config.write_text(taken)
        assert provecfg("cells", "study.yaml")[0] == 0


@pytest.mark.parametrize("words", [("cells",), ("forecast",), ("submit", "--study-dir", "study", "--no-proof")])
def test_a_study_is_named_as_for_the_other_commands(words: tuple[str, ...], provecfg) -> None:
    code, _, err = provecfg(*words, "loss-study")
    assert code == ExitCode.USAGE
    assert err.endswith("_bdd10k_ce.py does not exist\n  hint: provecfg generate loss-study -o generated\n"), err
    code, out, err = provecfg(*words, "loss-study", "-o", PROJECT / "generated")
    assert code == 0, err
    assert "pspnet_r50_bdd10k_ce" in out or "24 cells" in out
    for other in ("compare", "plan --detect 1", " ".join(words)):
        code, _, err = provecfg(*other.split(), "loss-studdy")
        assert (code, err.splitlines()[0]) == (2, "error: unknown study 'loss-studdy'; did you mean 'loss-study'?")


@pytest.mark.parametrize(
    "words", [("cells",), ("submit", "--study-dir", "study"), ("submit", "--study-dir=s", "--print")]
)
def test_what_trains_nothing_is_named_and_nothing_is_written(words: tuple[str, ...], provecfg) -> None:
    Path("x.py").write_text("x = 1\n")
    Path("base.py").write_text("model = dict(type='EncoderDecoder')\noptim_wrapper = None\n")
    before = sorted(Path().iterdir())
    code, out, err = provecfg(*words, "x.py", CONFIG, "base.py")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err == (
        "error: not a training config:\n"
        f"  {Path('x.py').absolute()}: no model, train_dataloader, train_cfg, optim_wrapper\n"
        f"  {Path('base.py').absolute()}: no train_dataloader, train_cfg, optim_wrapper\n"
        "  hint: a base is no cell: name what inherits from it\n"
    )
    assert sorted(Path().iterdir()) == before
