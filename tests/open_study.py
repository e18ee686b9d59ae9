"""From a folder to a run, over the models, label maps and strategies that a study can name: `make open-study`.

    python tests/open_study.py DATA [--part models|sets|strategies]... [--only NAME]... [--iters N] [--page FILE]

DATA holds real images in BDD10k's layout. Every case goes the way of docs/data.md: `init` on a folder, the study that
it wrote with a few lines put in, `generate`, `validate`, `prove`, and `run` from random weights for a few iterations
and a validation, on small crops. The strategies are the cells of one study; sets of other kinds are drawn. What each
command took or returned is printed, and added to `--figures`, of which `--page` takes the newest of each case. It
exits 1 where one failed.

UPerNet ConvNeXt's backbone is mmpretrain's, which is no dependency: without it, the case is left out and said.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
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

BEGIN, END = "<!-- open-study -->", "<!-- /open-study -->"
"""Between them, a page has what is written there; a note of a person's stands after them."""
STREET = Drawing(train=12, val=4, width=240, height=180)
SMALL = "fast_scnn_8xb4-160k_cityscapes-512x1024"
"""The model of those cases that are not about models."""

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
SETS = ("4 classes", "binary", "RGB masks", "124 classes in Mapillary Vistas' v2.0 layout")
STRATEGIES: tuple[Any, ...] = (
    *("baseline", "minimal", "photometric_distort", "autoaugment", "randaugment", "cutmix", "mixup"),
    {"name": "strong", "combine": ["baseline", "randaugment", "cutmix"], "prob": 0.5},
    {"name": "own", "file": "own_pipeline.py"},
    {"name": "gen_dusk", "manifest": "generated/manifest.csv", "ratio": 0.5},
)
OWN_PIPELINE = """train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomChoiceResize', scales=[(160, 120), (240, 180)], keep_ratio=True),
    dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.75),
    dict(type='RandomCutOut', prob=0.5, n_holes=2, cutout_shape=(16, 16), seg_fill_in=255),
    dict(type='PackSegInputs'),
]
"""


PARTS = ("models", "sets", "strategies")
NEEDED = {"UPerNet ConvNeXt-T": "mmpretrain"}
COMMANDS = ("init", "generate", "validate", "prove", "run")


@dataclass(slots=True)
class Case:
    """One line of the table.

    Args:
        part: What kind of thing is tried.
        name: What is tried.
        fields: Of the study, put over what `init` wrote.
        root: The data.
        steps: What each command returned, and its seconds.
        notes: Cell to what is worth saying of it.
    """

    part: str
    name: str
    fields: dict[str, Any]
    root: Path
    steps: dict[str, tuple[int, float]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        return set(self.steps) == set(COMMANDS) and all(code == 0 for code, _ in self.steps.values())


def rows_of(figures: dict[str, Any]) -> list[str]:
    """A case's rows of the table, of its line in the figures: one, or one more for each of its cells."""
    steps, notes = figures["steps"], figures["notes"]
    seconds = [
        "" if name not in steps else f"{steps[name][1]:.0f}" if steps[name][0] == 0 else f"exit {steps[name][0]}"
        for name in COMMANDS
    ]
    texts = ["; ".join(lines) for lines in notes.values()]
    if len(notes) < 2:
        return [f"| {' | '.join([figures['name'], *seconds, *texts])} |"]
    cells = [f"| {cell} {'| ' * len(COMMANDS)}| {text} |" for cell, text in zip(notes, texts, strict=True)]
    return [f"| {' | '.join([figures['name'], *seconds, ''])} |", *cells]


def cases_of(part: str, data: Path, folder: Path) -> Iterator[Case]:
    """The cases of a part of the table."""
    if part == "models":
        for name, model in MODELS.items():
            yield Case(part, name, {"models": [model]}, data)
    elif part == "sets":
        for name in SETS:
            root = folder / "sets" / re.sub("[^a-z0-9]+", "-", name.lower())
            write_set(root, name)
            yield Case(part, name, {"models": [SMALL]}, root)
    else:
        yield Case(part, "all of them, a cell each", {"models": [SMALL], "strategies": list(STRATEGIES)}, data)


def write_set(root: Path, name: str) -> None:
    """Draw a set."""
    if name.startswith("124"):
        smoke_data_for(DATASETS["mapillary_v2"], STREET, root)
        return
    for split, count in (("train", STREET.train), ("val", STREET.val)):
        for index in range(count):
            image, labels = draw_street(STREET, (0, int(split == "val"), index))
            Image.fromarray(image).save(made(root / "images" / split / f"{index:03}.jpg"))
            Image.fromarray(_encoded(name, labels)).save(made(root / "masks" / split / f"{index:03}.png"))


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
        "data": {"crop_size": [64, 64], "batch_size": 2, "num_workers": 0, "resize_scale": [160, 120]},
        **case.fields,
    }
    study.write_text(yaml.safe_dump(fields, sort_keys=False), encoding="utf-8")
    for name, text in {
        "mine/plain.py": OWN_CONFIG,
        "plain_backbone.py": OWN_CLASS,
        "own_pipeline.py": OWN_PIPELINE,
    }.items():
        made(folder / name).write_text(text, encoding="utf-8")
    if "strategies" in case.fields:
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
    # Crops are so small that threads mostly wait for each other.
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
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
    log = done.stdout + done.stderr
    (folder / f"{command}.log").write_text(log, encoding="utf-8")
    if done.returncode:
        case.notes.setdefault(command, []).extend([line for line in log.splitlines() if " error" in line][:2])
    if command == "prove":
        for path in sorted(folder.glob("work_dirs/*/*/*.proof.json")):
            case.notes[path.parent.name] = changes_in(json.loads(path.read_text(encoding="utf-8")))
    for cell, best in re.findall(r"^(\S+): finished .* best (val/mIoU [\d.]+)", log, re.MULTILINE):
        case.notes.setdefault(cell, []).append(best)
    return done.returncode == 0


def changes_in(receipt: dict[str, Any]) -> list[str]:
    """What a proof says of the augmentations beside the flip, which all have."""
    lines = [line for section in receipt["sections"] if section["name"] == "augmentation" for line in section["lines"]]
    changes = [line.rpartition(" (")[0] or line for line in lines if " changes " in line]
    return [change for change in changes if not change.startswith("RandomFlip")]


def page_with(page: str, figures: list[dict[str, Any]], data: Path, iters: int) -> str:
    """The page with the newest line of each case between its marks, the parts in their order."""
    newest = {(row["part"], row["name"]): row for row in figures}
    images = " and ".join(str(len(list((data / "images/10k" / split).iterdir()))) for split in ("train", "val"))
    text = (
        "Written by `make open-study`: seconds of each command in the newest run of each case, on two cores beside "
        f"other work. `run` is {iters} iterations and a validation, from random weights, on crops of 64x64. Models and "
        "strategies are tried on real "
        f"images (`{data.name}`: {images}), label maps on drawn ones ({STREET.train} and {STREET.val}); where it is "
        "not the model that is tried, it is Fast-SCNN. The last column has what `prove` says of augmentations, and the "
        "score."
    )
    lines = [textwrap.fill(text, 120)]
    for part in PARTS:
        rows = [row for (of_part, _), row in newest.items() if of_part == part]
        if rows:
            lines += ["", f"| {part} | {' | '.join(COMMANDS)} | |", "|---" * (len(COMMANDS) + 2) + "|"]
            lines += [line for row in rows for line in rows_of(row)]
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--only", action="append", default=[], help="cases whose name contains this")
    parser.add_argument("--iters", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="for what is made")
    parser.add_argument("--figures", type=Path, default=Path("build/open-study.jsonl"), help="results are added there")
    parser.add_argument("--page", type=Path, help="write all the figures there")
    arguments = parser.parse_args()
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="open-study-"))).resolve()
    arguments.figures.parent.mkdir(parents=True, exist_ok=True)
    right = True
    for part in arguments.part or PARTS:
        for number, case in enumerate(cases_of(part, arguments.data.resolve(), folder)):
            if arguments.only and not any(name in case.name for name in arguments.only):
                continue
            if case.name in NEEDED and importlib.util.find_spec(NEEDED[case.name]) is None:
                print(f"{case.name} is left out: {NEEDED[case.name]} is not installed", flush=True)
                continue
            try_case(case, folder / part / str(number), arguments.iters)
            figures = {name: getattr(case, name) for name in ("part", "name", "steps", "notes")}
            print("\n".join(rows_of(figures)), flush=True)
            with arguments.figures.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(figures) + "\n")
            right = right and case.is_right
    print(f"{folder} holds the studies, configs and logs")
    if arguments.page is not None:
        rows = [json.loads(line) for line in arguments.figures.read_text(encoding="utf-8").splitlines()]
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(page_with(page, rows, arguments.data, arguments.iters), encoding="utf-8")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
