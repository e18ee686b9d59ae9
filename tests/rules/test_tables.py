"""What the rules know by heart, against the installed packages."""

from __future__ import annotations

import inspect

import pytest

from provecfg.facts.data import DATASET_CLASSES
from provecfg.facts.metrics import GREATER, IOU_KEYS, IOU_METRICS, LESS
from provecfg.facts.model import OWN_LOSS_CALLS
from provecfg.registry import registry_for
from provecfg.rules.runtime.optimizer import PARAMWISE

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,  # imports mmseg
    pytest.mark.filterwarnings("ignore"),  # of mmseg and its dependencies, while they are imported
]


def test_datasets_have_the_classes_that_mmseg_gives_them() -> None:
    import mmseg.datasets as datasets

    theirs = {}
    reduced = set()
    for name, registered in vars(datasets).items():
        meta = getattr(registered, "METAINFO", None)
        if not inspect.isclass(registered) or not isinstance(meta, dict) or "classes" not in meta:
            continue
        theirs[name] = len(meta["classes"])
        parameter = inspect.signature(registered.__init__).parameters.get("reduce_zero_label")
        if parameter is not None and parameter.default is True:
            reduced.add(name)
    assert {name: count for name, count in theirs.items() if name in DATASET_CLASSES} == DATASET_CLASSES
    stated = {name: registry_for().find(name, "dataset").parameters for name in DATASET_CLASSES}  # type: ignore[union-attr]
    takes = {name: known["reduce_zero_label"] for name, known in stated.items() if "reduce_zero_label" in known}
    assert {name for name, parameter in takes.items() if parameter.default is True} == reduced
    assert set(theirs) - set(DATASET_CLASSES) <= {"NYUDataset"}  # depth


def test_heads_with_their_own_loss_calls_are_known_or_call_the_plain_one() -> None:
    import mmseg.models  # noqa: F401  # registers
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.registry import MODELS

    for name, registered in MODELS.module_dict.items():
        if (
            inspect.isclass(registered)
            and issubclass(registered, BaseDecodeHead)
            and "loss_by_feat" in vars(registered)
        ):
            calls_plain = "super().loss_by_feat" in inspect.getsource(registered.loss_by_feat)
            assert calls_plain or name in OWN_LOSS_CALLS, name


def test_every_head_with_its_own_loss_calls_exists() -> None:
    registry = registry_for()
    assert [name for name in OWN_LOSS_CALLS if registry.find(name, "model") is None] == []


def test_metrics_are_the_ones_that_iou_metric_gives() -> None:
    import torch
    from mmseg.evaluation import IoUMetric

    areas = [torch.ones(2)] * 4
    for metric, keys in IOU_METRICS.items():
        scores = IoUMetric.total_area_to_metrics(*areas, metrics=[metric])
        assert {key if key == "aAcc" else f"m{key}" for key in scores} == {"aAcc", *keys}
        assert set(keys) < set(IOU_KEYS)


def test_guesses_are_mmengines() -> None:
    from mmengine.hooks import CheckpointHook, EarlyStoppingHook

    for hook in (CheckpointHook, EarlyStoppingHook):
        assert set(hook._default_greater_keys) == set(GREATER)
        assert set(hook._default_less_keys) == set(LESS)


def test_the_constructor_of_optimizers_reads_every_key_of_paramwise_cfg() -> None:
    from mmengine.optim import DefaultOptimWrapperConstructor

    constructor = inspect.getsource(DefaultOptimWrapperConstructor)
    assert all(f"'{key}'" in constructor for key in PARAMWISE)
