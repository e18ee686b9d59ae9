"""Draw the pictures of docs/losses.md: `python -m docs.generate.loss_pictures [FOLDER]`.

Every map is made by the class or function that training uses, on a street that provecfg draws and a prediction of it
that is made here, so nothing has to be downloaded and no photograph is committed.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from provecfg.catalog.datasets import CITYSCAPES_CLASSES, DATASETS
from provecfg.class_weights.formulas import METHODS, class_weights
from provecfg.data.label_counts import count_labels, find_label_files
from provecfg.data.scenes import Drawing, draw_street, smoke_data_for

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # while imported, mmcv's modules use what torch deprecates
    from provecfg.plugin.hooks.weight_schedules import schedule_from
    from provecfg.plugin.losses.boundary_aware_focal_loss import BoundaryAwareFocalLoss
    from provecfg.plugin.losses.distance_boundary_loss import DistanceBoundaryLoss
    from provecfg.plugin.losses.distance_maps import signed_distance_maps
    from provecfg.plugin.losses.multi_scale_loss import resize_logits, resize_nearest
    from provecfg.plugin.losses.pixelwise import focal_value_and_slope
    from provecfg.plugin.losses.seg_boundary_loss import SegBoundaryLoss
    from provecfg.plugin.losses.seg_cross_entropy_loss import SegCrossEntropyLoss
    from provecfg.plugin.losses.seg_dice_loss import SegDiceLoss
    from provecfg.plugin.losses.seg_lovasz_loss import SegLovaszLoss
    from provecfg.plugin.losses.sobel import STEP_ENERGY, half_energy, label_boundary
    from provecfg.plugin.losses.softmax_focal_loss import SoftmaxFocalLoss
    from provecfg.plugin.samplers import HardPixelSampler

import matplotlib as mpl
from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1] / "pictures"

_WIDTH, _HEIGHT, _SEED = 384, 216, 17  # a scene with two cars, people and poles
_IGNORED = 255
_COLOURS = 128  # of a file
_LEVELS = 18  # of a colour map; more would not be told apart, and make files of several hundred kB
_ID = {name: index for index, name in enumerate(CITYSCAPES_CLASSES)}

# Okabe and Ito's colours, which colour-blind people tell apart, and two greys.
_PALETTE = {
    "road": "#999999",
    "sidewalk": "#CC79A7",
    "building": "#D55E00",
    "pole": "#000000",
    "traffic light": "#F0E442",
    "traffic sign": "#E69F00",
    "vegetation": "#009E73",
    "sky": "#56B4E9",
    "person": "#FFFFFF",
    "car": "#0072B2",
}


@dataclass(frozen=True)
class Scene:
    """A street and what a half-trained network might say of it.

    Args:
        image: (H, W, 3) uint8.
        labels: (1, H, W) int64, 255 where ignored.
        logits: (1, C, H, W) float32.
    """

    image: np.ndarray
    labels: Tensor
    logits: Tensor

    @property
    def valid(self) -> Tensor:
        """(1, H, W) bool."""
        return self.labels != _IGNORED

    def map_of(self, loss: torch.nn.Module) -> np.ndarray:
        """(H, W): a loss of each pixel, nan where ignored."""
        return self.masked(loss(self.logits, self.labels, reduction_override="none")[0])

    def masked(self, values: Tensor) -> np.ndarray:
        """(H, W) values, nan where ignored."""
        return np.where(self.valid[0].numpy(), values.numpy(), np.nan)


def half_trained_scene() -> Scene:
    """The scene: a drawn street, and its labels blurred, shifted and mixed up by smooth noise; always the same."""
    image, labels = draw_street(Drawing(width=_WIDTH, height=_HEIGHT), (_SEED,))
    random = np.random.default_rng(_SEED)
    seen = np.where(labels == _IGNORED, _ID["road"], labels)
    planes = (seen == np.arange(len(CITYSCAPES_CLASSES))[:, None, None]).astype(np.float64)
    displaced = ndimage.shift(planes, (0, 1, 2), order=0, mode="nearest")
    likely = ndimage.gaussian_filter(displaced, (0, 2.2, 2.2), mode="nearest")
    noise = ndimage.gaussian_filter(random.normal(size=planes.shape), (0, 14, 14), mode="wrap")
    noise *= 1.1 / noise.std()
    sharpness = ndimage.gaussian_filter(random.normal(size=labels.shape), 30, mode="wrap")
    sharpness = 1.35 + 0.4 * sharpness / np.abs(sharpness).max()
    logits = sharpness * np.log(likely + 0.008) + noise
    return Scene(
        image,
        torch.from_numpy(labels.astype(np.int64))[None],
        torch.from_numpy(logits.astype(np.float32))[None],
    )


# --- The pictures -------------------------------------------------------------------------------------------------


def scene_picture(scene: Scene) -> Figure:
    """The street, its labels and the prediction."""
    figure, (street, labels, prediction) = _panels(1, 3, "the scene, drawn by provecfg", "labels", "prediction")
    _map(street, scene.image)
    _map(labels, _coloured(scene.labels[0]))
    _map(prediction, _coloured(scene.logits[0].argmax(0)))
    for name in ("sky", "building", "road", "sidewalk", "car", "person"):
        _name_class(labels, scene.labels[0].numpy() == _ID[name], name)
    right = (scene.logits.argmax(1) == scene.labels)[scene.valid].float().mean()
    prediction.set_xlabel(f"{right:.0%} of the pixels are right", fontsize=8)
    labels.set_xlabel("white: person; black: pole, and the ignored bonnet below", fontsize=8)
    return figure


def boundary_picture(scene: Scene) -> Figure:
    """The boundary maps of labels and prediction, over all classes and of one."""
    car = _ID["car"]
    probabilities = scene.logits.softmax(1)[0]
    labels = scene.labels.where(scene.valid, 0)
    of_car = (labels == car).float()
    figure, panels = _panels(
        2,
        2,
        "labels: y, one map over all classes",
        "prediction: b, one map over all classes",
        "labels: y of 'car' (per_class: true)",
        "prediction: b of 'car' (per_class: true)",
    )
    maps = [
        label_boundary(labels, torch.float32)[0],
        _softened(half_energy(probabilities).sum(0) / STEP_ENERGY),
        (half_energy(of_car) * 2 / STEP_ENERGY).clamp(max=1).sqrt()[0],
        _softened(half_energy(probabilities[car : car + 1])[0] * 2 / STEP_ENERGY),
    ]
    for axes, values in zip(panels, maps, strict=True):
        shown = _map(axes, scene.masked(values), cmap="cividis", vmin=0, vmax=1)
    _bar(figure, shown, panels, "0: inside a region, 1: a straight step between classes")
    return figure


def focal_picture(scene: Scene) -> Figure:
    """Where the prediction is sure, what the focal weight makes of it, and the curves."""
    surprise = scene.map_of(SegCrossEntropyLoss())
    focal = scene.map_of(SoftmaxFocalLoss(gamma=2.0, alpha=1.0))
    figure, (sure, weight, curves) = _panels(
        1, 3, "probability $p_t$ of the label", "focal weight $(1-p_t)^2$", "loss of a pixel", maps=(0, 1)
    )
    shown = _map(sure, np.exp(-surprise), cmap="cividis", vmin=0, vmax=1)
    _map(weight, focal / np.maximum(surprise, 1e-12), cmap="cividis", vmin=0, vmax=1)
    _bar(figure, shown, [sure, weight], "0 to 1; white: ignored")
    probability = torch.linspace(0.005, 1, 400)
    for gamma, style in ((0.0, "-"), (1.0, "--"), (2.0, "-."), (5.0, ":")):
        value, _ = focal_value_and_slope(-probability.log(), gamma)
        curves.plot(probability, value, style, color="black", label=rf"$\gamma={gamma:g}$")
    curves.set(xlabel="$p_t$", ylim=(0, 4), xlim=(0, 1))
    curves.legend(fontsize=8, frameon=False, title="0 is cross-entropy", title_fontsize=8)
    return figure


def boundary_focal_picture(scene: Scene) -> Figure:
    """The factor at boundaries, and the loss without and with it."""
    focal = scene.map_of(SoftmaxFocalLoss())
    aware = scene.map_of(BoundaryAwareFocalLoss())
    figure, (factor, without, with_it) = _panels(
        1, 3, "factor $1 + y$", "focal loss of each pixel", "boundary-aware focal loss of each pixel"
    )
    shown = _map(factor, aware / np.maximum(focal, 1e-12), cmap="cividis", vmin=1, vmax=2)
    _bar(figure, shown, [factor], "1 to 2")
    for axes, values in ((without, focal), (with_it, aware)):
        shown = _map(axes, values, cmap="cividis", vmin=0, vmax=2)
    _bar(figure, shown, [without, with_it], "loss, alpha 0.5; 2 and more are one colour")
    return figure


def ohem_picture(scene: Scene) -> Figure:
    """The pixels that hard example mining keeps."""
    pixels = _WIDTH * _HEIGHT
    few, many = pixels // 16, pixels // 2
    figure, panels = _panels(
        1,
        3,
        "probability $p_t$ of the label",
        f"thresh: 0.7, min_kept: {few} (1/16)",
        f"thresh: 0.7, min_kept: {many} (1/2)",
        row_text=0.4,
    )
    shown = _map(panels[0], np.exp(-scene.map_of(SegCrossEntropyLoss())), cmap="cividis", vmin=0, vmax=1)
    _bar(figure, shown, panels[:1], "0 to 1; white: ignored")
    for axes, min_kept in zip(panels[1:], (few, many), strict=True):
        sampler = HardPixelSampler(_HeadThatIgnores(), thresh=0.7, min_kept=min_kept)
        weight = sampler.sample(scene.logits, scene.labels[:, None])
        kept = weight > 0
        _map(axes, scene.masked(kept[0].float()), cmap="cividis", vmin=0, vmax=1)
        share = kept.sum() / scene.valid.sum()
        axes.set_xlabel(f"yellow: kept, {share:.0%}; each counts {float(weight.max()):.1f}", fontsize=8)
    return figure


def distance_picture(scene: Scene) -> Figure:
    """Signed distance maps of a wide, a compact and a thin class."""
    names = ("road", "car", "pole")
    ids = tuple(_ID[name] for name in names)
    maps = signed_distance_maps(
        scene.labels.where(scene.valid, 0), scene.valid, len(CITYSCAPES_CLASSES), tuple(sorted(ids))
    )[0]
    figure, panels = _panels(1, 3, *(f"signed distance $\\phi$ of '{name}'" for name in names), row_text=0.5)
    for axes, index in zip(panels, ids, strict=True):
        shown = _map(axes, scene.masked(maps[index]), cmap="PuOr_r", vmin=-120, vmax=120)
        axes.contour((scene.labels[0] == index).numpy(), levels=[0.5], colors="black", linewidths=0.8)
        low = float(maps[index].min())
        axes.set_xlabel(f"from {low:.0f} px inside to {float(maps[index].max()):.0f} px outside", fontsize=8)
    _bar(figure, shown, panels, "pixels; negative inside the class")
    return figure


def gradient_picture(scene: Scene) -> Figure:
    """Where each loss pushes the logits."""
    sampler = HardPixelSampler(_HeadThatIgnores(), thresh=0.7, min_kept=_WIDTH * _HEIGHT // 16)
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "cross-entropy": lambda logits: SegCrossEntropyLoss()(logits, scene.labels),
        "cross-entropy of hard pixels": lambda logits: SegCrossEntropyLoss()(
            logits, scene.labels, weight=sampler.sample(logits, scene.labels[:, None])
        ),
        "focal": lambda logits: SoftmaxFocalLoss()(logits, scene.labels),
        "boundary-aware focal": lambda logits: BoundaryAwareFocalLoss()(logits, scene.labels),
        "Lovasz": lambda logits: SegLovaszLoss()(logits, scene.labels),
        "Dice": lambda logits: SegDiceLoss()(logits, scene.labels),
        "boundary": lambda logits: SegBoundaryLoss()(logits, scene.labels),
        "boundary, per class": lambda logits: SegBoundaryLoss(per_class=True)(logits, scene.labels),
        "distance boundary": lambda logits: DistanceBoundaryLoss()(logits, scene.labels),
    }
    figure, panels = _panels(3, 3, *losses, row_text=0.42)
    sizes = []
    for axes, loss in zip(panels, losses.values(), strict=True):
        logits = scene.logits.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(logits), logits)
        size = scene.masked(gradient[0].abs().sum(0))
        sizes.append(np.nansum(size))
        axes.set_xlabel(f"in all {sizes[-1] / sizes[0]:.2f} times cross-entropy's", fontsize=8)
        # Each by its own largest values: the losses differ by orders of magnitude, which is what weights are for.
        shown = _map(axes, size / np.nanquantile(size, 0.99), cmap="cividis", vmin=0, vmax=1)
    _bar(figure, shown, panels, "size of the gradient by a pixel's logits; 1: the 99th percentile of each loss")
    return figure


def multi_scale_picture(scene: Scene) -> Figure:
    """What a loss sees at each scale."""
    scales = (1.0, 0.5, 0.25)
    figure, panels = _panels(
        2, 3, *(f"labels at scale {s:g}" for s in scales), *(f"prediction at scale {s:g}" for s in scales)
    )
    for column, scale in enumerate(scales):
        size = (round(_HEIGHT * scale), round(_WIDTH * scale))
        _map(panels[column], _coloured(resize_nearest(scene.labels, size)[0]))
        _map(panels[column + 3], _coloured(resize_logits(scene.logits, scene.valid, size)[0].argmax(0)))
    return figure


def weights_picture(scene: Scene) -> Figure:
    """Class weights by method, and a loss's weight over a run by kind of schedule."""
    dataset = DATASETS["bdd10k"]
    with tempfile.TemporaryDirectory() as folder:
        root = smoke_data_for(dataset, root=Path(folder) / "streets")
        counts = count_labels(find_label_files(root, dataset), dataset, processes=1, shows_progress=False)
    figure, (by_class, over_run) = _panels(
        1, 2, "class weights of drawn streets, by method", "a loss's weight over a run", maps=()
    )
    present = [index for index, count in enumerate(counts.classes) if count.pixels]
    order = sorted(present, key=lambda index: -counts.classes[index].pixels)
    for (name, marker), colour in zip(_MARKERS.items(), ("#000000", "#E69F00", "#0072B2", "#CC79A7"), strict=True):
        weights = class_weights(counts, name)
        by_class.plot([weights[c] for c in order], marker, color=colour, label=name, linewidth=1, fillstyle="none")
    by_class.set_yscale("log")
    names = [f"{CITYSCAPES_CLASSES[c]}\n{counts.classes[c].pixels / counts.labelled_pixels:.1%}" for c in order]
    by_class.set_xticks(range(len(order)), names, fontsize=7, rotation=60)
    by_class.legend(fontsize=7, frameon=False)
    iterations = np.linspace(0, 80000, 401)
    schedules: dict[str, dict[str, Any]] = {
        "linear": {"kind": "linear", "start": 0.5, "end": 0.1},
        "cosine": {"kind": "cosine", "start": 0.5, "end": 0.1},
        "steps": {"kind": "steps", "milestones": [20000, 60000], "values": [0.5, 0.3, 0.1]},
    }
    for (name, fields), style in zip(schedules.items(), ("-", "--", ":"), strict=True):
        schedule = schedule_from(fields, 80000)
        over_run.plot(iterations, [schedule.at(int(i)) for i in iterations], style, color="black", label=name)
    over_run.set(xlabel="iteration", ylim=(0, 0.55), xlim=(0, 80000))
    over_run.legend(fontsize=8, frameon=False)
    return figure


PICTURES: dict[str, Callable[[Scene], Figure]] = {
    "scene": scene_picture,
    "gradients": gradient_picture,
    "focal": focal_picture,
    "boundary": boundary_picture,
    "boundary_focal": boundary_focal_picture,
    "distance": distance_picture,
    "ohem": ohem_picture,
    "weights": weights_picture,
    "multi_scale": multi_scale_picture,
}
"""Name of the file, without suffix -> how it is drawn."""

_MARKERS = dict(zip(METHODS, ("o-", "s--", "^-.", "D:"), strict=True))


def draw(folder: Path = FOLDER) -> list[Path]:
    """Write every picture into a folder, as PNG.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene = half_trained_scene()
    files = []
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 9}):  # matplotlib's own font
        for name, picture in PICTURES.items():
            stream = io.BytesIO()
            picture(scene).savefig(stream, format="png", dpi=100)
            image = Image.open(stream).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
            files.append(folder / f"{name}.png")
            image.save(files[-1], optimize=True)
    return files


# --- Their parts --------------------------------------------------------------------------------------------------


class _HeadThatIgnores:
    """What a sampler reads of its decode head."""

    ignore_index = _IGNORED


def _softened(energy: Tensor, eps: float = 1e-3) -> Tensor:
    """The boundary map of a prediction, as `SegBoundaryLoss` defines it."""
    return (energy + eps * eps).sqrt().clamp(max=1 - eps)


def _panels(
    rows: int, columns: int, *titles: str, maps: Sequence[int] | None = None, row_text: float = 0.25
) -> tuple[Figure, list[Any]]:
    """A figure of titled panels; those that hold maps have no ticks.

    Args:
        rows, columns: How many.
        titles: One a panel, row by row.
        maps: Indices of the panels that hold maps; None for all.
        row_text: Height of a row's titles and labels, in inches.
    """
    holds_maps = range(len(titles)) if maps is None else maps
    wide = 10.0
    high = rows * (wide / columns * _HEIGHT / _WIDTH + row_text) + 0.55 if holds_maps else 3.6
    figure = Figure(figsize=(wide, high), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        axes.set_title(title)
        if index in holds_maps:
            axes.set(xticks=[], yticks=[])
    return figure, panels


def _map(axes: Any, values: np.ndarray, **colours: Any) -> Any:
    if "cmap" in colours:
        colours["cmap"] = mpl.colormaps[colours["cmap"]].resampled(_LEVELS)
    return axes.imshow(values, interpolation="nearest", **colours)


def _bar(figure: Figure, shown: Any, panels: Sequence[Any], label: str) -> None:
    bar = figure.colorbar(shown, ax=list(panels), location="bottom", aspect=60, fraction=0.05, pad=0.03)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _coloured(labels: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 colours of a label map; black where ignored."""
    colours: np.ndarray = np.zeros((256, 3), np.uint8)
    for index, name in enumerate(CITYSCAPES_CLASSES):
        rgb = mpl.colors.to_rgb(_PALETTE.get(name, "#661100"))
        colours[index] = np.round(np.array(rgb) * 255)
    return np.take(colours, labels.numpy(), axis=0)


def _name_class(axes: Any, mask: np.ndarray, name: str) -> None:
    """Write a class's name onto its largest region."""
    regions, count = ndimage.label(mask)
    sizes = ndimage.sum_labels(mask, regions, range(1, count + 1))
    region = regions == int(np.argmax(sizes)) + 1
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]  # the frame is an edge too
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    halo = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
    axes.text(x, y, name, fontsize=7, ha="center", va="center", bbox=halo)


if __name__ == "__main__":
    for file in draw(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"{file.name}: {file.stat().st_size} bytes")
