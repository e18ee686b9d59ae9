"""What mmengine is seen to do while it loads real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.hooks import EarlyStoppingHook, EMAHook, Hook
from mmseg.models.losses import CrossEntropyLoss, LovaszLoss

from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.loading import LoadedFile, merged_unawares, watched_loading

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

BASE = """
model = dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.8, class_weight=[1.0, 2.0], use_sigmoid=False))
custom_hooks = [dict(type='EMAHook')]
"""
STOPPING = EarlyStoppingHook("mIoU")


class MeanHook(EMAHook):
    """One that does what its base's does, and more."""


Loaded = tuple[Config, list[LoadedFile]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Load a config that inherits, watched."""

    def loaded(config: str, base: str = BASE, **more: str) -> Loaded:
        for name, text in {"base": base, **more}.items():
            (tmp_path / f"{name}.py").write_text(text)
        path = tmp_path / "config.py"
        path.write_text(config if config.startswith("_base_ =") else f"_base_ = ['base.py']\n{config}")
        with watched_loading() as files:
            return Config.fromfile(str(path), import_custom_modules=False), files

    return loaded


@pytest.fixture
def merged(load: Callable[..., Loaded]) -> Callable[..., list[tuple[str, str, str]]]:
    """The findings of a config whose loss was built as `loss`, and that runs with `hooks`."""

    def judge(config: str, loss: type = CrossEntropyLoss, hooks: tuple[Hook, ...] = (), **files: str):
        built, loaded_files = load(config, **files)
        parts = Parts(runner=SimpleNamespace(hooks=hooks), built={"model.loss_decode": ("model", loss)})
        findings = merged_unawares(loaded_files, lambda key: built.model.loss_decode, parts)
        return [(finding.problem.name, finding.key, finding.message) for finding in findings]

    return judge


def test_files_come_after_their_bases_with_what_each_sets_and_reads(load) -> None:
    _, (base, child) = load("size = (2, 2)\nmodel = dict(size=size)\n", "size = (1, 1)\nmodel = dict(depth=18)\n")
    assert (base.own, base.bases, base.reads) == ({"size": (1, 1), "model": {"depth": 18}}, {}, {"dict"})
    assert child.own == {"size": (2, 2), "model": {"size": (2, 2)}}
    assert child.bases == {"size": (1, 1), "model": {"depth": 18}}
    assert child.reads == {"dict", "size"}


def test_variables_of_functions_and_of_bases_are_read(load) -> None:
    _, (_, child) = load("twice = _base_.edge * 2\nother = 1\nnamed = (lambda: other)()\n", "edge = 64\n")
    assert {"edge", "other"} <= child.reads


def test_options_of_the_command_line_are_no_file(load, tmp_path: Path) -> None:
    load("")
    with watched_loading() as files:
        config = Config.fromfile(str(tmp_path / "config.py"))
        config.merge_from_dict({"model.loss_decode.loss_weight": 0.5})
    assert len(files) == 2


def test_loading_is_as_it_was_afterwards(load, tmp_path: Path) -> None:
    config, files = load("model = dict(loss_decode=dict(loss_weight=0.5))\n")
    assert config.to_dict() == Config.fromfile(str(tmp_path / "config.py")).to_dict()
    assert len(files) == 2


def test_a_config_of_the_newer_syntax_is_watched(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("edge = 64\nmodel = dict(size=edge)\n")
    (tmp_path / "config.py").write_text(
        "from mmengine.config import read_base\nwith read_base():\n    from .base import *\nedge = 96\n"
    )
    with watched_loading() as files:
        Config.fromfile(str(tmp_path / "config.py"), lazy_import=True)
    base, child = files
    assert base.own == {"edge": 64, "model": {"size": 64}}
    assert "edge" in base.reads
    assert (child.own["edge"], child.bases["edge"], "edge" in child.reads) == (96, 64, False)


def test_another_loss_keeps_what_was_said_for_the_old_one(merged) -> None:
    assert merged("model = dict(loss_decode=dict(type='LovaszLoss', per_image=True))\n", LovaszLoss) == [
        (
            "inherited-argument",
            "model.loss_decode",
            "LovaszLoss is built with loss_weight=0.8, class_weight=[1.0, 2.0], said for CrossEntropyLoss in base.py",
        )
    ]


def test_it_is_kept_from_a_base_of_the_base_too(merged) -> None:
    between = "_base_ = ['base.py']\nmodel = dict(loss_decode=dict(type='LovaszLoss', per_image=True))\n"
    (finding,) = merged("_base_ = ['between.py']\n", LovaszLoss, between=between)
    assert finding[2].endswith("said for CrossEntropyLoss in base.py")
    anew = "_base_ = ['between.py']\nmodel = dict(loss_decode=dict(_delete_=True, type='LovaszLoss'))\n"
    assert merged(anew, LovaszLoss, between=between) == []


@pytest.mark.parametrize(
    ("config", "loss"),
    [
        ("model = dict(loss_decode=dict(_delete_=True, type='LovaszLoss', per_image=True))\n", LovaszLoss),
        ("model = dict(_delete_=True, loss_decode=dict(type='LovaszLoss'))\n", LovaszLoss),
        ("model = dict(loss_decode=dict(loss_weight=0.5))\n", CrossEntropyLoss),
        ("model = dict(loss_decode=dict(type='CrossEntropyLoss'))\n", CrossEntropyLoss),
        ("model = dict(loss_decode=dict(type='LovaszLoss', loss_weight=0.8, class_weight=None))\n", LovaszLoss),
    ],
    ids=["deleted", "deleted around it", "same loss", "same type", "all said anew"],
)
def test_nothing_is_left_over(merged, config: str, loss: type) -> None:
    assert merged(config, loss, (EMAHook(),)) == []


def test_a_list_of_hooks_drops_the_bases(merged) -> None:
    assert merged("custom_hooks = [dict(type='EarlyStoppingHook')]\n", hooks=(STOPPING,)) == [
        ("dropped-hook", "custom_hooks", "custom_hooks replaces the list of base.py: EMAHook does not run")
    ]


@pytest.mark.parametrize(
    ("config", "hooks"),
    [
        ("custom_hooks = [dict(type='EMAHook'), dict(type='EarlyStoppingHook')]\n", (EMAHook(), STOPPING)),
        ("custom_hooks = _base_.custom_hooks + [dict(type='EarlyStoppingHook')]\n", (EMAHook(), STOPPING)),
        (
            "custom_hooks = [hook for hook in _base_.custom_hooks if False] + [dict(type='EarlyStoppingHook')]\n",
            (STOPPING,),
        ),
        ("custom_hooks = []\n", ()),
        ("custom_hooks = [dict(type='MeanHook')]\n", (MeanHook(),)),
    ],
    ids=["repeated", "added to", "chosen from", "emptied on purpose", "one built on it instead"],
)
def test_hooks_that_are_kept_or_removed_on_purpose(merged, config: str, hooks: tuple[Hook, ...]) -> None:
    assert merged(config, hooks=hooks) == []
