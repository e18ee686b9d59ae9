"""From a folder to a run, over the models, label maps and strategies that a study can name: `make open-study`.

    python tests/open_study.py [models|sets|strategies]... [--data DIR] [--iters N] [--only NAME]... [--folder DIR]

Every case goes the way of docs/data.md: `init` on a folder, the study that it wrote with a few lines put in,
`generate`, `validate`, `prove`, and `run` from random weights for a few iterations and a validation, on small crops. It
prints a line a case with what each step returned and how long it took, and exits 1 where one failed.

DIR is a folder in BDD10k's layout with real images; without it a street is drawn. Label maps of other kinds are drawn.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageOps

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, draw_street, smoke_data_for

STREET = Drawing(train=12, val=4, width=240, height=180)

MODELS: dict[str, Any] = {
    "UPerNet Swin-T": "swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
    "SegFormer-B5": "segformer_mit-b5_8xb1-160k_cityscapes-1024x1024",
    "DeepLabV3+ R101": "deeplabv3plus_r101-d8_4xb2-80k_cityscapes-512x1024",
    "UPerNet ConvNeXt-T": "convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512",  # its backbone is mmpretrain's
    "PIDNet-S": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
    "a config and a class of one's own": {"base": "mine/plain.py", "name": "plain"},
}
OWN_CONFIG = """custom_imports = dict(imports=['plain_backbone'], allow_failed_imports=False)
crop_size = (512, 512)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=crop_size),
    backbone=dict(type='PlainBackbone', channels=16),
    decode_head=dict(
        type='FCNHead', in_channels=16, in_index=0, channels=16, num_convs=1, concat_input=False, num_classes=19,
        norm_cfg=dict(type='BN'), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
train_dataloader = dict(batch_size=2, num_workers=2, dataset=dict(type='CityscapesDataset', pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs')]))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
param_scheduler = [dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=1000, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=100)
"""
OWN_CLASS = """from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import nn


@MODELS.register_module()
class PlainBackbone(BaseModule):
    def __init__(self, channels=16, init_cfg=None):
        super().__init__(init_cfg)
        self.layers = nn.Sequential(nn.Conv2d(3, channels, 3, stride=4, padding=1), nn.ReLU())

    def forward(self, x):
        return (self.layers(x),)
"""
SETS = ("4 classes", "binary", "RGB masks", "124 classes")
STRATEGIES: tuple[Any, ...] = (
    *("baseline", "minimal", "photometric_distort", "autoaugment", "randaugment", "cutmix", "mixup"),
    {"name": "strong", "combine": ["baseline", "randaugment", "cutmix"], "prob": 0.5},
    {"name": "own", "file": "own_pipeline.py"},
    {"name": "gen_dusk", "manifest": "generated/manifest.csv", "ratio": 0.5},
)
OWN_PIPELINE = """train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomChoiceResize', scales=[(240, 180), (320, 240)], keep_ratio=True),
    dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.75),
    dict(type='RandomCutOut', prob=0.5, n_holes=2, cutout_shape=(16, 16), seg_fill_in=255),
    dict(type='PackSegInputs'),
]
"""


@dataclass(slots=True)
class Case:
    """One line of the table.

    Args:
        name: What is tried.
        fields: Of the study, put over what `init` wrote.
        root: The data.
        steps: What each command returned, and its seconds.
        notes: What is worth saying of it.
    """

    name: str
    fields: dict[str, Any]
    root: Path
    steps: dict[str, tuple[int, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return all(code == 0 for code, _ in self.steps.values())

    def line(self) -> str:
        cells = [
            f"{seconds:.0f} s" if code == 0 else f"exit {code} after {seconds:.0f} s"
            for code, seconds in self.steps.values()
        ]
        return f"| {self.name} | {' | '.join(cells)} | {'; '.join(self.notes)} |"


def cases_of(part: str, data: Path, folder: Path) -> Iterator[Case]:
    """The cases of a part of the table."""
    if part == "models":
        for name, model in MODELS.items():
            yield Case(name, {"models": [model]}, data)
    elif part == "sets":
        for name in SETS:
            root = folder / "sets" / name.replace(" ", "-").lower()
            yield Case(name, {"models": ["pspnet_r50"], **write_set(root, name)}, root)
    else:
        for strategy in STRATEGIES:
            name = strategy if isinstance(strategy, str) else strategy["name"]
            yield Case(name, {"models": ["pspnet_r50"], "strategies": [strategy]}, data)


def write_set(root: Path, name: str) -> dict[str, Any]:
    """Draw a set; what a person puts into the study that `init` wrote of it."""
    if name == "124 classes":
        smoke_data_for(DATASETS["mapillary_v2"], STREET, root)
        return {"datasets": [{"name": "vistas", "base": "mapillary_v2", "root": str(root)}]}
    for split, count in (("train", STREET.train), ("val", STREET.val)):
        for index in range(count):
            image, labels = draw_street(STREET, (0, int(split == "val"), index))
            Image.fromarray(image).save(made(root / "images" / split / f"{index:03}.jpg"))
            Image.fromarray(_encoded(name, labels)).save(made(root / "masks" / split / f"{index:03}.png"))
    return {}


def _encoded(name: str, labels: np.ndarray) -> np.ndarray:
    few = np.select([labels == 255, labels == 0, labels == 8, labels == 10], [255, 0, 1, 2], 3).astype(np.uint8)
    if name == "binary":
        return np.where(few == 0, 255, 0).astype(np.uint8)
    if name == "RGB masks":
        palette = np.zeros((256, 3), np.uint8)
        palette[:4] = (128, 64, 128), (107, 142, 35), (70, 130, 180), (70, 70, 70)
        return palette[few]
    return few


def made(path: Path) -> Path:
    """The path, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def generated_images(data: Path, folder: Path) -> None:
    """Darker twins of the training images, with PROVE's manifest; one is of another dataset."""
    images = sorted((data / "images/10k/train").iterdir())
    with made(folder / "generated/manifest.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["gen_path", "original_path", "name", "domain", "dataset", "target_domain"])
        for index, path in enumerate(images):
            twin = made(folder / "generated/dusk" / f"{path.stem}.png")
            with Image.open(path) as image:
                ImageOps.autocontrast(image.convert("RGB").point(lambda value: value // 3), cutoff=1).save(twin)
            dataset = "ACDC" if index == 0 else "BDD10k"
            rows.writerow([f"dusk/{twin.name}", f"images/10k/train/{path.name}", path.stem, "clear", dataset, "dusk"])


def try_case(case: Case, folder: Path, iters: int) -> None:
    """Go the whole way, and on where a step fails only as far as it makes sense."""
    folder.mkdir(parents=True)
    study = folder / "study.yaml"
    if not step(case, folder, "init", str(case.root), "-o", str(study)):
        return
    written = yaml.safe_load(study.read_text(encoding="utf-8"))
    fields = {
        **written,
        "losses": {"auxiliary": ["none"]},
        "early_stopping": None,
        "schedule": {"max_iters": iters, "val_interval": iters},
        "runtime": {"log_interval": 1},
        "data": {"crop_size": [64, 64], "batch_size": 2, "num_workers": 0, "resize_scale": [240, 180]},
        **case.fields,
    }
    study.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    for name, text in {
        "mine/plain.py": OWN_CONFIG,
        "plain_backbone.py": OWN_CLASS,
        "own_pipeline.py": OWN_PIPELINE,
    }.items():
        made(folder / name).write_text(text, encoding="utf-8")
    if any(isinstance(strategy, dict) and "manifest" in strategy for strategy in case.fields.get("strategies", ())):
        generated_images(case.root, folder)
    if step(case, folder, "generate", "study.yaml", "-o", "configs"):
        step(case, folder, "validate", "configs/")
        step(case, folder, "prove", *configs(folder))
        step(case, folder, "run", *configs(folder), "--no-pretrained", "--device", "cpu")


def configs(folder: Path) -> list[str]:
    """The configs that were generated."""
    return [str(path.relative_to(folder)) for path in sorted((folder / "configs").glob("*.py"))]


def step(case: Case, folder: Path, command: str, *arguments: str) -> bool:
    """Run a command as a user does; whether it returned 0."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "provecfg", command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    case.steps[command] = done.returncode, time.monotonic() - began
    (folder / f"{command}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        case.notes += [line for line in (done.stdout + done.stderr).splitlines() if " error" in line][:2]
    if command == "prove":
        case.notes += re.findall(
            r"^ *((?:Seg|Random|Photo|Mixing)\w+(?: \(.*?\))? changes .*?) \(", done.stdout, re.MULTILINE
        )
    if command == "run":
        case.notes += re.findall(r"(val/mIoU [\d.]+)", done.stdout + done.stderr)[-1:]
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["models", "sets", "strategies"], metavar="PART")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--iters", type=int, default=2)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="open-study-"))).resolve()
    data = asked.data.resolve() if asked.data else smoke_data_for(DATASETS["bdd10k"], STREET, folder / "street")
    right = True
    for part in asked.parts or ("models", "sets", "strategies"):
        print(f"| {part} | init | generate | validate | prove | run | |\n|---|---|---|---|---|---|---|", flush=True)
        for number, case in enumerate(cases_of(part, data, folder)):
            if asked.only and not any(name in case.name for name in asked.only):
                continue
            try_case(case, folder / part / str(number), asked.iters)
            print(case.line(), flush=True)
            right = right and case.is_right
    print(f"\n{folder} holds the studies, configs and logs")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
