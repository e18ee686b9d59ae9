"""Which files of a folder are judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.targets import files_of, is_study

NO_CONFIGS = {
    "demo.py": "import timm\nmodel = timm.create_model('resnet18')\n",
    "dump.py": "vis_backends = None\nvisualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends)\n",
    "environment.yml": "name: rein\nchannels:\n  - pytorch\n",
    "citation.yaml": "name: A paper\ntitle: something\n",
    "action.yml": "name: Judge configs\ndescription: of GitHub\ninputs: {}\nruns: {using: composite}\n",
    "hooks.yaml": "- id: x\n  name: y\n  model: {}\n",
    "nested.yaml": "experiment:\n  model:\n    type: lightgbm\n",
    "quoted.yaml": '"name": a part\n"version": 2\n',
    "workflow.yaml": "on:\n  schedule: [{cron: 1}]\nname: nightly\n",
    "recipe.yaml": "model: yolov8\ncustom_hooks:\n  visualize_val:\n    freq_epoch: 10\n",
}
CONFIGS = {
    "classic.py": "model = dict(type='EncoderDecoder')\n",
    "braces.py": "train_cfg = {'type': 'IterBasedTrainLoop'}\n",
    "child.py": "_base_ = ['./classic.py']\n",
    "scope.py": "default_scope = 'mmseg'\n",
    "lazy.py": "from mmengine.config import read_base\nwith read_base():\n    from .classic import *\n",
    "config.yaml": "model:\n  type: EncoderDecoder\n",
    "config.json": '{"model": {"type": "EncoderDecoder"}}',
    "study.yaml": "name: study\n",
    "of-init.yaml": "# by init\nname: study\ndatasets:\n  - name: weeds\n    root: weeds\ndata: {}\n",
    "models.yaml": "name: study\ntitle: misspelt\nmodels: [pspnet_r50]\n",
}


@pytest.mark.parametrize("name", NO_CONFIGS)
def test_other_files_of_a_folder_are_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(NO_CONFIGS[name])
    with pytest.raises(ProvecfgError, match="no config and no study below"):
        files_of([str(tmp_path)], tmp_path)
    (tmp_path / "generated").mkdir()  # so that it is a project
    with pytest.raises(ProvecfgError, match="no study and no generated config in"):
        files_of(["configs"], tmp_path)


def test_the_studies_and_generated_configs_of_a_project_are_its_configs(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("study.yaml", "studies/models.yaml", "generated/classic.py")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONFIGS[path.name])
    assert files_of(["configs"], tmp_path) == paths


def test_of_this_checkout_they_are_those_that_generate_has_written(project: Path) -> None:
    assert files_of(["configs"], project) == sorted((project / "generated").glob("*.py"))


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_and_studies_of_a_folder_are_judged(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(CONFIGS[name])
    assert files_of([str(tmp_path)], tmp_path) == [tmp_path / name]


def test_a_file_that_is_named_is_judged_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "demo.py").write_text(NO_CONFIGS["demo.py"])
    assert files_of(["demo.py"], tmp_path) == [tmp_path / "demo.py"]


@pytest.mark.parametrize("models", ["model: [pspnet_r50]", "model:\n  - pspnet_r50", "model: pspnet_r50"])
def test_a_study_whose_models_are_misspelt_is_a_study(models: str, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(f"name: study\n{models}\nschedule: {{max_iters: 100}}\n")
    assert is_study(study)
    assert not is_study(tmp_path / "config.yaml", "name: config\nmodel:\n  type: EncoderDecoder\n")


@pytest.mark.parametrize(
    "text",
    [
        '"name": study\n"models": [pspnet_r50]\n',
        "{name: study, models: [pspnet_r50]}\n",
        '# as JSON\n{\n  "name": "study",\n  "models": ["pspnet_r50"]\n}\n',
        "  name: study\n  models: [pspnet_r50]\n",
        "models:\n- base: pspnet_r50\n  set:\n    param_scheduler:\n    - {type: PolyLR}\n    optim_wrapper: {}\n",
    ],
    ids=["quoted", "in braces", "as JSON", "indented", "with a config's key below"],
)
def test_a_study_is_a_study_however_its_yaml_is_written(text: str, tmp_path: Path) -> None:
    assert is_study(tmp_path / "study.yaml", text)


def test_an_empty_target_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ProvecfgError, match="'' names no file"):
        files_of([""], tmp_path)
