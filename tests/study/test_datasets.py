from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.catalog.datasets import CITYSCAPES_CLASSES, PAIRED, Dataset
from provecfg.catalog.encodings import IGNORED
from provecfg.study.load import read_study, study_from_fields

FILES = {
    "train": {"images": "images/train/*.jpg", "labels": "masks/train/*.png"},
    "val": {"images": "images/val/*.jpg", "labels": "masks/val/*.png"},
}
WEEDS = {"name": "weeds", "classes": ["soil", "crop", "weed"], **FILES}


PALETTE = {"soil": [64, 0, 0], "crop": [0, 128, 0], "weed": [128, 0, 128]}
IN_COLOURS = {"encoding": "rgb", "palette": PALETTE}


def resolved(entry: dict[str, Any]) -> Dataset:
    study, findings = study_from_fields({"name": "a", "datasets": [entry]})
    assert study is not None, [finding.message for finding in findings]
    (dataset,) = study.resolved_datasets.values()
    return dataset


def refusal(entry: dict[str, Any]) -> str:
    study, findings = study_from_fields({"name": "a", "datasets": [entry]})
    assert study is None
    return "\n".join(finding.message for finding in findings)


def test_an_entry_is_a_dataset_of_the_plugin() -> None:
    dataset = resolved(WEEDS)
    assert (dataset.type, dataset.root, dataset.root_variable) == (PAIRED, "data/weeds", "PROVECFG_WEEDS_ROOT")
    assert (dataset.train.images, dataset.val.labels) == ("images/train/*.jpg", "masks/val/*.png")
    assert (dataset.test, dataset.mapping) == (None, None)


def test_names_and_numbers_and_ignore_are_what_a_mapping_leads_to() -> None:
    mapping = {"0": "soil", "1": 1, "7": "weed", "8": "weed", "255": "ignore"}
    assert resolved({**WEEDS, "mapping": mapping}).mapping == {0: 0, 1: 1, 7: 2, 8: 2, 255: IGNORED}


def test_a_mapping_that_says_what_holds_anyway_is_none() -> None:
    assert resolved({**WEEDS, "mapping": {"0": 0, "1": 1, "2": 2, "255": "ignore"}}).mapping is None
    # of a mapping, 255 is a value as any other: without being said it is an error in training
    assert resolved({**WEEDS, "mapping": {"0": 0, "1": 1, "2": 2}}).mapping == {0: 0, 1: 1, 2: 2}


def test_reduce_zero_label_is_said_as_a_mapping() -> None:
    assert resolved({**WEEDS, "reduce_zero_label": True}).mapping == {0: IGNORED, 1: 0, 2: 1, 3: 2, 255: IGNORED}


def test_colours_of_label_maps_are_the_palettes() -> None:
    dataset = resolved({**WEEDS, **IN_COLOURS, "ignore": ["#000000"]})
    assert dataset.mapping == {"#400000": 0, "#008000": 1, "#800080": 2, "#000000": IGNORED}
    assert dataset.palette == ((64, 0, 0), (0, 128, 0), (128, 0, 128))


def test_splits_by_share_part_the_whole() -> None:
    entry = {
        "name": "w",
        "classes": ["a", "b"],
        "train": {**FILES["train"], "fraction": 0.6, "seed": 3, "group": "{s}_*"},
    }
    dataset = resolved({**entry, "val": {"fraction": 0.2}, "test": {}})
    assert [split.share for split in dataset.splits.values()] == [(0.0, 0.6), (0.6, 0.8), (0.8, 1.0)]
    assert {(s.images, s.share_seed, s.group) for s in dataset.splits.values()} == {("images/train/*.jpg", 3, "{s}_*")}
    assert [split.share for split in resolved(entry).splits.values()] == [(0.0, 0.6), (0.6, 1.0)]


def test_a_list_of_pairs_needs_no_pattern() -> None:
    dataset = resolved(
        {"name": "w", "classes": ["a", "b"], "train": {"files": "train.txt"}, "val": {"files": "val.txt"}}
    )
    assert (dataset.train.images, dataset.train.files, dataset.val.files) == (None, "train.txt", "val.txt")


def test_a_dataset_of_the_catalog_is_changed_by_what_is_said() -> None:
    other_root = resolved({"name": "mine", "base": "bdd10k", "root": "elsewhere"})
    assert (other_root.type, other_root.root, other_root.name) == ("BDD100KDataset", "elsewhere", "mine")
    night = resolved({"name": "night", "base": "cityscapes", "train": {"only": "ulm_*"}})
    assert night.type == PAIRED
    assert night.train.images == "leftImg8bit/train/**/*_leftImg8bit.png"
    assert (night.train.only, night.val.only) == ("ulm_*", None)
    ids = resolved({"name": "ids", "base": "cityscapes", "encoding": "cityscapes_label_ids"})
    assert (ids.encoding, ids.mapping, ids.classes) == ("cityscapes_label_ids", None, CITYSCAPES_CLASSES)


def test_joined_datasets_have_the_same_classes() -> None:
    dataset = resolved({"name": "both", "join": ["bdd10k", "cityscapes"]})
    assert [part.name for part in dataset.joined] == ["bdd10k", "cityscapes"]
    assert "weeds has other classes than bdd10k" in refusal({"name": "both", "join": ["bdd10k", WEEDS]})
    assert resolved({"name": "both", "join": ["bdd10k", "cityscapes"], "root": None}) == dataset
    said_twice = refusal({"name": "both", "join": ["bdd10k", "cityscapes"], "encoding": "rgb", "slices": {}})
    assert said_twice.splitlines() == [
        "'encoding' is said by the datasets that are joined, not beside `join`",
        "'slices' is said by the datasets that are joined, not beside `join`",
    ]


def test_what_is_said_twice_alike_is_no_contradiction() -> None:
    twice = {**IN_COLOURS, "mapping": {"#400000": 0, "#000000": "ignore"}, "ignore": ["#000000"]}
    assert resolved({**WEEDS, **twice}).mapping == {"#400000": 0, "#008000": 1, "#800080": 2, "#000000": IGNORED}
    numbers = {"classes": ["1", "0", "ignore"], "mapping": {"0": 0, "00": "1", "255": "ignore"}, "ignore": [255]}
    assert resolved({**WEEDS, **numbers}).mapping == {0: 0, 255: IGNORED}


def test_a_slice_is_told_by_its_field_or_by_the_only_part_that_varies() -> None:
    for pattern in ("images/*/{weather}/*", "images/{kind}.jpg", "*.jpg", "attributes.csv"):
        assert resolved({**WEEDS, "slices": {"weather": pattern}}).slices == {"weather": pattern}


def test_classes_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("soil\ncrop\n\nweed\n")
    (tmp_path / "a.yaml").write_text(
        "name: a\ndatasets:\n- name: w\n  classes: classes.txt\n  train: {images: i/*.png, labels: l/*.png}\n"
        "  val: {images: j/*.png, labels: m/*.png}\n"
    )
    study, findings = read_study(tmp_path / "a.yaml")
    assert not findings
    assert study is not None
    assert study.resolved_datasets["w"].classes == ("soil", "crop", "weed")


def test_classes_as_a_text_are_taken_for_a_file_and_refused_at_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndatasets:\n- name: w\n  classes: soil, crop\n")
    study, (finding,) = read_study(tmp_path / "a.yaml")
    assert study is None
    assert "soil, crop' cannot be read" in finding.message
    assert (finding.key, finding.span and finding.span.row) == ("datasets[0].classes", 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": None}, "`classes` is missing"),
        ({"classes": ["a", "a"]}, "'a' stands more than once"),
        ({"train": None}, "`train` is missing"),
        ({"val": None}, "`val` is missing"),
        ({"name": "bdd10k"}, "the catalog has a dataset 'bdd10k'"),
        ({"base": "cityscape"}, "did you mean 'cityscapes'"),
        ({"mapping": {"0": "sol"}}, "did you mean 'soil'"),
        ({"classes": ["", "crop"]}, "should not be empty"),
        ({"root": ""}, "should not be empty"),
        ({"mapping": {"0": 1.5}}, "should be a whole number or text, not 1.5"),
        ({"mapping": {"70000": 0}}, "'70000' is not a number of a label map; these are 0 to 65535"),
        ({"mapping": {"0": "soil", "1": 1}, "ignore": [0]}, "0 is ignore here, and soil in `mapping`"),
        ({"mapping": {"0": "soil", "00": 1}}, "0 is crop here, and soil in `mapping`"),
        ({**IN_COLOURS, "ignore": ["#400000"]}, "'#400000' is ignore here, and soil in `palette`"),
        ({**IN_COLOURS, "mapping": {"#400000": "weed"}}, "'#400000' is weed here, and soil in `palette`"),
        ({**IN_COLOURS, "palette": {**PALETTE, "crop": [64, 0, 0]}}, "palette: colour '#400000' stands more than once"),
        ({"channel_order": "bgr"}, "`channel_order` is of colours, and `encoding` is ids"),
        ({"slices": {"weather": "images/*/{wether}/*"}}, "has no field {weather}"),
        ({"join": ["bdd10k", "cityscapes"]}, "'classes' is said by the datasets that are joined"),
        ({"mapping": {"0": 3}}, "0 leads to 3; classes are 0 to 2"),
        ({"mapping": {"road": 0}}, "'road' is not a number"),
        ({"mapping": {"0": 0}, "reduce_zero_label": True}, "both map"),
        ({"encoding": "rgb"}, "class 'soil' has no colour"),
        ({"encoding": "binary_255"}, "two classes, and there are 3"),
        ({"encoding": "cityscapes_label_ids"}, "19 classes, and there are 3"),
        ({"encoding": "rbg"}, "should be 'ids'"),
        ({"palette": {"sky": [0, 0, 0]}}, "unknown class 'sky'"),
        ({"palette": {"soil": [0, 0, 256]}}, "channels are 0 to 255"),
        ({"train": {"images": "i/*.png", "labels": "l/{x}.png"}}, "has a field {x}"),
        ({"train": {"images": "i/*.png"}}, "`images` and `labels` belong together"),
        ({"train": {"images": "../i/*.png", "labels": "l/*.png"}}, "leads out of the data root"),
        ({"train": {"images": "{i/*.png", "labels": "l/*.png"}}, "is no file pattern"),
        ({"val": {"fraction": 0.2}}, "`fraction` needs one in `train`"),
        ({"train": {**FILES["train"], "fraction": 0.8}, "val": {"fraction": 0.3}}, "add up to 1.1"),
        ({"train": {**FILES["train"], "fraction": 1.0}, "val": {}}, "nothing is left"),
        ({"val": {**FILES["val"], "seed": 1}}, "said in `train`"),
        ({"tran": {}}, "did you mean 'train'"),
    ],
)
def test_what_an_entry_gets_wrong_is_said(change: dict[str, Any], message: str) -> None:
    entry = {name: value for name, value in {**WEEDS, **change}.items() if value is not None}
    assert message in refusal(entry)


def test_every_mistake_of_an_entry_is_said_at_once_in_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "name: a\ndatasets:\n- name: bdd10k\n  classes: [soil, crop]\n  mapping:\n    0: sol\n    road: 0\n    2: 7\n"
        "  ignore: [black]\n  train: {images: i/*.png, labels: l/*.png, fraction: 0.9}\n"
        "  val: {fraction: 0.3, seed: 1}\n"
    )
    study, findings = read_study(tmp_path / "a.yaml")
    assert study is None
    assert [(finding.span and finding.span.row, finding.message.partition(";")[0]) for finding in findings] == [
        (3, "the fractions add up to 1.2"),
        (3, "the catalog has a dataset 'bdd10k'"),
        (6, "mapping: unknown class 'sol'"),
        (7, "'road' is not a number of a label map"),
        (8, "mapping: 2 leads to 7"),
        (9, "'black' is not a number of a label map"),
        (11, "val: `seed` and `group` are said in `train`, and hold for every split"),
    ]


def test_a_pattern_that_is_none_is_named_once(tmp_path: Path) -> None:
    assert refusal({**WEEDS, "val": {**FILES["val"], "only": "{a"}}).count("'{a'") == 1


def test_a_base_with_colours_gives_them_to_label_maps_of_colours() -> None:
    colours = resolved({"name": "colours", "base": "outside15k", "encoding": "rgb"})
    assert colours.mapping is not None
    assert len(colours.mapping) == len(colours.classes) == 24
    assert colours.mapping["#804080"] == colours.classes.index("road")
    own = resolved({"name": "own", "base": "outside15k", "encoding": "rgb", "mapping": {"#010203": "ignore"}})
    assert own.mapping == {**colours.mapping, "#010203": IGNORED}
    assert "class 'road' has no colour" in refusal({"name": "none", "base": "idd-aw", "encoding": "rgb"})


def test_what_an_entry_says_of_its_base_is_kept_where_it_is_a_default_elsewhere() -> None:
    entry = {"name": "plain", "base": "idd-aw", "encoding": "ids"}
    assert resolved(entry).mapping is None
    study, _ = study_from_fields({"name": "a", "datasets": [entry]})
    assert study is not None
    assert study.fields()["datasets"] == [entry]


def test_each_of_joined_datasets_has_a_root_of_its_own() -> None:
    both = {"name": "both", "join": ["bdd10k", "cityscapes"]}
    _, (finding,) = study_from_fields({"name": "a", "datasets": [both], "data": {"root": "here"}})
    assert finding.message == "one data root 'here' for 2 datasets"
    assert finding.hint == "root: {bdd10k: DIR, cityscapes: DIR}"
    study, findings = study_from_fields({"name": "a", "datasets": [both], "data": {"root": {"bdd10k": "here"}}})
    assert study is not None, findings


def test_two_datasets_of_one_name_are_refused() -> None:
    study, findings = study_from_fields({"name": "a", "datasets": [WEEDS, WEEDS]})
    assert study is None
    assert [finding.message for finding in findings] == ["'weeds' stands more than once"]


def test_class_weights_are_held_against_the_classes_of_an_entry() -> None:
    fields = {"name": "a", "models": ["pspnet_r50"], "datasets": [WEEDS]}
    _, (finding,) = study_from_fields({**fields, "losses": {"primary": {"class_weight": [1.0, 1.0]}}})
    assert finding.message == "2 class weights for the 3 classes of weeds"
