from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.errors import ProvecfgError
from provecfg.spelling import shown
from provecfg.study.load import read_study, study_from_fields
from provecfg.study.schema import Losses


def findings(tmp_path: Path, text: str) -> list[tuple[int, int, str, str]]:
    """(row, column, code, key) of everything wrong with a study file."""
    path = tmp_path / "study.yaml"
    path.write_text(text)
    study, findings = read_study(path)
    assert (study is None) == bool(findings)
    return [(d.span.row, d.span.column, d.code, d.key) if d.span else (0, 0, d.code, d.key) for d in findings]


def message(tmp_path: Path, text: str) -> str:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    _, (finding,) = read_study(path)
    return finding.message


def test_a_name_alone_is_the_seeds_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: loss-study\n")
    study, findings = read_study(path)
    assert findings == []
    assert study is not None
    assert len(study.models) * len(study.losses.auxiliary) == 24
    assert study.head_weights.model_dump() == {"decode": 1.0, "auxiliary": 0.4}
    assert study.early_stopping is not None
    assert study.early_stopping.model_dump() == {
        "monitor": "val/mIoU",
        "rule": "greater",
        "patience": 5,
        "min_delta": 0.1,
        "strict": False,
        "check_finite": True,
        "stopping_threshold": None,
    }


def test_the_contracts_example_is_the_default_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        """\
name: loss-study
models: [deeplabv3plus_r50, pspnet_r50, segformer_mit-b3, segnext_mscan-b, hrnet_hr48, mask2former_swin-b]
datasets: [bdd10k]
strategies: [baseline]
seeds: [42]
losses:
  primary: {type: cross_entropy}
  auxiliary:
    - none
    - focal
    - {type: lovasz, weight: 0.3}
    - boundary
head_weights: {decode: 1.0, auxiliary: 0.4}
early_stopping: {monitor: val/mIoU, rule: greater, patience: 5, min_delta: 0.1, strict: false, check_finite: true}
schedule: {max_iters: 80000, val_interval: 5000}
data: {root: data/bdd100k, crop_size: [512, 512], batch_size: 2, num_workers: 4}
optimizer: {}
runtime: {amp: false}
"""
    )
    study, findings = read_study(path)
    assert findings == []
    default, _ = study_from_fields({"name": "loss-study"})
    assert study is not None
    assert default is not None
    expected = {"schedule": {"val_interval"}, "data": {"root"}}  # written out here, left to follow there
    assert study.model_dump(exclude=expected) == default.model_dump(exclude=expected)


def test_every_mistake_is_reported_at_once_where_it_is_written(tmp_path: Path) -> None:
    text = """\
name: my study
models: [pspnet_r50, deeplab]
losses:
  auxiliary: [none, foca, {type: lovasz, wieght: 0.2}]
schedul: {max_iters: 3}
schedule: {max_iters: 1000, val_interval: 5000}
early_stopping: {patience: 0}
"""
    assert findings(tmp_path, text) == [
        (1, 7, "CFG103", "name"),
        (2, 22, "CFG103", "models[1]"),
        (4, 21, "CFG103", "losses.auxiliary[1]"),
        (4, 42, "CFG102", "losses.auxiliary[2].wieght"),
        (5, 1, "CFG102", "schedul"),
        (6, 43, "CFG104", "schedule.val_interval"),
        (7, 28, "CFG103", "early_stopping.patience"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nmodels: [segfomer]", "unknown model 'segfomer'; did you mean 'segformer_mit-b3'?"),
        ("name: a\ndatasets: [bdd]", "unknown dataset 'bdd'; did you mean 'bdd10k'?"),
        ("name: a\nstrategies: [basline]", "unknown strategy 'basline'; did you mean 'baseline'?"),
        ("name: a\nlosses: {auxiliary: [foca]}", "unknown auxiliary loss 'foca'; did you mean 'focal'?"),
        ("name: a\nsedes: [1]", "unknown key 'sedes'; did you mean 'seeds'?"),
        ("name: a\ndata: {cropsize: [64, 64]}", "unknown key 'cropsize'; did you mean 'crop_size'?"),
        ("name: a\nlosses: {auxiliary: [{type: focal, gama: 1}]}", "unknown key 'gama'; did you mean 'gamma'?"),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest_one(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name: a\nschedule: {max_iters: 100, warmup_iters: 100}", "schedule.warmup_iters"),
        ("name: a\ndata: {batch_size: 1}", "data.batch_size"),
        ("name: a\ndatasets: [bdd10k, cityscapes]\ndata: {root: here}", "data.root"),
        ("name: a\nseeds: [1, 1]", "seeds"),
        ("name: a\noptimizer: {lr: 0.1, arguments: {lr: 0.2}}", "optimizer.arguments.lr"),
        ("name: a\noptimizer: {arguments: {type: SGD}}", "optimizer.arguments.type"),
        ("name: a\noptimizer: {type: LBFGS}", "optimizer.type"),
        ("name: a\noptimizer: {type: Muon}", "optimizer.type"),
        ("name: a\ninference: {window: [64, 64]}", "inference.window"),
        ("name: a\ninference: {tta_flip: true}", "inference.tta_flip"),
        ("name: a\nruntime: {amp_dtype: bfloat16}", "runtime.amp_dtype"),
        (
            f"name: a\nlosses: {{auxiliary: [{{type: focal, scales: {[n / 100 for n in range(1, 60)]}}}]}}",
            "losses.auxiliary",
        ),
        ("name: a\nlosses: {auxiliary: [[focal, focal]]}", "losses.auxiliary[0]"),
        ("name: a\nlosses: {auxiliary: [focal, {type: focal}]}", "losses.auxiliary[1]"),
        ("name: a\nmodels: [pspnet_r50]\nlosses: {primary: {class_weight: [1, 2]}}", "losses.primary.class_weight"),
        (
            "name: a\nmodels: [mask2former_swin-b]\nlosses: {primary: {class_weight: [" + ", ".join(["1"] * 19) + "]}}",
            "losses.primary.class_weight",
        ),
        (
            "name: a\nmodels: [pspnet_r50]\ndata: {crop_size: [64, 64]}\n"
            "losses: {auxiliary: [none], ohem: {min_kept: 4096}}",
            "losses.ohem.min_kept",
        ),
        ("name: a\nmodels: [mask2former_swin-b]\nlosses: {auxiliary: [none], ohem: {}}", "losses.ohem"),
        (
            "name: a\nlosses: {auxiliary_weights: [0.1], auxiliary: [{type: focal, schedule: {}}]}",
            "losses.auxiliary[0]",
        ),
        ("name: a\nmodels: [pspnet_r50]\nlosses: {auxiliary: [lovasz], ohem: {}}", "losses.auxiliary[0]"),
        ("name: a\nmodels: [pspnet_r50]\nlosses: {deep_supervision: [{stage: 2}]}", "losses.deep_supervision"),
    ],
)
def test_values_that_do_not_go_together_are_a_conflict(tmp_path: Path, text: str, key: str) -> None:
    assert [(code, where) for *_, code, where in findings(tmp_path, text)] == [("CFG104", key)]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        # what the defaults would conflict with is no mistake of who wrote others
        ("name: a\nmodels: [segformer_mit-b3x]\ndata: {batch_size: 1}", ["models[0]"]),
        (
            f"name: a\nmodels: [mask2former]\nlosses: {{primary: {{class_weight: [{', '.join('1' * 19)}]}}}}",
            ["models[0]"],
        ),
        ("name: a\ndatasets: [{name: weeds}]\ndata: {root: {weeds: here}}", ["datasets[0]", "datasets[0]"]),
        (
            "name: a\nmodels: [pidnet-s_2xb6-120k_1024x1024-cityscapes]\nlosses: {auxiliary: [nono]}",
            ["losses.auxiliary[0]"],
        ),
        ("name: a\nschedule: {max_iters: many, val_interval: 90000}", ["schedule.max_iters"]),
    ],
)
def test_a_wrong_value_has_no_conflicts(tmp_path: Path, text: str, keys: list[str]) -> None:
    assert [where for *_, where in findings(tmp_path, text)] == keys


def test_batch_size_one_is_fine_for_models_that_pool_nothing(tmp_path: Path) -> None:
    assert findings(tmp_path, "name: a\nmodels: [segformer_mit-b3]\ndata: {batch_size: 1}") == []


def test_a_whole_number_is_a_float_and_text_is_not_a_number(tmp_path: Path) -> None:
    assert findings(tmp_path, "name: a\nhead_weights: {decode: 1}") == []
    assert findings(tmp_path, "name: a\nhead_weights: {decode: '1'}") == [(2, 24, "CFG103", "head_weights.decode")]
    assert findings(tmp_path, "name: a\nseeds: [1.5]") == [(2, 9, "CFG103", "seeds[0]")]


def test_scientific_notation_without_a_dot_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: a\noptimizer: {lr: 6e-5}")
    study, _ = read_study(path)
    assert study is not None
    assert study.optimizer.lr == 6e-5


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    assert findings(tmp_path, "name: a\nseeds: [1]\nseeds: [2]") == [(3, 8, "CFG103", "seeds")]
    text = "name: a\nmodels:\n- {base: pspnet_r50, set: {model.a: {0: 1, '0': 2}}}"  # as JSON, one key
    assert [(row, column, code) for row, column, code, _ in findings(tmp_path, text)] == [(3, 49, "CFG103")]


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "just words", "a: *b", "\ta: 1"])
def test_what_is_no_study_is_one_finding(tmp_path: Path, text: str) -> None:
    assert len(findings(tmp_path, text)) == 1


def test_braces_in_a_value_stay_braces(tmp_path: Path) -> None:
    assert "'{text}'" in message(tmp_path, "name: a\nmodels: ['{text}']")


def test_a_pair_with_one_value_is_too_few(tmp_path: Path) -> None:
    assert message(tmp_path, "name: a\ndata: {crop_size: [512]}") == "has 1 item, which is too few"


def test_deep_nesting_is_a_finding_and_not_a_crash(tmp_path: Path) -> None:
    assert [code for *_, code, _ in findings(tmp_path, "name: " + "[" * 5000)] == ["CFG101"]


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    codes = {code for *_, code, _ in findings(tmp_path, "\n".join(["name: a", *lines]))}
    assert "CFG101" in codes


def test_a_setting_replaces_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nschedule: {max_iters: 100}")
    study, _ = read_study(path, ["schedule.max_iters=200", "data.crop_size=[96, 128]"])
    assert study is not None
    assert study.schedule.max_iters == 200
    assert study.data.crop_size == (96, 128)


@pytest.mark.parametrize("setting", ["schedule.max_iters", "=3", "name.x=1", "schedule=[1"])
def test_a_setting_of_no_use_is_refused_with_its_text(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: a")
    with pytest.raises(ProvecfgError) as caught:
        read_study(path, [setting])
    assert setting in caught.value.message


@pytest.mark.parametrize("content", [b"name: \xff\xfe", None])
def test_a_file_that_cannot_be_read_is_the_users_to_fix(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProvecfgError, match="cannot read study"):
        read_study(path)


def test_class_weights_come_from_the_file_that_a_study_names(tmp_path: Path) -> None:
    from provecfg.catalog.datasets import CITYSCAPES_CLASSES

    weights = ", ".join(f"{name}: {1 + index / 10}" for index, name in enumerate(CITYSCAPES_CLASSES))
    (tmp_path / "weights.yaml").write_text(f"dataset: bdd10k\ndigest: sha256:{'0' * 64}\nweights: {{{weights}}}\n")
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nmodels: [pspnet_r50]\nlosses: {primary: {class_weight: weights.yaml}}\n")
    study, findings = read_study(path)
    assert findings == []
    assert study is not None
    assert study.losses.primary.class_weight is not None
    assert study.losses.primary.class_weight[:3] == (1.0, 1.1, 1.2)


def test_a_file_of_class_weights_that_is_not_there_is_named_where_the_study_names_it(tmp_path: Path) -> None:
    text = "name: a\nmodels: [pspnet_r50]\nlosses: {primary: {class_weight: nowhere.yaml}}\n"
    assert findings(tmp_path, text) == [(3, 34, "CFG103", "losses.primary.class_weight")]
    assert "nowhere.yaml" in message(tmp_path, text)


def test_class_weights_from_a_file_are_held_against_the_classes_of_a_base(tmp_path: Path) -> None:
    from provecfg.catalog.datasets import CITYSCAPES_CLASSES

    weights = ", ".join(f"{name}: 1" for name in CITYSCAPES_CLASSES)
    (tmp_path / "weights.yaml").write_text(f"dataset: ulm\ndigest: sha256:{'0' * 64}\nweights: {{{weights}}}\n")
    text = "name: a\nmodels: [pspnet_r50]\nlosses: {primary: {class_weight: weights.yaml}}\ndatasets: "
    assert findings(tmp_path, f"{text}[{{name: ulm, base: cityscapes, root: ulm}}]") == []
    assert [key for *_, key in findings(tmp_path, f"{text}[[bdd10k]]")] == ["datasets[0]"]


def test_files_that_cannot_be_read_hide_no_other_mistake(tmp_path: Path) -> None:
    text = (
        "name: a\nmodels: [pspnet]\nlosses: {primary: {class_weight: nowhere.yaml}}\n"
        "datasets:\n- {name: w, classes: no.txt, train: {images: a/*, labels: b/*}, val: {}}\n- citiscapes\n"
    )
    assert [(row, key) for row, _, _, key in findings(tmp_path, text)] == [
        (2, "models[0]"),
        (5, "datasets[0].classes"),
        (6, "datasets[1]"),
    ]
    text = text.replace("no.txt", "[soil, crop]").replace("val: {}", "val: {images: c/*, labels: d/*}")
    assert [(row, key) for row, _, _, key in findings(tmp_path, text)] == [
        (2, "models[0]"),
        (3, "losses.primary.class_weight"),
        (6, "datasets[1]"),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"models": []}, "should have at least 1 item"),
        ({"losses": {"auxiliary": [{"typ": "focal"}]}}, "has no `type`, which says what it is"),
        ({"early_stopping": {"check_finite": "no"}}, "should be true or false, not 'no'"),
        ({"early_stopping": {"patience": 2.5}}, "should be a whole number, not 2.5"),
        ({"early_stopping": {"min_delta": False}}, "should be a number, not false"),
        ({"schedule": 3}, "should be a mapping of fields, not 3"),
        ({"seeds": 5}, "should be a list, not 5"),
        ({"name": None}, "should be text, not null"),
        ({"init_from": ""}, "should not be empty"),
        ({"schedule": {"decay": {"type": "step", "milestones": []}}}, "should have at least 1 item"),
        ({"data": {"crop_size": [64]}}, "has 1 item, which is too few"),
        ({"data": {"crop_size": [64, 64, 3]}}, "should have at most 2 items, not 3"),
        ({"data": {"root": 5}}, "should be text or a mapping, not 5"),
        ({"data": {"root": ""}}, "should not be empty"),
        ({"data": {"root": {"bdd10k": 5}}}, "should be text, not 5"),
        (
            {"strategies": [{"name": "own", "combine": ["cutmix", "cutmix"]}]},
            "'own' combines: 'cutmix' stands more than once",
        ),
    ],
)
def test_a_wrong_value_is_said_in_the_words_of_yaml(fields: dict[str, Any], message: str) -> None:
    study, findings = study_from_fields({"name": "mine", **fields})
    assert study is None
    assert [finding.message for finding in findings] == [message]


def test_a_value_in_the_place_of_fields_gets_their_names() -> None:
    _, findings = study_from_fields({"name": "mine", "losses": ["ce", "focal"]})
    (hint,) = [finding.hint for finding in findings]
    assert hint is not None
    assert hint.endswith(f"Its fields: {', '.join(Losses.model_fields)}.")


@pytest.mark.parametrize(
    ("setting", "key", "message"),
    [
        ("schedule.max_iters=0", "schedule.max_iters", "should be greater than 0, not 0"),
        ("schedule.max_itrs=5", "schedule.max_itrs", "unknown key 'max_itrs'; did you mean 'max_iters'?"),
        ("metrics.first=mIoU", "metrics.first", "should be a list"),
        ("data.crop_size=[64]", "data.crop_size", "has 1 item, which is too few"),
        ("inference.window=[64, 64]", "inference.window", "`window` is of windows"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said_of_the_setting(
    setting: str, key: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text("name: a\nschedule: {max_iters: 100}\n")
    study, (finding,) = read_study(tmp_path / "study.yaml", ["seeds=[1]", setting])
    assert (study, finding.key) == (None, key)
    assert finding.message == f"--set {shown(setting)}: {message}"


def test_what_waits_to_be_turned_on_is_no_conflict(tmp_path: Path) -> None:
    switched_off = "inference: {mode: whole, window: [64, 64]}\nruntime: {amp: false, amp_dtype: bfloat16}"
    assert findings(tmp_path, f"name: a\n{switched_off}\noptimizer: {{arguments: {{lr: 0.2}}}}") == []
