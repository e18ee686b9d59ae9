from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.codes import problems
from provecfg.errors import ProvecfgError
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.problems import RETIRED
from provecfg.findings.reporters import FORMATS
from provecfg.findings.settings import OUTPUT_FORMATS, Settings, settings_for


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_every_setting_is_read(tmp_path: Path) -> None:
    written(
        tmp_path,
        """
        [tool.provecfg]
        select = ["LOSS", "STOP"]
        extend-select = ["HEAD001"]
        ignore = ["LOSS003"]
        strict = true
        output-format = "github"
        [tool.provecfg.per-file-ignores]
        "generated/*" = ["STOP"]
        """,
    )
    assert settings_for(tmp_path / "configs" / "net.py") == Settings(
        select=("LOSS", "STOP"),
        extend_select=("HEAD001",),
        ignore=("LOSS003",),
        per_file_ignores=(("generated/*", ("STOP",)),),
        strict=True,
        output_format="github",
        file=tmp_path / "pyproject.toml",
    )


def test_the_nearest_file_with_a_table_counts(tmp_path: Path) -> None:
    written(tmp_path, "[tool.provecfg]\nstrict = true")
    inner = written(tmp_path / "a", "[tool.provecfg]\nignore = ['CFG']")
    other = written(tmp_path / "b", "[project]\nname = 'uses-provecfg'")
    broken = written(tmp_path / "c", "this is not toml")
    assert settings_for(inner / "net.py").ignore == ("CFG",)
    assert not settings_for(inner).strict
    assert settings_for(other / "deep" / "net.py").strict
    assert settings_for(broken / "net.py").strict


def test_without_a_table_everything_is_on(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "net.py")
    assert settings == Settings()
    assert settings.is_on("LOSS003", tmp_path / "net.py")


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ("selct = []", "has no setting 'selct'", "did you mean 'select'?"),
        ("colour = 1", "has no setting 'colour'", "there are select, extend-select"),
        ("select = 'LOSS'", "select must be a list of codes .* is 'LOSS'", None),
        ("select = ['loss']", "select must be codes such as .* is 'loss'", None),
        ("ignore = [3]", r"ignore must be a list of codes .* is \[3\]", None),
        ("strict = 'yes'", "strict must be true or false, is 'yes'", None),
        ("output-format = 'xml'", "output-format must be one of text, json, sarif, github, junit, is 'xml'", None),
        ("per-file-ignores = ['a']", "per-file-ignores must be a table", None),
        ("per-file-ignores = {'a' = 'LOSS'}", "per-file-ignores.'a' must be a list of codes", None),
        ("select = [", "is not TOML", None),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, table: str, message: str, hint: str | None) -> None:
    written(tmp_path, f"[tool.provecfg]\n{table}")
    with pytest.raises(ProvecfgError, match=message) as refused:
        settings_for(tmp_path)
    assert str(tmp_path / "pyproject.toml") in refused.value.message
    assert (refused.value.hint or "").startswith(hint or "")


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "[tool]\nprovecfg = 3")
    with pytest.raises(ProvecfgError, match="must be a table, is 3"):
        settings_for(tmp_path)


@pytest.mark.parametrize(
    ("settings", "on", "off"),
    [
        (Settings(), ["LOSS003", "CFG090"], []),
        (Settings(select=("LOSS",)), ["LOSS003"], ["STOP001"]),
        (Settings(select=("LOSS",), extend_select=("STOP001",)), ["LOSS003", "STOP001"], ["STOP002"]),
        (Settings(ignore=("LOSS",)), ["STOP001"], ["LOSS003"]),
        (Settings(select=("LOSS003",), ignore=("LOSS",)), ["LOSS003"], ["LOSS004"]),
        (Settings(select=("LOSS",), ignore=("LOSS003",)), ["LOSS004"], ["LOSS003"]),
        (Settings(select=("LOSS",), ignore=("LOSS",)), [], ["LOSS003"]),
        (Settings(ignore=("ALL",)), [], ["LOSS003"]),
        (Settings(select=("STOP", "ALL"), ignore=("STOP00",)), ["STOP010", "LOSS003"], ["STOP001"]),
    ],
)
def test_the_longer_selector_wins(settings: Settings, on: list[str], off: list[str]) -> None:
    assert [code for code in on if not settings.is_on(code)] == []
    assert [code for code in off if settings.is_on(code)] == []


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("generated/*", "generated/a.py", True),
        ("generated/*", "generated/deep/a.py", True),
        ("generated/*", "other/generated/a.py", False),
        ("*_ce.py", "generated/net_ce.py", True),
        ("net.py", "configs/net.py", True),
        ("configs/**/net.py", "configs/net.py", True),
        ("configs/**/net.py", "configs/a/net.py", True),
        ("/else/*", "/else/net.py", True),
    ],
)
def test_patterns_are_relative_to_the_settings(tmp_path: Path, pattern: str, path: str, fits: bool) -> None:
    settings = Settings(per_file_ignores=((pattern, ("LOSS",)),), file=tmp_path / "pyproject.toml")
    assert settings.is_on("LOSS003", tmp_path / path) is not fits
    assert settings.is_on("STOP001", tmp_path / path)
    assert settings.is_on("LOSS003")


def test_the_command_line_comes_last() -> None:
    settings = Settings(select=("LOSS",), extend_select=("HEAD",), ignore=("LOSS003",))
    changed = settings.with_options(select=["STOP,cfg"], ignore=["STOP002"], strict=True, output_format="json")
    assert changed.select == ("STOP", "CFG")
    assert changed.extend_select == ()
    assert changed.ignore == ("LOSS003", "STOP002")
    assert changed.strict
    assert changed.output_format == "json"
    assert settings.with_options() == settings
    with pytest.raises(ProvecfgError, match=r"--select must be codes such as .* is 'L-1'"):
        settings.with_options(select=["L-1"])


def test_selectors_of_nothing_are_refused() -> None:
    codes = ["LOSS001", "LOSS002", "STOP001"]
    Settings(select=("LOSS", "STOP001"), ignore=("LOSS00",)).check_selectors(codes)
    with pytest.raises(ProvecfgError, match="no rule has the code LOSS9") as refused:
        Settings(ignore=("LOSS9",)).check_selectors(codes)
    assert refused.value.hint == "did you mean LOSS?"
    with pytest.raises(ProvecfgError, match="no rule has the code XYZ") as refused:
        Settings(select=("XYZ",)).check_selectors(codes)
    assert refused.value.hint == "the families are LOSS, STOP"


def test_the_formats_are_those_of_the_reporters() -> None:
    assert tuple(FORMATS) == OUTPUT_FORMATS


def test_a_retired_code_can_still_be_named() -> None:
    for code in RETIRED:
        Settings(ignore=(code,)).check_selectors(["LOSS001"])


def test_no_retired_code_is_in_use_and_what_replaces_it_is() -> None:
    assert not RETIRED.keys() & problems().keys()
    assert set(RETIRED.values()) <= problems().keys()


def test_a_comment_with_a_retired_code_is_not_unused(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    texts = {path: f"x = 1  # provecfg: ignore[{next(iter(RETIRED))}] kept from before\n"}
    assert screened([Judgement(path, (), texts)], lambda folder: Settings(), says_unused=True) == []
