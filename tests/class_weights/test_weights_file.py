from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from provecfg import __version__
from provecfg.class_weights.formulas import ClassCount, LabelCounts, class_weights
from provecfg.class_weights.weights_file import WeightsFile, read_class_weights
from provecfg.errors import ProvecfgError

CLASSES = ("road", "traffic light", "on")  # the last is true, to YAML
COUNTS = LabelCounts((ClassCount(900, 3, 1000), ClassCount(100, 1, 400), ClassCount(0, 0, 0)), 3, 7, "sha256:abc")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weights = class_weights(COUNTS, "effective-number")
    written = WeightsFile("bdd10k", "effective-number", {"beta": 0.9999}, CLASSES, COUNTS, weights)
    path = tmp_path / "weights.yaml"
    path.write_text(written.text(), encoding="utf-8")
    return path


def with_weights(file: Path, text: str) -> Path:
    head, _, _ = file.read_text().partition("weights:\n")
    file.write_text(f"{head}weights: {text}\n")
    return file


def test_what_is_written_is_read_in_the_order_of_the_classes(file: Path) -> None:
    weights = class_weights(COUNTS, "effective-number")
    assert read_class_weights(file, CLASSES) == pytest.approx(weights, rel=1e-5)
    assert read_class_weights(file, CLASSES[::-1]) == pytest.approx(weights[::-1], rel=1e-5)


def test_it_says_what_the_weights_are_from(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    assert {name: content[name] for name in content if name not in ("counts", "weights")} == {
        "provecfg": __version__,
        "dataset": "bdd10k",
        "method": "effective-number",
        "parameters": {"beta": 0.9999},
        "files": 3,
        "ignored_pixels": 7,
        "digest": "sha256:abc",
    }
    assert content["counts"]["traffic light"] == {"pixels": 100, "files": 1, "file_pixels": 400}
    assert list(content["counts"]) == list(content["weights"]) == list(CLASSES)


def test_very_large_and_small_weights_are_numbers_to_yaml(tmp_path: Path) -> None:
    weights = (1e-07, 123456789.0, 0.0)
    path = tmp_path / "weights.yaml"
    path.write_text(WeightsFile("bdd10k", "inverse", {}, CLASSES, COUNTS, weights).text())
    assert read_class_weights(path, CLASSES) == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{road: 1, 'on': 1}", "2 weights for 3 classes: no weight of 'traffic light'"),
        ("{road: 1, 'on': 1, trafic light: 1}", "no weight of 'traffic light'; unknown class 'trafic light'; did you"),
        ("{road: 1, traffic light: 1, 'on': 1, 5: 1}", "4 weights for 3 classes: unknown class '5'; known: road"),
        ("{road: 1, traffic light: -1, 'on': 1}", "the weight of 'traffic light' is -1, must be a finite number >= 0"),
        ("{road: .inf, traffic light: 1, 'on': 1}", "the weight of 'road' is inf, must be a finite number >= 0"),
        ("{road: yes, traffic light: 1, 'on': 1}", "the weight of 'road' is True, must be"),
        ("{road: 0, traffic light: 0.0, 'on': 0}", "every weight is 0"),
        ("[1, 2, 3]", "it has no `weights`, a mapping"),
    ],
)
def test_weights_that_are_not_those_of_the_classes_are_refused(file: Path, weights: str, message: str) -> None:
    with pytest.raises(ProvecfgError) as caught:
        read_class_weights(with_weights(file, weights), CLASSES)
    assert caught.value.message.startswith(f"class weights {file}: {message}")


def test_the_hint_names_the_dataset_of_the_file(file: Path) -> None:
    with pytest.raises(ProvecfgError) as caught:
        read_class_weights(file, ["road"])
    assert caught.value.hint == "the file is of dataset 'bdd10k'; its names have to be those of the classes"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"weights: {road: 1}\n", "it has no `digest`"),
        (b"a: [1,\n", "it is not YAML in line"),
        (b"a: \xff\n", "it is not UTF-8 at byte 3"),
        (b"- 1\n", "it is no mapping of fields"),
        (b"", "it is no mapping of fields"),
        (b"#" * 1_000_001, "it is larger than 1000000 bytes"),
    ],
    ids=["no digest", "no yaml", "no utf-8", "a list", "empty", "huge"],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.yaml"
    path.write_bytes(content)
    with pytest.raises(ProvecfgError) as caught:
        read_class_weights(path, ["road"])
    assert caught.value.message.startswith(f"class weights {path}: {message}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"cannot read class weights .*none\.yaml: No such file"):
        read_class_weights(tmp_path / "none.yaml", ["road"])
