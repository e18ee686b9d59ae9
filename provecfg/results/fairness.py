"""Which runs may be compared: those that differ in nothing but what their study varies, and saw the same data."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from provecfg.comparison.canonical import Leaf
from provecfg.comparison.cells import AXES, Compared, compared
from provecfg.comparison.factors import Factor
from provecfg.comparison.judging import Comparison, Judged, Status, compare
from provecfg.comparison.values import change_in_words
from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.mmconfig import read_config
from provecfg.results.runs import Run

_OF_ITS_OWN: Final = ("work_dir = ", "randomness = ", "experiment_name = ", "load_from = ", "resume = ", "#")
"""Begin the lines of a config as mmengine writes it that each run has of its own, where they are a line."""
_EXPERIMENT: Final = re.compile(r"experiment_name = ('[^']+')")


@dataclass(frozen=True)
class _Group:
    """Runs whose configs are the same but for their seeds.

    Args:
        runs: They.
        config: Of one of them; its coordinate on the axis of seeds tells groups of one cell apart.
    """

    runs: tuple[Run, ...]
    config: Compared


def incomparable(runs: Sequence[Run]) -> dict[Path, str]:
    """Work dirs of the runs that may not be compared with the others, and why.

    A run without a config, or without a place on the axes of a study, is one of them.
    """
    reasons: dict[Path, str] = {}
    for run in runs:
        if not run.cell:
            reasons[run.path] = "nothing says which cell of a study it is"
        elif run.config is None:
            reasons[run.path] = "its work dir has no config, so nothing says what it trained"
    groups = list(_groups([run for run in runs if run.path not in reasons], reasons))
    for group, reason in _odd_ones_out(groups).items():
        reasons |= {run.path: reason for run in groups[group].runs}
    for path, reason in _on_other_data(run for run in runs if run.path not in reasons):
        reasons[path] = reason
    return reasons


def _groups(runs: Sequence[Run], reasons: dict[Path, str]) -> Iterator[_Group]:
    """The runs by what they train. Those whose config cannot be read get a reason."""
    by_text: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        assert run.config is not None
        try:
            by_text[run.study, _without_its_own(read_text(run.config))].append(run)
        except (OSError, UnicodeDecodeError) as error:
            reasons[run.path] = f"its config cannot be read: {error}"
    of_cell: dict[Hashable, list[list[Run]]] = defaultdict(list)
    for same in by_text.values():
        cells = list(dict.fromkeys(_but_seed(run.cell) for run in same))
        for run in same:
            if _but_seed(run.cell) != cells[0]:
                reasons[run.path] = f"it trains the same as {same[0].name}, of which it is to be another cell"
        kept = [run for run in same if run.path not in reasons]
        of_cell[same[0].study, cells[0]].append(kept)
    for groups in of_cell.values():
        for index, group in enumerate(sorted(groups, key=len, reverse=True)):
            config = group[0].config
            assert config is not None
            try:
                view = read_config(config)
            except ProvecfgError as error:
                reasons |= {run.path: error.message for run in group}
                continue
            coordinates = {**group[0].cell, "seed": str(index)}
            read = replace(compared(view, group[0].name), study=group[0].study, coordinates=coordinates)
            yield _Group(tuple(group), read)


def _but_seed(cell: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for axis, value in cell.items() if axis != "seed")


def _without_its_own(text: str) -> str:
    """A config's text without what differs from run to run: its seed, its names, and the checkpoint it went on from."""
    lines = text.splitlines()
    own = [line for line in lines if line.startswith(_OF_ITS_OWN)]
    shared = "\n".join(line for line in lines if not line.startswith(_OF_ITS_OWN))
    name = next(filter(None, map(_EXPERIMENT.fullmatch, own)), None)
    if name is not None:
        shared = shared.replace(name[1], "''")
    if "resume = True" in own:
        return shared
    started_from = [line for line in own if line.startswith("load_from = ") and line != "load_from = None"]
    return "\n".join([shared, *started_from])


def _odd_ones_out(groups: Sequence[_Group]) -> dict[int, str]:
    """Groups that differ from others in what they may not, and in what: as few as explain all such differences."""
    index_of = {id(group.config): index for index, group in enumerate(groups)}
    conflicts: dict[int, dict[int, Judged]] = defaultdict(dict)  # one -> other -> what the one has for the other's
    for comparison in _comparisons([group.config for group in groups]):
        unexplained = [
            judged for judged in comparison.of_status(Status.UNEXPLAINED) if not _is_its_own(judged, comparison)
        ]
        before, after = index_of[id(comparison.before)], index_of[id(comparison.after)]
        if unexplained:
            first = unexplained[0]
            conflicts[after][before] = first
            turned = replace(first.difference, before=first.difference.after, after=first.difference.before)
            conflicts[before][after] = replace(first, difference=turned)
    odd: dict[int, str] = {}
    while any(conflicts.values()):
        # The one that disagrees with the most; of two that disagree with each other alone, the later.
        worst = max(conflicts, key=lambda index: (len(conflicts[index]), index))
        other, judged = next(iter(conflicts.pop(worst).items()))
        odd[worst] = (
            f"it differs from {groups[other].config.name} in the {judged.factor.value}: "
            f"{change_in_words(judged.difference)}"
        )
        for neighbours in conflicts.values():
            neighbours.pop(worst, None)
    return odd


def _comparisons(configs: Sequence[Compared]) -> Iterator[Comparison]:
    """Those of cells that differ along one axis. Where nothing says what a study varied, its axes are taken broadly."""
    for configs_of, varied in (
        ([config for config in configs if config.study], ()),
        ([config for config in configs if not config.study], tuple(AXES)),
    ):
        if len(configs_of) > 1:
            for comparison in compare(configs_of, varied):
                if comparison.was_declared and comparison.declared in AXES:
                    yield comparison


def _is_its_own(judged: Judged, comparison: Comparison) -> bool:
    """Whether a difference is none of the training: the seed, where the data lie, the checkpoint it went on from."""
    key = judged.difference.key
    if key in ("resume", "load_from"):
        resumes = (side.values.get("resume") for side in (comparison.before, comparison.after))
        return any(isinstance(value, Leaf) and value.value is True for value in resumes)
    return judged.factor is Factor.SEED or key.rpartition(".")[2] == "data_root"


def _on_other_data(runs: Iterable[Run]) -> Iterator[tuple[Path, str]]:
    """Runs that were trained or validated on other data than most of those on the same dataset."""
    by_dataset: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_dataset[run.cell["dataset"]].append(run)
    for same in by_dataset.values():
        trained_on = {run.path: run.data for run in same if run.data is not None}
        for path, most in _minority(trained_on):
            yield path, f"its training data are not those of {most} other runs"
        validated_on = {
            run.path: (file.data_digest, int(file.about["images"]))
            for run in same
            for file in list(run.counts.values())[-1:]
        }
        images = Counter(validated_on.values()).most_common(1)[0][0][1] if validated_on else 0
        for path, most in _minority(validated_on):
            count = validated_on[path][1]
            what = f"{count} images, not {images}" if count != images else "other images or labels"
            yield path, f"it was validated on {what} as {most} other runs were"


def _minority(values: Mapping[Path, Hashable]) -> Iterator[tuple[Path, int]]:
    """Those that have not the most frequent value, and how many have that."""
    if values:
        value, count = Counter(values.values()).most_common(1)[0]
        yield from ((path, count) for path, own in values.items() if own != value)
