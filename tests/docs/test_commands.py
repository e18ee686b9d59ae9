"""What the pages tell a reader to type and to write is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provecfg.cli import COMMANDS
from provecfg.study.load import study_from_fields

Command = Callable[..., tuple[int, str, str]]
DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
MADE_OF_DEFINITIONS = ("rules.md",)  # whose examples are tried one by one, as rules


def commands(text: str) -> list[tuple[str, str]]:
    """Commands and the rest of their lines: of fenced and indented blocks, and between backticks."""
    blocks = re.findall(r"^```(?:\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"^    (provecfg .*)$", text, re.MULTILINE) + re.findall(r"`(provecfg [^`\n]+)`", text)
    matches = [re.match(r"\s*(?:\$ )?provecfg ([a-z][a-z-]+)\b([^#|]*)", line) for line in lines]
    return [(matched[1], matched[2]) for matched in matches if matched]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in MADE_OF_DEFINITIONS])
def test_every_command_and_option_of_a_page_exists(provecfg: Command, page: str) -> None:
    for command, rest in commands((DOCS / page).read_text(encoding="utf-8")):
        assert command in COMMANDS, command
        help_text = provecfg(command, "--help")[1]
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest):
            assert option in help_text, (command, option)


def test_the_pages_tell_of_most_commands() -> None:
    told = {command for page in PAGES for command, _ in commands((DOCS / page).read_text(encoding="utf-8"))}
    assert len(told) >= 20


@pytest.mark.parametrize("page", ["tour.md", "from-mmseg.md", "editors.md"])
def test_every_study_of_a_page_is_one(page: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    studies = [yaml.safe_load(block) for block in blocks]
    studies = [fields for fields in studies if isinstance(fields, dict) and "name" in fields and "jobs" not in fields]
    assert studies
    assert [study_from_fields(fields)[1] for fields in studies] == [[]] * len(studies)


def test_the_page_on_a_loss_of_ones_own_is_judged_as_it_says(
    provecfg: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module, config = re.findall(
        r"^```python\n(.*?)^```$", (DOCS / "own-loss.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    Path("my_losses.py").write_text(module)
    Path("confident.py").write_text(config)
    assert provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")[0] == 0
    code, stdout, _ = provecfg("validate", "confident.py")
    assert code == 0, stdout
    Path("confident.py").write_text(config.replace("ConfidencePenalty', loss_weight", "ConfidencePenalty', los_weight"))
    code, stdout, _ = provecfg("validate", "confident.py")
    assert code == 1
    assert "did you mean 'loss_weight'?" in stdout
