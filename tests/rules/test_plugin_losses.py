"""What the rules know of the plugin's losses, they know of every one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.catalog.losses import PLUGIN_LOSSES
from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge

LOSSES = [name for name, loss in PLUGIN_LOSSES.items() if not loss.wraps_loss]
MULTI_SCALE = "dict(type='MultiScaleLoss', loss=dict(type='{}'))"

Codes = Callable[[str, str], list[str]]


@pytest.fixture
def codes(tmp_path: Path) -> Codes:
    """`codes(loss, arguments)`: the codes of what is found where a head with these arguments has the loss."""

    def found(loss: str, head: str) -> list[str]:
        path = tmp_path / "config.py"
        path.write_text(
            "custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)\n"
            f"model = dict(decode_head=dict({head}, loss_decode=[{loss}]))\n",
            encoding="utf-8",
        )
        return [finding.code for finding in judge(read_config(path)) if finding.severity is not Severity.NOTE]

    return found


@pytest.mark.parametrize("name", LOSSES)
def test_it_may_not_ignore_another_label_than_its_head(codes: Codes, name: str) -> None:
    head = "num_classes=4, ignore_index=255"
    assert codes(f"dict(type='{name}', ignore_index=0)", head) == ["LOSS031"]
    assert codes(f"dict(type='{name}', ignore_index=255)", head) == []


@pytest.mark.parametrize("name", LOSSES)
def test_it_takes_the_softmax_which_one_channel_makes_constant(codes: Codes, name: str) -> None:
    head = "num_classes=2, out_channels=1"
    assert codes(f"dict(type='{name}')", head) == ["LOSS016"]
    assert codes(MULTI_SCALE.format(name), head) == ["LOSS016"]


@pytest.mark.parametrize("name", LOSSES)
def test_it_goes_with_a_pixel_sampler_if_it_says_so(codes: Codes, name: str) -> None:
    loss = PLUGIN_LOSSES[name]
    head = "num_classes=4, sampler=dict(type='OHEMPixelSampler', min_kept=10000{})"
    by_threshold, by_loss = head.format(", thresh=0.7"), head.format("")
    assert codes(f"dict(type='{name}')", by_threshold) == ([] if loss.takes_pixel_weight else ["HEAD011"])
    assert codes(f"dict(type='{name}')", by_loss) == ([] if loss.has_pixel_map else ["HEAD012"])


@pytest.mark.parametrize("name", ["SegCrossEntropyLoss", "SegLovaszLoss"])
def test_its_class_weights_are_as_many_as_the_classes(codes: Codes, name: str) -> None:
    assert codes(f"dict(type='{name}', class_weight=[1.0, 2.0])", "num_classes=4") == ["LOSS010"]
