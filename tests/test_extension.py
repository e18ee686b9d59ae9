"""The table "Adding things" of CONTRIBUTING, done in a copy of the checkout: what has to be touched, and no file more.

What a command writes is not touched by hand: the records of the plugin, the pages of `docs/`, and the schema.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provecfg.errors import ExitCode
from provecfg.rules import RULES

MADE = {"docs/losses.md", "docs/rules.md", "docs/study.md", "provecfg/study/study.schema.json"}
"""By `python -m docs.generate`."""

LOSS = '''"""Cross-entropy and the next term of its expansion."""

from __future__ import annotations

from mmseg.registry import MODELS
from torch import Tensor

from .contract import Reduction, SegLoss
from .reduction import pixel_scale
from .targets import Targets


@MODELS.register_module()
class SegPolyLoss(SegLoss):
    """Cross-entropy plus epsilon times the probability that the label lacks.

    -log p_t + epsilon (1 - p_t) for each pixel, p_t being the probability of its label.

    Args:
        epsilon: Factor on the second term; 0 is cross-entropy.
        reduction: "mean", "sum" or "none".
        avg_non_ignore: Whether the mean is over the pixels that count or over all.
        ignore_index: Label of the pixels that do not count; None for the head's.
        loss_weight: Factor on the result, >= 0.
        loss_name: Log key; mmengine trains on it only if it contains "loss".

    Shape:
        As `SegLoss`.

    Raises:
        ValueError: What `SegLoss` raises.

    Source: Leng et al., ICLR 2022, eq. 6 (arXiv:2204.12511), as published.
    """

    title = "poly-1"

    def __init__(
        self,
        epsilon: float = 1.0,
        reduction: Reduction = "mean",
        avg_non_ignore: bool = True,
        ignore_index: int | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_poly",
    ) -> None:
        super().__init__(reduction=reduction, ignore_index=ignore_index, loss_weight=loss_weight, loss_name=loss_name)
        self.epsilon = epsilon
        self.avg_non_ignore = avg_non_ignore

    def compute(self, logits: Tensor, targets: Targets, weight: Tensor | None, reduction: Reduction) -> Tensor:
        clean = logits.masked_fill(~targets.valid.unsqueeze(1), 0)
        log_p = clean.log_softmax(1).gather(1, targets.labels.unsqueeze(1)).squeeze(1)
        scale = pixel_scale(targets.valid, weight, logits.dtype, reduction, self.avg_non_ignore, self.loss_weight)
        pixels = (self.epsilon * (1 - log_p.exp()) - log_p) * scale
        return pixels if reduction == "none" else pixels.sum()
'''
TEST_OF_LOSS = """import torch
from torch.testing import assert_close

from provecfg.plugin.losses import SegCrossEntropyLoss, SegPolyLoss


def test_without_its_second_term_it_is_cross_entropy(make_scene):
    scene = make_scene()
    assert_close(SegPolyLoss(epsilon=0)(*scene), SegCrossEntropyLoss()(*scene))
"""
SPEC = '''class Poly(AuxiliaryLoss):
    """Cross-entropy and the next term of its expansion (Leng et al. 2022, eq. 6, arXiv:2204.12511)."""

    registered: ClassVar[str] = "SegPolyLoss"
    purpose: ClassVar[str] = "cross-entropy that pushes sure pixels a little more"
    fixed: ClassVar[dict[str, Any]] = {"reduction": "mean"}

    type: Literal["poly"] = "poly"
    epsilon: NonNegativeFloat = Field(default=1.0, description="Factor on the second term, >= 0.")


'''
SPEC_OF_MMSEGS = '''class Tversky(AuxiliaryLoss):
    """mmseg's Tversky loss (Salehi et al. 2017, arXiv:1706.05721)."""

    registered: ClassVar[str] = "TverskyLoss"
    title: ClassVar[str] = "Tversky"
    purpose: ClassVar[str] = "weighs false positives and false negatives apart"
    takes_pixel_weights: ClassVar[bool] = False

    type: Literal["tversky"] = "tversky"


'''
END_OF_SPECS = "# Auxiliary losses are defined above this line.\n"
RULE = '''

@rule("{code}", Severity.WARNING)
def weight_of_seven(facts: Facts) -> Iterator[Mark]:
    """A loss has weight 7.

    Why it matters: an example of a rule.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=7.0)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)))

    Source: this test.
    """
    for loss in facts.losses:
        if loss.get("loss_weight") == 7:
            yield Mark(loss.at("loss_weight"), "weight 7", "choose another")
'''
COMMAND = '''"""`provecfg sing`: an example of a command."""

from __future__ import annotations

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode


@click.command()
@terminal_options
def command(terminal: Terminal) -> int:
    """Sing."""
    terminal.result("la")
    return ExitCode.CLEAN
'''


class Checkout:
    """A copy of the checkout that is worked in."""

    def __init__(self, project: Path, root: Path) -> None:
        self.root = root
        for name in ("docs", "generated", "provecfg", "templates", "tests"):
            unwanted = shutil.ignore_patterns("__pycache__", "pictures")
            shutil.copytree(project / name, root / name, ignore=unwanted)
        shutil.copy(project / "pyproject.toml", root)
        self._before = self._digests()

    def run(self, *arguments: str, expected: int = ExitCode.CLEAN) -> str:
        """Run a module in it, which has to end with this exit code; what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, name: str, text: str) -> None:
        """A new file."""
        assert not (self.root / name).exists()
        (self.root / name).write_text(text, encoding="utf-8")

    def insert(self, name: str, before: str, text: str) -> None:
        """New text in a file."""
        old = (self.root / name).read_text(encoding="utf-8")
        assert old.count(before) == 1, name
        (self.root / name).write_text(old.replace(before, text + before), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """New text at the end of a file."""
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(text)

    @property
    def changed(self) -> set[str]:
        """The files that are new, or other than they were."""
        return {name for name, digest in self._digests().items() if self._before.get(name) != digest}

    def _digests(self) -> dict[str, str]:
        files = (path for path in self.root.rglob("*") if path.is_file() and ".pytest_cache" not in path.parts)
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Checkout:
    return Checkout(project, tmp_path / "checkout")


def add_loss(checkout: Checkout) -> None:
    """The three places of a loss of our own."""
    checkout.insert("provecfg/study/losses.py", END_OF_SPECS, SPEC)
    checkout.write("provecfg/plugin/losses/seg_poly_loss.py", LOSS)
    checkout.write("tests/plugin/losses/test_seg_poly_loss.py", TEST_OF_LOSS)
    checkout.run("docs.generate.plugin_snapshot")


def generated(checkout: Checkout, *options: str) -> list[str]:
    """The texts of a study's configs, which are valid, written beside the checkout."""
    folder = checkout.root.parent / "written"
    checkout.run("provecfg", "generate", "-q", "-o", str(folder), *options)
    checkout.run("provecfg", "validate", str(folder), "--strict")
    return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))]


def test_a_loss_of_our_own_is_three_files(checkout: Checkout) -> None:
    add_loss(checkout)
    checkout.run("docs.generate")
    texts = generated(checkout, "--aux-loss", "poly", "--set", "losses.auxiliary=[poly]")
    assert len(texts) == 6
    assert all("0.3 poly-1[decode]" in text and "type='SegPolyLoss'" in text for text in texts)
    assert checkout.changed - MADE == {
        "provecfg/study/losses.py",
        "provecfg/plugin/losses/seg_poly_loss.py",
        "tests/plugin/losses/test_seg_poly_loss.py",
        # written by `python -m docs.generate.plugin_snapshot`
        "provecfg/catalog/losses.json",
        "provecfg/registry/data/plugin.json",
    }
    assert "| [poly-1](#poly-1) | `poly` | `SegPolyLoss` |" in (checkout.root / "docs/losses.md").read_text()

    # and the rules know it
    config = checkout.root.parent / "written" / "pspnet_r50_bdd10k_poly.py"
    before, changed = "loss_weight=0.3", "loss_weight=0.5, ignore_index=0"
    config.write_text(config.read_text(encoding="utf-8").replace(before, changed, 1), encoding="utf-8")
    report = checkout.run("provecfg", "validate", str(config), "--output-format", "json", expected=ExitCode.FINDINGS)
    assert sorted(finding["code"] for finding in json.loads(report)) == ["CFG033", "LOSS031"]


@pytest.mark.slow
@pytest.mark.stack
def test_a_new_loss_passes_the_tests_that_are_about_every_loss(checkout: Checkout) -> None:
    add_loss(checkout)
    checkout.run("docs.generate")
    checkout.run(
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/plugin/losses/test_seg_poly_loss.py",
        "tests/plugin/losses/test_contract.py",
        "tests/plugin/test_plugin.py",
        "tests/docs/test_plugin_snapshot.py",
        "tests/rules/test_plugin_losses.py",
        "tests/rules/test_stated_losses.py",
        "tests/study/test_losses.py",
        "tests/docs/test_losses.py",
        "tests/docs/test_pages.py",
        "-k",
        "poly or Poly or every or record or pages",
        "--deselect",
        "tests/docs/test_losses.py::test_every_picture_is_shown",  # the pictures are not copied
        "--deselect",
        "tests/docs/test_losses.py::test_every_heading_and_file_that_the_page_links_to_exists",
    )


def test_a_loss_that_mmseg_has_is_its_spec(checkout: Checkout) -> None:
    checkout.insert("provecfg/study/losses.py", END_OF_SPECS, SPEC_OF_MMSEGS)
    checkout.run("docs.generate.plugin_snapshot", "--check")
    checkout.run("docs.generate")
    texts = generated(checkout, "--model", "pspnet_r50", "--set", "losses.auxiliary=[tversky]")
    assert ["0.3 Tversky[decode]" in text and "type='TverskyLoss'" in text for text in texts] == [True]
    assert checkout.changed - MADE == {"provecfg/study/losses.py"}


def test_a_rule_is_one_function(checkout: Checkout) -> None:
    code = f"LOSS{1 + max(int(rule.code[4:]) for rule in RULES if rule.code.startswith('LOSS')):03}"
    checkout.append("provecfg/rules/losses/values.py", RULE.format(code=code))
    checkout.run("docs.generate")
    assert checkout.changed - MADE == {"provecfg/rules/losses/values.py"}
    page = json.loads(checkout.run("provecfg", "rule", code, "--output-format", "json"))
    config = checkout.root.parent / "config.py"
    config.write_text(page["bad"], encoding="utf-8")
    report = json.loads(checkout.run("provecfg", "validate", str(config), "--output-format", "json"))
    assert [finding["code"] for finding in report] == [code]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "entry", "options"),
    [
        (
            "provecfg/catalog/models.py",
            ('    CatalogModel(\n        name="pspnet_r50"', 'name="pspnet_r50"', 'name="pspnet_again"'),
            ("--set", "models=[pspnet_again]"),
        ),
        (
            "provecfg/catalog/datasets.py",
            ('    Dataset(\n        name="acdc"', 'name="acdc"', 'name="another_town"'),
            ("--set", "models=[pspnet_r50]", "--set", "datasets=[another_town]"),
        ),
    ],
    ids=["model", "dataset"],
)
def test_a_catalog_entry_is_all_that_it_takes(
    checkout: Checkout, file: str, entry: tuple[str, str, str], options: tuple[str, ...]
) -> None:
    beginning, old, new = entry
    text = (checkout.root / file).read_text(encoding="utf-8")
    start = text.index(beginning)
    block = text[start : text.index("\n    ),\n", start) + len("\n    ),\n")]
    checkout.insert(file, beginning, block.replace(old, new))
    checkout.run("docs.generate")
    assert len(generated(checkout, *options)) == 4
    assert checkout.changed - MADE == {file}


def test_a_command_is_its_module_and_a_line(checkout: Checkout) -> None:
    checkout.write("provecfg/commands/sing.py", COMMAND)
    checkout.insert("provecfg/cli.py", '    "schema": ', '    "sing": "Sing.",\n')
    assert checkout.run("provecfg", "sing") == "la\n"
    assert "Sing." in checkout.run("provecfg", "--help")
    assert checkout.changed == {"provecfg/commands/sing.py", "provecfg/cli.py"}
