"""The real classes: what builds one of each registry, and small inputs that it is used with.

An input is one that the unchanged arguments are accepted with; where there is none, a class is only built. Of several,
one that is accepted is enough.
"""

from __future__ import annotations

import copy
import enum
import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from docs.generate.experiments.trial_process import Steps
from docs.generate.experiments.variations import Values

_SIDES: Final = (64, 128, 224)
"""Of the images that backbones see, px."""
_TIMES: Final = 6
"""How often a transform, a sampler or a scheduler is used: what it does by chance, it does."""

Use = Callable[[Any], None]


def ways_of(registry: str, dotted: str) -> Sequence[Way]:
    """How a class may be tried, what says most first: the layers of a network by the shapes of their tensors alone."""
    is_of_layers = registry == "model" and ".losses." not in dotted and not dotted.endswith("PreProcessor")
    return tuple(Way) if is_of_layers else (Way.USED, Way.BUILT)


def prepare(folder: Path) -> None:
    """Make this process, which trials are forked from, quick and quiet: one thread, weights not drawn, images drawn.

    Args:
        folder: Where the images are written.
    """
    import mmcv
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer

    torch.set_num_threads(1)
    DefaultScope.get_instance("experiments", scope_name="mmseg")
    for name in ("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "uniform_", "normal_", "trunc_normal_"):
        setattr(nn.init, name, lambda tensor, *_, **__: tensor)
    Visualizer.get_instance("experiments")
    mmcv.imwrite(_image(), str(folder / "image.png"))
    mmcv.imwrite(_image()[..., 0] % 4, str(folder / "label.png"))


class Way(enum.Enum):
    """How far a class is tried, the farthest and cheapest first."""

    ON_META = "used, as tensors without values"
    USED = "used"
    BUILT = "built only"


def steps_of(registry: str, dotted: str, bases: Sequence[Values], folder: Path, way: Way) -> Steps:
    """What a trial of a class does.

    Args:
        registry: mmengine's name of the registry that it is built from.
        dotted: Its name.
        bases: Arguments that it is accepted with, by which inputs are made.
        folder: Where the images are.
        way: How far.
    """
    from mmengine import ConfigDict  # what a Runner hands on

    device = torch.device("meta" if way is Way.ON_META else "cpu")
    if registry == "dataset":
        for base in bases:
            _make_files(base, folder)

    def steps(values: Values) -> tuple[Callable[[], Any], Use]:
        _seed()
        with device:
            uses = [] if way is Way.BUILT else list(_uses(registry, dotted, bases, folder))

        def build() -> Any:
            with device:
                return _build(registry, ConfigDict(copy.deepcopy(values)))

        def use(built: Any) -> None:
            with device:
                _first_accepted(built, uses)

        return build, use

    return steps


def _make_files(values: Any, folder: Path) -> None:
    """Make the folders and lists of images, of one that is empty, that a dataset or those that it wraps ask for.

    Args:
        values: Arguments of the dataset, or a part of them.
        folder: The scratch folder; paths that lead out of it are passed over.
    """
    if isinstance(values, list):
        for item in values:
            _make_files(item, folder)
    if not isinstance(values, dict):
        return
    root = folder / str(values.get("data_root") or "")
    prefixes = values.get("data_prefix")
    for prefix in prefixes.values() if isinstance(prefixes, dict) else ():
        if isinstance(prefix, str) and _is_within(folder, root / prefix):
            (root / prefix).mkdir(parents=True, exist_ok=True)
            for suffix in (".jpg", ".png"):
                (root / prefix / f"image{suffix}").touch()
    annotations = values.get("ann_file")
    if isinstance(annotations, str) and annotations and _is_within(folder, root / annotations):
        (root / annotations).parent.mkdir(parents=True, exist_ok=True)
        (root / annotations).write_text("image\n", encoding="ascii")
    for item in values.values():
        _make_files(item, folder)


def _is_within(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _first_accepted(built: Any, uses: Sequence[Use]) -> None:
    first: Exception | None = None
    for use in uses:
        _seed()
        try:
            return use(built)
        except Exception as error:
            first = first or error
    if first is not None:
        raise first
    return None


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def _build(registry: str, values: Values) -> Any:
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import root

    tree = next(tree for name, tree in vars(root).items() if name.isupper() and getattr(tree, "name", None) == registry)
    with tree.switch_scope_and_registry("mmseg") as scoped:
        if registry == "optimizer":  # with a matrix alone, since some step nothing else
            return build_optim_wrapper(nn.Linear(1, 1, bias=False), {"type": "OptimWrapper", "optimizer": values})
        if registry == "optim_wrapper":
            return build_optim_wrapper(nn.Conv2d(1, 1, 1), values)
        if registry == "dataset":
            values.setdefault("lazy_init", True)
            return scoped.build(values)
        return scoped.build(values, default_args=_supplied(registry, scoped.get(values["type"])))


def _supplied(registry: str, cls: Any) -> dict[str, Any]:
    """What training gives a class of a registry, beside what the config does."""
    from mmengine.evaluator import Evaluator
    from torch.utils.data import DataLoader

    if registry == "parameter scheduler":
        return {"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)}
    if registry == "data sampler":
        return {"dataset": list(range(8)), "seed": 0}
    supplied: dict[str, Any] = {}
    if registry == "loop":
        data: Any = [0, 1]
        supplied = {"runner": None, "dataloader": DataLoader(data), "evaluator": Evaluator([])}
    elif registry == "model":  # what averages a model
        supplied = {"model": nn.Conv2d(1, 1, 1)}
    taken = inspect.signature(cls).parameters if supplied and inspect.isclass(cls) else ()
    return {name: value for name, value in supplied.items() if name in taken}


def _uses(registry: str, dotted: str, bases: Sequence[Values], folder: Path) -> Iterator[Use]:
    if registry == "transform":
        yield lambda built: _transform(built, folder)
    elif registry in ("optimizer", "optim_wrapper"):
        yield _optimize
    elif registry == "parameter scheduler":
        yield _schedule
    elif registry == "data sampler":
        yield _sample
    elif registry == "metric":
        yield _measure
    elif registry == "model":
        yield from _uses_of_model(dotted, bases)


def _uses_of_model(dotted: str, bases: Sequence[Values]) -> Iterator[Use]:
    if ".backbones." in dotted:
        channels = dict.fromkeys([*(base.get("in_channels", 3) for base in bases)])
        for side in _SIDES:
            for count in channels:
                yield _forward(functools.partial(torch.rand, 2, count, side, side))
    elif ".necks." in dotted or "_head." in dotted:
        for counts, index in dict.fromkeys(_features(base) for base in bases):
            yield _forward(functools.partial(_maps, counts, index))
    elif ".losses." in dotted:
        for base in bases:
            yield from _uses_of_loss(base)
    elif ".segmentors." in dotted:
        yield _segment
    elif dotted.endswith("PreProcessor"):
        yield _preprocess


def _forward(make: Callable[[], Any]) -> Use:
    def use(built: Any) -> None:
        from mmengine.model import revert_sync_batchnorm

        with torch.no_grad():
            revert_sync_batchnorm(built)(make())

    return use


def _features(base: Values) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels of the feature maps that a head or neck takes, and their places in what the backbone gives."""
    channels = base.get("in_channels", 4)
    counts = tuple(channels) if isinstance(channels, (list, tuple)) else (channels,)
    index = base.get("in_index", tuple(range(len(counts))) if len(counts) > 1 else -1)
    return counts, tuple(index) if isinstance(index, (list, tuple)) else (index,)


def _maps(channels: Iterable[int], index: Iterable[int]) -> list[Tensor]:
    at = {place % 8 if place < 0 else place: count for place, count in zip(index, channels, strict=False)}
    count = max(at) + 1
    spare = next(iter(at.values()))
    return [torch.rand(2, at.get(place, spare), *([max(2, 16 >> place)] * 2)) for place in range(count)]


def _uses_of_loss(base: Values) -> Iterator[Use]:
    weight = base.get("class_weight")
    classes = len(weight) if isinstance(weight, (list, tuple)) and weight else 4
    pixels, label = torch.rand(2, classes, 8, 8), torch.randint(0, classes, (2, 8, 8))
    one, binary = torch.rand(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8))
    for pair in (
        (pixels, label),
        (one, binary),
        (torch.rand(6, classes), torch.randint(0, classes, (6,))),
        (torch.rand(6, 10), torch.randint(0, 2, (6, 10)).float()),
        (one, torch.rand(2, 1, 8, 8)),
        (torch.rand(2, 8, 8), torch.rand(2, 8, 8)),
    ):
        yield functools.partial(_call, pair)


def _call(tensors: Sequence[Tensor], built: Any) -> None:
    built(*(tensor.clone() for tensor in tensors))


def _image() -> Any:
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def _transform(built: Any, folder: Path) -> None:
    for _ in range(_TIMES):
        image = _image()
        results: dict[str, Any] = {
            "img": image,
            "img_path": str(folder / "image.png"),
            "seg_map_path": str(folder / "label.png"),
            "gt_seg_map": (image[..., 0] % 4).astype(np.uint8),
            "seg_fields": ["gt_seg_map"],
            "img_shape": image.shape[:2],
            "ori_shape": image.shape[:2],
            "pad_shape": image.shape[:2],
            "scale_factor": (1.0, 1.0),
            "reduce_zero_label": False,
            "label_map": None,
            "flip": False,
            "flip_direction": None,
            "sample_idx": 0,
        }
        built(results)


def _optimize(built: Any) -> None:
    for group in built.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    built.update_params(sum(p.sum() for group in built.optimizer.param_groups for p in group["params"]))


def _schedule(built: Any) -> None:
    for _ in range(_TIMES):
        built.step()


def _sample(built: Any) -> None:
    for _, _ in zip(range(_TIMES), built, strict=False):
        pass
    if hasattr(built, "set_epoch"):
        built.set_epoch(1)


def _measure(built: Any) -> None:
    built.dataset_meta = {"classes": ("a", "b", "c", "d"), "palette": [[0, 0, 0]] * 4}
    label = torch.randint(0, 4, (1, 8, 8))
    built.process({}, [{"pred_sem_seg": {"data": label}, "gt_sem_seg": {"data": label}, "img_path": "image.png"}])
    built.evaluate(1)


def _samples(count: int) -> list[Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(count):
        sample = SegDataSample(metainfo={"img_shape": (64, 64), "ori_shape": (64, 64), "pad_shape": (64, 64)})
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, 64, 64)))
        samples.append(sample)
    return samples


def _segment(built: Any) -> None:
    from mmengine.model import revert_sync_batchnorm

    model = revert_sync_batchnorm(built)
    model(torch.rand(2, 3, 64, 64), _samples(2), mode="loss")
    with torch.no_grad():
        model.eval()(torch.rand(1, 3, 64, 64), _samples(1), mode="predict")


def _preprocess(built: Any) -> None:
    inputs = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    built({"inputs": inputs, "data_samples": _samples(2)}, training=True)
    built({"inputs": inputs[:1], "data_samples": _samples(1)}, training=False)
