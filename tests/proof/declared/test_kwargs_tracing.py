from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mmengine")
from mmengine.config import Config

from provecfg.proof.declared.kwargs_tracing import Swallowed
from provecfg.proof.declared.recorded_config import Reads, Recorder

pytestmark = pytest.mark.stack


def watched(use: Callable[[Any], object], **part: Any) -> Reads:
    """What became of the keys of a dict that `use` was given."""
    recorder = Recorder()
    config = recorder.config(Config({"part": part}))
    with recorder.recording():
        use(config.part)
    return recorder.by_path["part"]


def named(a: object = 0, b: object = 0) -> None:
    pass


def chained(first: int = 0, **kwargs: Any) -> None:
    named(**kwargs)


def swallowing(first: int = 0, **kwargs: Any) -> None:
    named()


def handing_to_the_swallower(**kwargs: Any) -> None:
    swallowing(**kwargs)


def test_a_key_reaches_a_parameter_of_its_name() -> None:
    reads = watched(lambda part: named(**part), a=1, b=2)
    assert (reads.consumed, reads.swallowed) == ({"a", "b"}, {})


def test_a_key_reaches_a_parameter_through_kwargs() -> None:
    reads = watched(lambda part: chained(**part), first=1, a=1)
    assert (reads.consumed, reads.swallowed) == ({"first", "a"}, {})


def test_a_key_that_nobody_names_is_swallowed_by_the_last_to_hold_it() -> None:
    reads = watched(lambda part: handing_to_the_swallower(**part), first=1, lost=2)
    assert reads.consumed == {"first"}
    assert reads.swallowed == {"lost": Swallowed("swallowing", __name__)}


def test_an_equal_value_elsewhere_is_not_the_key() -> None:
    """`named(a=[1])` is called with a value of its own, not with what was handed on."""

    def use(**kwargs: Any) -> None:
        named(a=[1])

    assert list(watched(lambda part: use(**part), a=[1]).swallowed) == ["a"]


def popping(**kwargs: Any) -> None:
    kwargs.pop("key")


def getting(**kwargs: Any) -> None:
    kwargs.get("key")


def looking(**kwargs: Any) -> None:
    kwargs["key"]


def emptying(**kwargs: Any) -> None:
    kwargs.clear()


@pytest.mark.parametrize("use", [popping, getting, looking, emptying])
def test_a_key_that_is_read_from_the_kwargs_is_consumed(use: Callable[..., None]) -> None:
    reads = watched(lambda part: use(**part), key=1)
    assert (reads.consumed, reads.swallowed) == ({"key"}, {})


class Keeping:
    def __init__(self, **kwargs: Any) -> None:
        self.options = kwargs


class KeepingInPartial:
    def __init__(self, **kwargs: Any) -> None:
        self.later = functools.partial(named, **kwargs)


class Setting:
    def __init__(self, **kwargs: Any) -> None:
        for key, value in kwargs.items():
            setattr(self, key, value)


@pytest.mark.parametrize(("cls", "attribute"), [(Keeping, "options"), (KeepingInPartial, "later")])
def test_what_an_object_keeps_for_later_is_said_to_be_kept(cls: type, attribute: str) -> None:
    reads = watched(lambda part: cls(**part), a=1)
    assert {key: (type(owner), place) for key, (owner, place) in reads.kept.items()} == {"a": (cls, attribute)}
    assert reads.swallowed == {}


def test_a_key_that_becomes_an_attribute_is_consumed() -> None:
    assert watched(lambda part: Setting(**part), key=1).consumed == {"key"}


def test_a_wrapped_function_is_seen_through() -> None:
    @functools.wraps(named)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        named(*args, **kwargs)

    assert watched(lambda part: wrapper(**part), a=1).consumed == {"a"}


def test_a_call_within_the_arguments_is_not_taken_for_the_call() -> None:
    def inner() -> int:
        return 1

    reads = watched(lambda part: swallowing(**part, first=inner()), lost=1)
    assert list(reads.swallowed) == ["lost"]


def test_a_key_that_another_call_takes_is_not_swallowed() -> None:
    reads = watched(lambda part: (swallowing(**part), named(**part)), a=1)
    assert (reads.consumed, reads.swallowed) == ({"a"}, {})


def test_keys_inside_a_dict_that_is_handed_on_count_as_taken() -> None:
    def building(**kwargs: Any) -> None:
        taking({"type": "X", **kwargs})

    def taking(config: dict[str, Any]) -> None:
        pass

    assert watched(lambda part: building(**part), key=1).consumed == {"key"}


def test_what_c_code_takes_counts_as_taken() -> None:
    assert watched(lambda part: dict(**part), key=1).consumed == {"key"}


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda part: part.copy(), lambda part: copy.deepcopy([part])[0]],
    ids=["copy", "deepcopy", "method", "inside"],
)
def test_copying_is_not_reading_and_reading_a_copy_is(copied: Callable[[Any], Any]) -> None:
    recorder = Recorder()
    config = recorder.config(Config({"part": {"a": 1, "b": 2}}))
    with recorder.recording():
        part = copied(config.part)
        assert recorder.by_path["part"].unread == ["a", "b"]
        part.pop("a")
    assert recorder.by_path["part"].unread == ["b"]


@pytest.mark.parametrize(
    "read",
    [
        lambda part: part.a,
        lambda part: part["a"],
        lambda part: part.get("a"),
        lambda part: "a" in part,
        lambda part: part.items(),
        lambda part: dict(part),
        lambda part: {**part},
    ],
    ids=["attribute", "item", "get", "in", "items", "dict", "display"],
)
def test_every_way_of_looking_a_key_up_is_noted(read: Callable[[Any], Any]) -> None:
    reads = watched(read, a=1)
    assert reads.consumed == {"a"}
    assert reads.readers == {__name__}


def test_nothing_is_noted_outside() -> None:
    recorder = Recorder()
    config = recorder.config(Config({"part": {"a": 1}}))
    assert config.part.a == 1
    assert recorder.by_path["part"].unread == ["a"]


def test_the_absent_key_of_a_dict_is_said_with_its_place() -> None:
    config = Recorder().config(Config({"part": [{"inner": {"a": 1}}]}))
    with pytest.raises(AttributeError, match="'ConfigDict' object has no attribute 'b'") as caught:
        _ = config.part[0].inner.b
    assert caught.value.declared_at == "part[0].inner"
