from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import mmseg.datasets  # noqa: F401  (registers the datasets and transforms)
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from torch import nn

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.proof.built import Built
from provecfg.proof.data import check as data
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations when they build.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

PROJECT = Path(__file__).parents[3]
PSPNET = PROJECT / "generated" / "pspnet_r50_bdd10k_focal.py"
CASES = PROJECT / "tests/cases/faults"

Prove = Callable[..., Section]
Change = Callable[[Config], None]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """The data section of a config: PSPNet's on BDD10k, with small images, unless another is named."""

    def proved(
        change: Change | None = None, root: Path | None = None, path: Path | None = None, built: Built | None = None
    ) -> Section:
        config = Config.fromfile(str(path or PSPNET), import_custom_modules=False)
        if path is None:
            for loader in (config.train_dataloader, config.val_dataloader):
                loader.dataset.data_root = "absent"
                for step in loader.dataset.pipeline:
                    step.update({"scale": (256, 128)} if "scale" in step else {})
                    step.update({"crop_size": (64, 64)} if "crop_size" in step else {})
            config.model.data_preprocessor.size = (64, 64)
        if change is not None:
            change(config)
        return data.check(Subject(path or PSPNET, config, "cpu", root, tmp_path / "work"), built or Built.nothing())

    return proved


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A drawn set in BDD10k's layout: 6 training images and 3 of the validation."""
    return smoke_data_for(DATASETS["bdd10k"], Drawing(train=6, val=3, width=96, height=64), tmp_path / "street")


def codes(section: Section) -> list[str]:
    return [finding.problem.code for finding in section.findings]


def found(section: Section) -> list[tuple[str, str]]:
    return [(finding.problem.code, finding.key) for finding in section.findings]


def train_pipeline(config: Config) -> list[dict]:
    return config.train_dataloader.dataset.pipeline


# Made images


def test_made_images_come_through_a_right_config(prove: Prove) -> None:
    section = prove()
    assert section.findings == ()
    assert section.is_proved
    assert section.lines[0].startswith("train: made images come through the pipeline with labels 0 to 18 and 255")
    assert section.lines[1].endswith("the model is given 1x3x128x228, 0.21 +- 1.24")
    assert section.lines[2].startswith("no data root given")
    assert section.evidence["made_train"]["batch"] == [2, 3, 64, 64]
    assert section.evidence["made_val"]["labels"] == [*range(19), 255]
    json.dumps(section.evidence, allow_nan=False)


def test_proving_draws_no_random_number_of_the_process(prove: Prove) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    prove()
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def twice_normalised(config: Config) -> None:
    train_pipeline(config).insert(-1, {"type": "Normalize", "mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]})


def label_map_before_resize(config: Config) -> None:
    steps = config.val_dataloader.dataset.pipeline
    steps[1], steps[2] = steps[2], steps[1]


def label_map_after_resize_in_training(config: Config) -> None:
    steps = train_pipeline(config)
    steps.insert(2, steps.pop(1))
    del steps[3]  # the crop, which looks into the label map


def without_label_map(config: Config) -> None:
    del config.val_dataloader.dataset.pipeline[2]


def misspelt_transform_argument(config: Config) -> None:
    train_pipeline(config)[3].crop = 64


def zero_label_in_transform_alone(config: Config) -> None:
    train_pipeline(config)[1].reduce_zero_label = True


def prefixes_of_mmdet(config: Config) -> None:
    config.train_dataloader.dataset.data_prefix = {"img": "a", "seg": "b"}


def without_size(config: Config) -> None:
    config.model.data_preprocessor.size = None


def without_crop(config: Config) -> None:
    del train_pipeline(config)[3]


def std_of_zero(config: Config) -> None:
    config.model.data_preprocessor.std = [0.0, 1.0, 1.0]


def several_of_different_shape(config: Config) -> None:
    config.val_dataloader.batch_size = 4


def padding_trained_as_road(config: Config) -> None:
    config.model.data_preprocessor.update(size=(96, 96), seg_pad_val=0)


def subset_of_classes(config: Config) -> None:
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.metainfo = {"classes": ("road", "sky"), "palette": [[0, 0, 0], [1, 1, 1]]}


def classes_in_upper_case(config: Config) -> None:
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.update(
            type="BaseSegDataset", metainfo={"CLASSES": ("a", "b")}, img_suffix=".jpg", seg_map_suffix=".png"
        )


def small_auxiliary_head(config: Config) -> None:
    config.model.auxiliary_head.num_classes = 4


def one_channel(config: Config) -> None:
    config.model.decode_head.out_channels = 1


def road_ignored_by_the_heads(config: Config) -> None:
    config.model.decode_head.ignore_index = config.model.auxiliary_head.ignore_index = 0
    config.model.data_preprocessor.size = (96, 96)


TRAIN, VAL, PREPROCESSOR = "train_dataloader.dataset", "val_dataloader.dataset", "model.data_preprocessor"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (twice_normalised, [("PROOF086", f"{TRAIN}.pipeline[6]")]),
        (label_map_before_resize, [("PROOF082", f"{VAL}.pipeline")]),
        (label_map_after_resize_in_training, [("PROOF082", f"{TRAIN}.pipeline")]),
        (without_label_map, [("PROOF081", f"{VAL}.pipeline")]),
        (misspelt_transform_argument, [("PROOF080", TRAIN)]),
        (zero_label_in_transform_alone, [("PROOF080", f"{TRAIN}.pipeline[1]")]),
        (prefixes_of_mmdet, [("PROOF080", TRAIN)]),
        (without_size, [("PROOF084", PREPROCESSOR)]),
        (without_crop, [("PROOF084", PREPROCESSOR)]),
        (std_of_zero, [("PROOF084", f"{PREPROCESSOR}.std")]),
        (several_of_different_shape, [("PROOF085", "val_dataloader.batch_size")]),
        (
            padding_trained_as_road,
            [("PROOF083", f"{PREPROCESSOR}.seg_pad_val"), ("PROOF083", f"{PREPROCESSOR}.seg_pad_val")],
        ),
        (subset_of_classes, [("PROOF087", f"model.{head}_head.num_classes") for head in ("decode", "auxiliary")]),
        (classes_in_upper_case, [("PROOF087", f"{VAL}.metainfo")]),
        (
            small_auxiliary_head,
            [
                ("PROOF087", "model.auxiliary_head.num_classes"),
                ("PROOF083", "model.auxiliary_head.num_classes"),
            ],
        ),
        (one_channel, [("PROOF083", "model.decode_head.num_classes")]),
        (
            road_ignored_by_the_heads,
            [
                ("PROOF083", "model.data_preprocessor.seg_pad_val"),
                ("PROOF083", "model.data_preprocessor.seg_pad_val"),
                ("PROOF087", "model.decode_head.ignore_index"),
                ("PROOF087", "model.auxiliary_head.ignore_index"),
            ],
        ),
    ],
)
def test_what_is_wrong_shows_on_made_images(prove: Prove, change: Change, expected: list[tuple[str, str]]) -> None:
    assert found(prove(change)) == expected


def zero_label_on_the_dataset(config: Config) -> None:
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.reduce_zero_label = True


def listed_in_a_file(config: Config) -> None:
    config.train_dataloader.dataset.ann_file = "lists/train.txt"


def repeated_and_joined(config: Config) -> None:
    dataset = config.train_dataloader.dataset
    repeated = {"type": "RepeatDataset", "dataset": dataset, "times": 3}
    config.train_dataloader.dataset = {"type": "ConcatDataset", "datasets": [dataset, repeated]}


def absolute_folders(config: Config) -> None:
    config.val_dataloader.dataset.data_root = None
    config.val_dataloader.dataset.data_prefix = {"img_path": "/data/images", "seg_map_path": "/data/labels"}


def stored_elsewhere(config: Config) -> None:
    config.train_dataloader.dataset.backend_args = {"backend": "petrel"}
    train_pipeline(config)[0].backend_args = {"backend": "petrel"}


def multiple_of_32(config: Config) -> None:
    config.model.data_preprocessor.update(size=None, size_divisor=32)


def auxiliary_head_on_edges(config: Config) -> None:
    config.model.auxiliary_head.update(type="STDCHead", boundary_threshold=0.1, num_classes=2)


def fixed_size(config: Config) -> None:
    config.val_dataloader.dataset.pipeline[1].keep_ratio = False
    config.val_dataloader.batch_size = 4


@pytest.mark.parametrize(
    "change",
    [
        zero_label_on_the_dataset,
        listed_in_a_file,
        repeated_and_joined,
        absolute_folders,
        stored_elsewhere,
        multiple_of_32,
        fixed_size,
        auxiliary_head_on_edges,
    ],
)
def test_what_is_unusual_and_right_is_proved(prove: Prove, change: Change) -> None:
    section = prove(change)
    assert section.findings == ()
    assert set(section.evidence) == {"made_train", "made_val"}


def test_the_built_models_heads_are_asked(prove: Prove) -> None:
    model = nn.Module()
    model.decode_head = nn.Module()
    model.decode_head.num_classes, model.decode_head.ignore_index = 21, 255
    (finding,) = prove(built=Built(model, (64, 64))).findings
    assert finding.message == (
        "model.decode_head tells 21 classes apart, and BDD100KDataset of the training has 19: road, sidewalk, "
        "building, wall and 15 more"
    )


def test_images_are_not_made_for_classes_that_find_files_in_ways_of_their_own(prove: Prove) -> None:
    def depth(config: Config) -> None:
        for loader in (config.train_dataloader, config.val_dataloader):
            loader.dataset = {"type": "NYUDataset", "data_root": "absent", "pipeline": []}

    section = prove(depth)
    assert section.findings == ()
    assert section.not_judged is not None
    assert section.lines[0] == "train: not run on made images: NYUDataset finds its files in a way of its own"


def of_16_bits(config: Config) -> None:
    config.model.data_preprocessor.update(mean=[30000.0] * 3, std=[17000.0] * 3)
    classes = DATASETS["bdd10k"].classes
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.update(type="BaseSegDataset", metainfo={"classes": classes}, img_suffix=".tif")
        loader.dataset.pipeline[0].update(color_type="unchanged", to_float32=True)
    train_pipeline(config).pop(-2)


def of_16_bits_distorted(config: Config) -> None:
    of_16_bits(config)
    train_pipeline(config).insert(-1, {"type": "PhotoMetricDistortion"})


def of_16_bits_read_as_colours(config: Config) -> None:
    of_16_bits(config)
    for loader in (config.train_dataloader, config.val_dataloader):
        del loader.dataset.pipeline[0]["color_type"]


def of_16_bits_by_patterns(config: Config) -> None:
    of_16_bits(config)
    for loader in (config.train_dataloader, config.val_dataloader):
        paired = {"type": "PairedFilesDataset", "images": "img/*.tif", "labels": "ann/*.png", "data_root": "absent"}
        kept = {key: loader.dataset[key] for key in ("metainfo", "pipeline")}
        loader.dataset = {**paired, **kept}
        step = next(step for step in loader.dataset.pipeline if step.type == "LoadAnnotations")
        step.type = "LoadEncodedAnnotations"


@pytest.mark.parametrize("change", [of_16_bits, of_16_bits_by_patterns])
def test_made_images_have_the_bits_that_the_means_say(prove: Prove, change: Change) -> None:
    section = prove(change)
    assert section.findings == ()
    assert 0.5 < section.evidence["made_train"]["deviation"] < 2


@pytest.mark.parametrize("change", [of_16_bits_distorted, of_16_bits_read_as_colours])
def test_what_makes_8_bits_of_16_is_found(prove: Prove, change: Change) -> None:
    section = prove(change)
    assert found(section)[0] == ("PROOF086", PREPROCESSOR)
    assert (section.findings[0].hint or "").startswith("leave out what makes 8 bits of 16")


# The user's data


def relabel(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    Image.fromarray(change(np.array(Image.open(path)))).save(path)


def label_maps(root: Path, split: str) -> list[Path]:
    return sorted((root / "labels/sem_seg/masks" / split).glob("*.png"))


def test_a_sample_of_the_data_is_read(prove: Prove, street: Path) -> None:
    section = prove(root=street)
    assert section.findings == ()
    assert section.lines[2].startswith("train: 6 images, 6 read through the pipeline: labels 0 to ")
    assert section.lines[-1] == "train and val share no image (6 and 3 files)"
    assert section.evidence["train"]["images"] == 6
    assert "motorcycle" in section.evidence["val"]["absent"]
    assert section.evidence["disjoint"] is True
    json.dumps(section.evidence, allow_nan=False)


def test_the_configs_own_data_root_is_read_where_it_is(prove: Prove, street: Path) -> None:
    def own_root(config: Config) -> None:
        for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
            loader.dataset.data_root = str(street)

    assert prove(own_root).evidence["train"]["images"] == 6


def test_a_label_that_no_class_has_is_named_with_its_file(prove: Prove, street: Path) -> None:
    path = label_maps(street, "train")[0]
    relabel(path, lambda labels: np.where(labels == labels[0, 0], 40, labels).astype(np.uint8))
    section = prove(root=street)
    (finding,) = section.findings
    assert finding.problem.code == "RUN107"
    assert finding.message.startswith(f"label 40 in {str(path)!r}")
    assert "train: its files are at fault, so its pipeline was not run on them" in section.lines


def test_a_label_that_the_pipeline_makes_is_named_with_its_file(prove: Prove, street: Path) -> None:
    def padded(config: Config) -> None:
        train_pipeline(config).insert(-1, {"type": "Pad", "size": (96, 96), "pad_val": {"img": 0, "seg": 200}})
        config.model.data_preprocessor.size = (96, 96)

    messages = [finding.message for finding in prove(padded, street).findings]
    assert len(messages) == 4  # each head: on made images, and on the data
    assert messages[0].startswith("the dataset's label 200 reaches model.decode_head, which takes 0 to 18")
    assert messages[2].startswith(f"label 200 of '{street}")


def test_a_data_root_that_is_not_there_is_said(prove: Prove, tmp_path: Path) -> None:
    assert codes(prove(root=tmp_path / "nowhere")) == ["RUN101", "RUN101"]


def test_mostly_ignored_data_is_a_warning(prove: Prove, street: Path) -> None:
    for path in label_maps(street, "train"):
        relabel(path, lambda labels: np.where(np.arange(labels.shape[1]) % 32 < 31, 255, labels).astype(np.uint8))
    (finding,) = prove(root=street).findings
    assert (finding.problem.code, str(finding.problem.severity)) == ("PROOF088", "warning")


def test_a_validation_image_among_the_training_images_is_found(prove: Prove, street: Path) -> None:
    def one_folder(config: Config) -> None:
        config.val_dataloader.dataset.data_prefix = config.train_dataloader.dataset.data_prefix

    assert found(prove(one_folder, street)) == [("PROOF089", f"{VAL}.data_prefix.img_path")]


def test_a_copy_under_another_name_is_found(prove: Prove, street: Path) -> None:
    source = sorted((street / "images/10k/train").iterdir())[0]
    shutil.copy(source, street / "images/10k/val" / "other.jpg")
    shutil.copy(label_maps(street, "train")[0], street / "labels/sem_seg/masks/val/other.png")
    (finding,) = prove(root=street).findings
    assert finding.problem.code == "PROOF089"
    assert finding.message == "1 of 4 validation images are copies of training images: other.jpg"


# The collection of faulty configs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("F031", "PROOF087"),
        ("F047", "PROOF083"),
        ("F052", "PROOF087"),
        ("F053", "PROOF083"),
        ("F086", "PROOF080"),
        ("F088", "PROOF087"),
        ("F089", "PROOF087"),
        ("F091", "PROOF087"),
        ("F095", "PROOF080"),
        ("F097", "PROOF086"),
        ("F098", "PROOF084"),
        ("F100", "PROOF084"),
        ("F101", "PROOF082"),
        ("F103", "PROOF085"),
    ],
)
def test_faults_of_data_and_pipelines_are_found_and_their_good_twins_are_not(
    prove: Prove, case: str, code: str
) -> None:
    assert prove(path=CASES / case / "good.py").findings == ()
    assert code in codes(prove(path=CASES / case / "bad.py"))


@pytest.mark.parametrize(
    ("channels", "loading"),
    [(1, {"color_type": "grayscale"}), (1, {"color_type": "unchanged"}), (4, {"color_type": "unchanged"})],
)
def test_images_of_one_and_four_channels_come_through(prove: Prove, channels: int, loading: dict[str, str]) -> None:
    def change(config: Config) -> None:
        # Its mean is of one channel or of three: of one for as many as there are.
        config.model.data_preprocessor.update(mean=[100.0], std=[50.0], bgr_to_rgb=False)
        for loader in (config.train_dataloader, config.val_dataloader):
            loader.dataset.update(img_suffix=".png")
            pipeline = [step for step in loader.dataset.pipeline if step["type"] != "PhotoMetricDistortion"]
            loader.dataset.pipeline = [{**pipeline[0], **loading}, *pipeline[1:]]

    model = nn.Module()
    model.backbone = nn.Sequential(nn.Conv2d(channels, 4, 1))
    section = prove(change, built=Built(model, (64, 64)))
    assert [finding for finding in section.findings if finding.problem.code != "PROOF087"] == []
    assert section.evidence["made_train"]["batch"][1] == channels
