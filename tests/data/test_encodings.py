from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from provecfg.catalog.encodings import CITYSCAPES_LABEL_IDS, ENCODINGS, IGNORED
from provecfg.data.encodings import LabelDecoder, LabelError

pytestmark = pytest.mark.stack

LABELS = np.array([[0, 1], [1, 0]], np.uint8)
COLOURS = {"#400000": 0, "#008000": 1, "#000000": IGNORED}


def decoder(encoding: str, classes: int = 2, **arguments: object) -> LabelDecoder:
    if encoding == "rgb":
        arguments.setdefault("mapping", COLOURS)
    return LabelDecoder(encoding, 19 if encoding == "cityscapes_label_ids" else classes, **arguments)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_written_in_an_encoding_is_read_again(encoding: str, tmp_path: Path) -> None:
    coder = decoder(encoding)
    coder.encode(LABELS).save(tmp_path / "a.png")
    assert coder.read(tmp_path / "a.png").tolist() == LABELS.tolist()


def test_colours_are_read_in_the_order_that_is_said(tmp_path: Path) -> None:
    rgb, bgr = decoder("rgb"), decoder("rgb", channel_order="bgr")
    rgb.encode(LABELS).save(tmp_path / "rgb.png")
    with pytest.raises(LabelError, match=r"holds #000040, which the mapping gives no class"):
        bgr.read(tmp_path / "rgb.png")
    bgr.encode(LABELS).save(tmp_path / "bgr.png")
    assert bgr.read(tmp_path / "bgr.png").tolist() == LABELS.tolist()


def test_a_value_without_a_class_is_an_error_and_never_ignored(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7], [9, 255]], np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match=r"label map '.*a.png' holds 7, 9, which the mapping gives no class"):
        decoder("ids").read(tmp_path / "a.png")
    mapped = decoder("ids", mapping={0: 0, 7: 1, 9: IGNORED, 255: IGNORED}).read(tmp_path / "a.png")
    assert mapped.tolist() == [[0, 1], [255, 255]]


def test_sixteen_bits_are_read_as_numbers_and_not_cut_to_bytes(tmp_path: Path) -> None:
    Image.fromarray(np.array([[256, 0], [300, 0]], np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match="holds 256, 300"):
        decoder("ids").read(tmp_path / "a.png")
    assert decoder("ids", mapping={0: 0, 256: 1, 300: 1}).read(tmp_path / "a.png").tolist() == [[1, 0], [1, 0]]


def test_three_channels_are_one_where_they_are_equal(tmp_path: Path) -> None:
    pixels = np.repeat(LABELS[:, :, None], 3, axis=2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert decoder("repeated").read(tmp_path / "a.png").tolist() == LABELS.tolist()
    with pytest.raises(LabelError, match="has 3 channels, and ids is one"):
        decoder("ids").read(tmp_path / "a.png")
    pixels[0, 0] = 1, 0, 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match="channels that are not equal"):
        decoder("repeated").read(tmp_path / "a.png")


def test_cityscapes_label_ids_are_the_19_train_ids() -> None:
    assert sorted(label for label in CITYSCAPES_LABEL_IDS.values() if label != IGNORED) == list(range(19))
    ids = np.array([[7, 33], [0, 26]], np.uint8)
    assert decoder("cityscapes_label_ids").decode(ids).tolist() == [[0, 18], [255, 13]]


def test_masks_of_0_and_255_are_two_classes_and_an_edge_of_a_jpeg_is_refused() -> None:
    assert decoder("binary_255").decode(np.array([[0, 255]], np.uint8)).tolist() == [[0, 1]]
    with pytest.raises(LabelError, match="holds 254"):
        decoder("binary_255").decode(np.array([[0, 254]], np.uint8))


def test_one_bit_a_pixel_is_read_as_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(LABELS.astype(bool)).save(tmp_path / "a.png")
    assert decoder("ids").read(tmp_path / "a.png").tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoding": "ids", "classes": 300}, "300 classes"),
        ({"encoding": "ids", "mapping": {0: 2}}, "value 0 is mapped to 2; classes are 0 to 1"),
        ({"encoding": "ids", "mapping": {"#000000": 0}}, "is no number"),
        ({"encoding": "rgb", "mapping": {7: 0}}, "is no colour"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        decoder(**arguments)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(LabelError, match=r"a.png' cannot be decoded"):
        decoder("ids").read(tmp_path / "a.png")
