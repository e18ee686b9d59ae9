from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.pairs import Selection, Slicing

PATTERNS = ("images/*.jpg", "masks/*.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for scene in range(5):
        for frame in range(4):
            (tmp_path / f"images/s{scene}_{frame}.jpg").touch()
    return tmp_path


def names(selection: Selection, root: Path) -> list[str]:
    return [pair.image for pair in selection.pairs(root)]


def test_every_image_has_the_label_map_of_its_name(root: Path) -> None:
    pairs = Selection(*PATTERNS).pairs(root)
    assert len(pairs) == 20
    assert (pairs[0].image, pairs[0].label, pairs[0].key) == ("images/s0_0.jpg", "masks/s0_0.png", "s0_0")


def test_shares_are_of_the_right_size_and_part_all_images(root: Path) -> None:
    shares = [(0.0, 0.6), (0.6, 0.8), (0.8, 1.0)]
    parts = [names(Selection(*PATTERNS, share=share), root) for share in shares]
    assert [len(part) for part in parts] == [12, 4, 4]
    assert sorted(name for part in parts for name in part) == names(Selection(*PATTERNS), root)
    assert parts != [names(Selection(*PATTERNS, share=share, share_seed=1), root) for share in shares]


def test_a_group_is_in_one_split_alone(root: Path) -> None:
    group = "{scene}_*"
    train, val = (names(Selection(*PATTERNS, share=share, group=group), root) for share in ((0.0, 0.6), (0.6, 1.0)))
    scenes = [{name.partition("_")[0] for name in part} for part in (train, val)]
    assert not scenes[0] & scenes[1]
    assert len(train) == 12


def test_an_image_of_no_group_is_named(root: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"'images/s0_0.jpg' has no group"):
        Selection(*PATTERNS, share=(0.0, 0.5), group="{scene}-*").pairs(root)


def test_a_share_that_holds_no_image_is_refused(root: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"0.99 to 1 of 20 images in 5 groups holds none"):
        Selection(*PATTERNS, share=(0.99, 1.0), group="{scene}_*").pairs(root)


@pytest.mark.parametrize("line", ["s1_2", "images/s1_2.jpg", "images/s1_2", "s1_2.jpg"])
def test_a_list_names_images_by_path_or_key(root: Path, line: str) -> None:
    (root / "val.txt").write_text(f"s0_1\n{line}\n\n")
    assert names(Selection(*PATTERNS, files="val.txt"), root) == ["images/s0_1.jpg", "images/s1_2.jpg"]


def test_a_list_names_pairs_where_no_pattern_does(root: Path) -> None:
    (root / "val.txt").write_text("images/s0_1.jpg other/x.png\nimages/s0_2.jpg,other/y z.png\n")
    pairs = Selection(files="val.txt").pairs(root)
    assert [pair.label for pair in pairs] == ["other/x.png", "other/y z.png"]


def test_what_a_list_names_and_is_not_there_is_said_with_its_line(root: Path) -> None:
    (root / "val.txt").write_text("s0_1\ns9_9\n")
    with pytest.raises(ProvecfgError, match=r"line 2 of .*val.txt', 's9_9', names no image"):
        Selection(*PATTERNS, files="val.txt").pairs(root)
    with pytest.raises(ProvecfgError, match=r"list of files .*none.txt' cannot be read"):
        Selection(*PATTERNS, files="none.txt").pairs(root)


def test_a_pattern_that_matches_nothing_says_what_is_there(root: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"no image matches 'img/\*.jpg'") as caught:
        Selection("img/*.jpg", "masks/*.png").pairs(root)
    assert caught.value.hint == f"{str(root)!r} holds images/"


def test_only_keeps_what_matches_by_name_or_by_path(root: Path) -> None:
    assert len(names(Selection(*PATTERNS, only="s1_*"), root)) == 4
    assert len(names(Selection(*PATTERNS, only="images/s?_3.jpg"), root)) == 5
    with pytest.raises(ProvecfgError, match="none of 20 images matches"):
        Selection(*PATTERNS, only="night_*").pairs(root)


def test_slices_are_named_by_the_field_of_their_kind(root: Path) -> None:
    pair = Selection(*PATTERNS).pairs(root)[5]
    slices = {"scene": "{scene}_*", "frame": "{scene}_{frame}.jpg", "weather": "night/*"}
    assert Slicing(root, slices).of(pair) == {"scene": "s1", "frame": "1"}


def test_slices_are_named_by_a_table(root: Path) -> None:
    (root / "attributes.csv").write_text("image,weather,city\nimages/s1_1.jpg,fog,Ulm\ns1_2,rain,\n")
    slicing = Slicing(root, {"weather": "attributes.csv", "city": "attributes.csv", "scene": "{scene}_*"})
    pairs = Selection(*PATTERNS).pairs(root)
    assert [slicing.of(pair) for pair in pairs[5:8]] == [
        {"weather": "fog", "city": "Ulm", "scene": "s1"},
        {"weather": "rain", "scene": "s1"},
        {"scene": "s1"},
    ]
    with pytest.raises(ProvecfgError, match="has no column 'snow'"):
        Slicing(root, {"snow": "attributes.csv"})
