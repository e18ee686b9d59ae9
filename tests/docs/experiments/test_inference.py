"""What is concluded of classes whose domains are known."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

from docs.generate.experiments.inference import Inference, Outcome, Subject
from docs.generate.experiments.variations import Values
from provecfg.registry.domains import Domain


def attempt_of(cls: type) -> Any:
    """Builds the class, and calls it where it can be called."""

    def attempt(values: Values) -> Outcome:
        is_built = False
        try:
            built = cls(**values)
            is_built = True
            if callable(built):
                built()
        except Exception as error:
            return Outcome(is_accepted=False, is_built=is_built, error=type(error).__name__, words=str(error))
        return Outcome(is_accepted=True)

    return attempt


def domain_of(
    cls: type,
    *bases: Values,
    known: Sequence[str] = (),
    texts: Sequence[str] = (),
    is_told: bool = False,
    **other_defaults: Any,
) -> Domain:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is not parameter.empty
    } | other_defaults
    subject = Subject(bases, defaults, lambda name: ["folder"], lambda path: known, texts, lambda *_: not is_told)
    return Inference(subject, attempt_of(cls), seconds=20.0).domain()


def kinds_refused(cls: type, *bases: Values, known: Sequence[str] = (), **of_subject: Any) -> dict[str, set[str]]:
    return {path: set(kinds) for path, kinds in domain_of(cls, *bases, known=known, **of_subject).items()}


class Scaled:
    """A number that is multiplied when the object is used."""

    def __init__(self, factor: float = 1.5, count: int = 3) -> None:
        self.factor = factor
        self.range = range(count)

    def __call__(self) -> float:
        return self.factor + 1


def test_what_arithmetic_cannot_do_is_refused_whenever_it_is_done() -> None:
    refused = kinds_refused(Scaled, {})
    assert refused["factor"] == {"None", "a text", "a list", "a list of texts", "a dict"}
    assert {"None", "a text", "a fraction", "a whole number as a float"} <= refused["count"]
    assert not refused["count"] & {"zero", "negative"}  # an empty range is one


def test_of_what_the_source_tells_nothing_is_kept() -> None:
    assert kinds_refused(Scaled, {}, is_told=True) == {}


def test_a_kind_that_is_documented_or_that_a_config_gives_is_not_concluded() -> None:
    assert "None" not in kinds_refused(Scaled, {}, known=["None"])["factor"]


class Bounded:
    """A fraction, of which the constructor asks that it is one."""

    def __init__(self, rate: float = 0.5, sizes: Sequence[int] = (2, 3)) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate is {rate}")
        self.sizes = [[0] * size for size in sizes]
        self.shares = [1 / size for size in sizes]
        if min(sizes) < 0:
            raise ValueError(f"sizes are {sizes}")


def test_ranges_and_items_are_told() -> None:
    refused = kinds_refused(Bounded, {})
    assert {"below 0", "above 1"} <= refused["rate"]
    assert "zero" not in refused["rate"]
    assert {"zero", "negative", "None", "a text", "a whole number as a float"} <= refused["sizes[]"]
    assert {"a number", "None"} <= refused["sizes"]


class Dependent:
    """Takes a number, or with a mode that is not the default, a text; and a None only where another number is 0."""

    def __init__(self, value: Any = 1, mode: str = "number", rest: Any = 2, is_used: bool = True) -> None:
        self.value = value + 1 if mode == "number" else str(value)
        self.rest = rest + 1 if is_used else rest


def test_what_another_argument_allows_is_not_concluded() -> None:
    refused = kinds_refused(Dependent, {}, texts=["number", "text"])
    assert "value" not in refused  # the mode is one of the texts that the source names
    assert "rest" not in refused  # whether it is used is a flag


def test_what_one_of_the_bases_allows_is_not_concluded() -> None:
    assert "value" not in kinds_refused(Dependent, {"value": 1}, {"value": 2, "mode": "text"})


class Replaceable:
    """Reads its names unless a folder is given in their place."""

    def __init__(self, names: Any = ("a", "b"), folder: Any = None) -> None:
        self.names = list(names) if folder is None else []


def test_what_an_argument_that_is_none_by_default_lifts_is_not_concluded() -> None:
    assert "names" not in kinds_refused(Replaceable, {})


class Formatter:
    """Reads its names unless a flag says that it writes only, which it needs a folder for."""

    def __init__(self, names: Any = ("a", "b"), is_written: bool = False, folder: Any = None) -> None:
        self.names, self.is_written, self.folder = names, is_written, folder

    def __call__(self) -> Any:
        return self.folder.upper() if self.is_written else [*self.names]


def test_a_refusal_that_a_flag_lifts_is_kept_with_the_flag() -> None:
    unless = {kind: evidence.unless for kind, evidence in domain_of(Formatter, {})["names"].items()}
    assert unless == {"None": (("is_written", True),), "a number": (("is_written", True),)}


def test_a_refusal_that_the_default_of_a_flag_lifts_is_not_concluded() -> None:
    assert "names" not in domain_of(Formatter, {"is_written": False}, is_written=True)


class Chosen:
    """One of a few values, of which the trials know one."""

    settings: ClassVar = {18: 2, 50: 3, "tiny": 1}

    def __init__(self, depth: Any = 50) -> None:
        if depth not in self.settings:
            raise KeyError(f"invalid depth {depth}")


def test_a_choice_among_values_is_no_matter_of_their_kind() -> None:
    refused = kinds_refused(Chosen, {})["depth"]
    assert not refused & {"a text", "a fraction", "a whole number as a float"}
    assert "None" not in refused
    assert "a dict" in refused  # it is no key of any table


class OfATensor:
    """Raises what torch does of a device that it does not know, and of a None among numbers."""

    def __init__(self, device: Any = 0, mean: Any = 1.0) -> None:
        if device in ("no_such_word", "7") or mean is None:
            raise RuntimeError("expected one of cpu, cuda")


def test_a_runtime_error_refuses_none_and_no_text_that_another_may_stand_in_for() -> None:
    refused = kinds_refused(OfATensor, {})
    assert refused["mean"] == {"None"}
    assert "device" not in refused


class Fed:
    """Fails on the input that it is used with, whatever its arguments are."""

    def __init__(self, channels: int = 4) -> None:
        self.channels = channels

    def __call__(self) -> None:
        if self.channels != 4:
            raise RuntimeError(f"expected {self.channels} channels, got 4")


def test_a_number_that_does_not_fit_the_input_is_not_concluded() -> None:
    assert not kinds_refused(Fed, {}).get("channels", set()) & {"zero", "negative", "a fraction"}


def test_a_class_that_refuses_what_it_is_known_to_accept_is_left_out() -> None:
    assert kinds_refused(Chosen, {"depth": 7}) == {}


class Nested:
    """Reads a key of a dict that it is given."""

    def __init__(self, test_cfg: dict[str, Any]) -> None:
        self.mode = test_cfg["mode"].lower()


def test_keys_of_dicts_are_arguments_too() -> None:
    refused = kinds_refused(Nested, {"test_cfg": {"mode": "whole"}})
    assert {"a number", "a list"} <= refused["test_cfg.mode"]
    assert "None" not in refused["test_cfg.mode"]  # another key may stand in for it
    assert {"None", "a text", "a list"} <= refused["test_cfg"]


class Demanding:
    """Needs a folder, which is None by default."""

    def __init__(self, folder: Any = None, mode: str = "fast") -> None:
        if folder is None:
            raise ValueError("folder is None")


def test_arguments_that_are_refused_are_completed_by_one_that_the_class_demands() -> None:
    subject = Subject([], {"folder": None}, lambda name: ["sample"], lambda path: (), (), lambda *_: True)
    inference = Inference(subject, attempt_of(Demanding), seconds=20.0)
    assert inference.completed({"mode": "slow"}) == {"mode": "slow", "folder": "sample"}
    assert inference.completed({"mode": "slow", "unknown": 1}) is None
