from __future__ import annotations

import dataclasses
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from provecfg.counts.boundary_bands import FRACTIONS, FRACTIONS_PER_IMAGE, BoundaryConvention
from provecfg.counts.calibration import count_calibration
from provecfg.counts.counts_file import read_counts, read_counts_file, to_bytes
from provecfg.counts.image import ImageCounts, count_image
from provecfg.counts.validation import Occasion, ValidationCounts, validation_counts
from provecfg.errors import ProvecfgError
from tests.counts.label_maps import IGNORED, label_map, shifted

CLASSES = tuple(f"class {index}" for index in range(5))


def image_counts(seed: int, folder: str = "/data/val") -> ImageCounts:
    label = label_map(seed, 60, 80, 5, ignored=2, cells=4)
    prediction = shifted(label, 2, 1)
    counts = count_image(
        prediction,
        label,
        num_classes=5,
        ignore_index=IGNORED,
        boundaries=BoundaryConvention(),
        name=f"{folder}/city{seed % 2}/{seed}.jpg",
    )
    confidence = np.random.default_rng(seed).random(label.shape)
    calibration = count_calibration(
        confidence, prediction, label, num_classes=5, ignore_index=IGNORED, source="softmax of the logits"
    )
    return dataclasses.replace(counts, calibration=calibration)


def counted(images: list[ImageCounts], *, per_image: bool = False) -> ValidationCounts:
    return validation_counts(
        images, classes=CLASSES, ignore_index=IGNORED, boundaries=BoundaryConvention(), per_image=per_image
    )


IMAGES = [image_counts(seed) for seed in range(6)]
OCCASION = Occasion(iteration=4000, prefix="val", metrics={"val/mIoU": 41.5})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "val_iter_4000.npz"
    path.write_bytes(to_bytes(dataclasses.replace(counted(IMAGES, per_image=True), occasion=OCCASION)))
    return path


def assert_equal(written: ValidationCounts, read: ValidationCounts) -> None:
    for field in dataclasses.fields(ValidationCounts):
        first, second = getattr(written, field.name), getattr(read, field.name)
        if isinstance(first, np.ndarray):
            assert np.array_equal(first, second), field.name
        else:
            assert first == second, field.name


def test_what_is_written_is_read(file: Path) -> None:
    assert_equal(read_counts(file), dataclasses.replace(counted(IMAGES, per_image=True), occasion=OCCASION))


def test_equal_counts_are_equal_files() -> None:
    assert to_bytes(counted(IMAGES)) == to_bytes(counted(IMAGES))


def test_what_scores_need_is_read_alone(file: Path) -> None:
    whole, part = read_counts(file), read_counts_file(file).read_regions_and_sums()
    assert part.image_names.size == part.bands.size == 0
    assert part.num_images == 6
    assert np.array_equal(part.totals, whole.totals)
    for fraction in FRACTIONS:
        assert np.array_equal(part.band_totals(fraction), whole.band_totals(fraction))


def test_names_are_the_same_wherever_the_data_lie() -> None:
    here, there = counted(IMAGES), counted([image_counts(seed, "D/elsewhere/val") for seed in range(6)])
    assert here.image_names.tolist()[:2] == ["city0/0.jpg", "city1/1.jpg"]
    assert here.data_digest == there.data_digest


def test_the_digest_tells_other_images_other_labels_and_another_order() -> None:
    digest = counted(IMAGES).data_digest
    assert counted(IMAGES[:-1]).data_digest != digest
    assert counted(IMAGES[::-1]).data_digest != digest
    renamed = dataclasses.replace(image_counts(7), name=IMAGES[0].name)
    assert counted([renamed, *IMAGES[1:]]).data_digest != digest


def test_the_digest_does_not_depend_on_the_prediction() -> None:
    label = label_map(1, 60, 80, 5)
    both = [
        counted(
            [
                count_image(
                    shifted(label, step, 0),
                    label,
                    num_classes=5,
                    ignore_index=IGNORED,
                    boundaries=BoundaryConvention(),
                    name="a.png",
                )
            ]
        ).data_digest
        for step in (1, 9)
    ]
    assert both[0] == both[1]


def test_a_subset_has_the_counts_of_its_images_alone(file: Path) -> None:
    chosen = np.array([True, False, True, True, False, False])
    subset = read_counts(file).subset(chosen)
    alone = counted([image for image, wanted in zip(IMAGES, chosen, strict=True) if wanted], per_image=True)
    assert np.array_equal(subset.totals, alone.totals)
    assert np.array_equal(subset.confusion, alone.confusion)
    assert np.array_equal(subset.calibration[0], alone.calibration.sum(axis=0))
    for fraction in FRACTIONS_PER_IMAGE:
        assert np.array_equal(subset.band_totals(fraction), alone.band_totals(fraction))
    assert subset.band_totals(0.01) is None


def test_counts_by_image_are_zero_where_a_class_is_not() -> None:
    counts = counted(IMAGES)
    dense = counts.of_images(counts.regions)
    assert np.array_equal(dense.sum(axis=0), counts.totals)
    absent = next(index for index in range(5) if index not in IMAGES[0].classes)
    assert dense[0, absent].tolist() == [0, 0, 0]


def test_a_thousand_images_of_nineteen_classes_take_half_a_megabyte() -> None:
    """As many classes as a street image has; what is counted is drawn at random, which compresses no better."""
    rng = np.random.default_rng(0)
    images = []
    for index in range(1000):
        classes = np.sort(rng.choice(19, size=rng.integers(8, 16), replace=False))
        sizes = rng.lognormal(9, 2, size=(len(classes), 1)).astype(np.int64) + 5
        regions = (sizes * rng.uniform(0.5, 1.5, (len(classes), 3))).astype(np.int64)
        bands = (sizes[:, None] * rng.uniform(0.05, 0.3, (len(classes), 6, 3))).astype(np.int64)
        codes = np.sort(rng.choice(400, size=40, replace=False))
        images.append(ImageCounts(f"{index:08x}.jpg", 720, 1280, classes, regions, (1,) * 6, bands, codes, codes + 1))
    names = tuple(f"class {index}" for index in range(19))
    counts = validation_counts(images, classes=names, ignore_index=255, boundaries=BoundaryConvention())
    assert len(to_bytes(counts)) < 500_000


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_file_is_named(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ProvecfgError, match=r"val_iter_4000\.npz is no whole file of counts"):
        read_counts(file)


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, weight=np.zeros(3))
    with pytest.raises(ProvecfgError, match="no whole file of counts"):
        read_counts_file(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(ProvecfgError, match="no whole file of counts"):
        read_counts_file(path.with_suffix(".npy"))


def test_objects_are_not_loaded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, about=np.array([{"format": 1}], dtype=object))
    path = tmp_path / "pickled.npz"
    path.write_bytes(stream.getvalue())
    with pytest.raises(ProvecfgError, match="no whole file of counts: its about holds objects"):
        read_counts_file(path)


def test_an_encrypted_file_is_named(file: Path) -> None:
    # Each local and each central header of the archive says so by a bit.
    text = file.read_bytes()
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for match in re.finditer(mark, text):
            at = match.start() + offset
            text = text[:at] + bytes([text[at] | 1]) + text[at + 1 :]
    file.write_bytes(text)
    with pytest.raises(ProvecfgError, match=r"no whole file of counts: .*is encrypted"):
        read_counts_file(file)


def test_arrays_are_those_that_numpy_reads(file: Path) -> None:
    counts = read_counts(file)
    with np.load(file) as archive:
        for name in set(archive.files) - {"about"}:
            assert np.array_equal(getattr(counts, name), archive[name]), name


def test_another_version_of_the_format_is_named(file: Path) -> None:
    arrays = dict(np.load(file))
    arrays["about"] = np.array(str(arrays["about"]).replace('"format": 1', '"format": 7'))
    np.savez(file, **arrays)
    with pytest.raises(ProvecfgError, match="of format 7, this provecfg reads 1"):
        read_counts_file(file)


def test_a_changed_byte_is_noticed(file: Path) -> None:
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo("regions.npy")
        # Before the packed bytes stand a header of 30 bytes, the name, and what NumPy adds for large files.
        at = member.header_offset + 30 + len(member.filename) + 20 + member.compress_size // 2
    data[at] ^= 1
    file.write_bytes(data)
    with pytest.raises(ProvecfgError, match=r"no whole file of counts: (its checksum is wrong|Error -3)"):
        read_counts(file)


def test_a_file_without_one_of_its_arrays_is_named(file: Path) -> None:
    arrays = {name: values for name, values in np.load(file).items() if name != "confusion"}
    np.savez(file, **arrays)
    with pytest.raises(ProvecfgError, match="no whole file of counts: it has no confusion"):
        read_counts(file)
