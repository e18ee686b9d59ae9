from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.findings import Severity
from provecfg.training import problems
from provecfg.training.adapt import with_data_root
from provecfg.training.data_checks import check_data
from provecfg.training.image_checks import enlargement

pytestmark = pytest.mark.stack

IMAGES, LABELS = "images/10k/train", "labels/sem_seg/masks/train"
SCALE_OF_DRAWN = {"train_dataloader.dataset.pipeline.2.scale": (64, 36)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    drawn = smoke_data_for(DATASETS["bdd10k"], Drawing(train=4, val=2, width=64, height=36))
    return Path(shutil.copytree(drawn, tmp_path / "data"))


@pytest.fixture
def findings_of(generated: Callable[[str], Config], data: Path):
    """What is found: (code, message, key) of each finding."""

    def check(root: Path = data, **options: object) -> list[tuple[str, str, str]]:
        config = with_data_root(generated("pspnet_r50_bdd10k_ce"), root)
        config.merge_from_dict(SCALE_OF_DRAWN)
        config.merge_from_dict(options)
        return [(finding.problem.code, finding.message, finding.key) for finding in check_data(config)]

    return check


def labels_of(data: Path) -> list[Path]:
    return sorted((data / LABELS).iterdir())


def read_label(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def write_label(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def test_good_data_has_no_findings(findings_of) -> None:
    assert findings_of() == []


def test_a_missing_root_is_said_once_for_each_loader(findings_of, tmp_path: Path) -> None:
    findings = findings_of(tmp_path / "nowhere")
    assert [(code, key) for code, _, key in findings] == [
        ("RUN101", "train_dataloader.dataset.data_root"),
        ("RUN101", "val_dataloader.dataset.data_root"),
    ]
    assert "nowhere' does not exist" in findings[0][1]


def test_a_missing_folder_is_named_with_what_is_there_instead(generated, data: Path) -> None:
    (data / LABELS).rename(data / "labels/sem_seg/masks/training")
    (finding,) = check_data(with_data_root(generated("pspnet_r50_bdd10k_ce"), data))
    assert finding.problem is problems.NO_DATA_FOLDER
    assert finding.message == f"folder {str(data / LABELS)!r} does not exist"
    assert finding.hint == f"{str(data / 'labels/sem_seg/masks')!r} holds training, val"
    assert finding.key == "train_dataloader.dataset.data_prefix.seg_map_path"


def test_an_empty_split_says_which_files_are_there(generated, data: Path) -> None:
    for path in (data / IMAGES).iterdir():
        path.rename(path.with_suffix(".jpeg"))
    (finding,) = check_data(with_data_root(generated("pspnet_r50_bdd10k_ce"), data))
    assert finding.problem is problems.EMPTY_SPLIT
    assert finding.message == f"no file in {str(data / IMAGES)!r} ends in '.jpg'"
    assert finding.hint == "there are files of .jpeg"


def test_images_without_label_maps_are_counted_and_named(findings_of, data: Path) -> None:
    first, second, *_ = labels_of(data)
    first.unlink()
    second.unlink()
    (finding,) = findings_of()
    assert finding == (
        "RUN104",
        f"2 of 4 images have no label map: {first.stem}.jpg, {second.stem}.jpg",
        "train_dataloader.dataset.data_prefix.seg_map_path",
    )


def test_label_maps_without_images_are_a_warning(findings_of, data: Path) -> None:
    (data / IMAGES / f"{labels_of(data)[0].stem}.jpg").unlink()
    ((code, message, _),) = findings_of()
    assert (code, message) == ("RUN105", f"1 label maps have no image: {labels_of(data)[0].name}")
    assert problems.LABEL_WITHOUT_IMAGE.severity is Severity.WARNING


@pytest.mark.parametrize("content", [b"", b"no image", None], ids=["empty", "text", "cut off"])
def test_an_unreadable_image_is_named(findings_of, data: Path, content: bytes | None) -> None:
    broken = sorted((data / IMAGES).iterdir())[1]
    broken.write_bytes(broken.read_bytes()[:-400] if content is None else content)
    ((code, message, _),) = findings_of()
    assert code == "RUN106"
    assert message.startswith(f"{str(broken)!r} cannot be decoded: ")


def test_an_unreadable_label_map_is_named(findings_of, data: Path) -> None:
    broken = labels_of(data)[0]
    broken.write_bytes(b"\x89PNG")
    ((code, message, _),) = findings_of()
    assert code == "RUN106"
    assert str(broken) in message


def test_a_label_outside_of_the_classes_is_named_with_its_file(findings_of, data: Path) -> None:
    bad = labels_of(data)[2]
    pixels = read_label(bad)
    pixels[0, :2] = 19, 200
    write_label(bad, pixels)
    ((code, message, key),) = findings_of()
    assert code == "RUN107"
    assert message == f"label 200 in {str(bad)!r}: classes are 0 to 18, 255 is ignored; outside are also 19"
    assert key == "train_dataloader.dataset.data_prefix.seg_map_path"


def test_labels_are_held_against_the_smallest_head(findings_of) -> None:
    ((code, message, _), *_) = findings_of(**{"model.auxiliary_head.num_classes": 12})
    assert code == "RUN107"
    assert "classes are 0 to 11" in message


def test_with_reduce_zero_label_the_last_class_is_one_higher(findings_of, data: Path) -> None:
    write_label(labels_of(data)[0], np.full((36, 64), 19, np.uint8))
    option = {f"{loader}_dataloader.dataset.reduce_zero_label": True for loader in ("train", "val")}
    assert findings_of(**option) == []
    assert [code for code, _, _ in findings_of()] == ["RUN107"]


def test_a_label_map_of_another_size_is_named(findings_of, data: Path) -> None:
    bad = labels_of(data)[0]
    write_label(bad, np.zeros((18, 32), np.uint8))
    ((code, message, _),) = findings_of()
    assert code == "RUN108"
    assert message == f"{str(data / IMAGES / bad.stem)!r}"[:-1] + ".jpg' is 64x36, its label map 32x18"


def test_a_colour_map_is_no_label_map(findings_of, data: Path) -> None:
    bad = labels_of(data)[0]
    write_label(bad, np.zeros((36, 64, 3), np.uint8))
    ((code, message, _),) = findings_of()
    assert (code, message) == ("RUN109", f"1 of 4 label maps have several channels, 3 in {str(bad)!r}")


def test_masks_of_0_and_255_are_one_class(findings_of, data: Path) -> None:
    for path in labels_of(data):
        write_label(path, np.repeat(np.array([0, 255], np.uint8), 36 * 32).reshape(36, 64))
    ((code, message, _),) = findings_of()
    assert code == "RUN110"
    assert "hold only class 0 beside the ignored label 255" in message


def test_masks_of_0_and_255_are_said_with_how_they_are_read(generated, data: Path) -> None:
    for path in labels_of(data):
        write_label(path, np.repeat(np.array([0, 255], np.uint8), 36 * 32).reshape(36, 64))
    findings = check_data(with_data_root(generated("pspnet_r50_bdd10k_ce"), data))
    (finding,) = (finding for finding in findings if finding.problem is problems.NOTHING_LABELLED)
    assert (
        finding.hint
        == "masks of 0 and 255: write 1 for 255, or let a study's dataset read them by `encoding: binary_255`"
    )


def test_images_much_smaller_than_the_scale_are_said(generated, data: Path) -> None:
    findings = check_data(with_data_root(generated("pspnet_r50_bdd10k_ce"), data))
    (finding,) = findings
    assert (finding.problem, finding.key) == (problems.ENLARGED_IMAGES, "train_dataloader.dataset.pipeline[2]")
    assert "RandomResize makes images 35.6 times as large before they are cropped" in finding.message
    assert "(64, 36)" in str(finding.hint)


@pytest.mark.parametrize("kinds", [("Resize",), ("RandomCrop", "Resize")], ids=["never cropped", "cropped before"])
def test_what_is_enlarged_and_not_cropped_then_is_let_be(findings_of, kinds: tuple[str, ...]) -> None:
    arguments = {"Resize": {"scale": (640, 360)}, "RandomCrop": {"crop_size": (32, 32)}}
    steps = [{"type": "LoadImageFromFile"}, *({"type": kind, **arguments[kind]} for kind in kinds)]
    assert findings_of(**{"train_dataloader.dataset.pipeline": steps}) == []


@pytest.mark.parametrize("shape", [(36, 64), (36, 64, 3)], ids=["grey", "colour"])
def test_images_of_sixteen_bits_are_said_where_eight_are_read(findings_of, data: Path, shape: tuple[int, ...]) -> None:
    first = sorted((data / IMAGES).iterdir())[0]
    first.write_bytes(cv2.imencode(".png", np.full(shape, 4000, np.uint16))[1].tobytes())
    ((code, message, key),) = findings_of()
    assert (code, key) == ("RUN118", "train_dataloader.dataset.pipeline")
    assert message.startswith("1 of 4 images have 16 bits a channel, of which the upper 8 are read: ")
    assert (
        findings_of(**{"train_dataloader.dataset.pipeline": [{"type": "LoadImageFromFile", "color_type": "unchanged"}]})
        == []
    )


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        ({"type": "Resize", "scale": (2048, 512), "keep_ratio": True}, 512 / 480),  # the short side decides
        ({"type": "mmseg.RandomResize", "scale": (1280, 720), "keep_ratio": True}, 1.5),
        ({"type": "RandomResize", "scale": (1280, 960), "ratio_range": (0.5, 2.0), "keep_ratio": True}, 2.5),
        ({"type": "RandomResize", "scale": (1280, 960), "ratio_range": (0.1, 0.5), "keep_ratio": True}, 0.6),
        ({"type": "Resize", "scale": (1280, 1440)}, 2.0),
        ({"type": "RandomChoiceResize", "scales": [480, 960, 1440], "max_size": 4096}, 2.0),
        ({"type": "RandomChoiceResize", "scales": [960, 1920], "max_size": 640}, 1.0),
        ({"type": "Resize", "scale_factor": 4.0}, None),
        ({"type": "RandomCrop", "crop_size": (2048, 2048)}, None),
    ],
)
def test_a_resize_enlarges_by_its_scale_over_the_image(step: dict[str, object], factor: float | None) -> None:
    assert enlargement(step, (640, 480)) == (None if factor is None else pytest.approx(factor))


def test_palette_images_are_read_as_their_indices(findings_of, data: Path) -> None:
    for path in labels_of(data):
        indexed = Image.fromarray(read_label(path)).convert("P")
        indexed.putdata(read_label(path).ravel().tolist())
        indexed.putpalette([value * 7 % 256 for value in range(768)])
        indexed.save(path)
    assert findings_of() == []


def test_an_annotation_file_names_the_images(findings_of, data: Path) -> None:
    stems = [path.stem for path in labels_of(data)]
    (data / "some.txt").write_text("\n".join(stems[:2]) + "\n")
    labels_of(data)[3].unlink()
    assert findings_of(**{"train_dataloader.dataset.ann_file": "some.txt"}) == []
    (data / "some.txt").write_text("no-such-image\n")
    ((code, _, _),) = findings_of(**{"train_dataloader.dataset.ann_file": "some.txt"})
    assert code == "RUN104"
    ((code, message, _),) = findings_of(**{"train_dataloader.dataset.ann_file": "none.txt"})
    assert code == "RUN102"
    assert "none.txt" in message
    (data / "some.txt").write_bytes(b"stra\xdfe\n")
    ((code, message, _),) = findings_of(**{"train_dataloader.dataset.ann_file": "some.txt"})
    assert code == "RUN102"
    assert message.startswith("annotation file cannot be read: 'utf-8' codec can't decode")


def test_a_mapping_to_no_class_is_said_where_it_is(findings_of) -> None:
    paired = {
        "type": "PairedFilesDataset",
        "images": f"{IMAGES}/*.jpg",
        "labels": f"{LABELS}/*.png",
        "metainfo": {"classes": ("road", "sky")},
        "mapping": {0: 0, 1: 2},
    }
    ((code, message, key),) = findings_of(
        **{f"train_dataloader.dataset.{name}": value for name, value in paired.items()}
    )
    assert (code, key) == ("RUN107", "train_dataloader.dataset.mapping")
    assert message == "value 1 is mapped to 2; classes are 0 to 1"


def test_a_class_that_the_catalog_does_not_know_is_asked_itself(findings_of, data: Path) -> None:
    option = {f"{loader}_dataloader.dataset.type": "LIPDataset" for loader in ("train", "val")}
    assert findings_of(**option) == []
    option = {f"{loader}_dataloader.dataset.type": "DarkZurichDataset" for loader in ("train", "val")}
    assert [code for code, _, _ in findings_of(**option)] == ["RUN103", "RUN103"]


def test_data_of_another_kind_is_not_judged(findings_of) -> None:
    option = {f"{loader}_dataloader.dataset.backend_args": {"backend": "petrel"} for loader in ("train", "val")}
    assert [code for code, _, _ in findings_of(**option)] == ["RUN111", "RUN111"]
    assert problems.DATA_NOT_CHECKED.severity is Severity.NOTE
