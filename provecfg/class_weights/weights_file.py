"""The file of class weights: what `provecfg class-weights` writes, and a study names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provecfg import __version__, spelling
from provecfg.class_weights.formulas import METHODS, LabelCounts
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.files import TooLargeError, read_text
from provecfg.mmconfig.data_files import DataError, read_plain_yaml
from provecfg.spelling import shown

_LARGEST_FILE = 1_000_000  # bytes; such a file is a page of text
_DIGITS = 6  # of a weight; the counts are not known better


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a file of class weights says.

    Args:
        dataset: Name of the dataset in the catalog.
        method: One of `formulas.METHODS`.
        parameters: Of the method.
        classes: Names, in the order of the dataset's classes.
        counts: What the weights were computed from.
        weights: One a class.
    """

    dataset: str
    method: str
    parameters: Mapping[str, float]
    classes: tuple[str, ...]
    counts: LabelCounts
    weights: tuple[float, ...]

    def text(self) -> str:
        """The file. Equal counts give an equal text."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        counts = self.counts
        yield "# Class weights, with a mean of 1 over the classes that occur. Written by `provecfg class-weights`."
        yield f"# {METHODS[self.method].title}: {METHODS[self.method].source}."
        yield f"provecfg: {_scalar(__version__)}"
        yield f"dataset: {_scalar(self.dataset)}"
        yield f"method: {_scalar(self.method)}"
        yield f"parameters: {_flow(self.parameters)}"
        yield f"files: {counts.files}"
        yield f"ignored_pixels: {counts.ignored_pixels}"
        yield f"digest: {_scalar(counts.digest)}"
        yield "counts:  # pixels of the class; label maps that hold it; their labelled pixels"
        for name, count in zip(self.classes, counts.classes, strict=True):
            entry = {"pixels": count.pixels, "files": count.files, "file_pixels": count.file_pixels}
            yield f"  {_scalar(name)}: {_flow(entry)}"
        yield "weights:"
        for name, weight, count in zip(self.classes, self.weights, counts.classes, strict=True):
            absent = "" if count.pixels else "  # does not occur"
            yield f"  {_scalar(name)}: {_scalar(float(f'{weight:.{_DIGITS}g}'))}{absent}"


def read_class_weights(path: Path, classes: Sequence[str]) -> list[float]:
    """The weights of a file, in the order of the classes.

    Args:
        path: A file that `provecfg class-weights` wrote.
        classes: The names of the classes that the weights are for.

    Raises:
        ProvecfgError: The file cannot be read or is no such file, has no digest of the data that it is from, or its
            weights are not one finite number >= 0 for each of the classes, at least one of them > 0.
    """
    fields = _fields(path)
    weights, digest = fields.get("weights"), fields.get("digest")
    if not isinstance(weights, dict):
        raise _refusal(path, "it has no `weights`, a mapping from class names to numbers")
    if not isinstance(digest, str) or not digest:
        raise _refusal(path, "it has no `digest` of the labels that the weights are from")
    weights = {str(name): value for name, value in weights.items()}
    missing = [name for name in classes if name not in weights]
    unknown = [name for name in weights if name not in classes]
    if missing or unknown:
        number = f"{len(weights)} weights for {len(classes)} classes: " if len(weights) != len(classes) else ""
        problems = [f"no weight of {', '.join(map(repr, missing))}"] if missing else []
        problems += [spelling.unknown("class", name, classes) for name in unknown[:3]]
        hint = f"{_of_dataset(fields)}its names have to be those of the classes"
        raise _refusal(path, number + "; ".join(problems), hint)
    values = []
    for name in classes:
        value = weights[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
            raise _refusal(path, f"the weight of {name!r} is {shown(value)}, must be a finite number >= 0")
        values.append(float(value))
    if not any(values):
        raise _refusal(path, "every weight is 0: nothing would be trained")
    return values


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = read_plain_yaml(read_text(path, max_bytes=_LARGEST_FILE), path).value
    except TooLargeError as error:
        raise _refusal(path, f"it is larger than {_LARGEST_FILE} bytes") from error
    except OSError as error:
        message = f"cannot read class weights {path}: {error.strerror or error}"
        raise ProvecfgError(message, hint="write it with `provecfg class-weights`") from error
    except UnicodeDecodeError as error:
        raise _refusal(path, f"it is not UTF-8 at byte {error.start}") from error
    except DataError as error:
        raise _refusal(path, f"it is not YAML in line {error.position[0]}: {error.message}") from error
    if not isinstance(fields, dict):
        raise _refusal(path, "it is no mapping of fields")
    return fields


def _refusal(path: Path, problem: str, hint: str = "write it anew with `provecfg class-weights`") -> ProvecfgError:
    return ProvecfgError(f"class weights {path}: {problem}", hint=hint, exit_code=ExitCode.FINDINGS)


def _of_dataset(fields: Mapping[str, Any]) -> str:
    dataset = fields.get("dataset")
    return f"the file is of dataset {dataset!r}; " if isinstance(dataset, str) else ""


def _scalar(value: str | float) -> str:
    """The value as YAML reads it: text quoted where it has to be, 1e-05 as 1.0e-05."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def _flow(entries: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in entries.items()) + "}"
