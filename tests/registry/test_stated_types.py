"""What annotations and docstrings state, and which values do not fit."""

from __future__ import annotations

from typing import Any

import pytest

from provecfg.mmconfig import Opaque
from provecfg.registry import registry_for
from provecfg.registry.stated_types import documented, misfit, named, stated_type


@pytest.mark.parametrize(
    ("text", "fitting", "unfit", "path"),
    [
        ("int", 3, "3", ""),
        ("int", 3.0, 3.5, ""),
        ("float", 3, None, ""),
        ("bool", 1, [True], ""),
        ("Optional[int]", None, 0.5, ""),
        ("int | tuple[int]", (1, 2), (1, "2"), "[1]"),
        ("Sequence[str]", "mIoU", 3, ""),
        ("Union[str, List[Dict]]", [{"a": 1}], [["a"]], "[0]"),
        ("dict", [{"type": "A"}, {"type": "B"}], [1], ""),
        ("Literal['mean', 'none']", "sum", 1, ""),
        ("int | Tuple[int, int]", (1, 2), (1, 2, 3), ""),
        ("Tuple[int, ...]", (1, 2, 3), (1, None), "[1]"),
    ],
)
def test_a_value_fits_or_the_part_that_does_not_is_told(text: str, fitting: Any, unfit: Any, path: str) -> None:
    stated = stated_type(text)
    assert stated is not None
    assert misfit(fitting, stated) is None
    unfit_part = misfit(unfit, stated)
    assert unfit_part is not None
    assert unfit_part[0] == path
    assert misfit(Opaque("f()"), stated) is None


@pytest.mark.parametrize("text", ["nn.Module", "int | Tensor", "Callable[[int], int]", "Any", "a number of pixels"])
def test_a_type_that_a_config_cannot_rule_out_is_open(text: str) -> None:
    assert stated_type(text) is None


def test_docstrings_are_read_as_they_are_written() -> None:
    text = """A head.

    Args:
        in_channels (int|Sequence[int]): Input channels.
        concat (bool, optional): Whether to concatenate.
        sizes (list of int or int): Sizes. Default: None.
        module (nn.Module): The module.
    """
    types = documented(text)
    assert types.keys() == {"in_channels", "concat", "sizes"}
    assert named(stated_type(types["sizes"]) or pytest.fail("open")) == "a list or tuple or an int"
    assert named(stated_type(types["concat"]) or pytest.fail("open")) == "a bool or None"


def test_a_docstring_that_says_less_than_the_annotation_takes_nothing_back() -> None:
    info = registry_for(release="onedl").find("Resize", "transform")
    assert info is not None
    stated = info.stated_type("scale")  # `Optional[Union[int, Tuple[int, int]]]`, and `(int or tuple)`
    assert stated is not None
    assert misfit((2048, 1024), stated) is None
    assert misfit((2048, None), stated) is not None
    assert misfit((2048,), stated) is not None
    assert named(stated) == "a list or tuple of 2 or an int or None"


def test_a_default_is_taken_whatever_the_docstring_says() -> None:
    info = registry_for(release="onedl").find("IterBasedTrainLoop", "loop")
    assert info is not None
    stated = info.stated_type("dynamic_intervals")
    assert stated is not None
    assert misfit(None, stated) is None
    assert misfit(3, stated) is not None
