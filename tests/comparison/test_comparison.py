from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from provecfg.comparison import Comparison, Status, compare, read_targets

PROJECT = Path(__file__).parents[2]
GENERATED = PROJECT / "generated"


@pytest.fixture
def compared(tmp_path: Path):
    """Compare texts, written to `a.py`, `b.py` and so on; `{PSPNET}` in them is the path of a generated config."""

    def of(*texts: str, declared: tuple[str, ...] = ()) -> list[Comparison]:
        names = []
        for name, text in zip("abcdefgh", texts, strict=False):
            (tmp_path / f"{name}.py").write_text(text.replace("{PSPNET}", str(GENERATED / "pspnet_r50_bdd10k_ce.py")))
            names.append(f"{name}.py")
        configs, problems = read_targets(names, tmp_path)
        assert problems == []
        return compare(configs, declared)

    return of


def differing(comparison: Comparison) -> list[tuple[str, str]]:
    return [
        (explained.difference.key, explained.status.value)
        for explained in comparison.differences
        if explained.status is not Status.RECORD
    ]


def codes(comparison: Comparison) -> list[str]:
    return [finding.code for finding in comparison.findings]


HEAD = (
    "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', in_channels=8, channels=8, num_classes=4{}))"
)
BOUNDARY = "dict(type='SegBoundaryLoss', per_class=False, loss_weight=0.3, loss_name='loss_boundary')"
CHILD = "_base_ = '{PSPNET}'\n"


# Forms that train alike


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            "", ", loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)", id="default"
        ),
        pytest.param(", loss_decode=dict(type='DiceLoss')", ", loss_decode=[dict(type='DiceLoss')]", id="list of one"),
        pytest.param(", loss_decode=dict(type='DiceLoss')", ", loss_decode=dict(type='mmseg.DiceLoss')", id="scope"),
        pytest.param(", in_index=[0, 1]", ", in_index=(0, 1)", id="tuple"),
        pytest.param(", dropout_ratio=0.1, num_convs=2", ", num_convs=2", id="default among others"),
        pytest.param(
            ", loss_decode=[dict(type='DiceLoss'), dict(type='CrossEntropyLoss')]",
            ", loss_decode=[dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]",
            id="order of losses",
        ),
        pytest.param(
            ", norm_cfg=dict(type='BN')", ", norm_cfg=dict(type='BN', requires_grad=True)", id="default of a builder"
        ),
    ],
)
def test_what_is_said_in_other_words_is_no_difference(compared, first: str, second: str) -> None:
    (comparison,) = compared(HEAD.format(first), HEAD.format(second))
    assert differing(comparison) == []
    assert codes(comparison) == []


def test_hooks_that_mmengine_adds_by_itself_are_no_difference(compared) -> None:
    saving = "dict(type='CheckpointHook', interval=1)"
    hooks = f"default_hooks = dict(timer=dict(type='IterTimerHook'), checkpoint={saving})\n"
    (comparison,) = compared("", hooks + "param_scheduler = None\nrandomness = dict(seed=None)\nresume = False\n")
    assert differing(comparison) == []


def test_a_checkpoint_hook_without_interval_never_saves_and_mmengines_does(compared) -> None:
    (comparison,) = compared("", "default_hooks = dict(checkpoint=dict(type='CheckpointHook'))\n")
    assert differing(comparison) == [("default_hooks.checkpoint.interval", "declared")]


def test_a_hook_that_is_left_out_is_a_difference(compared) -> None:
    (comparison,) = compared("", "default_hooks = dict(checkpoint=None)\n")
    assert differing(comparison) == [("default_hooks.checkpoint", "declared")]


def test_a_data_preprocessor_at_the_top_level_is_the_models(compared) -> None:
    inside = "model = dict(type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64)))\n"
    outside = "model = dict(type='EncoderDecoder')\n"
    (comparison,) = compared(inside, outside + "data_preprocessor = dict(type='SegDataPreProcessor', size=(64, 64))\n")
    assert differing(comparison) == []


@pytest.mark.parametrize(
    ("segmentor", "backbone"), [("pretrained='a.pth', ", ""), ("", ", pretrained='a.pth'")], ids=["model", "backbone"]
)
def test_pretrained_is_the_weights_that_the_backbone_starts_from(compared, segmentor: str, backbone: str) -> None:
    text = "model = dict({}type='EncoderDecoder', backbone=dict(type='ResNetV1c', depth=50{}))\n"
    start = ", init_cfg=dict(type='Pretrained', checkpoint='{}.pth')"
    comparisons = compared(
        text.format(segmentor, backbone), text.format("", start.format("a")), text.format("", start.format("b"))
    )
    assert [differing(comparison) for comparison in comparisons] == [
        [],
        [("model.backbone.init_cfg.checkpoint", "declared")],
    ]


def test_variables_that_nothing_reads_are_left_out(compared) -> None:
    (comparison,) = compared("scale = 8\n" + HEAD.format("").replace("channels=8,", "channels=scale,"), HEAD.format(""))
    assert differing(comparison) == []


def test_a_config_equals_one_that_says_the_same_in_its_own_way(compared) -> None:
    (comparison,) = compared(
        CHILD,
        CHILD
        + "optim_wrapper = dict(_delete_=True, optimizer=dict(type='SGD', momentum=9e-1, weight_decay=5e-4, lr=1e-2))\n"
        + "model = dict(decode_head=dict(dropout_ratio=0.1), auxiliary_head=dict(type='mmseg.FCNHead'))\n",
    )
    assert differing(comparison) == []


def test_a_tuple_is_one_scale_and_a_list_several(compared) -> None:
    loader = "train_dataloader = dict(dataset=dict(pipeline=[dict(type='RandomChoiceResize', scales={})]))\n"
    (comparison,) = compared(loader.format("(640, 320)"), loader.format("[640, 320]"))
    assert differing(comparison) == [("train_dataloader.dataset.pipeline[0].scales", "declared")]


def test_true_is_not_one(compared) -> None:
    (comparison,) = compared(HEAD.format(", concat_input=True"), HEAD.format(", concat_input=1"))
    assert [key for key, _ in differing(comparison)] == ["model.decode_head.concat_input"]


# One factor, or several


@pytest.mark.parametrize(
    ("change", "factor"),
    [
        ("optim_wrapper = dict(optimizer=dict(lr=0.02))\n", "optimizer"),
        ("randomness = dict(seed=1)\n", "seed"),
        ("train_dataloader = dict(batch_size=4)\n", "batch"),
        ("model = dict(backbone=dict(depth=101))\n", "model"),
        ("model = dict(backbone=dict(init_cfg=dict(checkpoint='other.pth')))\n", "weights"),
        ("model = dict(data_preprocessor=dict(size=(256, 256)))\n", "strategy"),
        ("train_dataloader = dict(dataset=dict(data_root='elsewhere'))\n", "dataset"),
        ("custom_hooks = []\n", "stopping"),
        ("custom_hooks = [dict(type='EMAHook'), *_base_.custom_hooks]\n", "hooks"),
        ("val_evaluator = dict(iou_metrics=['mDice'])\n", "evaluation"),
        ("param_scheduler = [dict(type='PolyLR', eta_min=0, power=1.0, end=80000, by_epoch=False)]\n", "schedule"),
        ("model = dict(decode_head=dict(loss_decode=[dict(type='DiceLoss')]))\n", "loss"),
        ("model = dict(decode_head=dict(sampler=dict(type='OHEMPixelSampler')))\n", "loss"),
    ],
)
def test_one_factor_that_explains_everything_is_fair(compared, change: str, factor: str) -> None:
    (comparison,) = compared(CHILD, CHILD + change)
    assert (comparison.declared, codes(comparison)) == (factor, [])


def test_keeping_the_counts_is_no_part_of_what_is_trained(compared) -> None:
    (comparison,) = compared(CHILD, CHILD + "custom_hooks = [*_base_.custom_hooks[:2]]\n")
    assert differing(comparison) == []
    assert (comparison.declared, codes(comparison)) == (None, [])


def test_two_factors_are_not(compared) -> None:
    (comparison,) = compared(
        CHILD,
        CHILD + "model = dict(decode_head=dict(loss_decode=[dict(type='DiceLoss')]))\n"
        "optim_wrapper = dict(optimizer=dict(lr=0.02))\n",
    )
    (finding,) = comparison.findings
    assert finding.code == "PROOF101"
    assert finding.message.startswith("a.py and b.py differ in the loss and the optimizer: the comparison cannot tell")


def test_two_factors_that_are_both_declared_are(compared) -> None:
    change = "randomness = dict(seed=1)\noptim_wrapper = dict(optimizer=dict(lr=0.02))\n"
    (comparison,) = compared(CHILD, CHILD + change, declared=("seed", "optimizer"))
    assert codes(comparison) == []
    (comparison,) = compared(CHILD, CHILD + change, declared=("seed",))
    (finding,) = comparison.findings
    assert (finding.code, finding.key) == ("PROOF100", "optim_wrapper.optimizer.lr")
    assert finding.span is not None
    assert finding.span.row == 3


def test_what_follows_from_the_length_of_the_run_is_derived(compared) -> None:
    (comparison,) = compared(
        CHILD,
        CHILD + "train_cfg = dict(max_iters=40000)\n"
        "param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=40000, by_epoch=False)]\n",
    )
    assert comparison.declared == "schedule"
    assert codes(comparison) == []


def test_a_schedule_that_ends_elsewhere_does_not_follow_from_the_model(compared) -> None:
    scheduler = "param_scheduler = [dict(type='PolyLR', eta_min={}, power=0.9, begin=0, end={}, by_epoch=False)]\n"
    other_model = CHILD + "model = dict(backbone=dict(depth=101))\n"
    (comparison,) = compared(CHILD, other_model + scheduler.format(0.0, 80000), declared=("model",))
    assert codes(comparison) == []
    (comparison,) = compared(CHILD, other_model + scheduler.format(0.0, 160000), declared=("model",))
    assert [finding.key for finding in comparison.findings] == ["param_scheduler[0].end"]


def test_an_import_is_explained_by_the_class_that_it_registers_and_not_otherwise(compared) -> None:
    loss = "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', loss_decode=[dict(type={})]))\n"
    plain, plugin = loss.format("'DiceLoss'"), "custom_imports = dict(imports=['provecfg.plugin'])\n"
    (comparison,) = compared(plain, plugin + loss.format("'SoftmaxFocalLoss'"))
    reasons = [
        explained.reason
        for explained in comparison.differences
        if explained.difference.key.startswith("custom_imports")
    ]
    assert reasons == ["provecfg.plugin registers SoftmaxFocalLoss"]
    assert codes(comparison) == []
    (comparison,) = compared(plain, plugin + loss.format("'DiceLoss', eps=0.1"))
    assert codes(comparison) == ["PROOF101"]


def test_equal_configs_that_are_to_differ_are_found(compared) -> None:
    (comparison,) = compared(CHILD, CHILD + "work_dir = 'elsewhere'\n", declared=("loss",))
    assert codes(comparison) == ["PROOF102"]
    (comparison,) = compared(CHILD, CHILD)
    assert codes(comparison) == []


def test_a_value_that_cannot_be_known_is_said_not_to_be_compared(compared) -> None:
    (comparison,) = compared(CHILD, "import os\n" + CHILD + "randomness = dict(seed=int(os.environ['N']))\n")
    (finding,) = comparison.findings
    assert (finding.code, str(finding.severity), finding.key) == ("PROOF103", "note", "randomness.seed")


def test_more_than_two_are_compared_with_the_first(compared) -> None:
    comparisons = compared(CHILD, CHILD + "randomness = dict(seed=1)\n", CHILD + "randomness = dict(seed=2)\n")
    assert [(comparison.before.name, comparison.after.name, comparison.declared) for comparison in comparisons] == [
        ("a.py", "b.py", "seed"),
        ("a.py", "c.py", "seed"),
    ]


# Cells of a study


@pytest.fixture
def study(tmp_path: Path):
    """Copies of one model's generated configs, one of them edited, compared along the study's axes."""

    def of(model: str = "pspnet_r50", **edits: tuple[str, str]) -> list[Comparison]:
        for path in GENERATED.glob(f"{model}_*.py"):
            text = path.read_text()
            old, new = edits.get(path.stem.rpartition("_")[2], ("", ""))
            assert old in text
            (tmp_path / path.name).write_text(text.replace(old, new) if old else text)
        configs, _ = read_targets(["."], tmp_path)
        return compare(configs)

    return of


def test_the_24_differ_in_their_axes_and_in_nothing_else_in_three_seconds() -> None:
    start = time.process_time()
    configs, problems = read_targets(["generated"], PROJECT)
    comparisons = compare(configs)
    assert time.process_time() - start < 3
    assert (len(configs), problems) == (24, [])
    along = [comparison.declared for comparison in comparisons]
    assert (along.count("loss"), along.count("model"), len(along)) == (18, 20, 38)
    assert [finding.message for comparison in comparisons for finding in comparison.findings] == []


@pytest.mark.parametrize("name", ["loss-study", "production", "improvements"])
def test_the_studies_that_come_with_provecfg_compare_fairly(name: str) -> None:
    configs, problems = read_targets([name], PROJECT)
    comparisons = compare(configs)
    assert problems == []
    assert len(comparisons) >= len(configs) - 1
    assert [finding.message for comparison in comparisons for finding in comparison.findings] == []


def test_a_study_file_is_compared_along_all_its_axes(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "name: s\nmodels: [pspnet_r50]\ndatasets: [bdd10k, cityscapes]\n"
        "seeds: [1, 2]\nlosses: {auxiliary: [none, dice]}\n"
    )
    configs, _ = read_targets(["study.yaml"], tmp_path)
    comparisons = compare(configs)
    assert len(configs) == 8
    assert {comparison.declared for comparison in comparisons} == {"dataset", "seed", "loss"}
    assert len(comparisons) == 12
    assert [finding.message for comparison in comparisons for finding in comparison.findings] == []
    assert {comparison.declared for comparison in compare(configs, ["seed"])} == {"seed"}


def test_a_study_is_compared_without_a_file_of_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text("name: s\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none, dice]}\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    configs, problems = read_targets(["study.yaml"], tmp_path)
    assert (len(configs), problems) == (2, [])
    assert {config.view.path.parent for config in configs} == {tmp_path}
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("lr=0.01", "lr=0.02", "optim_wrapper.optimizer.lr"),
        ("seed=42", "seed=43", "randomness.seed"),
        ("crop_size=(512, 512)", "crop_size=(512, 256)", "train_dataloader.dataset.pipeline[3].crop_size"),
        ("batch_size=2", "batch_size=4", "train_dataloader.batch_size"),
        ("resnet50_v1c", "resnet50", "model.backbone.init_cfg.checkpoint"),
        ("end=80000", "end=160000", "param_scheduler[0].end"),
        ("patience=5", "patience=50", "custom_hooks[1].patience"),
        ("prob=0.5", "prob=0.0", "train_dataloader.dataset.pipeline[4].prob"),
        ("avg_non_ignore=True, loss_weight=1.0", "loss_weight=1.0", "model.decode_head.loss_decode[0].avg_non_ignore"),
    ],
)
def test_an_edit_of_one_cell_that_is_no_auxiliary_loss_is_found(study, old: str, new: str, key: str) -> None:
    findings = [finding for comparison in study(focal=(old, new)) for finding in comparison.findings]
    assert [(finding.code, finding.key, finding.filename.name) for finding in findings] == [
        ("PROOF100", key, "pspnet_r50_bdd10k_focal.py")
    ]


def test_a_difference_in_the_record_is_none(study) -> None:
    comparisons = study(focal=("num_workers=4", "num_workers=8"))
    assert [codes(comparison) for comparison in comparisons] == [[], [], []]


def test_a_cell_without_the_loss_that_it_is_named_for_is_found(study) -> None:
    equal = "dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=1.0)"
    ce, comparisons = "segformer_mit-b3_bdd10k_ce.py", study("segformer_mit-b3", ce=(equal, f"{equal},\n{BOUNDARY}"))
    codes_by_loss = {
        comparison.after.coordinates["loss"]: codes(comparison)
        for comparison in comparisons
        if comparison.before.name == ce
    }
    assert codes_by_loss == {"boundary": ["PROOF102"], "focal": [], "lovasz": []}


def test_the_auxiliary_heads_loss_follows_from_the_decode_heads(study) -> None:
    comparison = next(cell for cell in study() if cell.after.coordinates["loss"] == "focal")
    assert differing(comparison) == [
        ("model.decode_head.loss_decode[1]", "declared"),
        ("model.auxiliary_head.loss_decode[1]", "derived"),
    ]


def test_a_cell_is_one_by_any_name(tmp_path: Path) -> None:
    for name, new in (("ce", "a.py"), ("focal", "b.py")):
        (tmp_path / new).write_text((GENERATED / f"pspnet_r50_bdd10k_{name}.py").read_text())
    configs, _ = read_targets(["."], tmp_path)
    (comparison,) = compare(configs)
    assert (comparison.declared, comparison.was_declared, codes(comparison)) == ("loss", True, [])
    assert configs[1].coordinates == {
        "model": "pspnet_r50",
        "dataset": "bdd10k",
        "strategy": "baseline",
        "loss": "focal",
        "seed": "42",
    }


def test_a_child_of_a_cell_is_none(tmp_path: Path) -> None:
    (tmp_path / "pspnet_r50_bdd10k_ce.py").write_text(
        CHILD.replace("{PSPNET}", str(GENERATED / "pspnet_r50_bdd10k_ce.py"))
    )
    ((config,), _) = read_targets(["."], tmp_path)
    assert (config.study, config.coordinates) == ("", {})
