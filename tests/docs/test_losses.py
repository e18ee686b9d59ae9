"""docs/losses.md: what it shows can be used, and what it names exists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml

from docs.generate.losses import losses_page
from docs.generate.plugin import class_doc
from provecfg.catalog.datasets import DATASETS
from provecfg.class_weights.formulas import METHODS, ClassCount, LabelCounts, class_weights
from provecfg.class_weights.weights_file import WeightsFile
from provecfg.study.load import study_from_fields
from provecfg.study.losses import AUXILIARY_LOSSES

PAGE = losses_page()
STUDIES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def write_weights(path: Path) -> None:
    dataset = DATASETS["bdd10k"]
    counts = LabelCounts(tuple(ClassCount(10 + c, 1, 1000) for c in range(len(dataset.classes))), 1, 0, "0")
    weights = class_weights(counts, "log")
    path.write_text(WeightsFile(dataset.name, "log", {}, dataset.classes, counts, weights).text())


@pytest.mark.parametrize("text", STUDIES, ids=[yaml.safe_load(text)["name"] for text in STUDIES])
def test_every_study_of_the_page_is_one(text: str, tmp_path: Path) -> None:
    write_weights(tmp_path / "bdd10k-weights.yaml")
    study, mistakes = study_from_fields(yaml.safe_load(text), tmp_path)
    assert mistakes == []
    assert study is not None


def test_every_loss_and_improvement_has_a_study_on_the_page() -> None:
    shown = "\n".join(STUDIES)
    improvements = ("class_weight", "label_smoothing", "per_class", "ohem", "auxiliary_weights", "schedule", "scales")
    for name in (*AUXILIARY_LOSSES, *improvements, "deep_supervision"):
        assert name in shown, name
    for method in METHODS:
        assert f"| `{method}` |" in PAGE, method


def test_every_heading_and_file_that_the_page_links_to_exists(project: Path) -> None:
    def anchors(text: str) -> set[str]:
        headings = re.findall(
            r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
        )
        return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}

    links = re.findall(r"\]\(((?!https:)[^)]*)\)", PAGE)
    assert len(links) >= 40
    for link in set(links):
        name, _, anchor = link.partition("#")
        file = project / "docs" / name if name else None
        if anchor:
            text = PAGE if file is None else file.read_text(encoding="utf-8")
            assert anchor in anchors(text), link
        else:
            assert file is not None
            assert file.is_file(), link


def test_every_picture_is_shown() -> None:
    folder = Path(__file__).parents[2] / "docs" / "pictures"
    assert {path.name for path in folder.iterdir()} == set(re.findall(r"\(pictures/(\w+\.png)\)", PAGE))


def test_pictures_are_small(project: Path) -> None:
    for path in (project / "docs" / "pictures").iterdir():
        assert path.stat().st_size < 80_000, path.name


@pytest.mark.stack
@pytest.mark.filterwarnings("ignore")  # of mmcv's and torch's modules while they are imported
def test_what_is_read_from_the_source_is_what_the_classes_take() -> None:
    from provecfg.plugin import losses
    from provecfg.plugin.samplers import HardPixelSampler

    classes = [getattr(losses, name) for name in losses.__all__] + [HardPixelSampler]
    for cls in classes:
        doc = class_doc(cls.__name__)
        parameters = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])
        assert [argument.name for argument in doc.arguments] == list(parameters), cls
        for argument in doc.arguments:
            default = parameters[argument.name].default
            shown = None if default is inspect.Parameter.empty else repr(default)
            assert argument.default in (shown, str(default), "100_000"), (cls, argument.name)
        assert doc.sections["Source"], cls
