from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.mmconfig import ConfigView

Command = Callable[..., tuple[int, str, str]]

DROPPED = """\
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNetV1c', depth=50),
    decode_head=dict(
        type='FCNHead',
        in_channels=2048,
        channels=8,
        num_classes=4,
        loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='FocalLoss', use_sigmoid=False),
        ]))
"""
CLEAN = DROPPED.replace("            dict(type='FocalLoss', use_sigmoid=False),\n", "")
WITH_DROPOUT = CLEAN.replace("num_classes=4,", "num_classes=4,\n        dropout_ratio=0.1,")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def findings(provecfg: Command, *arguments: object) -> list[tuple[str, str]]:
    _, stdout, _ = provecfg("validate", *arguments, "--output-format", "json")
    return [(entry["code"], entry["key"]) for entry in json.loads(stdout)]


def test_the_generated_study_is_clean(provecfg: Command, project: Path) -> None:
    code, stdout, _ = provecfg("validate", project / "generated", "--strict")
    assert (code, stdout) == (0, "24 files: no findings\n")


def test_a_finding_names_file_line_column_code_and_key(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(DROPPED)
    code, stdout, _ = provecfg("validate", "x.py")
    assert code == 1
    assert "x.py:11:48: error LOSS022" in stdout
    assert "[model.decode_head.loss_decode[1].use_sigmoid]" in stdout
    assert "            dict(type='FocalLoss', use_sigmoid=False)," in stdout


def test_json_is_one_array_with_the_contracts_fields_and_nothing_else(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(DROPPED)
    _, stdout, _ = provecfg("validate", "x.py", "--output-format", "json")
    (entry,) = json.loads(stdout)
    assert set(entry) == {
        "code", "name", "severity", "message", "hint", "filename", "location", "end_location", "key", "fix", "url",
        "caused_by",
    }  # fmt: skip
    assert entry["location"] == {"row": 11, "column": 48}


def test_a_clean_config_exits_0(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(CLEAN)
    assert provecfg("validate", "x.py")[0] == 0


def test_a_folder_stands_for_the_configs_below_it_and_not_for_modules(provecfg: Command, here: Path) -> None:
    (here / "configs" / "_base_").mkdir(parents=True)
    (here / "configs" / "a.py").write_text(DROPPED)
    (here / "configs" / "losses.py").write_text("import torch\nclass Loss(torch.nn.Module): pass\n")
    (here / "configs" / "_base_" / "model.py").write_text(DROPPED)
    _, stdout, _ = provecfg("validate", ".", "--output-format", "json")
    assert {Path(entry["filename"]).name for entry in json.loads(stdout)} == {"a.py"}


def test_what_is_found_stands_in_the_order_of_the_files_however_processes_shared_them(
    provecfg: Command, here: Path
) -> None:
    files = [Path(folder) / f"{number}.py" for folder in ("a", "b", "c") for number in range(1 + 3 * (folder == "a"))]
    files += [Path("d") / f"{number}.py" for number in range(5)]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        file.write_text(DROPPED.replace("num_classes=4", f"num_classes={number + 2}"))
    reported = json.loads(provecfg("validate", ".", "--output-format", "json")[1])
    assert [entry["filename"] for entry in reported] == [str(here / file) for file in files]


def test_the_word_configs_stands_for_the_projects_studies_and_generated_configs(provecfg: Command, here: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "-q")
    Path("study.yaml").write_text("name: a\nseeds: [-1]\n")
    assert findings(provecfg, "configs") == [("CFG103", "seeds[0]")]
    (here / "generated" / "x.py").write_text(DROPPED)
    assert ("LOSS022", "model.decode_head.loss_decode[1].use_sigmoid") in findings(provecfg, "configs")


def test_a_folder_named_configs_is_that_folder(provecfg: Command, here: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "-q")
    (here / "configs").mkdir()
    (here / "configs" / "x.py").write_text(DROPPED)
    assert [code for code, _ in findings(provecfg, "configs")] == ["LOSS022"]


@pytest.mark.parametrize("target", ["nowhere.py", "nowhere/", "configs"])
def test_a_target_that_does_not_exist_is_wrong_usage(provecfg: Command, here: Path, target: str) -> None:
    code, stdout, err = provecfg("validate", target)
    assert (code, stdout) == (2, "")
    assert "Traceback" not in err


def test_one_file_that_cannot_be_read_does_not_hide_the_others(provecfg: Command, here: Path) -> None:
    Path("a.py").write_text("model = dict(\n")
    Path("b.py").write_text(DROPPED)
    Path("c.py").write_bytes(b"\xff\xfe")
    assert [code for code, _ in findings(provecfg, "a.py", "b.py", "c.py")] == ["CFG001", "LOSS022", "CFG007"]


def test_a_study_is_judged_with_the_configs_that_it_stands_for(provecfg: Command, here: Path) -> None:
    Path("good.yaml").write_text("name: a\nmodels: [pspnet_r50]\n")
    assert findings(provecfg, "good.yaml") == []
    Path("late.yaml").write_text("name: a\nmodels: [pspnet_r50]\nschedule: {max_iters: 100, val_interval: 50}\n")
    assert {code[:4] for code, _ in findings(provecfg, "late.yaml")} == {"STOP"}


def test_the_name_of_a_study_stands_for_its_configs_and_a_file_of_that_name_wins(provecfg: Command, here: Path) -> None:
    assert provecfg("validate", "production", "--strict") == (0, "no findings\n", "")
    assert provecfg("validate", "productoin")[2].startswith("error: unknown study 'productoin'; did you mean")
    Path("production").write_text("x")
    assert provecfg("validate", "production")[0] == 1


def test_select_and_ignore_choose_codes_by_their_beginning(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(DROPPED)
    assert provecfg("validate", "x.py", "--ignore", "LOSS")[0] == 0
    assert provecfg("validate", "x.py", "--select", "STOP,HEAD")[0] == 0
    assert provecfg("validate", "x.py", "--select", "LOSS022")[0] == 1
    code, _, err = provecfg("validate", "x.py", "--select", "LOST")
    assert code == 2
    assert "LOSS" in err


def test_settings_of_the_project_are_obeyed_and_a_wrong_one_is_refused(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(DROPPED)
    Path("pyproject.toml").write_text('[tool.provecfg]\nignore = ["LOSS022"]\n')
    assert provecfg("validate", "x.py")[0] == 0
    Path("pyproject.toml").write_text('[tool.provecfg]\nignroe = ["LOSS022"]\n')
    code, _, err = provecfg("validate", "x.py")
    assert code == 2
    assert "did you mean 'ignore'?" in err


def test_a_comment_silences_a_code_on_its_line_and_an_unused_one_is_reported(provecfg: Command, here: Path) -> None:
    silenced = DROPPED.replace("use_sigmoid=False),", "use_sigmoid=False),  # provecfg: ignore[LOSS022] patched")
    Path("x.py").write_text(silenced)
    assert findings(provecfg, "x.py") == []
    Path("x.py").write_text(CLEAN.replace("num_classes=4,", "num_classes=4,  # provecfg: ignore[LOSS022] patched"))
    assert [code for code, _ in findings(provecfg, "x.py")] == ["CFG090"]


def test_strict_lets_warnings_fail(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(
        CLEAN.replace("dict(type='CrossEntropyLoss')", "dict(type='CrossEntropyLoss', loss_weight=0)")
    )
    assert provecfg("validate", "x.py")[0] == 0
    assert provecfg("validate", "x.py", "--strict")[0] == 1


def test_fixes_change_their_place_alone_and_once(provecfg: Command, here: Path) -> None:
    text = CLEAN.replace("dict(type='CrossEntropyLoss'),", "dict(type='FocalLoss', gamma=2),  # by hand")
    Path("x.py").write_text(text)
    code, diff, _ = provecfg("validate", "x.py", "--diff")
    assert code == 1
    assert Path("x.py").read_text() == text
    assert "+            dict(type='FocalLoss', gamma=2.0),  # by hand" in diff
    for _ in range(2):
        assert provecfg("validate", "x.py", "--fix")[0] == 0
        assert Path("x.py").read_text() == text.replace("gamma=2", "gamma=2.0")


def test_cfg_options_are_merged_before_judging(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(CLEAN)
    assert provecfg("validate", "x.py", "--cfg-options", "model.decode_head.loss_decode.0.type=FocalLoss")[0] == 0
    assert provecfg(
        "validate", "x.py", "--cfg-options", "model.decode_head.loss_decode.0.type=FocalLoss",
        "model.decode_head.loss_decode.0.use_sigmoid=False",
    )[0] == 1  # fmt: skip


def test_a_report_goes_to_a_file_when_asked(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text(DROPPED)
    code, stdout, _ = provecfg("validate", "x.py", "--output-format", "sarif", "-o", "report.sarif")
    assert (code, stdout) == (1, "")
    report = json.loads(Path("report.sarif").read_text())
    assert [result["ruleId"] for result in report["runs"][0]["results"]] == ["LOSS022"]


def test_nothing_that_is_validated_is_executed(provecfg: Command, here: Path) -> None:
    Path("x.py").write_text("open('touched', 'w').close()\nimport os\nos.system('touch touched')\n" + CLEAN)
    provecfg("validate", "x.py")
    assert not Path("touched").exists()


def test_colour_is_asked_for_and_refused(provecfg: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.py").write_text(DROPPED)
    assert "\x1b[" not in provecfg("validate", "x.py")[1]
    assert "\x1b[" in provecfg("validate", "x.py", "--color", "always")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in provecfg("validate", "x.py")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in provecfg("validate", "x.py")[1]


def test_a_mistake_of_ours_in_one_file_does_not_hide_the_others(
    provecfg: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provecfg import validate

    read = validate.read_config

    def failing(path: Path, **options: object) -> ConfigView:
        if path.name == "a.py":
            raise ZeroDivisionError("made for this test")
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(validate, "read_config", failing)
    Path("a.py").write_text(CLEAN)
    Path("b.py").write_text(DROPPED)
    assert [code for code, _ in findings(provecfg, "a.py", "b.py")] == ["CFG092", "LOSS022"]


def test_a_diff_says_which_file_does_not_parse_and_fails(provecfg: Command, here: Path) -> None:
    (here / "broken.py").write_text("model = dict(\n")
    code, stdout, stderr = provecfg("validate", "--diff", "broken.py")
    assert (code, stdout) == (1, "")
    assert "broken.py:1:13: error CFG001" in stderr


def test_an_empty_config_is_said_to_be_empty_and_a_package_is_not(provecfg: Command, here: Path) -> None:
    (here / "config.py").write_text("# nothing yet\n")
    (here / "__init__.py").write_text("")
    assert findings(provecfg, "config.py", "__init__.py") == [("CFG035", "")]


def test_a_misspelt_override_is_mended_to_the_name_that_the_base_has(provecfg: Command, here: Path) -> None:
    """Taking it out would call clean a config that trains something else than was written."""
    (here / "base.py").write_text(WITH_DROPOUT)
    child = here / "child.py"
    child.write_text("_base_ = ['base.py']\nmodel = dict(decode_head=dict(dropout_rati=0.3))\n")
    assert provecfg("validate", "child.py", "--fix")[0] == 0
    assert child.read_text() == "_base_ = ['base.py']\nmodel = dict(decode_head=dict(dropout_ratio=0.3))\n"
    child.write_text("_base_ = ['base.py']\nmodel = dict(decode_head=dict(dropout_rati=0.3, dropout_ratio=0.2))\n")
    assert provecfg("validate", "child.py", "--fix")[0] == 1
    assert "dropout_rati=0.3" in child.read_text()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", "model = dict(decode_head=dict(dropout_ratio=0.1))\n"),
        ("optim_wrapper = dict(type='OptimWrapper')", "model = dict(decode_head=dict(dropout_ratio=0.1))\n"),
        (
            "model = dict(decode_head=dict(align_corners=False))\n",
            "model = dict(decode_head=dict(align_corners=False, dropout_ratio=0.1))\n",
        ),
        (
            "model = {'auxiliary_head': None}\n",
            "model = {'auxiliary_head': None, 'decode_head': dict(dropout_ratio=0.1)}\n",
        ),
    ],
)
def test_a_mistake_in_a_package_is_mended_by_an_override_in_the_users_config(
    provecfg: Command, here: Path, own: str, expected: str
) -> None:
    theirs = here / "site-packages" / "base.py"
    theirs.parent.mkdir()
    theirs.write_text(WITH_DROPOUT.replace("=0.1", "='0.1'"))
    assert "'0.1'" in theirs.read_text()
    (here / "child.py").write_text(f"_base_ = ['site-packages/base.py']\n{own}")
    code, stdout, _ = provecfg("validate", "child.py")
    assert code == 1
    assert "fix (--fix): take the quotes away, as an override in child.py" in stdout
    assert provecfg("validate", "child.py", "--fix")[0] == 0
    assert (here / "child.py").read_text().endswith(expected)
    assert "'0.1'" in theirs.read_text()


def test_a_finding_links_to_its_codes_page_where_the_settings_say_it_is_published(
    provecfg: Command, here: Path
) -> None:
    (here / "pyproject.toml").write_text('[tool.provecfg]\ndocs-url = "https://docs.example.org/provecfg/"\n')
    (here / "x.py").write_text(DROPPED)
    findings = json.loads(provecfg("validate", "x.py", "--output-format", "json")[1])
    assert findings
    assert {entry["url"] for entry in findings} == {
        f"https://docs.example.org/provecfg/codes/{entry['code']}.html" for entry in findings
    }
    (here / "pyproject.toml").write_text('[tool.provecfg]\ndocs-url = "docs"\n')
    code, _, err = provecfg("validate", "x.py")
    assert (code, "docs-url must be an address" in err) == (2, True)
