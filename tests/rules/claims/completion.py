"""A rule's example made a whole config: the rest is a config of mmsegmentation's own, made small.

The base is the shipped config that has most of the classes which the example names, where it names them. What the
example says is merged into it; how deep, is told by the rule: it has to find its mistake in the bad example's whole
config, and nothing in the good one's. So a mistake that is something absent is not filled in.
"""

from __future__ import annotations

import copy
import functools
import pprint
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docs.generate.zoo import installed_configs
from provecfg.findings import Problem
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.shipped_bases import FOLDER, whole_configs
from provecfg.registry.layout import TOP_LEVEL
from provecfg.rules import judge
from tests.rules.examples import write_example

_FIRST_BASE: Final = "fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py"
"""Where several have as many of the classes: quick, and on images that have one size."""
_SMALLER: Final = 8
_LARGE_PX: Final = 256
"""From here on, sides of images and of windows are made smaller."""
_SIDES: Final = frozenset({"crop_size", "img_scale", "img_size", "scale", "size", "stride"})
_OF_MODEL: Final = frozenset({"data_preprocessor"})
"""Top-level keys that the base's model has, too."""
_MIN_KEPT: Final = 500
_PARTS: Final = (
    "model",
    "model.backbone",
    "model.neck",
    "model.decode_head",
    "model.auxiliary_head",
    "model.data_preprocessor",
)
_SETS: Final = ("train", "val", "test")
_SET_KEYS: Final = ("_dataloader", "_cfg", "_evaluator")
_DEPTHS: Final = (99, 5, 4, 3, 2, 1)


@dataclass(frozen=True, slots=True)
class Way:
    """How an example is merged into its base.

    Args:
        depth: Of the dicts that are merged key by key; deeper ones replace the base's.
        fills_classes: Whether datasets get as many classes as the head has, and heads as many as the datasets.
        drops_rest_of_sets: Whether a loop, loader or evaluator that the example leaves out is left out, where the
            example has another of its set.
    """

    depth: int
    fills_classes: bool
    drops_rest_of_sets: bool


@dataclass(frozen=True, slots=True)
class WholeExamples:
    """Both examples of a problem as whole configs, as text."""

    bad: str
    good: str


def whole_examples(problem: Problem, folder: Path) -> WholeExamples | None:
    """Both examples of a problem as whole configs; None where the rule finds its mistake in none that was made.

    Args:
        problem: A rule's, with examples that mmengine loads.
        folder: For the examples' files; one below it is made for them.
    """
    import_stack()
    bad, good = (
        _loaded(example, folder / problem.code / name)
        for name, example in (("bad", problem.bad), ("good", problem.good))
    )
    base = base_of(good)
    for drops in (False, True):
        for fills in (True, False):
            for depth in _DEPTHS:
                way = Way(depth, fills, drops)
                texts = [text_of(completed(example, base, way)) for example in (bad, good)]
                found = [_codes(text, folder) for text in texts]
                if problem.code in found[0] and problem.code not in found[1]:
                    return WholeExamples(*texts)
    return None


def completed(example: Mapping[str, Any], base: str, way: Way) -> dict[str, Any]:
    """An example, merged into the small form of a shipped config."""
    whole = merged(
        _small_base(base, with_auxiliary="auxiliary_head" in example.get("model", {})), _small(example), way.depth
    )
    if way.drops_rest_of_sets:
        for of in _SETS:
            keys = {f"{of}{key}" for key in _SET_KEYS} | ({"optim_wrapper"} if of == "train" else set())
            if keys & set(example):
                whole = {key: value for key, value in whole.items() if key not in keys or key in example}
    if way.fills_classes:
        _fill_classes(whole, example)
    _load_images_alike(whole, example)
    return whole


def merged(base: Any, change: Any, depth: int) -> Any:
    """A part of a config with another merged into it, as mmengine does; one of another `type` replaces it.

    Datasets are merged even so: their folders and pipelines are what any of them needs.
    """
    if _are_parts(base) and _are_parts(change) and len(base) == len(change):
        return [merged(*pair, depth) for pair in zip(base, change, strict=True)]
    if not isinstance(change, Mapping) or not isinstance(base, Mapping):
        return copy.deepcopy(change)
    is_dataset = "pipeline" in base
    if is_dataset and "dataset" in change:  # a wrapper, around what the base has
        return copy.deepcopy(dict(change)) | {"dataset": merged(base, change["dataset"], depth - 1)}
    is_other = "type" in change and base.get("type") not in (change["type"], *_with_ancestors(str(change["type"])))
    if (depth <= 0 or is_other) and not is_dataset:
        kept = {"dataset": base["dataset"]} if "dataset" in base else {}
    else:
        kept = dict(base)
    return copy.deepcopy(kept) | {key: merged(base.get(key), value, depth - 1) for key, value in change.items()}


def _are_parts(value: Any) -> bool:
    """Whether it is the stages of a cascade, or another list of dicts that need not say what the base says."""
    return isinstance(value, (list, tuple)) and all(
        isinstance(item, Mapping) and "num_classes" in item for item in value
    )


def import_stack() -> None:
    """Import what examples are made whole and run by, and leave out what takes long and changes nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401, I001  (first, for those of mmcv's operators that are not compiled)
        import mmengine.config.config
        from mmseg.utils import register_all_modules

        register_all_modules(init_default_scope=False)
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)  # of logs that nobody reads, for a second each


def base_of(example: Mapping[str, Any]) -> str:
    """Path of the shipped config that has the classes which the example names, below mmsegmentation's configs."""
    wanted = {place: _with_ancestors(name) for place, name in _classes_of(example)}

    def matches(path: str) -> int:
        """The classes that it has: the very ones count twice, those that they are made of once."""
        classes = _shipped_classes()[path]
        return sum((classes.get(place) == names[0]) + (classes.get(place) in names) for place, names in wanted.items())

    return max([_FIRST_BASE, *whole_configs().values()], key=matches)  # the first of several


def _with_ancestors(name: str) -> tuple[str, ...]:
    """The names of a part of a model and of the classes that it is made of."""
    from mmseg.registry import MODELS

    found = None if "." in name else MODELS.get(name)
    return (name,) if found is None else tuple(of.__name__ for of in found.__mro__)


@functools.cache
def _shipped_classes() -> dict[str, dict[str, str]]:
    """Of each shipped config, the classes of its model's parts by their place."""
    views = {path: read_config(FOLDER / path) for path in whole_configs().values()}
    return {path: dict(_classes_of_view(view)) for path, view in views.items()}


def _classes_of_view(view: ConfigView) -> Iterator[tuple[str, str]]:
    for place in _PARTS:
        node = view.dig(place)
        if node is not None and node.is_list:
            node = view.dig(f"{place}[0]")
        if node is not None and node.type is not None:
            yield place, node.type


def _classes_of(example: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place in _PARTS:
        part: Any = example
        for key in place.split("."):
            part = part.get(key) if isinstance(part, Mapping) else None
        if isinstance(part, (list, tuple)) and part:
            part = part[0]
        if isinstance(part, Mapping) and isinstance(part.get("type"), str):
            yield place, part["type"].rpartition(".")[2]


def _loaded(example: str, folder: Path) -> dict[str, Any]:
    from mmengine.config import Config

    folder.mkdir(parents=True)
    return dict(Config.fromfile(write_example(example, folder), import_custom_modules=False).to_dict())


def _small_base(path: str, *, with_auxiliary: bool) -> dict[str, Any]:
    from mmengine.config import Config

    whole = Config.fromfile(installed_configs()[1] / path, import_custom_modules=False).to_dict()
    config: dict[str, Any] = _small({key: value for key, value in whole.items() if key in TOP_LEVEL.keys() - _OF_MODEL})
    config["model"] = _without_weights(config["model"])
    if not with_auxiliary:
        config["model"].pop("auxiliary_head", None)  # it goes with one backbone
    for key in [f"{of}_dataloader" for of in _SETS]:
        config[key] |= {"num_workers": 0, "persistent_workers": False}
    config["train_dataloader"]["batch_size"] = 2
    return config


def _small(part: Any, key: str = "") -> Any:
    """A part of a config with the sides of images an eighth."""
    if isinstance(part, Mapping):
        return {name: _small(value, name) for name, value in part.items()}
    if isinstance(part, (list, tuple)):
        return type(part)(_small(item, key) for item in part)
    if key == "min_kept":
        return min(part, _MIN_KEPT)
    if key in _SIDES and isinstance(part, int) and part >= _LARGE_PX:
        return part // _SMALLER
    return part


def _without_weights(part: Any) -> Any:
    """A model that loads no weights."""
    if isinstance(part, Mapping):
        return {
            name: None if name == "pretrained" or _is_of_weights(value) else _without_weights(value)
            for name, value in part.items()
        }
    if isinstance(part, (list, tuple)):
        return type(part)(map(_without_weights, part))
    return part


def _is_of_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "Pretrained"


def _fill_classes(config: dict[str, Any], example: Mapping[str, Any]) -> None:
    """Give heads and datasets that the example says nothing of as many classes as it says elsewhere."""
    datasets = {key: config[key].get("dataset", {}) for key in config if key.endswith("_dataloader")}
    in_example = {key: example.get(key, {}).get("dataset", {}) for key in datasets}
    numbers = [head["num_classes"] for _, head in _heads(example.get("model")) if "num_classes" in head]
    numbers += [len(dataset["metainfo"]["classes"]) for dataset in in_example.values() if _names_classes(dataset)]
    with_number = {place for place, head in _heads(example.get("model")) if "num_classes" in head}
    for place, head in _heads(config["model"]):
        if numbers and place not in with_number:
            head["num_classes"] = numbers[0]
    for key, dataset in datasets.items():
        if "metainfo" not in in_example[key]:
            own = classes_of(dataset["type"])
            if numbers and numbers[0] < len(own):
                dataset["metainfo"] = {**dataset.get("metainfo", {}), "classes": own[: numbers[0]]}
        elif "type" not in in_example[key]:
            dataset["type"] = "BaseSegDataset"  # which takes classes of any name


def _load_images_alike(config: dict[str, Any], example: Mapping[str, Any]) -> None:
    """Give the pipelines that the example says nothing of what loads the images of those that it does."""
    loaders = [
        step
        for of in _SETS
        for step in example.get(f"{of}_dataloader", {}).get("dataset", {}).get("pipeline", [])
        if step.get("type") == "LoadImageFromFile"
    ]
    for of in _SETS:
        dataset = config.get(f"{of}_dataloader", {}).get("dataset", {})
        if loaders and "pipeline" not in example.get(f"{of}_dataloader", {}).get("dataset", {}):
            steps = dataset.get("pipeline", [])
            dataset["pipeline"] = [loaders[0] if step["type"] == "LoadImageFromFile" else step for step in steps]


def _names_classes(dataset: Any) -> bool:
    return isinstance(dataset, Mapping) and "classes" in dataset.get("metainfo", {})


def classes_of(dataset: str) -> tuple[str, ...]:
    """The classes that a dataset has by itself."""
    from mmseg.registry import DATASETS

    metainfo = getattr(DATASETS.get(dataset.rpartition(".")[2]), "METAINFO", {})  # a wrapper has none
    return tuple(metainfo.get("classes", ()))


def _heads(model: Any) -> Iterator[tuple[tuple[str, int], dict[str, Any]]]:
    """The heads of a model, each with its place."""
    for key in ("decode_head", "auxiliary_head"):
        part = model.get(key) or [] if isinstance(model, Mapping) else []
        for index, head in enumerate(part if isinstance(part, (list, tuple)) else [part]):
            if isinstance(head, dict):
                yield (key, index), head


def text_of(config: Mapping[str, Any]) -> str:
    """A config's text."""
    return "".join(f"{key} = {pprint.pformat(value, sort_dicts=False, width=110)}\n" for key, value in config.items())


def _codes(text: str, folder: Path) -> set[str]:
    view = read_config(folder / "whole.py", text=text)
    return {finding.code for finding in judge(view)}
