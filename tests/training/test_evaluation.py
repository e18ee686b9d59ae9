"""A tiny segmentor on drawn scenes, evaluated once more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from provecfg.catalog.datasets import DATASETS
from provecfg.counts.counts_file import read_counts
from provecfg.data.scenes import Drawing, smoke_data_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning"),  # NumPy's, of absent classes
]

Command = Callable[..., tuple[int, str, str]]

CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[127] * 3, std=[60] * 3, bgr_to_rgb=True, size=(54, 96)),
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4, num_stages=1, strides=(1,), dilations=(1,),
                  out_indices=(0,), norm_cfg=dict(type='SyncBN')),
    decode_head=dict(type='FCNHead', in_channels=4, channels=4, num_convs=0, concat_input=False, num_classes=19,
                     loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'),
)
pipeline = [dict(type='LoadImageFromFile'){load}, dict(type='PackSegInputs')]
dataset = dict(type='BDD100KDataset', data_root='{root}', pipeline=pipeline,
               data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
test_dataloader = dict(val_dataloader)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], prefix='val')
work_dir = '{work_dir}'
"""
LABELS = ", dict(type='LoadAnnotations')"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with a checkpoint of random weights in its work dir."""
    return write(tmp_path, LABELS)


def write(folder: Path, load: str) -> Path:
    path, work_dir = folder / "tiny.py", folder / "work"
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=1, val=3, width=96, height=54))
    path.write_text(CONFIG.replace("{root}", str(root)).replace("{work_dir}", str(work_dir)).replace("{load}", load))
    from mmengine.config import Config

    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(Config.fromfile(str(path), import_custom_modules=False).model)
    work_dir.mkdir()
    torch.save({"state_dict": model.state_dict(), "meta": {}}, work_dir / "iter_40.pth")
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_40.pth"))
    return path


def test_a_checkpoint_is_counted_once(config: Path, provecfg: Command) -> None:
    arguments = ("eval", config, "--checkpoint", "last", "--device", "cpu", "--output-format", "json")
    code, out, err = provecfg(*arguments)
    assert code == 0, err
    (row,) = json.loads(out)
    assert row["is_new"] is True
    counts = read_counts(Path(row["counts"]))
    assert Path(row["counts"]).name == "eval_val_iter_40.npz"
    assert counts.num_images == 3
    assert counts.totals[:, 2].sum() <= 3 * 54 * 96
    assert counts.occasion.iteration == 40
    weights = torch.load(config.parent / "work" / "iter_40.pth", weights_only=True)["state_dict"]
    assert counts.occasion.parameters == sum(
        values.numel() for name, values in weights.items() if not re.search(r"running_|num_batches", name)
    )
    # The last convolution alone: 4 channels to 19 at a quarter of the size, a multiplication and an addition each.
    assert counts.occasion.operations is not None
    assert counts.occasion.operations > 2 * 4 * 19 * (54 // 4) * (96 // 4)
    assert row["metrics"]["val/mIoU"] == counts.occasion.metrics["val/mIoU"]
    first_image = counts.subset(np.array([True, False, False]))
    assert first_image.confusion.sum() > 0, "confusion is kept for each image"
    assert {path.name for path in Path(row["counts"]).parents[1].iterdir()} == {
        "counts",
        "iter_40.pth",
        "last_checkpoint",
    }
    (again,) = json.loads(provecfg(*arguments)[1])
    assert again == {**row, "is_new": False}
    torch.save({"state_dict": {}, "meta": {"other": 1}}, config.parent / "work" / "iter_40.pth")
    (other,) = json.loads(provecfg(*arguments)[1])
    assert other["is_new"] is True, "other weights under the same name"


def test_a_test_set_without_labels_gives_predictions(tmp_path: Path, provecfg: Command) -> None:
    config, folder = write(tmp_path, ""), tmp_path / "predictions"
    arguments = ("eval", config, "--checkpoint", "last", "--device", "cpu", "--split", "test")
    code, _, err = provecfg(*arguments)
    assert code == 2
    assert "the test split has no labels, so nothing can be counted" in err
    code, out, err = provecfg(*arguments, "--save-predictions", folder)
    assert code == 0, err
    assert out.strip().endswith("iter_40.pth: predictions")
    assert len(list(folder.glob("*.png"))) == 3


def counted(provecfg: Command, config: Path, *more: object) -> dict[str, Any]:
    """What `provecfg eval` says of the only checkpoint."""
    words = ("eval", config, "--checkpoint", "last", "--device", "cpu", "--output-format", "json", *more)
    code, out, err = provecfg(*words)
    assert code == 0, err
    (row,) = json.loads(out)
    return row


def rewrite(config: Path, *changes: tuple[str, str]) -> None:
    text = config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)


def test_a_dataset_of_files_wherever_they_are_is_counted(config: Path, provecfg: Command) -> None:
    there = counted(provecfg, config)
    classes = DATASETS["bdd10k"].classes
    rewrite(
        config,
        ("type='LoadAnnotations'", "type='LoadEncodedAnnotations'"),
        ("type='BDD100KDataset'", f"type='PairedFilesDataset', metainfo=dict(classes={classes})"),
        (
            "data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')",
            "images='images/10k/val/*.jpg', labels='labels/sem_seg/masks/val/*.png'",
        ),
    )
    row = counted(provecfg, config)
    assert (row["is_new"], row["metrics"]) == (True, there["metrics"])


def test_what_the_runner_gives_the_model_is_given_here_too(config: Path, provecfg: Command) -> None:
    there = counted(provecfg, config)
    preprocessor = re.search(r"    data_preprocessor=(dict\(.*\)),\n", config.read_text())
    assert preprocessor is not None
    rewrite(config, (preprocessor[0], ""), ("model = dict(", f"data_preprocessor = {preprocessor[1]}\nmodel = dict("))
    row = counted(provecfg, config)
    assert (row["is_new"], row["metrics"]) == (True, there["metrics"])


def test_other_data_is_counted_anew_in_wrappers_too(config: Path, provecfg: Command) -> None:
    assert counted(provecfg, config)["is_new"]
    other = smoke_data_for(DATASETS["bdd10k"], Drawing(train=1, val=2, width=96, height=54))
    row = counted(provecfg, config, "--data-root", other)
    assert (row["is_new"], read_counts(Path(row["counts"])).num_images) == (True, 2)
    assert not counted(provecfg, config, "--data-root", other)["is_new"]
    wrapped = "dataset=dict(type='ConcatDataset', datasets=[dataset]))\ntest_dataloader"
    rewrite(config, ("dataset=dataset)\ntest_dataloader", wrapped))
    row = counted(provecfg, config, "--data-root", other)
    assert (row["is_new"], read_counts(Path(row["counts"])).num_images) == (True, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "best"], r"work has no best_\*\.pth"),
        (["--checkpoint", "nowhere.pth"], "--checkpoint nowhere.pth: there is no such file"),
        (["--checkpoint", "last", "--dataset", "cityscape"], "unknown dataset 'cityscape'; did you mean 'cityscapes'"),
    ],
)
def test_what_is_not_there_is_named(arguments: list[str], message: str, config: Path, provecfg: Command) -> None:
    code, _, err = provecfg("eval", config, "--device", "cpu", *arguments)
    assert code == 2
    assert re.search(message, err)


def test_a_checkpoint_that_runs_code_is_refused(config: Path, provecfg: Command) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("executed",))

    torch.save({"state_dict": {}, "meta": Canary()}, config.parent / "work" / "iter_40.pth")
    code, out, err = provecfg("eval", config, "--device", "cpu", "--checkpoint", "last")
    assert code == 1
    assert "executed" not in out + err
    assert "iter_40.pth" in err


def test_another_dataset_has_to_have_the_same_classes(config: Path, provecfg: Command) -> None:
    text = config.read_text()
    config.write_text(text.replace("pipeline=pipeline,", "pipeline=pipeline, metainfo=dict(classes=('a', 'b')),"))
    code, _, err = provecfg("eval", config, "--device", "cpu", "--checkpoint", "last", "--dataset", "cityscapes")
    assert code == 2
    assert "tells 2 classes apart, which are not the 19 of cityscapes" in err


def test_another_dataset_of_the_same_classes_is_counted(config: Path, provecfg: Command) -> None:
    root = smoke_data_for(DATASETS["cityscapes"], Drawing(train=1, val=2, width=96, height=54))
    code, out, err = provecfg(
        *("eval", config, "--device", "cpu", "--checkpoint", "last", "--dataset", "cityscapes"),
        *("--data-root", root, "--output-format", "json"),
    )
    assert code == 0, err
    (row,) = json.loads(out)
    counts = read_counts(Path(row["counts"]))
    assert Path(row["counts"]).name == "eval_val_cityscapes_iter_40.npz"
    assert counts.num_images == 2
    assert counts.occasion.split == "cityscapes val"
