from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provecfg.results.fairness import incomparable
from provecfg.results.runs import read_runs
from tests.results.simulated_study import Effects, SimulatedRun, study_of, write_study

Change = Callable[[SimulatedRun], None]
STUDY = study_of(models=2, seeds=2)


def reasons(folder: Path, change: Change) -> dict[str, str]:
    """Name of the work dir -> why it may not be compared, in a study of 2 models x 4 losses x 2 seeds."""
    work_dirs = write_study(folder, STUDY, Effects(), change)
    return {path.name: reason for path, reason in incomparable(read_runs(work_dirs, processes=1)).items()}


def replacing(name: str, old: str, new: str) -> Change:
    """Change the config of the runs whose name begins so."""

    def change(run: SimulatedRun) -> None:
        if run.name.startswith(name):
            assert old in run.config
            run.config = run.config.replace(old, new)

    return change


def test_cells_that_differ_in_their_study_alone_are_comparable(tmp_path: Path) -> None:
    assert reasons(tmp_path, lambda run: None) == {}


def test_seeds_names_places_and_resuming_are_no_difference(tmp_path: Path) -> None:
    def change(run: SimulatedRun) -> None:
        if run.cell["seed"] == 1:
            run.config = run.config.replace("resume = False", "resume = True").replace(
                "load_from = None", f"load_from = 'work_dirs/{run.name}/iter_4000.pth'"
            )
        run.config += f"experiment_name = '{run.name}_1'\n"
        if run.cell["loss"] == "focal":
            run.config = run.config.replace("{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}", "/scratch/bdd100k")

    assert reasons(tmp_path, change) == {}


def test_the_reference_itself_can_be_the_odd_one(tmp_path: Path) -> None:
    by_cell = reasons(tmp_path, replacing("pspnet_r50_bdd10k_ce", "batch_size=2", "batch_size=4"))
    assert set(by_cell) == {"pspnet_r50_bdd10k_ce_s0", "pspnet_r50_bdd10k_ce_s1"}
    assert {reason.partition(" in ")[2] for reason in by_cell.values()} == {
        "the batch: train_dataloader.batch_size: 2 -> 4"
    }


def test_a_seed_that_was_trained_otherwise_is_told_from_the_others(tmp_path: Path) -> None:
    by_cell = reasons(tmp_path, replacing("pspnet_r50_bdd10k_focal_s1", "lr=0.01", "lr=0.02"))
    assert list(by_cell) == ["pspnet_r50_bdd10k_focal_s1"]
    assert "optim_wrapper.optimizer.lr: 0.01 -> 0.02" in by_cell["pspnet_r50_bdd10k_focal_s1"]


def test_what_starts_from_other_weights_is_not_comparable(tmp_path: Path) -> None:
    by_cell = reasons(tmp_path, replacing("pspnet_r50_bdd10k_focal_s1", "load_from = None", "load_from = 'mine.pth'"))
    assert list(by_cell) == ["pspnet_r50_bdd10k_focal_s1"]


def test_two_cells_that_train_the_same_are_not_two(tmp_path: Path) -> None:
    texts = {}

    def change(run: SimulatedRun) -> None:
        texts[run.name] = run.config
        if run.name == "pspnet_r50_bdd10k_focal_s0":
            run.config = texts["pspnet_r50_bdd10k_ce_s0"]

    assert reasons(tmp_path, change) == {
        "pspnet_r50_bdd10k_focal_s0": "it trains the same as pspnet_r50_bdd10k_ce_s0, of which it is to be another cell"
    }


def test_a_run_that_does_not_say_what_it_trained_is_not_comparable(tmp_path: Path) -> None:
    def change(run: SimulatedRun) -> None:
        if run.name == "pspnet_r50_bdd10k_focal_s0":
            del run.record["config"]["cell"]

    assert reasons(tmp_path, change) == {"pspnet_r50_bdd10k_focal_s0": "nothing says which cell of a study it is"}
