"""Every config that mmseg ships, and many of mmdet's, value by value against mmengine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provecfg.mmconfig import Node, read_config
from tests.cases.scoring import CLEAN, FOLDER

pytestmark = [pytest.mark.stack, pytest.mark.slow]

Load = Callable[[Path], dict[str, Any] | None]


def configs_of(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / ".mim" / "configs"
    return sorted(path for path in folder.glob("*/*.py") if path.parent.name != "_base_")


def test_every_config_of_mmseg_gives_what_mmengine_gives(load_with_mmengine: Load) -> None:
    paths = configs_of("mmseg")
    assert len(paths) >= 682
    assert [path.name for path in paths if differs(path, load_with_mmengine)] == []


def test_configs_of_mmdet_give_what_mmengine_gives(load_with_mmengine: Load) -> None:
    paths = configs_of("mmdet")
    assert len(paths) >= 700
    assert [path.name for path in paths[::10] if differs(path, load_with_mmengine)] == []


def test_fault_cases_give_what_mmengine_gives(load_with_mmengine: Load) -> None:
    paths = [*FOLDER.glob("F*/*.py"), *CLEAN]
    assert len(paths) >= 100
    assert [path for path in paths if differs(path, load_with_mmengine)] == []


def test_every_value_of_mmseg_says_where_it_was_written() -> None:
    for path in configs_of("mmseg")[::5]:
        view = read_config(path)
        assert view.problems == ()
        nodes = list(view.root.walk())[1:]
        assert len(nodes) > 50
        for node in nodes:
            assert is_written_where_it_says(node, view.sources(node.file)), (path, node)


def is_written_where_it_says(node: Node, text: str) -> bool:
    """Whether a dict's key stands under its span; an item of a list has no key, but a place."""
    origin = node.origin
    if origin is None:
        return False
    if origin.key is None:
        return node.span is not None
    row, column, end_row, end_column = origin.key_span
    written = text.split("\n")[row - 1][column - 1 : end_column - 1]
    computed = written.startswith("f'")  # a key of a dict comprehension
    return row == end_row and (computed or written.strip("'\"") == node.name)


def differs(path: Path, load: Load) -> bool:
    view = read_config(path)
    return load(path) != (view.values if view.is_whole else None)
