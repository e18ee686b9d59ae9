"""Write what mmseg says of its datasets: `python -m docs.generate.mmseg_datasets [--check]`.

The classes are imported, the configs of `_base_/datasets` loaded. Left out are datasets that are no images with a label
map each: pairs of images, depth maps, arrays of many channels, and those that find their files in a way of their own.
"""

from __future__ import annotations

import inspect
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from provecfg.errors import ExitCode
from provecfg.paths import write_atomically

FILE: Final = Path(__file__).parents[2] / "provecfg" / "catalog" / "mmseg_datasets.json"
_PICTURES: Final = (".jpg", ".png")
_SPLITS: Final = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}


def text() -> str:
    """The file as the installed mmseg has it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401, I001  (first: upstream's mmseg needs what it installs)
        import mmseg
        from mmengine.config import Config

        folder = Path(mmseg.__file__).parent / ".mim" / "configs" / "_base_" / "datasets"
        classes: dict[str, Any] = {}
        layouts: dict[str, Any] = {}
        for path in sorted(folder.glob("*.py")):
            layout = _layout(Config.fromfile(str(path)))
            facts = _facts(layout["type"]) if layout else None
            # Those of other crop sizes only begin with the name of the set.
            if layout is not None and facts is not None and not any(_same(layout, other) for other in layouts.values()):
                classes[layout["type"]] = facts
                layouts[path.stem] = layout
        for registered in ("DarkZurichDataset", "NightDrivingDataset"):
            classes[registered] = _facts(registered)
    return json.dumps({"layouts": layouts, "classes": classes}, indent=1) + "\n"


def _same(layout: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(layout[key] == other[key] for key in ("type", "train", "val"))


def _facts(registered: str) -> dict[str, Any] | None:
    """What a class says of itself, or None where it is no dataset of pictures with a label map each."""
    from mmseg.datasets import BaseSegDataset
    from mmseg.registry import DATASETS

    entry = DATASETS.get(registered)
    if not (inspect.isclass(entry) and issubclass(entry, BaseSegDataset)):
        return None
    dataset: Any = entry
    if dataset.load_data_list is not BaseSegDataset.load_data_list:
        return None
    with tempfile.TemporaryDirectory() as folder:  # some want their folders and their list to be there
        listing = Path(folder, "list.txt")
        listing.touch()
        built = dataset(ann_file=str(listing), data_prefix={"img_path": folder, "seg_map_path": folder}, lazy_init=True)
    image, label = built.img_suffix, built.seg_map_suffix
    if not (image.endswith(_PICTURES) and label.endswith(_PICTURES)):
        return None
    return {
        "image_suffix": image,
        "label_suffix": label,
        "reduces_zero_label": bool(built.reduce_zero_label),
        "classes": list(dataset.METAINFO["classes"]),
        "palette": " ".join("{:02x}{:02x}{:02x}".format(*colour) for colour in dataset.METAINFO["palette"]),
    }


def _layout(config: Any) -> dict[str, Any] | None:
    """The folders of a config's splits, or None where a split is not in one."""
    leaves = {name: list(_leaves(config.get(loader, {}).get("dataset"))) for name, loader in _SPLITS.items()}
    # SBD's extra images of Pascal VOC are a second dataset: the first is the one of this name.
    if any(not parts for parts in leaves.values()) or len(leaves["train"]) != 1:
        return None
    train = leaves["train"][0]
    splits = {name: _split(parts[0]) for name, parts in leaves.items()}
    if None in splits.values() or not isinstance(train.get("type"), str):
        return None
    resize = next((step for step in train["pipeline"] if step["type"] == "RandomResize"), None)
    return {
        "type": train["type"],
        "root": str(train["data_root"]).rstrip("/"),
        **{name: split for name, split in splits.items() if name != "test" or split != splits["val"]},
        "resize_scale": list(resize["scale"]) if resize else None,
    }


def _split(dataset: Any) -> list[str] | None:
    prefix = dataset.get("data_prefix") or {}
    if set(prefix) != {"img_path", "seg_map_path"}:
        return None
    return [prefix["img_path"], prefix["seg_map_path"], *filter(None, [dataset.get("ann_file")])]


def _leaves(dataset: Any) -> Iterator[Any]:
    if dataset is None:
        return
    if dataset.get("datasets"):
        for inner in dataset["datasets"]:
            yield from _leaves(inner)
    elif dataset.get("dataset"):
        yield from _leaves(dataset["dataset"])
    else:
        yield dataset


def main(arguments: list[str]) -> int:
    """Write the file, or with --check say whether it is not what would be written."""
    new = text()
    is_stale = not FILE.is_file() or FILE.read_text(encoding="utf-8") != new
    if is_stale and "--check" in arguments:
        print(f"{FILE} is out of date: python -m docs.generate.mmseg_datasets", file=sys.stderr)
        return ExitCode.FINDINGS
    if is_stale:
        write_atomically(FILE, new)
    return ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
