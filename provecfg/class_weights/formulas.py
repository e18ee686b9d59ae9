"""From the counts of labels to one weight a class. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from provecfg import spelling
from provecfg.errors import ExitCode, ProvecfgError


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often the label maps hold a class.

    Args:
        pixels: Pixels of the class.
        files: Label maps that hold at least one of them.
        file_pixels: Labelled pixels, of any class, of those label maps.
    """

    pixels: int
    files: int
    file_pixels: int


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What was counted in a folder of label maps.

    Args:
        classes: One count a class, in the order of the dataset's classes.
        files: Label maps.
        ignored_pixels: Pixels of no class.
        digest: Of the label maps' names and of what each holds; see `data.label_counts`.
    """

    classes: tuple[ClassCount, ...]
    files: int
    ignored_pixels: int
    digest: str

    @property
    def labelled_pixels(self) -> int:
        """Pixels of any class."""
        return sum(count.pixels for count in self.classes)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to weigh classes.

    Args:
        title: In a few words.
        formula: Weight of a class with at least one pixel, before they are scaled to a mean of 1.
        parameters: Of the formula, with their defaults.
        source: Where it is from.
    """

    title: str
    formula: Callable[[LabelCounts, Mapping[str, float]], Callable[[ClassCount], float]]
    parameters: Mapping[str, float]
    source: str


def class_weights(
    counts: LabelCounts, method: str, parameters: Mapping[str, float] = MappingProxyType({})
) -> tuple[float, ...]:
    """One weight a class, with a mean of 1 over the classes that occur.

    A class without a pixel has the largest weight that another has. Its pixels cannot move the loss, as there are
    none (label smoothing does count its probability); this weight is finite, and should the class occur where the
    weights are used, no class that is more frequent has a larger one.

    Args:
        counts: What the label maps hold.
        method: One of `METHODS`.
        parameters: Of the method, in place of the defaults.

    Raises:
        ProvecfgError: An unknown method or parameter, a parameter out of its range, or no class that occurs.
    """
    chosen = {**parameters_of(method), **parameters}
    _check(method, chosen)
    present = [count for count in counts.classes if count.pixels]
    if not present:
        raise ProvecfgError("no pixel of the label maps has a class", exit_code=ExitCode.FINDINGS)
    weigh = METHODS[method].formula(counts, chosen)
    scale = len(present) / math.fsum(weigh(count) for count in present)
    largest = max(weigh(count) for count in present)
    return tuple(scale * (weigh(count) if count.pixels else largest) for count in counts.classes)


def parameters_of(method: str) -> Mapping[str, float]:
    """The parameters of a method, with their defaults.

    Raises:
        ProvecfgError: There is no such method.
    """
    if method not in METHODS:
        raise ProvecfgError(spelling.unknown("method", method, METHODS))
    return METHODS[method].parameters


def _check(method: str, parameters: Mapping[str, float]) -> None:
    for name, value in parameters.items():
        if name not in METHODS[method].parameters:
            raise ProvecfgError(f"method {method!r} has no parameter {name!r}")
        low, high = _RANGES[name]
        if not low <= value < high:
            raise ProvecfgError(f"{name} is {value:g}, must be at least {low:g} and less than {high:g}")


_RANGES = {"beta": (0.0, 1.0), "c": (1.0, math.inf)}


def _inverse(counts: LabelCounts, parameters: Mapping[str, float]) -> Callable[[ClassCount], float]:
    """1 / p, p the class's share of the labelled pixels: each class weighs the same in the sum over pixels."""
    total = counts.labelled_pixels
    return lambda count: total / count.pixels


def _median_frequency(counts: LabelCounts, parameters: Mapping[str, float]) -> Callable[[ClassCount], float]:
    """median(f) / f, f the class's share of the pixels of those label maps that hold it.

    Differs from the paper: ignored pixels are left out of the maps' pixels.
    """
    median = statistics.median(count.pixels / count.file_pixels for count in counts.classes if count.pixels)
    return lambda count: median * count.file_pixels / count.pixels


def _effective_number(counts: LabelCounts, parameters: Mapping[str, float]) -> Callable[[ClassCount], float]:
    """(1 - beta) / (1 - beta^n), n the samples of the class.

    Differs from the paper, which classifies images: n is the class's pixels divided by the mean labelled pixels of a
    label map, so as many images as the class would fill. With pixels for samples the method does nothing: 0.9999^n is
    as good as 0 from n = 100000 on, a tenth of one image, and every class of a dataset would weigh the same.
    """
    beta = parameters["beta"]
    pixels_per_file = counts.labelled_pixels / counts.files
    if beta == 0:
        return lambda count: 1.0
    return lambda count: (1 - beta) / -math.expm1(count.pixels / pixels_per_file * math.log(beta))


def _log(counts: LabelCounts, parameters: Mapping[str, float]) -> Callable[[ClassCount], float]:
    """1 / ln(c + p), p the class's share of the labelled pixels: bounded, by 1 / ln(c) before scaling."""
    c, total = parameters["c"], counts.labelled_pixels
    return lambda count: 1 / math.log(c + count.pixels / total)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "inverse": Method("inverse frequency", _inverse, {}, "each class counts the same, however rare"),
        "median-frequency": Method(
            "median frequency balancing", _median_frequency, {}, "Eigen and Fergus, ICCV 2015 (arXiv:1411.4734)"
        ),
        "effective-number": Method(
            "effective number of samples",
            _effective_number,
            {"beta": 0.9999},
            "Cui et al., CVPR 2019, Proposition 1 and sec. 4 (arXiv:1901.05555)",
        ),
        "log": Method(
            "bounded inverse of the logarithm", _log, {"c": 1.02}, "ENet: Paszke et al. 2016 (arXiv:1606.02147)"
        ),
    }
)
