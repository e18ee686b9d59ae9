"""A dataset of images and label maps wherever they are, encoded however they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from provecfg.data.encodings import LabelDecoder
from provecfg.pairs import Selection, Slicing


@DATASETS.register_module()
class PairedFilesDataset(BaseSegDataset):
    """Images by a file pattern, and for each the label map whose name follows from the image's.

    Its pipeline loads label maps by `LoadEncodedAnnotations`, which decodes and maps them. Labels are mapped there and
    nowhere else: it has no `reduce_zero_label`, and the classes of `metainfo` are those that the mapping leads to.

    Args:
        data_root: What all paths are below.
        images: File pattern of the images, see `provecfg.patterns`.
        labels: That of the label maps, filled by what `images` matched.
        files: A list, a line an image, or an image and its label map where `images` and `labels` are None.
        only: Pattern of the images that are kept.
        share: Beginning and end of this split in all pairs in an order by chance, each in [0, 1].
        share_seed: Decides that order.
        group: Pattern whose fields say which images stay in one split together.
        manifest: CSV of images that were generated of these (columns gen_path, original_path, dataset), which are read
            in their place, each with its original's label map in its own size.
        generated_of: Names that the manifest may have for this dataset.
        encoding: How a file holds classes: ids, palette, cityscapes_label_ids, rgb, repeated or binary_255.
        channel_order: Of colours in a file, "rgb" or "bgr".
        mapping: Value of a file, or colour as "#rrggbb", to class or 255; None where a value is its class and 255 is
            ignored.
        slices: Kind, such as "weather", to the pattern of images, or the table, that says which they are of; see
            `pairs.Slicing`.
        metainfo: `classes`, and `palette` for pictures.
        pipeline, indices, serialize_data, test_mode, lazy_init, max_refetch: As of `BaseSegDataset`.

    Raises:
        ProvecfgError: There are no such files; says what is there instead.
    """

    def __init__(
        self,
        data_root: str,
        images: str | None = None,
        labels: str | None = None,
        *,
        metainfo: dict[str, Any],
        files: str | None = None,
        only: str | None = None,
        share: Sequence[float] | None = None,
        share_seed: int = 0,
        group: str | None = None,
        manifest: str | None = None,
        generated_of: Sequence[str] = (),
        encoding: str = "ids",
        channel_order: str = "rgb",
        mapping: Mapping[int | str, int] | None = None,
        slices: Mapping[str, str] | None = None,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.selection = Selection(
            images,
            labels,
            files,
            only,
            (share[0], share[1]) if share is not None else None,
            share_seed,
            group,
            manifest,
            tuple(generated_of),
        )
        self.slices = dict(slices or {})
        self.decoder = LabelDecoder(encoding, len(metainfo["classes"]), mapping, channel_order)
        super().__init__(
            data_root=data_root,
            metainfo=metainfo,
            pipeline=list(pipeline),
            indices=indices,
            serialize_data=serialize_data,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict for each image: its path, its label map's, and the slices that it is in."""
        root = Path(self.data_root)
        slicing = Slicing(root, self.slices)
        return [
            {
                "img_path": str(root / pair.image),
                "seg_map_path": str(root / pair.label),
                "slices": slicing.of(pair),
                "label_map": None,
                "reduce_zero_label": False,
                "seg_fields": [],
            }
            for pair in self.selection.pairs(root)
        ]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The dict of an image, with what decodes its label map: shared, and not kept once for each image."""
        info: dict[str, Any] = super().get_data_info(idx)
        info["label_decoding"] = self.decoder
        info["labels_follow_image"] = self.selection.manifest is not None
        return info
