"""What made each line of a generated config, held against what changes when a study does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provecfg.catalog.studies import LOSS_STUDY
from provecfg.generate.cells import Cell, cells_of
from provecfg.generate.origins import KeyOrigin, Origins, StudyOrigins
from provecfg.generate.plan import Planner
from provecfg.generate.render import render
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.shipped_bases import shipped_text
from provecfg.study.load import checked_study
from provecfg.study.named import studies_of
from provecfg.study.schema import Study

RICH: dict[str, Any] = {
    "name": "rich",
    "models": [{"base": "pspnet_r50", "name": "slim", "set": {"model.decode_head.channels": 64}}, "segformer_mit-b3"],
    "datasets": ["cityscapes"],
    "strategies": ["baseline"],
    "losses": {
        "auxiliary": [["focal", {"type": "boundary_focal", "schedule": {"kind": "linear"}}]],
        "ohem": {},
        "deep_supervision": [{"stage": 1}],
    },
    "schedule": {"max_epochs": 40, "decay": "cosine"},
    "optimizer": {"lr": 0.02, "clip_grad_norm": 1.0, "accumulate": 2},
    "inference": {"mode": "slide", "tta_scales": [0.5, 1.0]},
    "runtime": {"ema": {}, "deterministic": True},
}
ONE: dict[str, Any] = {"name": "one", "models": ["pspnet_r50"], "losses": {"auxiliary": ["focal"]}}


def views(study: Study) -> Iterator[tuple[Cell, ConfigView]]:
    planner = Planner(study)
    for cell in cells_of(study):
        yield cell, read_config(Path("cell.py").absolute(), text=render(planner.plan(cell)))


def values(view: ConfigView) -> dict[str, Any]:
    """Every value that holds no others, by its key."""
    return {node.key: node.value for node in view.root.walk() if not ((node.is_dict or node.is_list) and node.value)}


def made(study: Study) -> Iterator[tuple[str, Any, KeyOrigin]]:
    for cell, view in views(study):
        origins = Origins(study, cell)
        yield from ((key, value, origins.of(key, view)) for key, value in values(view).items())


def test_what_no_field_and_no_base_makes_is_the_same_in_every_config() -> None:
    studies = [*studies_of(LOSS_STUDY), checked_study(RICH), checked_study({**ONE, "early_stopping": None})]
    own: dict[str, set[str]] = {}
    for key, value, origin in (row for study in studies for row in made(study)):
        if origin == KeyOrigin() and not key.startswith("custom_hooks"):  # whose numbers are not the same hooks
            own.setdefault(key, set()).add(repr(value))
    assert len(own) >= 20
    assert {key: seen for key, seen in own.items() if len(seen) > 1} == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "other"),
        ("seeds", [7]),
        ("data.crop_size", [256, 320]),
        ("data.batch_size", 4),
        ("data.num_workers", 0),
        ("data.root", "elsewhere"),
        ("data.resize_scale", [640, 360]),
        ("schedule.max_iters", 16000),
        ("schedule.val_interval", 100),
        ("schedule.decay", {"type": "cosine"}),
        ("optimizer.lr", 0.5),
        ("optimizer.weight_decay", 0.5),
        ("head_weights.decode", 0.5),
        ("head_weights.auxiliary", 0.5),
        ("losses.primary", {"type": "cross_entropy", "label_smoothing": 0.1}),
        ("losses.auxiliary", ["lovasz"]),
        ("early_stopping.patience", 3),
        ("early_stopping.monitor", "val/mAcc"),
        ("runtime.log_interval", 10),
        ("runtime.max_keep_ckpts", 1),
        ("init_from", "start.pth"),
        ("metrics", ["mIoU", "mDice"]),
    ],
)
def test_what_changes_with_a_field_is_said_to_be_made_by_it(field: str, value: Any) -> None:
    """Names of losses are part of the config's name, so that its work dir changes with them."""
    fields: dict[str, Any] = {**ONE}
    *parents, last = field.split(".")
    target = fields
    for parent in parents:
        target[parent] = dict(target.get(parent, {}))
        target = target[parent]
    target[last] = value
    before = {key: value for key, value, _ in made(checked_study(ONE))}
    changed = [
        (key, str(origin.field[0])) for key, now, origin in made(checked_study(fields)) if before.get(key) != now
    ]
    assert changed
    expected = field.split(".")[0]
    assert [row for row in changed if row[1] != expected and row[0] != "work_dir"] == []


def test_a_line_of_the_base_is_named_by_its_file_and_row() -> None:
    study = checked_study(ONE)
    ((cell, view),) = views(study)
    origin = Origins(study, cell).of("model.decode_head.pool_scales", view)
    assert origin.base is not None
    file, span = origin.base
    assert span is not None
    assert "pool_scales=(1, 2, 3, 6)" in shipped_text(file).splitlines()[span.row - 1]


def test_a_setting_of_a_model_is_named_before_the_base_that_it_changes() -> None:
    study = checked_study(RICH)
    cell, view = next(views(study))
    origins = Origins(study, cell)
    assert origins.of("model.test_cfg.mode", view).field == ("inference", "mode")
    assert origins.of("model.test_cfg.stride", view).field == ("data", "crop_size")
    origin = origins.of("model.decode_head.channels", view)
    assert origin.field == ("models", 0, "set", "model.decode_head.channels")


def test_a_field_that_the_study_does_not_write_is_said_to_have_its_default() -> None:
    text = "name: one\nmodels: [pspnet_r50]\nlosses:\n  auxiliary: [focal]\n"
    study, path = checked_study(ONE), Path("one.yaml").absolute()
    ((cell, view),) = views(study)
    origins = StudyOrigins(study, path, text)
    unwritten = origins.of("train_dataloader.batch_size", cell.coordinates, view)
    assert unwritten is not None
    assert (unwritten.text, unwritten.span) == ("`data.batch_size`, which it leaves to its default", None)
    written = origins.of("model.decode_head.loss_decode[1].gamma", cell.coordinates, view)
    assert written is not None
    assert (written.text, written.span and written.span.row) == ("`losses.auxiliary[0]`", 4)
