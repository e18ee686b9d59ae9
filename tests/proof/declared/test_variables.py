from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mmengine")
from mmengine.config import Config

from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.loading import watched_loading
from provecfg.proof.declared.recorded_config import Reads
from provecfg.proof.declared.variables import keys_of_runner, unread_variables

pytestmark = pytest.mark.stack

BASE = "crop_size = (512, 512)\nmodel = dict(data_preprocessor=dict(type='P', size=crop_size))\n"
PREPROCESSORS = ("model.data_preprocessor", "data_preprocessor")


@pytest.fixture
def findings_of(tmp_path: Path):
    """The findings of a config and its base, of which the runner has read `model` and built its data preprocessor."""

    def judge(config: str, base: str = BASE) -> list[tuple[str, str]]:
        (tmp_path / "base.py").write_text(base)
        path = tmp_path / "config.py"
        path.write_text(f"_base_ = ['base.py']\n{config}")
        with watched_loading() as files:
            loaded = Config.fromfile(str(path))
        by_path = {"": Reads("", dict(loaded._cfg_dict.items()), consumed={"model"})}
        by_path |= {key: Reads(key, dict(part)) for key in PREPROCESSORS if (part := loaded.get(key)) is not None}
        by_path[PREPROCESSORS[0]] = Reads(PREPROCESSORS[0], dict(loaded.model.data_preprocessor))
        parts = Parts(built={PREPROCESSORS[0]: ("model", object)})
        return [(finding.problem.name, finding.key) for finding in unread_variables(by_path, files, parts)]

    return judge


def test_a_variable_of_the_base_is_used_by_the_base(findings_of) -> None:
    assert findings_of("") == []


def test_set_anew_it_changes_nothing(findings_of) -> None:
    assert findings_of("crop_size = (640, 640)\n") == [("override-without-effect", "crop_size")]


def test_set_anew_to_the_same_it_need_not(findings_of) -> None:
    assert findings_of("crop_size = (512, 512)\n") == []


@pytest.mark.parametrize(
    "use",
    [
        "crop_size = (640, 640)\nmodel = dict(data_preprocessor=dict(size=crop_size))\n",
        "model = dict(data_preprocessor=dict(size={{_base_.crop_size}}))\n",
    ],
)
def test_used_by_the_config_itself_it_has_an_effect(findings_of, use: str) -> None:
    assert findings_of(use) == []


def test_a_variable_of_no_use_that_looks_like_no_key_is_let_be(findings_of) -> None:
    assert findings_of("note = 'second attempt'\nhead_width = 512\nmy_transforms = [dict(type='Resize')]\n") == []


@pytest.mark.parametrize("key", ["custom_hook", "customhooks", "param_schedulers", "val_evaluators", "trian_cfg"])
def test_a_misspelt_key_of_the_runner_has_no_effect(findings_of, key: str) -> None:
    assert findings_of(f"{key} = dict(type='X')\n") == [("unread-top-level-key", key)]


def test_a_hook_under_a_name_of_its_own_does_not_run(findings_of) -> None:
    assert findings_of("stopping = [dict(type='EarlyStoppingHook')]\n") == [("unread-top-level-key", "stopping")]


@pytest.mark.parametrize("key", ["lr_config", "evaluation", "optimizer"])
def test_what_only_the_runner_before_mmengine_read_is_no_near_miss(findings_of, key: str) -> None:
    assert findings_of(f"{key} = dict(lr=0.1)\n") == []


def test_the_models_own_preprocessor_hides_the_runners(findings_of) -> None:
    assert findings_of("data_preprocessor = dict(type='P', size=(9, 9))\n") == [
        ("override-without-effect", "data_preprocessor")
    ]
    assert findings_of("data_preprocessor = dict(type='P', size=(512, 512))\n") == []


def test_what_the_runner_asks_for_only_on_several_machines_is_known() -> None:
    keys = keys_of_runner(None)
    assert {"model", "custom_hooks", "sync_bn", "find_unused_parameters", "compile", "tta_model"} <= keys
    assert not {"optimizer", "type", "filename", "get"} & keys


def test_a_model_that_is_given_more_than_its_bases_preprocessor_keeps_it(findings_of) -> None:
    base = "data_preprocessor = dict(type='P', size=(512, 512))\nmodel = dict(data_preprocessor=data_preprocessor)\n"
    assert findings_of("model = dict(data_preprocessor=dict(size=(256, 256)))\n", base) == []


def test_a_preprocessor_that_no_model_is_given_has_no_effect(findings_of) -> None:
    base = "data_preprocessor = dict(type='P', size=(512, 512))\nmodel = dict(data_preprocessor=data_preprocessor)\n"
    assert findings_of("data_preprocessor = dict(size=(256, 256))\n", base) == [
        ("override-without-effect", "data_preprocessor")
    ]
