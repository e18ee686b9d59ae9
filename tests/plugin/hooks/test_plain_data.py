"""Plain data: what becomes of a value, and that it comes back."""

from __future__ import annotations

import enum
import io
from collections import OrderedDict, deque, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from provecfg.plugin.hooks.plain_data import NotPlainError, from_plain, to_plain

pytestmark = pytest.mark.stack

Point = namedtuple("Point", "x y")


class Level(enum.IntEnum):
    HIGH = 3


def through_a_file(value):
    """Write the value as plain data, and read it as torch's safe loading does."""
    buffer = io.BytesIO()
    torch.save(to_plain(value), buffer)
    buffer.seek(0)
    return from_plain(torch.load(buffer, weights_only=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.int32(3), 3),
        (np.bool_(True), True),
        (np.longdouble(0.5), 0.5),
        (np.str_("a"), "a"),
        (Level.HIGH, 3),
        (Path("a") / "b", "a/b"),
        (Point(1, np.float32(2)), (1, 2.0)),
        (ConfigDict(a=ConfigDict(b=(1, 2))), {"a": {"b": (1, 2)}}),
        (OrderedDict(b=1, a=np.float64(2)), OrderedDict(b=1, a=2.0)),
        ({np.int64(1): "a"}, {1: "a"}),
        ({1, 2}, {1, 2}),
        (frozenset({"a"}), frozenset({"a"})),
        (None, None),
    ],
)
def test_it_comes_back_as_a_value_of_python(value, expected):
    loaded = through_a_file(value)
    assert loaded == expected
    assert type(loaded) is type(expected)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3)[:, ::-1],
        np.array(2.5),
        np.array(["road", "sky"]),
        np.zeros((0, 3), dtype=np.float16),
        np.array([1, 2], dtype=">i4"),
    ],
)
def test_arrays_come_back_with_shape_and_dtype(array):
    loaded = through_a_file({"palette": array})["palette"]
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)


def test_history_buffers_come_back():
    buffer = HistoryBuffer(max_length=3)
    for value in range(5):
        buffer.update(value, 2)
    loaded = through_a_file([buffer])[0]
    assert isinstance(loaded, HistoryBuffer)
    assert loaded.max_length == 3
    for old, new in zip(buffer.data, loaded.data, strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)


def test_what_is_plain_is_not_copied():
    state = {"weights": OrderedDict(a=torch.ones(2)), "epochs": [1, (2.0, None)], "name": "x"}
    assert to_plain(state) is state
    assert from_plain(state) is state


def test_what_has_no_plain_equal_is_named_with_its_place():
    with pytest.raises(NotPlainError, match=r"message_hub\.info\.1 is a collections\.deque, which is not plain data"):
        to_plain({"info": [1, deque()]}, "message_hub")
