"""What the README shows is what happens, and the commands that it and the pages name are there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provecfg.cli import COMMANDS
from provecfg.study.load import study_from_fields

Command = Callable[..., tuple[int, str, str]]

PROJECT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.md"))]


def blocks(text: str) -> list[str]:
    """The fenced blocks, without their fences."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.stack  # its base is one of mmseg's configs
def test_the_example_is_reported_as_shown(
    provecfg: Command, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = blocks((project / "README.md").read_text())
    index = next(index for index, block in enumerate(shown) if block.startswith("# mask2former_focal.py\n"))
    monkeypatch.chdir(tmp_path)
    Path("mask2former_focal.py").write_text(shown[index].removeprefix("# mask2former_focal.py\n"))
    code, stdout, _ = provecfg("validate", "mask2former_focal.py")
    assert code == 1
    assert re.sub(r"\S*/mmseg/\.mim/", "mmseg/.mim/", stdout) == shown[index + 1]


@pytest.mark.stack
@pytest.mark.slow  # builds Mask2Former
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_the_proof_of_the_example_says_what_is_shown(
    provecfg: Command, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = blocks((project / "README.md").read_text())
    (example,) = [block for block in shown if block.startswith("# mask2former_focal.py\n")]
    (report,) = [block for block in shown if block.startswith("mask2former_focal.py: not proved")]
    monkeypatch.chdir(tmp_path)
    Path("mask2former_focal.py").write_text(example.removeprefix("# mask2former_focal.py\n"))
    code, stdout, _ = provecfg("prove", "mask2former_focal.py", "--device", "cpu")
    assert code == 1
    report_lines = iter(re.sub(r"\S*/mmseg/\.mim/", "mmseg/.mim/", stdout).splitlines())
    wanted = [line for line in report.splitlines()[1:] if line.strip() not in ("", "...")]
    assert len(wanted) >= 10
    for line in wanted:
        assert line in report_lines, f"not in the report, or not there: {line}"  # each after the one before


def test_the_example_study_is_one(project: Path) -> None:
    (text,) = [block for block in blocks((project / "README.md").read_text()) if block.startswith("name: ")]
    study, mistakes = study_from_fields(yaml.safe_load(text))
    assert mistakes == []
    assert study is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_of_a_page_exists(provecfg: Command, project: Path, page: str) -> None:
    text = (project / page).read_text()
    in_blocks = re.findall(r"^(?: {4})?provecfg ([a-z][a-z-]+)([^#|&\n]*(?:\\\n[^#|&\n]*)*)", text, re.MULTILINE)
    in_prose = re.findall(r"(?<!`)`provecfg ([a-z][a-z-]+)([^`#|]*)`(?!`)", text)
    for command, rest in (*in_blocks, *in_prose):
        assert command in COMMANDS, command
        help_text = provecfg(command, "--help")[1]
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest):
            assert option in help_text, (command, option)


def test_pages_are_held_against_their_commands(project: Path) -> None:
    assert sum((project / page).read_text().count("provecfg ") for page in PAGES) >= 100
    assert len(re.findall(r"^provecfg [a-z]", (project / "README.md").read_text(), re.MULTILINE)) >= 5


def test_every_file_that_the_readme_links_to_exists(project: Path) -> None:
    for link in re.findall(r"\]\(([\w./-]+)\)", (project / "README.md").read_text()):
        assert (project / link).is_file(), link


def test_the_pre_commit_hook_runs_a_command_that_exists_on_generated_configs(project: Path) -> None:
    (hook,) = yaml.safe_load((project / ".pre-commit-hooks.yaml").read_text())
    program, command = hook["entry"].split()
    assert (program, command in COMMANDS) == ("provecfg", True)
    assert re.search(hook["files"], "generated/pspnet_r50_bdd10k_ce.py")
    assert re.search(hook["exclude"], "configs/_base_/models/pspnet.py")
