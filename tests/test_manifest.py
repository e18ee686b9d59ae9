from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.manifest import generated_images, rows_of
from provecfg.pairs import Selection

HEADER = "gen_path,original_path,name,domain,dataset,target_domain\n"
LABELS = {f"train/images/{name}.jpg": f"train/labels/{name}.png" for name in ("a", "b")}


def manifest(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "manifest.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


def listed(path: Path, *names: str) -> list[tuple[str, str]]:
    return list(generated_images(path, names or ("bdd10k",), LABELS))


def test_a_generated_image_has_its_originals_label_map(tmp_path: Path) -> None:
    path = manifest(tmp_path, "fog/a_fog.png,train/images/a.jpg,a,clear,BDD10k,fog")
    assert listed(path) == [(str(tmp_path / "fog/a_fog.png"), "train/labels/a.png")]


def test_images_of_other_datasets_are_left_out(tmp_path: Path) -> None:
    path = manifest(tmp_path, "a.png,a.jpg,a,clear,BDD10k,fog", "b.png,train/images/b.jpg,b,clear,ACDC,fog")
    assert [Path(image).name for image, _ in listed(path)] == ["a.png"]
    assert [Path(image).name for image, _ in listed(path, "mine", "acdc")] == ["b.png"]


def test_images_made_of_others_than_the_training_images_are_left_out(tmp_path: Path) -> None:
    rows = ("a.png,/far/away/train/images/a.jpg,a,c,BDD10k,fog", "b.png,/far/away/val/images/b.jpg,b,c,BDD10k,fog")
    assert [Path(image).name for image, _ in listed(manifest(tmp_path, *rows))] == ["a.png"]


def test_a_name_alone_means_an_image_only_where_one_has_it(tmp_path: Path) -> None:
    labels = {f"train/{folder}/a.jpg": f"{folder}.png" for folder in ("day", "night")} | {"train/day/b.jpg": "b.png"}
    path = manifest(tmp_path, "1.png,a.jpg,a,c,x,f", "2.png,b.jpg,b,c,x,f", "3.png,night/a.jpg,a,c,x,f")
    assert [label for _, label in generated_images(path, ("x",), labels)] == ["b.png", "night.png"]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (("a.png,a.jpg,bdd10k",), "gen_path,original,dataset\n", "has no column 'original_path'"),
        ((), HEADER, "lists no image"),
        (("a.png,,a,clear,bdd10k,fog",), HEADER, "image 1: 'original_path' is empty"),
        (("a.png,a.jpg,a,clear,ACDC,fog",), HEADER, "has no image of 'bdd10k'"),
        (("a.png,val/z.jpg,z,clear,bdd10k,fog",), HEADER, "none was made of a training image"),
    ],
)
def test_a_manifest_of_no_use_is_refused(tmp_path: Path, rows: tuple[str, ...], header: str, message: str) -> None:
    with pytest.raises(ProvecfgError, match=message):
        listed(manifest(tmp_path, *rows, header=header))


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"nowhere\.csv' cannot be read: No such file"):
        rows_of(tmp_path / "nowhere.csv")


def test_the_originals_of_generated_images_are_those_of_the_split(tmp_path: Path) -> None:
    for name in ("day_a", "night_b"):
        for path in (tmp_path / f"i/{name}.jpg", tmp_path / f"l/{name}.png"):
            path.parent.mkdir(exist_ok=True)
            path.touch()
    path = manifest(tmp_path, "1.png,i/day_a.jpg,a,c,x,f", "2.png,i/night_b.jpg,b,c,x,f")
    selection = Selection("i/*.jpg", "l/*.png", only="day_*", manifest=str(path), generated_of=("x",))
    assert [(pair.image, pair.label) for pair in selection.pairs(tmp_path)] == [
        (str(tmp_path / "1.png"), "l/day_a.png")
    ]
