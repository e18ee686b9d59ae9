"""mmsegmentation's own configs: no error on any that builds a model, and every warning on record."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from docs.generate.zoo import findings, installed_configs, leaf_configs, main
from provecfg.findings import Finding, Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.fixture(scope="module")
def zoo() -> dict[Path, list[Finding]]:
    _, folder = installed_configs()
    return findings(leaf_configs(folder))


def test_all_configs_are_judged(zoo: dict[Path, list[Finding]]) -> None:
    assert len(zoo) >= 600


def test_no_shipped_config_has_an_error_but_two_that_mmseg_itself_cannot_build(
    zoo: dict[Path, list[Finding]],
) -> None:
    # also none of the few that do not build here for want of a package
    errors = {
        (path.name, finding.code, finding.key)
        for path, findings in zoo.items()
        for finding in findings
        if finding.severity is Severity.ERROR
    }
    preprocessor = "model.data_preprocessor"
    assert errors <= {
        # since onedl-mmsegmentation 1.4 SegDataPreProcessor inherits mmengine's, whose assertions these fail
        ("swin-tiny-patch4-window7_upernet_1xb8-20k_levir-256x256.py", "REG106", f"{preprocessor}.mean"),
        ("unet-s5-d16_fcn_4xb4-160k_hsidrive-192x384.py", "REG106", f"{preprocessor}.bgr_to_rgb"),
    }
    with pytest.raises(AssertionError, match="`mean` should have 1 or 3 values"):
        build_preprocessor(mean=[0.0] * 6, std=[1.0] * 6)
    with pytest.raises(TypeError, match="`bgr_to_rgb` should be a boolean"):
        build_preprocessor(bgr_to_rgb=None)


def build_preprocessor(**arguments: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, as mmengine imports it
        from mmseg.models.data_preprocessor import SegDataPreProcessor

    return SegDataPreProcessor(**arguments)


def test_a_warning_is_rare(zoo: dict[Path, list[Finding]]) -> None:
    counts = Counter(code for findings in zoo.values() for code in {finding.code for finding in findings})
    print(dict(counts))  # shown where the next line fails
    assert sum(bool(findings) for findings in zoo.values()) <= 40


def test_the_page_is_fresh() -> None:
    release, _ = installed_configs()
    page = Path(__file__).parents[2] / "docs/zoo.md"
    if release not in page.read_text(encoding="utf-8"):
        pytest.skip(f"docs/zoo.md is of another release than {release}")
    assert main([str(page), "--check"]) == 0


def test_judging_takes_milliseconds() -> None:
    _, folder = installed_configs()
    views = [read_config(path) for path in leaf_configs(folder)[::10]]
    judge(views[0])  # loads the registry
    start = time.process_time()
    for view in views:
        judge(view)
    assert (time.process_time() - start) / len(views) < 0.02  # some 0.003 on a free machine
