"""Label maps of any encoding, as classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from provecfg.data.encodings import LabelDecoder
from provecfg.data.label_cache import cached_labels


@TRANSFORMS.register_module()
class LoadEncodedAnnotations(LoadAnnotations):
    """mmseg's `LoadAnnotations` for `PairedFilesDataset`, which says how its label maps hold classes.

    Required keys: `seg_map_path`, `label_decoding`. Adds `gt_seg_map`, (H, W) uint8 of classes and 255. Where
    `labels_follow_image` is set, of a generated image, the label map is stretched to `img_shape`: nets that generate
    images give them sizes of their own.

    Args:
        cache: Whether decoded label maps are kept in the user's cache folder, by the file's path, size and time and by
            what its values mean, and read from there: one channel is read faster than colours are mapped.

    Raises:
        LabelError: While loading: a file that cannot be decoded, or one with a value that the dataset's mapping gives
            no class. (mmseg's own casts to bytes, where 256 becomes class 0, and trains on what is there.)
    """

    def __init__(self, cache: bool = False) -> None:
        super().__init__()
        self.cache = cache

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        decoder: LabelDecoder = results["label_decoding"]
        path = Path(results["seg_map_path"])
        labels = cached_labels(path, decoder) if self.cache else decoder.read(path)
        size = tuple(results.get("img_shape", labels.shape)[:2])
        if results.get("labels_follow_image") and labels.shape != size:
            labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
        results["gt_seg_map"] = labels
        results["seg_fields"].append("gt_seg_map")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(cache={self.cache})"
