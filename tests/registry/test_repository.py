"""What the code around a config registers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from provecfg.errors import ProvecfgError
from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.registry import Fate, Registry, lookup, registry_for, repository
from provecfg.registry.repository import Project, index_of, project_of
from provecfg.rules import judge
from provecfg.validate import judgement_of

HEAD = """
from mmseg.models import FCNHead
from mmseg.registry import MODELS

@MODELS.register_module({arguments})
class {name}(FCNHead):
    def __init__(self, depth, **kwargs):
        super().__init__(**kwargs)
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(repository, "FRESH_FOR_S", 0.0)
    monkeypatch.setattr(lookup, "FRESH_FOR_S", -1.0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with nothing in it."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def write(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def head(file: Path, name: str = "OwnHead", arguments: str = "") -> Path:
    return write(file, HEAD.format(name=name, arguments=arguments))


def seen_by(config: Path, **values: str) -> Registry:
    """What a config sees that sets nothing but texts at its top."""
    write(config, "".join(f"{key} = {value!r}\n" for key, value in values.items()))
    return registry_for(read_config(config), release="onedl")


def codes(config: Path, text: str) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in judge(read_config(write(config, text)))}


@pytest.mark.parametrize("where", ["configs/own.py", "lib/models/own.py", "projects/a/b/own.py", "own.py"])
def test_a_class_anywhere_in_the_repository_is_known_with_its_arguments(project: Path, where: str) -> None:
    head(project / where)
    info = seen_by(project / "configs" / "c.py").find("OwnHead", "model")
    assert info is not None
    assert info.is_a("BaseDecodeHead")
    assert info.required == ("depth", "in_channels", "channels", "num_classes")
    assert info.fate("dpeth") is Fate.REFUSED
    assert info.is_of_user


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("'Named'", ["Named"]),
        ("name='Named'", ["Named"]),
        ("name=['Named', 'Other'], force=True", ["Named", "Other"]),
        ("\n    name=(\n 'Named'),  # why\n", ["Named"]),
        ("None, force=False", ["OwnHead"]),
    ],
)
def test_every_way_of_naming_counts(project: Path, arguments: str, names: list[str]) -> None:
    head(project / "own.py", arguments=arguments)
    registry = seen_by(project / "c.py")
    assert registry.local.names == tuple(names)
    assert all(registry.find(name, "model") is not None for name in names)


@pytest.mark.parametrize(
    "call",
    [
        "MODELS.register_module(module=Net)",
        "MODELS.register_module(name='Net', module=Net)",
        "MODELS.register_module(name='Net')(Net)",
        "MODELS.register_module('Net', module=Net)",
        "@MODELS.register_module()\n@torch.no_grad(\n)\nclass Net:\n    def __init__(self, depth): ...",
        "@BACKBONES.register_module()\n@MODELS.register_module()\nclass Net:\n    def __init__(self, depth): ...",
    ],
)
def test_every_way_of_registering_counts(project: Path, call: str) -> None:
    write(
        project / "nets.py",
        "from mmseg.registry import MODELS\nclass Net:\n    def __init__(self, depth): ...\n" + call,
    )
    info = seen_by(project / "c.py").find("Net", "model")
    assert info is not None
    assert info.required == ("depth",)


def test_a_registration_that_only_running_tells_opens_the_world(project: Path) -> None:
    write(
        project / "nets.py", "from mmseg.registry import MODELS\nfor n in names():\n    MODELS.register_module(n)(n)\n"
    )
    registry = seen_by(project / "c.py")
    assert not registry.is_closed
    assert not registry.knows_all_names
    assert codes(project / "c.py", "custom_hooks = [dict(type='TellHook')]") == {"REG102": Severity.NOTE}


def test_a_name_that_nobody_registers_is_an_error_only_where_nobody_registers_anything(project: Path) -> None:
    hooks = "custom_hooks = [dict(type='TellHook'), dict(type='AskHook')]"
    assert codes(project / "c.py", hooks) == {"REG001": Severity.ERROR}
    head(project / "own.py")
    (finding,) = judge(read_config(project / "c.py"))
    assert (finding.code, finding.severity) == ("REG101", Severity.WARNING)
    assert finding.message.endswith("'TellHook' (custom_hooks[0]), 'AskHook' (custom_hooks[1])")


def test_the_nearest_of_two_classes_of_one_name_is_meant(project: Path) -> None:
    write(project / "a" / "own.py", HEAD.format(name="Near", arguments="").replace("depth", "width"))
    head(project / "b" / "own.py", name="Near")
    assert seen_by(project / "b" / "configs" / "c.py").find("Near", "model").required[0] == "depth"  # type: ignore[union-attr]
    assert seen_by(project / "a" / "c.py").find("Near", "model").required[0] == "width"  # type: ignore[union-attr]
    between = seen_by(project / "c.py").find("Near", "model")
    assert between is not None
    assert between.is_a("BaseDecodeHead")
    assert between.fate("anything") is Fate.UNKNOWN
    assert between.is_of_user  # whichever it is


def test_a_class_with_the_name_of_a_shipped_one_may_be_either_unless_it_takes_its_place(project: Path) -> None:
    head(project / "own.py", name="FCNHead")
    info = seen_by(project / "c.py").find("FCNHead", "model")
    assert info is not None
    assert info.is_a("BaseDecodeHead")
    assert info.fate("dpeth") is Fate.UNKNOWN
    head(project / "own.py", name="FCNHead", arguments="force=True")
    forced = seen_by(project / "c.py").find("FCNHead", "model")
    assert forced is not None
    assert forced.required[0] == "depth"
    assert forced.fate("kernel_size") is Fate.USED  # the parent is the shipped class of its own name


def test_a_fork_is_judged_by_its_own_classes(project: Path) -> None:
    write(project / "mmseg" / "__init__.py")
    write(
        project / "mmseg" / "registry.py",
        "from mmengine.registry import MODELS as ROOT, Registry\n"
        "MODELS = Registry('model', parent=ROOT, locations=['mmseg.models'])",
    )
    write(project / "mmseg" / "models" / "__init__.py", "from .heads import *")
    write(
        project / "mmseg" / "models" / "heads.py", HEAD.format(name="FCNHead", arguments="").replace("depth", "width")
    )
    info = seen_by(project / "configs" / "c.py").find("FCNHead", "model")
    assert info is not None
    assert info.required[0] == "width"


def test_the_scope_of_a_package_in_the_repository_is_known(project: Path) -> None:
    write(project / "lane" / "__init__.py")
    write(
        project / "lane" / "registry.py",
        "from mmengine.registry import MODELS as ROOT, Registry\n"
        "MODELS = Registry('model', parent=ROOT, locations=['lane.models'])",
    )
    write(project / "lane" / "models.py", HEAD.format(name="Net", arguments="").replace("mmseg.reg", "lane.reg"))
    registry = seen_by(project / "configs" / "c.py", default_scope="lane")
    assert registry.judges_scope("lane")
    for name in ("Net", "lane.Net"):
        info = registry.find(name, "model")
        assert info is not None
        assert info.scope == "lane"
    assert seen_by(project / "configs" / "d.py", default_scope="mmseg").find("Net", "model") is None


def test_a_scope_that_nobody_has_described_may_have_a_class_of_any_name(project: Path) -> None:
    registry = seen_by(project / "c.py", default_scope="mmpretrain")
    hook = registry.find("EMAHook", "hook")
    assert hook is not None
    assert hook.is_a("EMAHook")
    assert hook.fate("evaluate_on_origin") is Fate.UNKNOWN
    assert not registry.is_closed


def test_a_model_of_no_scope_that_is_none_of_mmsegs_is_left_alone(project: Path) -> None:
    other = "model = dict(type='ImageClassifier', backbone=dict(type='VisionTransformer', arch='b'))"
    assert codes(project / "c.py", other) == {"REG102": Severity.NOTE}
    data = (
        "train_dataloader = dict(dataset=dict(type='{}', pipeline=[dict(type='RandomCrop', crop_size=32, padding=4), "
    )
    assert "REG002" not in codes(project / "c.py", data.format("CIFAR100") + "dict(type='PackInputs')]))")
    assert "REG002" in codes(project / "c.py", data.format("ADE20KDataset") + "dict(type='PackInputs')]))")
    misspelt = "model = dict(type='EncoderDecodr', backbone=dict(type='ResNet', depth=18))"
    assert codes(project / "c.py", misspelt) == {"REG001": Severity.ERROR}
    for copy in (project, project / "vendored"):
        write(copy / "mmpretrain" / "__init__.py")
        root = "from mmengine import MODELS as ROOT, Registry\n"
        write(copy / "mmpretrain" / "registry.py", f"{root}MODELS = Registry('model', parent=ROOT, scope='mmpretrain')")
        classifier = "from mmpretrain.registry import MODELS\n@MODELS.register_module()\nclass ImageClassifier: ..."
        write(copy / "mmpretrain" / "classifiers.py", classifier)
    assert codes(project / "c.py", other) == {"REG102": Severity.NOTE}


def test_hooks_of_a_repository_with_a_mmengine_of_its_own_are_its_own_affair(project: Path) -> None:
    hook = "class CheckpointHook:\n    def __init__(self, by_iter=False): ..."
    write(project / "mmseg" / "__init__.py")
    write(project / "mmseg" / "hooks.py", f"from mmseg.registry import HOOKS\n@HOOKS.register_module()\n{hook}")
    config = "default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False))"
    assert "REG002" in codes(project / "c.py", config)
    write(project / "mmengine" / "__init__.py")
    assert "REG002" not in codes(project / "c.py", config)


def test_parts_that_an_own_class_takes_are_its_own_affair(project: Path) -> None:
    write(
        project / "own.py",
        "from mmcv.transforms import BaseTransform\nfrom mmseg.registry import TRANSFORMS\n"
        "@TRANSFORMS.register_module()\nclass Policies(BaseTransform):\n    def __init__(self, policies): ...\n",
    )
    policies = "dict(type='Policies', policies=[dict(type='RandomFlip', magnitude_key='prob', prob=0.5)])"
    loader = "train_dataloader = dict(dataset=dict(type='CityscapesDataset', pipeline=[{}]))"
    assert "REG002" not in codes(project / "c.py", loader.format(policies))
    assert "REG002" in codes(project / "c.py", loader.format("dict(type='RandomFlip', magnitude_key='prob', prob=0.5)"))


def test_packages_of_the_settings_are_read(tmp_path: Path) -> None:
    head(tmp_path / "shared" / "heads.py")
    project = tmp_path / "project"
    settings = write(project / "pyproject.toml", "[tool.provecfg]\npackages = ['../shared']\n")
    assert seen_by(project / "c.py").find("OwnHead", "model") is not None
    settings.write_text("[tool.provecfg]\npackages = ['no_such_package']\n")
    with pytest.raises(ProvecfgError, match="'no_such_package' is neither a folder nor a package"):
        seen_by(project / "c.py")


def test_a_project_is_the_repository_the_build_file_or_what_is_around_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write(tmp_path / "p" / "q" / "configs" / "x" / "c.py")
    around = (config.parent, tmp_path / "p" / "q")
    assert project_of(config, Path("/")) == Project(around, is_marked=False)
    assert project_of(config, tmp_path / "p") == Project((*around, tmp_path / "p"), is_marked=False)
    write(tmp_path / "p" / "q" / "configs" / "x" / "README.md")
    assert project_of(config, Path("/")) == Project(around, is_marked=False)
    write(tmp_path / "p" / "README.md")
    assert project_of(config, Path("/")) == Project(around, is_marked=False)
    write(tmp_path / "p" / "q" / "README.md")
    assert project_of(config, Path("/")) == Project((tmp_path / "p" / "q",), is_marked=True)
    write(tmp_path / "p" / "LICENSE")
    assert project_of(config, Path("/")) == Project((tmp_path / "p",), is_marked=True)
    with monkeypatch.context() as patch:
        for name in ("HOME", "USERPROFILE"):
            patch.setenv(name, str(tmp_path / "p"))
        assert project_of(config, Path("/")) == Project((tmp_path / "p" / "q",), is_marked=True)
    write(tmp_path / "p" / "q" / "setup.py")
    assert project_of(config, Path("/")) == Project((tmp_path / "p" / "q",), is_marked=True)
    (tmp_path / "p" / ".git").mkdir()
    assert project_of(config, Path("/")) == Project((tmp_path / "p",), is_marked=True)
    installed = write(tmp_path / "p" / "venv" / "site-packages" / "lib" / "configs" / "c.py")
    around = (installed.parent, installed.parent.parent)
    assert project_of(installed, tmp_path / "p") == Project(around, is_marked=False)


def test_what_lies_in_a_home_folder_marks_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path / "mine" / "c.py")
    write(tmp_path / ".gitignore")
    write(tmp_path / "mine" / "README.md")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert project_of(config, Path("/")) == Project((config.parent,), is_marked=True)
    assert project_of(tmp_path / "c.py", config.parent) == Project((tmp_path,), is_marked=False)


def test_of_a_folder_that_nothing_marks_only_modules_and_packages_are_read(tmp_path: Path) -> None:
    head(tmp_path / "beside.py", name="Beside")
    head(tmp_path / "package" / "deep" / "m.py", name="Packaged")
    write(tmp_path / "package" / "__init__.py")
    head(tmp_path / "downloads" / "m.py", name="Far")
    assert set(seen_by(tmp_path / "c.py").local.names) == {"Beside", "Packaged"}


def test_tests_builds_hidden_folders_and_links_are_passed_over(project: Path) -> None:
    for folder in ("tests", "build", ".venv", "site-packages", "docs"):
        head(project / folder / "m.py")
    (project / "loop").symlink_to(project, target_is_directory=True)
    (project / "link.py").symlink_to(head(project.parent / f"{project.name}-outside" / "m.py"))
    assert seen_by(project / "c.py").local.names == ()


def test_what_a_large_repository_says_is_kept_and_read_again_where_it_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_WORTH_KEEPING", 3)
    files = [head(project / f"m{number}.py", name=f"Head{number}") for number in range(4)]
    assert set(index_of(project).names) == {"Head0", "Head1", "Head2", "Head3"}
    repository._indices.clear()  # as in the next process
    reads: list[str] = []
    contents = repository._contents
    monkeypatch.setattr(
        repository, "_contents", lambda path, *rest: reads.append(Path(path).name) or contents(path, *rest)
    )
    head(files[2], name="Changed")
    os.utime(files[2], ns=(1, 1))
    assert set(index_of(project).names) == {"Head0", "Head1", "Changed", "Head3"}
    assert reads == ["m2.py"]


def test_a_spoilt_cache_is_read_over(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_WORTH_KEEPING", 1)
    head(project / "own.py")
    index_of(project)
    for text in ("[]", "{", '{"format": 1, "root": 3, "files": {}}', '{"format": 1, "files": 7}'):
        repository._indices.clear()
        repository._cache_file(project).write_text(text)
        assert set(index_of(project).names) == {"OwnHead"}


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_FILES", 5), ("MOST_ENTRIES", 5), ("MOST_BYTES", 100), ("DEEPEST", 2)]
)
def test_a_tree_too_large_is_read_in_part_and_said_to_be(
    project: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(repository, limit, value)
    if limit.startswith("MOST"):
        monkeypatch.setattr(repository._Budget, "__init__", lambda self: vars(self).update(_budget(limit, value)))
    for number in range(10):
        head(project / "a" / "b" / f"m{number}.py", name=f"Head{number}")
    index = index_of(project)
    assert not index.is_complete
    assert len(index.names) < 10


def _budget(limit: str, value: int) -> dict[str, object]:
    budget = {"files": 10**6, "entries": 10**6, "size": 10**9, "parsed": 10, "is_enough": True}
    return {**budget, {"MOST_FILES": "files", "MOST_ENTRIES": "entries", "MOST_BYTES": "size"}[limit]: value}


@pytest.mark.parametrize(
    "text",
    [
        "@A.register_module(\n" + "\n" * 200_000,
        "@A.register_module()\n" + "\n" * 200_000 + "@\n" * 1000,
        "A.register_module(" * 50_000,
        "x = " + "(" * 90_000 + "\nA.register_module(x)(y)",
        "@A.register_module(name='" + "a" * 400_000,
    ],
)
def test_hostile_text_takes_no_time(project: Path, text: str) -> None:
    write(project / "m.py", text)
    start = time.perf_counter()
    index_of(project)
    assert time.perf_counter() - start < 3


def test_a_config_of_mmcv_1_is_one_sentence(project: Path) -> None:
    old = (
        "model = dict(type='Segmenter0')\noptimizer = dict(type='SDG')\nlr_config = dict(policy='poly')\ndata = dict()"
    )
    assert codes(project / "c.py", old) == {"REG103": Severity.ERROR}
    write(project / "train.py", "from mmcv.runner import HOOKS\n")
    assert codes(project / "c.py", old) == {"REG104": Severity.NOTE}
    mixed = "optimizer = dict()\ndata = dict()\n"
    for key in ("train_dataloader = dict()", "train_cfg = dict(by_epoch=True, max_epochs=9)"):
        assert not {"REG103", "REG104"} & codes(project / "c.py", mixed + key).keys()
    for of_a_model in ("train_cfg = dict()", "train_cfg = dict(),"):
        text = f"{mixed}{of_a_model}\ntest_cfg = dict(mode='slide', crop_size=(320, 320), stride=(280, 280))"
        assert codes(project / "c.py", text) == {"REG104": Severity.NOTE}


def test_a_style_that_mmcv_1_has_is_none_of_its_configs_faults(project: Path) -> None:
    write(project / "base.py", "runner = dict()\n")
    config = write(project / "c.py", "import cv2\n_base_ = './base.py'\noptimizer = dict()\ndata = dict()\n")
    assert "CFG017" in {finding.code for finding in judgement_of(config).findings}
    write(project / "train.py", "from mmcv.runner import HOOKS\n")
    assert {finding.code for finding in judgement_of(config).findings} == {"REG104"}


def test_a_scope_of_its_own_has_the_names_of_the_scopes_that_its_registries_are_children_of(project: Path) -> None:
    write(project / "mine" / "__init__.py")
    registry = write(
        project / "mine" / "registry.py",
        "from mmengine.registry import HOOKS as ROOT_HOOKS, Registry\n"
        "from mmseg.registry import TRANSFORMS as MMSEG_TRANSFORMS\n"
        "TRANSFORMS = Registry('transform', parent=MMSEG_TRANSFORMS)\n"
        "HOOKS = Registry('hook', parent=ROOT_HOOKS)\n",
    )
    write(project / "mine" / "own.py", "from mine.registry import HOOKS\n@HOOKS.register_module()\nclass Own: ...\n")
    seen = seen_by(project / "c.py", default_scope="mine")
    (labels, packs) = (seen.find(name, "transform") for name in ("LoadAnnotations", "PackSegInputs"))
    assert labels is not None
    assert "reduce_zero_label" in labels.parameters
    assert packs is not None
    assert seen.find("SegVisualizationHook", "hook") is None  # mmengine has no such hook
    registry.write_text(registry.read_text("utf-8").replace("mmseg", "mmengine"), "utf-8")
    seen = seen_by(project / "c.py", default_scope="mine")
    assert seen.find("PackSegInputs", "transform") is None


def test_of_a_config_without_its_base_nothing_else_is_judged(project: Path) -> None:
    assert codes(project / "c.py", "_base_ = './gone.py'\ncustom_hooks = [dict(type='NoHook')]") == {}
    assert [finding.code for finding in read_config(project / "c.py").problems] == ["CFG003"]


OWN_DATASET = """
from mmseg.datasets import {parent}
from mmseg.registry import DATASETS

@DATASETS.register_module(force=True)
class {name}({parent}):
{body}
    def __init__(self, reduce_zero_label={reduces}, **kwargs):
        super().__init__(reduce_zero_label=reduce_zero_label, {handed}**kwargs)
"""


@pytest.mark.parametrize(
    ("parent", "name", "body", "reduces", "handed", "told"),
    [
        # mmseg's name, and classes of its own
        ("BaseSegDataset", "PascalVOCDataset", "    METAINFO = dict(classes=('a', 'b'), palette=[])", False, "", None),
        (
            "BaseSegDataset",
            "PascalVOCDataset",
            "    METAINFO = {'classes': ['a', 'b', 'c']}",
            True,
            "",
            "HEAD006 DATA001",
        ),
        ("BaseSegDataset", "Mine", "    METAINFO = dict(classes=('a', 'b'))", True, "", "DATA001"),
        ("BaseSegDataset", "Mine", "    METAINFO = dict(classes=CLASSES)", False, "", None),
        # labels that it makes itself
        (
            "BaseSegDataset",
            "Mine",
            "    METAINFO = dict(classes=('a', 'b', 'c'))\n    def load_data_list(self): pass",
            False,
            "",
            None,
        ),
        # those of its parent
        ("CityscapesDataset", "Mine", "", False, "", "HEAD006"),
        ("CityscapesDataset", "Mine", "", False, "metainfo=dict(classes=('a', 'b')), ", None),
    ],
)
def test_a_dataset_of_the_users_has_the_classes_and_the_zero_label_that_it_says(
    project: Path, parent: str, name: str, body: str, reduces: bool, handed: str, told: str | None
) -> None:
    write(
        project / "own.py",
        OWN_DATASET.format(parent=parent, name=name, body=body or "    pass", reduces=reduces, handed=handed),
    )
    load = "dict(type='LoadAnnotations', reduce_zero_label=False)"
    severities = codes(
        project / "c.py",
        "model = dict(decode_head=dict(type='FCNHead', in_channels=1, channels=1, num_classes=2))\n"
        f"train_dataloader = dict(dataset=dict(type='{name}', pipeline=[{load}]))\n",
    )
    assert severities.keys() & {"HEAD006", "DATA001"} == set((told or "").split())


def test_a_head_of_the_users_takes_what_channels_and_labels_it_will(project: Path) -> None:
    write(
        project / "own.py",
        "from mmseg.models import FCNHead\nfrom mmseg.registry import MODELS\n"
        "@MODELS.register_module()\nclass Mine(FCNHead):\n    def forward(self, x): return x[0]\n",
    )
    model = (
        "model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=50),\n"
        "    decode_head=dict(type='{}', in_channels=7, channels=1, num_classes=3, in_index=3))\n"
        "train_dataloader = dict(dataset=dict(type='CityscapesDataset'))\n"
    )
    assert codes(project / "c.py", model.format("FCNHead")).keys() >= {"HEAD006", "HEAD015"}
    assert not codes(project / "c.py", model.format("Mine")).keys() & {"HEAD006", "HEAD015"}


def test_how_many_maps_a_backbone_of_the_users_gives_is_its_own_affair(project: Path) -> None:
    backbone = "@MODELS.register_module()\nclass Mine(ResNet):\n    def forward(self, x): return [x] * 6\n"
    write(
        project / "own.py",
        f"from mmseg.models import ResNet\nfrom mmseg.registry import MODELS\n{backbone}",
    )
    model = (
        "model = dict(type='EncoderDecoder', backbone=dict(type='{}', depth=50, out_indices=(0, 1, 2, 3)),\n"
        "    decode_head=dict(type='FCNHead', in_channels=1, channels=1, num_classes=2, in_index=5))\n"
    )
    assert "HEAD014" in codes(project / "c.py", model.format("ResNet"))
    assert "HEAD014" not in codes(project / "c.py", model.format("Mine"))


@pytest.mark.parametrize(("loop", "is_refused"), [("TestLoop", True), ("OwnLoop", False), ("mmagic.MultiLoop", False)])
def test_a_loop_that_is_not_mmengines_takes_loaders_that_mmengines_refuses(
    project: Path, loop: str, is_refused: bool
) -> None:
    write(
        project / "own.py",
        "from mmengine.runner import TestLoop\nfrom mmseg.registry import LOOPS\n"
        "@LOOPS.register_module()\nclass OwnLoop(TestLoop):\n    pass\n",
    )
    loaders = "test_dataloader = [dict(batch_size=1, dataset=dict(type='CityscapesDataset'))]\n"
    severities = codes(project / "c.py", f"test_cfg = dict(type='{loop}')\n{loaders}")
    assert ("REG107" in severities) is is_refused


def test_a_dataset_of_the_users_may_hold_others_and_a_segmentor_load_weights_twice(project: Path) -> None:
    write(project / "mmseg" / "__init__.py")
    write(
        project / "mmseg" / "own.py",
        "from mmseg.datasets import BaseSegDataset\nfrom mmseg.models import BaseSegmentor\n"
        "from mmseg.registry import DATASETS, MODELS\n"
        "@DATASETS.register_module()\nclass Pair:\n    def __init__(self, source, target): pass\n"
        "@MODELS.register_module()\nclass Mine(BaseSegmentor):\n"
        "    def __init__(self, backbone, pretrained=None): pass\n",
    )
    text = (
        "model = dict(type='{}', pretrained='a.pth', backbone=dict(type='ResNet', depth=50, pretrained='b.pth'){})\n"
        "load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]\n"
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=9)\n"
        "optim_wrapper = dict(optimizer=dict(type='SGD', lr=1.0))\n"
        "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='{}'))\n"
        "val_dataloader = dict(dataset=dict(type='CityscapesDataset', pipeline=load))\n"
    )
    head = ", decode_head=dict(type='FCNHead', in_channels=2048, channels=1, num_classes=19, in_index=3)"
    told = codes(project / "c.py", text.format("EncoderDecoder", head, "CityscapesDataset"))
    assert told.keys() >= {"HEAD019", "DATA016"}
    own = codes(project / "c.py", text.format("Mine", "", "Pair"))
    assert not own.keys() & {"HEAD019", "DATA016"}
