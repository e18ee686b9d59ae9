"""Every class and argument that mmseg's own configs name, against the registry."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from provecfg.mmconfig import read_config
from provecfg.registry import Fate, registry_for

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def configs() -> list[Path]:
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        pytest.skip("mmseg is not installed")
    return sorted((Path(spec.origin).parent / ".mim" / "configs").glob("[!_]*/*.py"))


def typed(value: Any, slot: str = "") -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Every dict that has a type, with it and the key that the dict stands under."""
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"], value, slot
        for key, inner in value.items():
            yield from typed(inner, str(key))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from typed(inner, slot)


def test_mmsegs_own_configs_name_nothing_that_is_not_there() -> None:
    registry = registry_for()
    unknown: set[str] = set()
    fates: dict[Fate, set[tuple[str, str]]] = {fate: set() for fate in Fate}
    arguments = 0
    files = configs()
    for file in files:
        values = read_config(file).values
        for name, keywords, slot in typed({k: v for k, v in values.items() if k != "runner"}):
            infos = [info for kind in registry.registries if (info := registry.find(name, kind))]
            if not infos and registry.knows_scope(name):
                unknown.add(name)
            for key in keywords if infos else ():
                fates[infos[0].fate(key, keywords, slot=slot)].add((name, key))
                arguments += 1
    assert len(files) > 600
    assert arguments > 50_000
    # of albumentations, which mmdet's and mmseg's Albu look up there
    assert unknown == {
        "HorizontalFlip",
        "HueSaturationValue",
        "RandomBrightnessContrast",
        "RandomGamma",
        "VerticalFlip",
    }
    # left over from the SGD of a base config; torch's AdamW would raise
    assert fates[Fate.REFUSED] == {("AdamW", "momentum")}
    assert fates[Fate.SWALLOWED] == {("Mask2FormerHead", "strides"), ("MaskFormerHead", "in_index")}
    assert fates[Fate.UNKNOWN] <= {("TIMMBackbone", key) for _, key in fates[Fate.UNKNOWN]}
