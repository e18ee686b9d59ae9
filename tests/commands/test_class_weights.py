"""`provecfg class-weights` on small label maps, and on drawn streets in both layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from provecfg.catalog.datasets import CITYSCAPES_CLASSES, DATASETS
from provecfg.class_weights.weights_file import read_class_weights
from provecfg.commands.class_weights import command
from provecfg.errors import ExitCode, ProvecfgError

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("rich")

from provecfg.data import label_counts, workers  # noqa: E402
from provecfg.data.scenes import Drawing, smoke_data_for  # noqa: E402

Run = Callable[..., tuple[str, str]]
Weights = Callable[..., dict[str, Any]]
Data = Callable[..., Path]
LABELS, IMAGES = "labels/sem_seg/masks/train", "images/10k/train"


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command: standard output and standard error. What it raises is raised."""

    def call(*arguments: object) -> tuple[str, str]:
        capfd.readouterr()
        assert command.main([str(argument) for argument in arguments], standalone_mode=False) == ExitCode.CLEAN
        return capfd.readouterr()

    return call


@pytest.fixture
def weights_of(run: Run) -> Weights:
    """What the command prints for a data root, read as YAML."""
    return lambda root, *arguments: yaml.safe_load(run("--data-root", root, *arguments)[0])


@pytest.fixture
def refusal(run: Run) -> Callable[[Path], ProvecfgError]:
    """The error that a data root gives."""

    def call(root: Path) -> ProvecfgError:
        with pytest.raises(ProvecfgError) as caught:
            run("--data-root", root)
        return caught.value

    return call


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Write label maps in the layout of BDD10k; return the data root."""

    def write(**label_maps: object) -> Path:
        root = tmp_path / "data"
        folder = root / LABELS
        folder.mkdir(parents=True)
        for name, values in label_maps.items():
            Image.fromarray(np.array(values, np.uint8)).save(folder / f"{name}.png")
        return root

    return write


def test_the_counts_are_those_of_the_label_maps(data: Data, weights_of: Weights) -> None:
    root = data(a=[[0, 0, 255], [0, 2, 255]], b=[[2, 2, 18]])
    weights_file = weights_of(root, "--method", "inverse")
    assert weights_file["files"] == 2
    assert weights_file["ignored_pixels"] == 2
    assert weights_file["counts"]["road"] == {"pixels": 3, "files": 1, "file_pixels": 4}
    assert weights_file["counts"]["building"] == {"pixels": 3, "files": 2, "file_pixels": 7}
    assert weights_file["counts"]["bicycle"] == {"pixels": 1, "files": 1, "file_pixels": 3}
    assert weights_file["counts"]["sidewalk"] == {"pixels": 0, "files": 0, "file_pixels": 0}
    # 7/3, 7/3 and 7, to a mean of 1
    assert (weights_file["weights"]["road"], weights_file["weights"]["bicycle"]) == (0.6, 1.8)
    assert weights_file["weights"]["sidewalk"] == 1.8


def test_a_file_is_written_and_holds_what_is_printed_without(data: Data, tmp_path: Path, run: Run) -> None:
    root, path = data(a=[[0, 1]]), tmp_path / "new" / "weights.yaml"
    printed, _ = run("--data-root", root)
    out, err = run("--data-root", root, "-o", path)
    assert path.read_text() == printed
    assert out == ""
    assert err.endswith(f"wrote {path}\n")
    assert read_class_weights(path, CITYSCAPES_CLASSES)[:2] == [1, 1]


def test_what_does_not_occur_is_said(data: Data, run: Run) -> None:
    root = data(a=[list(range(17))])
    assert run("--data-root", root)[1] == "1 label maps, 17 of 19 classes occur (not motorcycle, bicycle)\n"
    assert run("--data-root", root, "-q")[1] == ""


def test_the_digest_is_of_names_and_labels_alone(data: Data, weights_of: Weights) -> None:
    root = data(a=[[0, 1, 1]], b=[[2, 2, 2]])

    def digest() -> str:
        return weights_of(root)["digest"]

    first, path = digest(), root / LABELS / "a.png"
    Image.fromarray(np.array([[0, 1, 1]], np.uint8)).save(path, compress_level=0)
    assert digest() == first
    Image.fromarray(np.array([[0, 0, 1]], np.uint8)).save(path)
    changed = digest()
    assert changed != first
    path.rename(path.with_name("c.png"))
    assert digest() not in (first, changed)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_number_of_processes_changes_nothing(data: Data, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    random = np.random.default_rng(0)
    root = data(**{f"map{index}": random.integers(0, 19, (4, 6)) for index in range(20)})
    dataset = DATASETS["bdd10k"]
    files = label_counts.find_label_files(root, dataset)
    alone = label_counts.count_labels(files, dataset)
    monkeypatch.setattr(workers, "_FEW", 0)
    assert label_counts.count_labels(files, dataset, processes=processes) == alone
    assert alone.labelled_pixels == 20 * 24


def test_all_that_is_wrong_with_the_label_maps_is_said_at_once(
    data: Data, refusal: Callable[[Path], ProvecfgError]
) -> None:
    root = data(a=[[0, 1]], b=[[0, 19, 200]], c=np.zeros((2, 2, 3)))
    folder = root / LABELS
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes()[:-30])
    (folder / "e.png").write_text("no image")
    Image.fromarray(np.array([[70000]], np.int32)).save(folder / "f.png", "TIFF")
    error = refusal(root)
    assert error.exit_code == ExitCode.FINDINGS
    head, *lines = error.message.splitlines()
    assert head == "5 of 6 label maps cannot be counted:"
    assert lines[0] == f"  {folder / 'b.png'}: holds 19, 200; classes are 0 to 18, 255 is ignored"
    assert lines[1] == f"  {folder / 'c.png'}: has 3 channels; a label map has one, of class numbers"
    assert lines[2].startswith(f"  {folder / 'd.png'}: cannot be decoded: ")
    assert lines[3].startswith(f"  {folder / 'e.png'}: cannot be decoded: no image of a known format")
    assert lines[4] == f"  {folder / 'f.png'}: holds 70000; classes are 0 to 18, 255 is ignored"


def test_palette_images_are_read_as_their_indices(data: Data, weights_of: Weights) -> None:
    root = data()
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 255])
    image.putpalette([value * 7 % 256 for value in range(768)])
    image.save(root / LABELS / "a.png")
    weights_file = weights_of(root)
    assert [weights_file["counts"][name]["pixels"] for name in ("road", "sidewalk")] == [1, 1]
    assert weights_file["ignored_pixels"] == 1


def test_only_what_training_reads_is_counted(data: Data, run: Run, refusal: Callable[[Path], ProvecfgError]) -> None:
    root = data(a=[[0]], b=[[1, 1]])
    (root / IMAGES).mkdir(parents=True)
    for name in ("a.jpg", "c.jpg", ".b.jpg"):
        (root / IMAGES / name).touch()
    out, err = run("--data-root", root)
    assert yaml.safe_load(out)["files"] == 1
    assert "1 label maps have no image, b.png for one: not counted\n" in err
    assert "1 images have no label map, c.jpg for one: not counted\n" in err
    (root / IMAGES / "a.jpg").unlink()
    assert "none of the 2 label maps in" in refusal(root).message


def test_a_place_without_labels_is_named_with_what_is_there(
    tmp_path: Path, refusal: Callable[[Path], ProvecfgError]
) -> None:
    assert "nowhere' does not exist" in refusal(tmp_path / "nowhere").message
    (tmp_path / "labels/sem_seg/colormaps").mkdir(parents=True)
    error = refusal(tmp_path)
    assert error.message == f"folder {str(tmp_path / LABELS)!r} does not exist"
    assert error.hint == f"{str(tmp_path / 'labels/sem_seg')!r} holds colormaps/; BDD10k has its labels there"
    (tmp_path / LABELS).mkdir(parents=True)
    (tmp_path / LABELS / "a.jpg").touch()
    error = refusal(tmp_path)
    assert error.message.endswith("ends in '.png'")
    assert error.hint.endswith("holds a.jpg")


def test_labels_of_no_class_at_all_are_an_error(data: Data, refusal: Callable[[Path], ProvecfgError]) -> None:
    assert refusal(data(a=[[255]])).message == "no pixel of the label maps has a class"


def test_beta_is_of_one_method_alone(data: Data, run: Run, weights_of: Weights) -> None:
    root = data(a=[[0, 0, 1]])
    with pytest.raises(click.UsageError, match="--beta is of the method effective-number, not of log"):
        run("--data-root", root, "--beta", 0.5)
    weights_file = weights_of(root, "--method", "effective-number", "--beta", 0)
    assert weights_file["parameters"] == {"beta": 0.0}
    assert set(weights_file["weights"].values()) == {1.0}


def test_cityscapes_is_nested_and_its_other_files_are_left_alone(tmp_path: Path, weights_of: Weights) -> None:
    dataset = DATASETS["cityscapes"]
    root = smoke_data_for(dataset, Drawing(train=3, val=1, width=64, height=36), tmp_path / "drawn")
    for split in (dataset.train.images, dataset.train.labels):
        (root / split / "ulm").mkdir()
        for path in [path for path in (root / split).iterdir() if path.is_file()]:
            path.rename(path.parent / "ulm" / path.name)
    (root / dataset.train.labels / "ulm" / "drawn-0000_gtFine_labelIds.png").write_text("not read")
    files = label_counts.find_label_files(root, dataset)
    assert files.names[0] == "ulm/drawn-0000_gtFine_labelTrainIds.png"
    weights_file = weights_of(root, "--dataset", "cityscapes")
    assert weights_file["files"] == 3
    assert (
        weights_file["ignored_pixels"] + sum(count["pixels"] for count in weights_file["counts"].values())
        == 3 * 64 * 36
    )


def test_an_ignored_label_of_a_dataset_is_its_own(data: Data) -> None:
    dataset = DATASETS["bdd10k"]._replace(classes=("road", "rest"), ignore_index=7)
    files = label_counts.find_label_files(data(a=[[0, 1, 7, 7]]), dataset)
    counts = label_counts.count_labels(files, dataset)
    assert (counts.ignored_pixels, counts.labelled_pixels) == (2, 2)


@pytest.mark.parametrize("method", ["inverse", "median-frequency", "effective-number", "log"])
def test_in_streets_the_commonest_class_weighs_least_and_the_rarest_most(
    tmp_path: Path, weights_of: Weights, method: str
) -> None:
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=24, val=1, width=240, height=180), tmp_path / "drawn")
    weights_file = weights_of(root, "--method", method, "--jobs", 1)
    pixels = {name: count["pixels"] for name, count in weights_file["counts"].items() if count["pixels"]}
    weights = {name: weights_file["weights"][name] for name in pixels}
    assert len(pixels) >= 8
    assert weights_file["files"] == 24
    assert weights_file["ignored_pixels"] + sum(pixels.values()) == 24 * 240 * 180
    assert min(weights, key=weights.__getitem__) == max(pixels, key=pixels.__getitem__)
    assert max(weights, key=weights.__getitem__) == min(pixels, key=pixels.__getitem__)
    assert sum(weights.values()) / len(weights) == pytest.approx(1, abs=1e-5)


STUDY = """name: a
models: [pspnet_r50]
losses: {primary: {class_weight: weights.yaml}}
datasets:
- name: weeds
  root: weeds
  train: {images: 'i/*.png', labels: 'l/*.png', fraction: 0.5}
  classes: [soil, crop]
  encoding: rgb
  palette: {soil: [64, 0, 0], crop: [0, 128, 0]}
- {name: both, join: [bdd10k, cityscapes]}
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    pixels = np.full((4, 4, 3), (64, 0, 0), np.uint8)
    pixels[0] = (0, 128, 0)
    for name in "abcd":
        for folder in ("i", "l"):
            path = tmp_path / f"weeds/{folder}/{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_a_studys_own_dataset_is_counted_as_its_entry_says(run: Run, study: Path) -> None:
    file = yaml.safe_load(run("--study", study)[0])
    assert (file["dataset"], file["files"]) == ("weeds", 2)
    assert {name: count["pixels"] for name, count in file["counts"].items()} == {"soil": 24, "crop": 8}
    assert file["weights"]["crop"] > file["weights"]["soil"]


def test_the_weights_of_a_studys_dataset_go_back_into_it(run: Run, study: Path) -> None:
    from provecfg.study.load import read_study

    study.write_text(STUDY.replace("- {name: both, join: [bdd10k, cityscapes]}\n", ""))
    run("--study", study, "--dataset", "weeds", "-o", study.with_name("weights.yaml"))
    read, findings = read_study(study)
    assert read is not None, findings
    assert len(read.losses.primary.class_weight or ()) == 2


def test_of_a_study_a_dataset_is_asked_for_that_is_one(run: Run, study: Path) -> None:
    with pytest.raises(ProvecfgError, match=r"unknown dataset 'weed'; did you mean 'weeds'\?"):
        run("--study", study, "--dataset", "weed")
    with pytest.raises(ProvecfgError, match="both is joined of several datasets"):
        run("--study", study, "--dataset", "both")
    with pytest.raises(click.UsageError, match="say where the dataset is"):
        run("--dataset", "bdd10k")
