"""Early stopping and the best checkpoint: what the proof says of configs that are right and wrong."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from provecfg.findings import Severity
from provecfg.proof.built import Built
from provecfg.proof.section import Section
from provecfg.proof.stopping import check as early_stopping
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

PROJECT = Path(__file__).parents[3]

# Ten validations, one every 2000 iterations; early stopping after three without progress.
CONFIG = """
default_scope = 'mmseg'
val_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler'), dataset=dict(type='CityscapesDataset'))
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2000, save_best='mIoU', max_keep_ckpts=2))
custom_hooks = [dict(type='ResumableEarlyStoppingHook', monitor='mIoU', rule='greater', patience=3, min_delta=0.1)]
"""

Prove = Callable[..., Section]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Prove the config above with lines added to it, or with texts replaced."""

    def proved(addition: str = "", **replaced: str) -> Section:
        text = CONFIG + addition
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        return _proved(Config.fromstring(text, ".py"), tmp_path)

    return proved


def _proved(config: Config, work_dir: Path) -> Section:
    importlib.import_module("mmseg.datasets")
    return early_stopping.check(Subject(Path("config.py"), config, "cpu", None, work_dir), Built.nothing())


def hook(**arguments: object) -> str:
    settings = {"type": "ResumableEarlyStoppingHook", "monitor": "mIoU", "rule": "greater", "patience": 3, **arguments}
    return f"custom_hooks = [{settings!r}]\n"


def saver(**arguments: object) -> str:
    settings = {"type": "CheckpointHook", "by_epoch": False, "interval": 2000, "save_best": "mIoU", **arguments}
    return f"default_hooks = dict(checkpoint={settings!r})\n"


def found(section: Section, least: Severity = Severity.WARNING) -> list[tuple[str, str]]:
    """Code and key of what is wrong, notes left out."""
    wanted = (Severity.ERROR, Severity.WARNING, Severity.NOTE)[: 3 if least is Severity.NOTE else 2]
    return [(finding.problem.code, finding.key) for finding in section.findings if finding.problem.severity in wanted]


def histories(section: Section) -> dict[str, dict]:
    (lives,) = section.evidence["histories"].values()
    return lives


def test_a_good_config_is_proved_with_its_histories(prove: Prove) -> None:
    section = prove()
    assert section.findings == ()
    assert section.is_proved
    assert section.lines == (
        "the evaluator returns aAcc (10.21 to 100), mIoU (5.38 to 100), mAcc (10.21 to 100), poor to perfect",
        "flat: stops at iteration 8000, after 3 validations without progress; "
        "best checkpoint best_mIoU_iter_2000.pth kept",
        "getting worse: stops at iteration 8000, after 3 validations without progress; "
        "best checkpoint best_mIoU_iter_2000.pth kept",
        "improving by more than min_delta: goes on to iteration 20000; best checkpoint best_mIoU_iter_20000.pth kept",
        "improving by less than min_delta: stops at iteration 8000, after 3 validations without progress; "
        "best checkpoint best_mIoU_iter_8000.pth kept",
        "NaN: stops at iteration 6000, at the NaN; best checkpoint best_mIoU_iter_4000.pth kept",
        "recovering: stops at iteration 14000, after 3 validations without progress; "
        "best checkpoint best_mIoU_iter_8000.pth kept",
        "flat, killed and resumed: goes on from iter_4000.pth, stops at iteration 8000, "
        "after 3 validations without progress; best checkpoint best_mIoU_iter_2000.pth kept",
    )


def test_the_evidence_holds_what_was_seen(prove: Prove) -> None:
    evidence = prove().evidence
    assert evidence["validations"] == list(range(2000, 20001, 2000))
    assert evidence["metrics"]["mIoU"] == {"perfect": 100.0, "poor": 5.38}
    assert evidence["histories"]["custom_hooks[0]"]["flat"] == {
        "validations": [2000, 4000, 6000, 8000],
        "ended": 8000,
        "stopped": True,
        "waits": [0, 1, 2, 3],
        "checkpoints": {"best_mIoU_iter_2000.pth": 2000, "iter_6000.pth": 6000, "iter_8000.pth": 8000},
        "resumed_from": None,
    }


@pytest.mark.parametrize("name", ["segformer_mit-b3_bdd10k_ce", "mask2former_swin-b_bdd10k_focal"])
def test_a_generated_config_is_proved(tmp_path: Path, name: str) -> None:
    config = Config.fromfile(str(PROJECT / "generated" / f"{name}.py"), import_custom_modules=False)
    section = _proved(config, tmp_path)
    assert section.findings == ()
    flat = histories(section)["flat"]
    assert (flat["ended"], flat["waits"]) == (30000, [0, 1, 2, 3, 4, 5])
    assert flat["checkpoints"]["best_val_mIoU_iter_5000.pth"] == 5000


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ("val_evaluator = dict(type='IoUMetric', iou_metrics=['IoU'])", ("PROOF060", "val_evaluator")),
        ("val_evaluator = [dict(type='IoUMetric'), dict(type='IoUMetric')]", ("PROOF060", "val_evaluator")),
        (hook(monitor="val/mIoU"), ("PROOF061", "custom_hooks[0].monitor")),
        (hook(monitor="mDice"), ("PROOF061", "custom_hooks[0].monitor")),
        (saver(save_best="val/mIoU"), ("PROOF062", "default_hooks.checkpoint.save_best")),
        (saver(save_best=["mIoU", "mDice"]), ("PROOF062", "default_hooks.checkpoint.save_best[1]")),
        (hook(rule="less"), ("PROOF063", "custom_hooks[0].rule")),
        (saver(rule="less"), ("PROOF063", "default_hooks.checkpoint.rule")),
        (hook(stopping_threshold=0.8), ("PROOF064", "custom_hooks[0].stopping_threshold")),
        (hook(stopping_threshold=101), ("PROOF065", "custom_hooks[0].stopping_threshold")),
        (hook(min_delta=0.0005), ("PROOF066", "custom_hooks[0].min_delta")),
        (hook(min_delta=20), ("PROOF066", "custom_hooks[0].min_delta")),
        (hook(min_delta=-0.1), ("PROOF067", "custom_hooks[0].min_delta")),
        (hook(patience=0), ("PROOF069", "custom_hooks[0].patience")),
        (hook(patience=9), ("PROOF070", "custom_hooks[0].patience")),
        (saver(save_best="auto"), ("PROOF074", "default_hooks.checkpoint.save_best")),
        (saver(by_epoch=True), ("PROOF075", "default_hooks.checkpoint.by_epoch")),
        (saver(save_best=None, max_keep_ckpts=2), ("PROOF076", "default_hooks.checkpoint")),
        (saver(max_keep_ckpt=2), ("PROOF077", "default_hooks.checkpoint.max_keep_ckpt")),
        (hook(rule="max"), ("PROOF077", "custom_hooks[0]")),
        (hook(patience="3"), ("PROOF077", "custom_hooks[0]")),
    ],
)
def test_a_mistake_is_found_where_it_is(prove: Prove, mistake: str, expected: tuple[str, str]) -> None:
    assert found(prove(mistake)) == [expected]


@pytest.mark.parametrize(
    "fine",
    [
        hook(patience=8),
        hook(patience=1),
        hook(stopping_threshold=80.0),
        hook(min_delta=0.02),
        hook(min_delta=5),
        hook(check_finite=False),
        hook(strict=True),
        hook(type="EarlyStoppingHook"),
        hook(monitor="mDice") + "val_evaluator = dict(type='IoUMetric', iou_metrics=['mDice', 'mIoU'])\n",
        "custom_hooks = []\n",
        saver(save_best=None) + "custom_hooks = []\n",
        saver(save_best=None),  # every checkpoint is kept
        saver(save_best=["mIoU", "aAcc"], rule="greater"),
        saver(interval=20000),
        saver(out_dir="s3://bucket/runs", backend_args={"backend": "petrel"}),
        saver(published_keys=["meta", "state_dict"]),
        "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20)\n" + saver(by_epoch=True, interval=1),
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2, val_begin=10)\n",
        "train_cfg = dict(by_epoch=False, max_iters=20000, val_interval=4000, dynamic_intervals=[(9000, 500)])\n",
    ],
)
def test_what_is_unusual_and_right_is_no_finding(prove: Prove, fine: str) -> None:
    assert found(prove(fine)) == []


def test_without_validation_nothing_can_stop_nor_be_best(prove: Prove) -> None:
    expected = [("PROOF071", "custom_hooks[0]"), ("PROOF078", "default_hooks.checkpoint.save_best")]
    late = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000, val_begin=50000)\n"
    none = "val_cfg = None\nval_dataloader = None\nval_evaluator = None\n"
    assert found(prove(late)) == found(prove(none)) == expected


def test_a_metric_that_stands_still_and_counts_as_progress_is_noted(prove: Prove) -> None:
    section = prove(hook(min_delta=0))
    assert found(section) == []
    assert found(section, Severity.NOTE) == [("PROOF068", "custom_hooks[0].min_delta")]
    assert not histories(section)["flat"]["stopped"]
    assert histories(section)["getting worse"]["ended"] == 8000


def test_a_hook_that_forgets_on_resume_is_a_finding_where_the_config_resumes(prove: Prove) -> None:
    section = prove(hook(type="EarlyStoppingHook") + "resume = True\n")
    assert found(section) == [("PROOF072", "resume")]
    assert section.findings[0].message == (
        "a run with a flat 'mIoU' that is killed after iteration 4000 and resumed stops at iteration 12000, "
        "and one in a piece at 8000"
    )
    assert found(prove(hook(type="EarlyStoppingHook")), Severity.NOTE) == [("PROOF073", "custom_hooks[0]")]
    assert found(prove("resume = True\n"), Severity.NOTE) == []


def test_what_a_threshold_as_a_fraction_leads_to_is_shown(prove: Prove) -> None:
    section = prove(hook(stopping_threshold=0.8))
    assert section.lines[-1] == ("improving: stops at iteration 2000; best checkpoint best_mIoU_iter_2000.pth kept")
    assert section.findings[0].hint == "write 80"


def test_an_evaluator_of_another_kind_is_not_judged_and_writes_nothing_where_it_would(
    prove: Prove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    section = prove("val_evaluator = dict(type='DumpResults', out_file_path='x.pkl')\n" + hook(monitor="val/anything"))
    assert "metrics" in section.evidence or "evaluator_not_judged" in section.evidence
    assert list(here.iterdir()) == []


def test_depth_is_judged_by_its_own_metrics(prove: Prove) -> None:
    depth = "val_evaluator = dict(type='DepthMetric')\n" + saver(save_best="rmse", rule="less")
    assert found(prove(depth + hook(monitor="rmse", rule="less", min_delta=0.01))) == []
    assert found(prove(depth + hook(monitor="rmse", rule="greater", min_delta=0.01))) == [
        ("PROOF063", "custom_hooks[0].rule")
    ]
    # A tenth of d1, which counts to 1, is more than a run gains in most validations.
    assert found(prove(depth + hook(monitor="d1", min_delta=0.2))) == [("PROOF066", "custom_hooks[0].min_delta")]


def test_predictions_are_not_written_where_the_config_says(prove: Prove, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    prove(f"val_evaluator = dict(type='IoUMetric', output_dir={str(folder)!r})\n")
    assert not folder.exists()


def test_a_config_that_does_not_train_is_not_judged(tmp_path: Path) -> None:
    assert _proved(Config({"default_scope": "mmseg"}), tmp_path).not_judged == "the config does not train"


def test_a_loop_that_fails_is_another_checks_subject(prove: Prove) -> None:
    section = prove("train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=0)\n")
    assert section.not_judged == "the training loop fails by itself: ZeroDivisionError: integer modulo by zero"
