"""Classes of the user's are held against a parent's constructor, as far as they have not replaced what it looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.registry import registry_for
from provecfg.registry.preconditions import refusal
from provecfg.rules import judge

IMPORTS = """
from mmseg.models import EncoderDecoder, FCNHead, ResNet
from mmseg.models.backbones.resnet import BasicBlock
from mmseg.registry import MODELS

@MODELS.register_module()
"""


def codes(folder: Path, definition: str, model: str) -> set[str]:
    """Codes of the errors in a config beside a module that registers a class."""
    (folder / ".git").mkdir()
    (folder / "nets.py").write_text(IMPORTS + definition, encoding="utf-8")
    config = folder / "config.py"
    config.write_text(f"default_scope = 'mmseg'\nmodel = {model}\n", encoding="utf-8")
    view = read_config(config)
    findings = judge(view, registry=registry_for(view, release="onedl"))
    return {finding.code for finding in findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize(
    "body",
    [
        "arch_settings = {10: (BasicBlock, (1, 1, 1, 1))}",
        "if BasicBlock:\n        arch_settings = {**ResNet.arch_settings, 10: (BasicBlock, (1, 1, 1, 1))}",
        "@property\n    def arch_settings(self):\n        return {10: (BasicBlock, (1, 1, 1, 1))}",
        "def __init__(self, depth, **kwargs):\n        pass",
    ],
)
def test_a_table_of_its_own_is_not_the_parents(tmp_path: Path, body: str) -> None:
    model = "dict(type='EncoderDecoder', backbone=dict(type='ResNet10', depth=10))"
    assert codes(tmp_path, f"class ResNet10(ResNet):\n    {body}\n", model) == set()


def test_a_class_that_replaces_nothing_is_held_against_its_parent(tmp_path: Path) -> None:
    model = "dict(type='EncoderDecoder', backbone=dict(type='Mine', depth=10))"
    definition = "class Mine(ResNet):\n    arch: str\n\n    def forward(self, x):\n        return x\n"
    assert codes(tmp_path, definition, model) == {"REG106"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ("def _init_inputs(self, in_channels, in_index, input_transform):\n        pass", set()),
        ("def __init__(self, in_channels, **kw):\n        super().__init__(in_channels=in_channels[-1], **kw)", set()),
        ("def __init__(self, width, **kw):\n        super().__init__(**kw)", {"HEAD016"}),
        ("def forward(self, inputs):\n        return inputs", {"HEAD016"}),
    ],
)
def test_a_method_of_its_own_is_not_the_parents(tmp_path: Path, body: str, errors: set[str]) -> None:
    head = "dict(type='EncoderDecoder', decode_head=dict(type='Mine', channels=8, num_classes=2, in_channels=[8, 8]))"
    assert codes(tmp_path, f"class Mine(FCNHead):\n    {body}\n", head) == errors


def test_the_plugins_classes_are_held_against_their_parents() -> None:
    info = registry_for(["provecfg.plugin"], release="onedl").find("ResumableEarlyStoppingHook", "hook")
    assert info is not None
    values = {"type": "ResumableEarlyStoppingHook", "monitor": "mIoU"}
    assert refusal(info, values | {"rule": "greater"}) is None
    refused = refusal(info, values | {"rule": "more"})
    assert refused is not None
    assert refused.owner.endswith("hooks.early_stopping_hook.EarlyStoppingHook")


def test_what_a_segmentor_of_its_own_takes_out_of_its_heads_is_no_argument_of_theirs(tmp_path: Path) -> None:
    definition = (
        "class Tasks(EncoderDecoder):\n    def _init_decode_head(self, decode_head):\n"
        "        self.task = decode_head.pop('task')\n        super()._init_decode_head(decode_head)\n"
    )
    head = "dict(type='FCNHead', in_channels=8, channels=8, num_classes=2, {}='ice')"
    for key, errors in (("task", set()), ("tasks", {"REG002"})):
        folder = tmp_path / key
        folder.mkdir()
        model = f"dict(type='Tasks', decode_head={head.format(key)})"
        assert codes(folder, definition, model) == errors


def test_what_a_loss_of_a_fork_computes_is_not_what_the_release_does(tmp_path: Path) -> None:
    head = (
        "dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', in_channels=8, channels=8, num_classes=2, "
        "loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0], avg_non_ignore=True)))"
    )
    for name, errors in (("CrossEntropyLoss", set()), ("OtherLoss", {"LOSS012"})):
        folder = tmp_path / name
        folder.mkdir()
        definition = f"class {name}:\n    def __init__(self, class_weight=None, avg_non_ignore=False):\n        pass\n"
        assert codes(folder, definition, head) == errors
