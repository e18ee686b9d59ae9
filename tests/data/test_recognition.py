from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.data.fingerprint import survey_of
from provecfg.data.observations import Observation, observations_of
from provecfg.data.recognition import recognised
from provecfg.data.records import image_records
from provecfg.errors import ProvecfgError
from provecfg.findings import Severity
from provecfg.study.datasets import dataset_of
from provecfg.study.load import checked_study
from tests.data.small_sets import ENCODED, PALETTE, SETS, save, write_set

pytestmark = pytest.mark.stack

# set -> encoding, channel order, what is said of it that is more than a note
TOLD = {
    "clean": ("ids", None, []),
    "label ids": ("cityscapes_label_ids", None, []),
    "mapped twice": ("ids", None, ["mapped twice", "ignored", "ignored"]),
    "repeated": ("repeated", None, []),
    "colours": ("rgb", "rgb", []),
    "colours in the other order": ("rgb", "bgr", []),
    "three classes left": ("ids", None, ["channel order"]),
    "val is train": ("ids", None, ["shared"]),
    "val lacks classes": ("ids", None, []),
}


def looked_at(root: Path) -> tuple[dict[str, Any], list[Observation]]:
    entry = recognised(root, "streets").entry
    study = checked_study({"name": "a", "datasets": [entry]})
    return entry, observations_of(survey_of(dataset_of(study.datasets[0]), root))


def absent_classes(observations: list[Observation]) -> dict[str, int]:
    return {o.split: int(o.message.split()[0]) for o in observations if o.kind == "absent classes"}


@pytest.mark.parametrize("layout", ["{kind}/{split}", "{split}/{kind}"])
@pytest.mark.parametrize("name", SETS)
def test_the_small_sets_are_told_apart(name: str, layout: str, tmp_path: Path) -> None:
    entry, observations = looked_at(write_set(tmp_path / "streets", name, layout))
    strange = [o.kind for o in observations if o.severity is not Severity.NOTE and o.kind != "ignored"]
    encoding, order, expected = TOLD[name]
    assert (entry["encoding"], entry.get("channel_order")) == (encoding, order)
    assert strange == [kind for kind in expected if kind != "ignored"]
    assert entry.get("classes", list(DATASETS["cityscapes"].classes)) == list(DATASETS["cityscapes"].classes)
    absent = absent_classes(observations)
    assert (absent["val"] >= 13) == (name in ("val lacks classes", "mapped twice", "three classes left"))
    assert (absent["train"] >= 13) == (name in ("mapped twice", "three classes left"))


@pytest.mark.parametrize("name", ENCODED)
def test_in_the_layout_of_the_catalog_label_maps_may_be_encoded_otherwise(name: str, tmp_path: Path) -> None:
    root = write_set(tmp_path / "streets", name, "x")
    (root / "x").rename(root / "y")
    write_set(root, name, "{kind}/10k/{split}")
    (root / "labels/sem_seg").mkdir()
    (root / "labels/10k").rename(root / "labels/sem_seg/masks")
    entry, _ = looked_at(root)
    encoding, order, _ = TOLD[name]
    assert entry["base"] == "bdd10k"
    assert (entry.get("encoding", "ids"), entry.get("channel_order")) == (encoding, order)


def make(root: Path, *names: str, labels: Any, label_name: str = "masks/{}.png") -> Path:
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    for index, name in enumerate(names):
        save(root / f"photos/{name}.jpg", np.roll(image, index))
        save(root / label_name.format(name), labels)
    return root


def test_masks_of_0_and_255_are_binary(tmp_path: Path) -> None:
    mask = np.repeat(np.array([0, 255], np.uint8), 16 * 48).reshape(32, 48)
    entry, observations = looked_at(make(tmp_path / "set", *"abcde", labels=mask))
    assert (entry["encoding"], entry["classes"]) == ("binary_255", ["background", "foreground"])
    assert observations == []


def test_values_without_a_list_of_classes_get_names_to_change(tmp_path: Path) -> None:
    labels = np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) % 4
    result = recognised(make(tmp_path / "set", *"abcde", labels=labels, label_name="photos/{}_mask.png"), "weeds")
    assert result.entry["classes"] == ["class_0", "class_1", "class_2", "class_3"]
    assert result.entry["train"] == {
        "images": "photos/*.jpg", "labels": "photos/*_mask.png", "fraction": 0.8, "seed": 0,
    }  # fmt: skip
    assert any("name them" in reason for reason in result.evidence["classes"])


def test_scenes_of_a_folder_without_splits_stay_together(tmp_path: Path) -> None:
    names = [f"scene{scene}_{frame}" for scene in range(6) for frame in range(3)]
    labels = np.arange(32 * 48, dtype=np.uint8).reshape(32, 48) % 3
    entry = recognised(make(tmp_path / "set", *names, labels=labels), "w").entry
    assert entry["train"]["group"] == "{scene}_*"


def test_an_unknown_palette_is_one_class_a_colour(tmp_path: Path) -> None:
    colours = np.array([[1, 2, 3], [200, 100, 50]], np.uint8)[np.indices((32, 48))[0] % 2]
    entry, observations = looked_at(make(tmp_path / "set", *"abcde", labels=colours))
    assert entry["palette"] == {"colour_010203": [1, 2, 3], "colour_c86432": [200, 100, 50]}
    assert observations == []


def test_indices_of_a_palette_are_the_labels(tmp_path: Path) -> None:
    root = make(tmp_path / "set", *"abcde", labels=np.zeros((32, 48), np.uint8))
    for path in (root / "masks").iterdir():
        image = Image.fromarray((np.indices((32, 48))[0] % 3).astype(np.uint8))
        image.putpalette(PALETTE.tobytes())
        image.save(path)
    entry, _ = looked_at(root)
    assert (entry["encoding"], len(entry["classes"])) == ("palette", 3)


def test_sixteen_bits_of_class_numbers_are_ids(tmp_path: Path) -> None:
    entry, observations = looked_at(
        make(tmp_path / "s", *"abcde", labels=(np.indices((32, 48))[0] % 3).astype(np.uint16))
    )
    assert (entry["encoding"], len(entry["classes"])) == ("ids", 3)
    assert observations == []


@pytest.mark.parametrize("of_catalog", [False, True])
def test_the_largest_number_of_sixteen_bits_is_what_nobody_labelled(of_catalog: bool, tmp_path: Path) -> None:
    labels = np.where(np.indices((32, 48))[1] < 9, 65535, np.indices((32, 48))[0] % 3).astype(np.uint16)
    root = tmp_path / "set"
    if of_catalog:
        for split in ("train", "val"):
            save(root / f"images/10k/{split}/{split}.jpg", np.full((32, 48, 3), len(split), np.uint8))
            save(root / f"labels/sem_seg/masks/{split}/{split}.png", labels)
    entry, observations = looked_at(root if of_catalog else make(root, *"abcde", labels=labels))
    assert (entry.get("base"), entry["ignore"]) == ("bdd10k" if of_catalog else None, [65535])
    assert of_catalog or len(entry["classes"]) == 3
    assert [o for o in observations if o.severity is not Severity.NOTE] == []


def test_masks_of_0_and_the_largest_number_of_sixteen_bits_are_binary(tmp_path: Path) -> None:
    mask = np.repeat(np.array([0, 65535], np.uint16), 16 * 48).reshape(32, 48)
    entry, observations = looked_at(make(tmp_path / "set", *"abcde", labels=mask))
    assert (entry["classes"], entry["mapping"]) == (
        ["background", "foreground"], {"0": "background", "65535": "foreground"},
    )  # fmt: skip
    assert observations == []


def test_grey_images_of_one_channel_are_images(tmp_path: Path) -> None:
    root = make(tmp_path / "set", *"abcde", labels=(np.indices((32, 48))[0] % 3).astype(np.uint8))
    for index, path in enumerate(sorted((root / "photos").iterdir())):
        save(path, np.full((32, 48), 9 * index, np.uint8))
    _, observations = looked_at(root)
    assert {(o.kind, o.severity) for o in observations} == {("grey images", Severity.NOTE)}


def test_images_of_sixteen_bits_are_said(tmp_path: Path) -> None:
    labels = (np.indices((32, 48))[0] % 3).astype(np.uint8)
    for index in range(5):
        save(tmp_path / f"set/images/{index}.png", np.full((32, 48), index * 700, np.uint16))
        save(tmp_path / f"set/masks/{index}.png", labels)
    _, observations = looked_at(tmp_path / "set")
    assert [o.kind for o in observations] == ["deep images", "deep images", "grey images", "grey images"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8),
            r"up to 1\d\d\d colours, and classes are few",
        ),
        ((np.indices((32, 48))[0] * 1000).astype(np.uint16), "no class numbers"),
        (np.zeros((32, 48), np.uint8), r"hold one class and nothing else: 0 \(100.0%\)"),
        (np.full((32, 48, 3), (64, 0, 0), np.uint8), "hold one class and nothing else: #400000"),
    ],
    ids=["photographs", "instance ids", "one class", "one colour"],
)
def test_what_no_encoding_is_is_refused(labels: np.ndarray, message: str, tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match=message):
        recognised(make(tmp_path / "set", *"abcde", labels=labels), "w")


def test_images_without_label_maps_are_refused_with_what_is_there(tmp_path: Path) -> None:
    save(tmp_path / "set/a.jpg", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ProvecfgError, match=r"label maps of the same names were found; there are 1 .jpg"):
        recognised(tmp_path / "set", "w")


def test_a_palette_holds_colours_and_a_bitmap_of_565_bits_has_eight_a_channel(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).convert("P").save(tmp_path / "palette.png")
    header = struct.pack("<2sIHHI", b"BM", 66 + 2, 0, 0, 66)
    information = struct.pack("<IiiHHIIiiIIIII", 40, 1, 1, 1, 16, 3, 2, 0, 0, 0, 0, 0xF800, 0x07E0, 0x001F)
    (tmp_path / "bitmap.bmp").write_bytes(header + information + b"\x1f\x00")
    records = image_records(tmp_path, ["palette.png", "bitmap.bmp"])
    assert [(record.channels, record.bits, record.problem) for record in records.values()] == [(3, 8, ""), (3, 8, "")]
