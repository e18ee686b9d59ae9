from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.patterns import Pattern, filling_problem


def filled(images: str, labels: str, path: str) -> str:
    match = Pattern(images).match(path)
    assert match is not None
    return Pattern(labels).fill(match)


@pytest.mark.parametrize(
    ("images", "labels", "path", "label"),
    [
        ("images/*.jpg", "masks/*.png", "images/a.jpg", "masks/a.png"),
        ("images/*.{jpg,jpeg}", "masks/{stem}_mask.png", "images/a.jpeg", "masks/a_mask.png"),
        ("{city}/**/*_img.png", "gt/{city}/**/*_gt.png", "ulm/x/y/7_img.png", "gt/ulm/x/y/7_gt.png"),
        ("left/**/*.png", "gt/**/*.png", "left/a.png", "gt/a.png"),
        ("{scene}/*/*.jpg", "labels/{scene}_*.png", "s1/cam0/a.jpg", "labels/s1_a.png"),
        ("{city}/{city}_?.png", "{city}/?.png", "ulm/ulm_3.png", "ulm/3.png"),
    ],
)
def test_a_label_map_is_named_by_what_was_matched_in_the_image(images: str, labels: str, path: str, label: str) -> None:
    assert filling_problem(Pattern(images), Pattern(labels)) is None
    assert filled(images, labels, path) == label


def test_a_field_that_stands_twice_is_the_same_both_times() -> None:
    assert Pattern("{city}/{city}_1.png").match("ulm/bonn_1.png") is None


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        ("*.jpg", "*.{png,bmp}", "leaves open which"),
        ("*.jpg", "{scene}/*.png", "has a field {scene}"),
        ("{scene}.jpg", "*/{scene}.png", "has 1 wildcards and '{scene}.jpg' 0"),
        ("*.jpg", "mask.png", "is one file"),
    ],
)
def test_a_label_pattern_that_cannot_be_filled_is_refused(images: str, labels: str, problem: str) -> None:
    assert problem in str(filling_problem(Pattern(images), Pattern(labels)))


@pytest.mark.parametrize("text", ["{scene", "scene}.png", "{my scene}/*.png", "{}/*.png"])
def test_a_brace_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(ProvecfgError, match="is no file pattern"):
        Pattern(text)


def test_files_are_those_of_the_pattern_and_hidden_ones_are_none(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/.2.png", "b/3.png", "b/c/4.png", ".d/5.png", "6.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [path for path, _ in Pattern("*/*.png").files(tmp_path)] == ["a/1.png", "b/3.png"]
    assert [path for path, _ in Pattern("b/**/*.png").files(tmp_path)] == ["b/3.png", "b/c/4.png"]
    assert [path for path, _ in Pattern("**/*.jpg").files(tmp_path)] == ["6.jpg"]


def test_a_link_back_to_a_folder_is_not_followed_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").touch()
    (tmp_path / "a/back").symlink_to(tmp_path)
    assert [path for path, _ in Pattern("**/*.png").files(tmp_path)] == ["a/1.png"]


@pytest.mark.parametrize("text", ["{split}/**/{stem}_x.{png,jpg}", "**/*.png", "a/?/{scene}/*_*.jpg", "{scene}.png"])
def test_what_is_made_up_matches_and_differs(text: str) -> None:
    pattern = Pattern(text)
    first, second = pattern.made(0), pattern.made(1)
    assert pattern.match(first)
    assert pattern.match(second)
    assert first != second
