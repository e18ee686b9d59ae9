from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "generated"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_writes_the_24_files_of_the_contract(provecfg: Command, out: Path) -> None:
    code, _, err = provecfg("generate", "--all")
    assert code == 0
    assert len(names(out)) == 24
    assert {"deeplabv3plus_r50_bdd10k_focal.py", "hrnet_hr48_bdd10k_ce.py"} <= set(names(out))
    assert err == "24 configs: 24 written, 0 unchanged in generated\n"


def test_the_committed_configs_are_what_a_fresh_build_writes(provecfg: Command, out: Path, project: Path) -> None:
    provecfg("generate", "--all")
    committed = project / "generated"
    assert names(committed) == names(out)
    for path in out.iterdir():
        assert (committed / path.name).read_text() == path.read_text(), path.name


def test_check_writes_nothing_and_fails_until_all_is_fresh(provecfg: Command, out: Path) -> None:
    code, stdout, _ = provecfg("generate", "--all", "--check")
    assert code == 1
    assert stdout.count(": missing\n") == 24
    assert not out.exists()
    provecfg("generate", "--all")
    assert provecfg("generate", "--all", "--check")[:2] == (0, "")


def test_writing_again_changes_no_file(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--all")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    provecfg("generate", "--all")
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_lines_that_git_ended_in_another_way_are_no_edit(provecfg: Command, out: Path) -> None:
    words = ("generate", "--model", "pspnet_r50", "--aux-loss", "none", "-o", out)
    provecfg(*words)
    (config,) = out.iterdir()
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    assert provecfg(*words, "--check")[0] == 0


def test_options_keep_the_cells_that_match(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none", "--aux-loss", "focal")
    assert names(out) == ["pspnet_r50_bdd10k_ce.py", "pspnet_r50_bdd10k_focal.py"]
    assert provecfg("generate", "--all", "--model", "pspnet_r50", "--aux-loss", "focal", "--check")[0] == 0


def test_a_selected_cell_is_the_same_file_as_in_the_whole_study(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50")
    assert provecfg("generate", "--all")[2].startswith("24 configs: 20 written, 4 unchanged")


def test_a_value_outside_the_axis_replaces_the_axis(provecfg: Command, out: Path) -> None:
    provecfg(
        "generate", "--dataset", "cityscapes", "--model", "pspnet_r50", "--aux-loss", "focal-lovasz", "--seed", "7"
    )
    assert names(out) == ["pspnet_r50_cityscapes_focal-lovasz.py"]
    assert "randomness = dict(seed=7)" in (out / "pspnet_r50_cityscapes_focal-lovasz.py").read_text()


def test_set_takes_any_field_by_its_dotted_path(provecfg: Command, out: Path) -> None:
    provecfg(
        "generate", "--model", "pspnet_r50", "--aux-loss", "none",
        "--set", "schedule.max_iters=200", "--set", "data.crop_size=[96,128]",
    )  # fmt: skip
    text = (out / "pspnet_r50_bdd10k_ce.py").read_text()
    assert "max_iters=200" in text
    assert "crop_size=(96, 128)" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "pspnet"], 2, "unknown model 'pspnet'; did you mean 'pspnet_r50'?"),
        (["--dataset", "bdd"], 2, "unknown dataset 'bdd'; did you mean 'bdd10k'?"),
        (["--aux-loss", "lovas"], 2, "unknown auxiliary loss 'lovas'; did you mean 'lovasz'?"),
        (["--all", "--set", "schedul.max_iters=1"], 2, "unknown key 'schedul'; did you mean 'schedule'?"),
        (["--all", "--set", "max_iters"], 2, "expected FIELD=VALUE"),
        (["nowhere.yaml"], 2, "cannot read study nowhere.yaml"),
        ([], 2, "name a study file, or --all"),
        (["--modle", "x"], 2, "--modle"),
    ],
)
def test_wrong_usage_is_one_message_and_writes_nothing(
    provecfg: Command, out: Path, arguments: list[str], code: int, message: str
) -> None:
    exit_code, _, err = provecfg("generate", *arguments)
    assert (exit_code, out.exists()) == (code, False)
    assert message in err
    assert "Traceback" not in err


def test_a_study_that_is_named_twice_is_one_study(provecfg: Command, out: Path) -> None:
    code, _, err = provecfg("generate", "--all", "loss-study", "-o", out)
    assert code == 0
    assert "24 configs: 24 written" in err


def test_a_studys_name_that_is_misspelt_is_answered_with_the_nearest(provecfg: Command, out: Path) -> None:
    code, _, err = provecfg("generate", "improvments", "-o", out)
    assert code == 2
    assert "unknown study 'improvments'; did you mean 'improvements'?" in err


def test_a_study_with_mistakes_writes_nothing_and_shows_them_all(provecfg: Command, out: Path) -> None:
    Path("study.yaml").write_text("name: a\nmodels: [pspnet]\nseeds: [-1]\n")
    code, stdout, _ = provecfg("generate", "study.yaml")
    assert (code, out.exists()) == (1, False)
    assert "study.yaml:2:10" in stdout
    assert "study.yaml:3:9" in stdout


def test_a_hand_edited_config_is_kept_unless_forced(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")
    path = out / "pspnet_r50_bdd10k_ce.py"
    edited = path.read_text().replace("max_iters=80000", "max_iters=70000")
    path.write_text(edited)
    code, _, err = provecfg("generate", "--model", "pspnet_r50")
    assert code == 1
    assert "pspnet_r50_bdd10k_ce.py: edited by hand" in err
    assert path.read_text() == edited
    assert len(names(out)) == 4, "the cells beside it are written all the same"
    assert provecfg("generate", "--model", "pspnet_r50", "--force")[0] == 0
    assert path.read_text() != edited


def test_a_file_that_is_not_ours_is_kept(provecfg: Command, out: Path) -> None:
    out.mkdir()
    path = out / "pspnet_r50_bdd10k_ce.py"
    path.write_text("model = dict()\n")
    assert provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")[0] == 1
    assert path.read_text() == "model = dict()\n"


def test_two_studies_of_one_name_do_not_write_one_file(provecfg: Command, out: Path) -> None:
    text = "name: mine\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\n"
    Path("one.yaml").write_text(text)
    Path("other.yaml").write_text(f"{text}schedule: {{max_iters: 100}}\n")
    code, _, err = provecfg("generate", "one.yaml", "other.yaml")
    assert (code, out.exists()) == (2, False)
    assert "studies 'mine' and 'mine' both write pspnet_r50_bdd10k_ce.py" in err


def test_a_dataset_of_ones_own_is_selected_beside_one_of_the_catalog(provecfg: Command, out: Path) -> None:
    Path("mine.yaml").write_text(
        "name: mine\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\ndatasets:\n- name: weeds\n"
        "  classes: [soil, crop]\n  train: {images: i/*.png, labels: l/*.png, fraction: 0.8}\n"
    )
    code, _, err = provecfg("generate", "mine.yaml", "--dataset", "weeds", "--dataset", "cityscapes")
    assert code == 0, err
    assert names(out) == ["pspnet_r50_cityscapes_ce.py", "pspnet_r50_weeds_ce.py"]


def test_another_studys_config_is_kept(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")
    Path("mine.yaml").write_text("name: mine\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\nseeds: [7]\n")
    code, _, err = provecfg("generate", "mine.yaml")
    assert code == 1
    assert "pspnet_r50_bdd10k_ce.py: of another study" in err


def test_two_studies_that_write_one_file_are_refused(provecfg: Command, out: Path) -> None:
    for name in ("a", "b"):
        Path(f"{name}.yaml").write_text(f"name: {name}\nmodels: [pspnet_r50]\n")
    code, _, err = provecfg("generate", "a.yaml", "b.yaml")
    assert (code, out.exists()) == (2, False)
    assert "studies 'a' and 'b' both write pspnet_r50_bdd10k_ce.py" in err


def test_diff_shows_the_change_and_writes_nothing(provecfg: Command, out: Path) -> None:
    provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")
    before = (out / "pspnet_r50_bdd10k_ce.py").read_text()
    code, stdout, _ = provecfg(
        "generate", "--model", "pspnet_r50", "--aux-loss", "none", "--diff", "--set", "optimizer.lr=0.02"
    )
    assert code == 1
    assert "-    optimizer=dict(type='SGD', lr=0.01," in stdout
    assert "+    optimizer=dict(type='SGD', lr=0.02," in stdout
    assert (out / "pspnet_r50_bdd10k_ce.py").read_text() == before


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(
    provecfg: Command, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none")
    before = {path.name: path.read_text() for path in out.iterdir()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    code, _, _ = provecfg("generate", "--model", "pspnet_r50", "--aux-loss", "none", "--set", "optimizer.lr=0.02")
    assert code == 130
    assert {path.name: path.read_text() for path in out.iterdir()} == before


def test_the_schema_accepts_the_default_study_and_refuses_an_unknown_key(provecfg: Command) -> None:
    import jsonschema

    code, stdout, _ = provecfg("schema")
    assert code == 0
    schema = json.loads(stdout)
    jsonschema.validate(
        {"name": "a", "losses": {"auxiliary": ["none", "focal", ["lovasz", {"type": "focal"}]]}}, schema
    )
    with pytest.raises(jsonschema.ValidationError, match="modles"):
        jsonschema.validate({"name": "a", "modles": []}, schema)


SHORT = (
    "name: short\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\nschedule: {max_iters: 2000, val_interval: 500}\n"
)


def test_what_is_found_names_the_studys_field_and_line(provecfg: Command, out: Path) -> None:
    Path("study.yaml").write_text(f"{SHORT}early_stopping:\n  patience: 9\n")
    code, _, err = provecfg("generate", "study.yaml")
    assert code == 1
    assert "STOP008" in err
    assert "made by study.yaml:6:13: `early_stopping.patience`" in err

    code, stdout, _ = provecfg("validate", "study.yaml")
    assert (code, stdout.split(" error ")[0]) == (1, "study.yaml:6:13:")

    code, stdout, _ = provecfg("validate", "generated", "--output-format", "json")
    (finding,) = json.loads(stdout)
    assert finding["origin"] == {
        "text": "`early_stopping.patience`",
        "filename": str(Path("study.yaml").absolute()),
        "location": {"row": 6, "column": 13},
    }


def test_a_field_of_the_command_line_is_named_as_that(provecfg: Command, out: Path) -> None:
    Path("study.yaml").write_text(SHORT)
    _, _, err = provecfg("generate", "study.yaml", "--set", "early_stopping.patience=9")
    assert "made by `early_stopping.patience`, which --set says" in err


def test_a_config_that_was_edited_or_whose_study_has_changed_is_said_to_be_of_nobody(
    provecfg: Command, out: Path
) -> None:
    Path("study.yaml").write_text(f"{SHORT}early_stopping: {{patience: 9}}\n")
    provecfg("generate", "study.yaml")
    (config,) = out.iterdir()
    text = config.read_text()
    config.write_text(text.replace("patience=9", "patience=8"))
    assert "made by" not in provecfg("validate", "generated")[1]
    config.write_text(text)
    assert "made by" in provecfg("validate", "generated")[1]
    Path("study.yaml").write_text(f"{SHORT}early_stopping: {{patience: 8}}\n")
    assert "made by" not in provecfg("validate", "generated")[1]
