from __future__ import annotations

import sys
import textwrap
import warnings
from pathlib import Path

import pytest

from provecfg.registry import Fate, Registry, registry_for


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    return tmp_path / "configs" / "mine.py"


def package(root: Path, **modules: str) -> None:
    for name, text in modules.items():
        path = root / "lanes" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


LOSS = """
    import torch.nn as nn
    from mmseg.registry import MODELS
    from mmseg.models.losses import CrossEntropyLoss

    @MODELS.register_module()
    class EdgeLoss(nn.Module):
        def __init__(self, edge_weight: float = 2.0, loss_name='loss_edge'):
            super().__init__()
            self.loss_name = loss_name

        def forward(self, pred, target, weight=None): ...

    @MODELS.register_module(name=['WideLoss', 'Wide'])
    class _Wide(CrossEntropyLoss):
        def __init__(self, width, **kwargs):
            super().__init__(use_sigmoid=True, **kwargs)
"""


def lanes(config: Path, imports: str = "lanes", **modules: str) -> Registry:
    package(config.parent.parent, **modules)
    return registry_for([imports], config, release="onedl")


def test_a_registered_class_is_found_above_the_config(config: Path) -> None:
    info = lanes(config, "lanes.losses", __init__="", losses=LOSS).find("EdgeLoss", "model")
    assert info is not None
    assert info.scope == "mmseg"
    assert list(info.parameters) == ["edge_weight", "loss_name"]
    assert info.parameters["edge_weight"].default == 2.0
    assert info.parameters["edge_weight"].annotation == "float"
    assert info.has_loss_name
    assert list(info.forward or ()) == ["pred", "target", "weight"]
    assert info.fate("egde_weight") is Fate.REFUSED
    assert info.nearest("egde_weight") == ["edge_weight"]
    assert info.record.file == config.parent.parent / "lanes" / "losses.py"


def test_kwargs_reach_a_parent_in_the_snapshot(config: Path) -> None:
    registry = lanes(config, "lanes.losses", __init__="", losses=LOSS)
    info = registry.find("WideLoss", "model")
    assert info is not None
    assert info.required == ("width",)
    assert info.fate("class_weight") is Fate.USED
    assert info.fate("use_sigmoid") is Fate.REFUSED  # given twice
    assert info.fate("label_smoothing") is Fate.REFUSED
    assert registry.find("Wide", "model") is not None
    assert registry.find("_Wide", "model") is None


def test_a_package_that_imports_its_whole_folder_is_read_whole(config: Path) -> None:
    registry = lanes(
        config,
        __init__="""
            import importlib, pkgutil
            for module in pkgutil.iter_modules(__path__):
                importlib.import_module(f"{__name__}.{module.name}")
        """,
        losses=LOSS,
    )
    assert registry.find("EdgeLoss", "model") is not None
    assert registry.find("lanes.EdgeLoss", "model") is not None
    assert registry.unread == ()


def test_imports_inside_the_package_are_followed(config: Path) -> None:
    registry = lanes(
        config,
        __init__="from .sub import *\nfrom . import losses",
        losses=LOSS,
        sub="from mmengine.registry import HOOKS\nfrom mmengine.hooks import Hook\n"
        "@HOOKS.register_module()\nclass Tell(Hook):\n    def __init__(self, every=1): ...",
    )
    assert registry.find("EdgeLoss", "model") is not None
    hook = registry.find("Tell", "hook")
    assert hook is not None
    assert hook.scope == "mmengine"
    assert hook.accepts("every")
    assert hook.accepts("priority")
    assert hook.refuses("interval")


def test_parents_are_found_through_reexports_and_other_names(config: Path) -> None:
    registry = lanes(
        config,
        "lanes.head",
        __init__="from .parts import Inner as Outer",
        parts="from mmseg.models import FCNHead\nBase = FCNHead\n"
        "class Inner(Base):\n    def __init__(self, depth, **kw):\n        super().__init__(**kw)",
        head="from lanes import Outer\nfrom mmseg.models.builder import HEADS\n"
        "@HEADS.register_module()\nclass DeepHead(Outer):\n    pass",
    )
    info = registry.find("DeepHead", "model")
    assert info is not None
    assert info.is_a("BaseDecodeHead")
    assert info.required == ("depth", "in_channels", "channels", "num_classes")
    assert info.refuses("deep")


def test_a_registry_of_the_users_own_has_its_own_scope(config: Path) -> None:
    registry = lanes(
        config,
        "lanes.models",
        __init__="",
        registry="from mmengine.registry import MODELS as ROOT, Registry\n"
        "MODELS = Registry('model', parent=ROOT, scope='lane', locations=['lanes.models'])",
        models="from .registry import MODELS\n@MODELS.register_module()\n"
        "class Net:\n    def __init__(self, depth): ...",
    )
    assert registry.find("Net", "model") is None
    assert registry.knows_scope("lane.Net")
    info = registry.find("lane.Net", "model")
    assert info is not None
    assert info.required == ("depth",)
    assert registry.nearest("Net", "model")[0] == "lane.Net"


def test_registering_by_a_call_counts(config: Path) -> None:
    registry = lanes(
        config,
        __init__="from mmseg.registry import MODELS\nfrom .nets import A, B, build\n"
        "MODELS.register_module(module=A)\nMODELS.register_module(name='Bee')(B)\n",
        nets="class A: pass\nclass B: pass\ndef build(cfg): pass",
    )
    assert registry.find("A", "model") is not None
    assert registry.find("Bee", "model") is not None
    assert registry.find("B", "model") is None


def test_a_class_with_an_unknown_parent_is_open(config: Path) -> None:
    registry = lanes(
        config,
        __init__="from mmseg.registry import MODELS\nfrom somewhere_else import Thing\n"
        "@MODELS.register_module()\nclass T(Thing):\n    def __init__(self, a, **kwargs):\n"
        "        super().__init__(**kwargs)",
    )
    info = registry.find("T", "model")
    assert info is not None
    assert info.open
    assert not info.swallows
    assert info.has_loss_name is None


def test_a_dataclass_takes_its_fields(config: Path) -> None:
    registry = lanes(
        config,
        __init__="from dataclasses import dataclass\nfrom mmseg.registry import TRANSFORMS\n"
        "@TRANSFORMS.register_module()\n@dataclass\nclass Tilt:\n    angle: float\n    fill: int = 0",
    )
    info = registry.find("Tilt", "transform")
    assert info is not None
    assert info.required == ("angle",)
    assert info.refuses("angel")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class A(:", "invalid syntax"),
        ("x = '\0'", "null bytes"),
        ("# -*- coding: no-such-code -*-", "unknown encoding"),
        ("x = " + "(" * 400 + ")" * 400, "too many nested parentheses"),
        ("x = 0\n" * 400_000, "more than 2000000 bytes"),
    ],
)
def test_a_module_that_does_not_parse_is_unread(config: Path, text: str, reason: str) -> None:
    (unread,) = lanes(config, __init__=text).unread
    assert unread.module == "lanes"
    assert reason in unread.reason


def test_absent_modules_are_unread(config: Path) -> None:
    package(config.parent.parent, __init__="")
    absent = ["lanes.gone", "no_such_package.x", "not a module", "n" * 300, f"lanes.{'n' * 300}"]
    registry = registry_for([*absent, "mmseg.models", "os"], config)
    assert [unread.module for unread in registry.unread] == absent


def test_nothing_is_imported(config: Path) -> None:
    lanes(config, __init__="raise SystemExit('imported')\nimport antigravity")
    assert "lanes" not in sys.modules
    assert "antigravity" not in sys.modules


def test_modules_that_import_each_other_end(config: Path) -> None:
    registry = lanes(
        config,
        __init__="from .a import *\nfrom .b import *",
        a="from .b import *\nfrom mmseg.registry import MODELS\n"
        "@MODELS.register_module()\nclass Loop(Ring):\n    def __init__(self, **kw):\n        super().__init__(**kw)",
        b="from .a import *\nfrom .a import Loop\nclass Ring(Loop): pass",
    )
    info = registry.find("Loop", "model")
    assert info is not None
    assert info.fate("x") in Fate
    assert registry.find("Other", "model") is None


def test_a_changed_module_is_read_again(config: Path) -> None:
    assert lanes(config, __init__="").find("Late", "model") is None
    registry = lanes(config, __init__="from mmseg.registry import MODELS\n@MODELS.register_module()\nclass Late: ...")
    assert registry.find("Late", "model") is not None


def test_warnings_of_the_users_source_stay_with_the_user(config: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lanes(config, __init__="x = '\\d'").unread == ()


def test_the_plugin_is_found_like_any_other_package() -> None:
    registry = registry_for(["provecfg.plugin"], release="onedl")
    assert registry.unread == ()
    for name in ("SoftmaxFocalLoss", "SegLovaszLoss", "SegBoundaryLoss"):
        info = registry.find(name, "model")
        assert info is not None
        assert info.accepts("loss_weight")
        assert info.refuses("loss_wieght")
    for name in ("ResumableEarlyStoppingHook", "PlainCheckpointHook"):
        assert registry.find(name, "hook") is not None


@pytest.mark.parametrize("deep", ["a" + ".b" * 30_000, "1" + "+1" * 30_000, "-" * 5_000 + "1", "f" + "()" * 5_000])
def test_deeply_nested_source_ends_well(config: Path, deep: str) -> None:
    registry = lanes(
        config,
        __init__="from mmseg.registry import MODELS\nfrom .deep import *",
        deep=f"from mmseg.registry import MODELS\nx = {deep}\n@MODELS.register_module()\nclass Deep:\n"
        f"    def __init__(self, a={deep}, **kwargs):\n        y = {deep}\n        super().__init__(**kwargs)\n",
    )
    info = registry.find("Deep", "model")
    assert registry.unread or info is None or info.fate("b") in Fate


def test_a_package_too_large_is_read_in_part(config: Path) -> None:
    modules = {f"m{number}": "" for number in range(310)}
    registry = lanes(config, __init__="".join(f"from . import {name}\n" for name in modules), **modules)
    assert len(registry.unread) == 1
    assert "are 300 already" in registry.unread[0].reason


def test_a_class_of_another_package_can_be_registered_and_is_open(config: Path) -> None:
    registry = lanes(
        config,
        __init__="import timm\nfrom mmseg.registry import MODELS\n"
        "MODELS.register_module('Timmy', module=timm.models.Net)",
    )
    info = registry.find("Timmy", "model")
    assert info is not None
    assert info.open
    assert registry.unread == ()


@pytest.mark.parametrize(
    "source",
    [
        "for cls in (A, B):\n    MODELS.register_module(module=cls)",
        "def register():\n    MODELS.register_module(module=A)\nregister()",
        "def register():\n    @MODELS.register_module()\n    class A: pass\nregister()",
        "import importlib\nimportlib.import_module(f'{__name__}.losses')",
    ],
)
def test_what_only_running_tells_is_said_to_be_unread(config: Path, source: str) -> None:
    (unread,) = lanes(config, __init__=f"from mmseg.registry import MODELS\n{source}").unread
    assert unread.module == "lanes"
    assert unread.reason.endswith("what this registers is known only when it runs")


def test_the_locations_of_a_registry_are_read(config: Path) -> None:
    registry = lanes(
        config,
        "lanes.registry",
        __init__="",
        registry="from mmengine.registry import MODELS as ROOT, Registry\n"
        "MODELS = Registry('model', parent=ROOT, locations=['lanes.nets'])",
        nets="from lanes.registry import MODELS\n@MODELS.register_module()\nclass Net: pass",
    )
    assert registry.find("lanes.Net", "model") is not None
