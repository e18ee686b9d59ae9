"""The catalog's numbers against mmseg's own configs, which each entry names as its source."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from provecfg.catalog.models import MODELS, Model
from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import render
from provecfg.study.load import study_from_fields

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore")]  # mmengine's own, while it loads configs


def rendered(model: Model, tmp_path: Path) -> tuple[Any, Plan]:
    from mmengine.config import Config

    study, _ = study_from_fields(
        {"name": "t", "models": [model.name], "losses": {"auxiliary": ["none"]}, "datasets": ["cityscapes"]}
    )
    assert study is not None
    (plan,) = plans_of(study)
    path = tmp_path / f"{plan.name}.py"
    path.write_text(render(plan))
    return Config.fromfile(path, import_custom_modules=False), plan


def upstream(model: Model) -> Any:
    from mmengine.config import Config

    spec = importlib.util.find_spec("mmseg")
    assert spec is not None
    assert spec.origin is not None
    return Config.fromfile(Path(spec.origin).parent / ".mim" / "configs" / model.source)


OURS = {
    "model.data_preprocessor.size[0]",  # the study's crop
    "model.data_preprocessor.size[1]",
    "model.decode_head.ignore_index",  # mmseg's default, written out
    "model.auxiliary_head.ignore_index",
    "model.decode_head.num_classes",  # the source of SegNeXt is an ADE20K config
    "model.pretrained",  # in our configs the backbone's init_cfg, which says the same
    "model.backbone.init_cfg.checkpoint",
    "model.backbone.init_cfg.type",
}


def flat(value: Any, key: str = "model") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in flat(item, f"{key}.{name}").items()}
    if isinstance(value, list | tuple):
        return {k: v for index, item in enumerate(value) for k, v in flat(item, f"{key}[{index}]").items()}
    return {key: value}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_a_generated_model_is_mmsegs_own_but_for_its_losses(model: Model, tmp_path: Path) -> None:
    ours, _ = rendered(model, tmp_path)
    theirs = upstream(model)
    left, right = flat(ours.model.to_dict()), flat(theirs.model.to_dict())
    differing = {
        re.sub(r"^(model\.\w+_head\.loss_decode).*", r"\1", key)
        for key in left.keys() | right.keys()
        if left.get(key) != right.get(key)
    } - OURS
    expected = {"model.decode_head.loss_decode"}
    if model.name == "hrnet_hr48":  # mmseg's HRNet has no auxiliary head
        expected |= {key for key in differing if key.startswith("model.auxiliary_head")}
    elif model.auxiliary_stage is not None:
        expected.add("model.auxiliary_head.loss_decode")
    if not model.takes_pixel_losses:
        expected = {"model.decode_head.type"}  # ours, which keeps mmseg's set losses
    if model.template == "segformer":  # whole images, as its _base_ and its ADE20K configs; this one slides 1024x1024
        differing = {key for key in differing if not key.startswith("model.test_cfg")}
    assert differing == expected


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_pretrained_weights_are_those_of_the_source(model: Model) -> None:
    config = upstream(model)
    named = config.model.get("pretrained") or config.model.backbone.init_cfg.checkpoint
    assert named == model.pretrained.checkpoint
    if named.startswith("open-mmlab://"):
        from mmengine.runner.checkpoint import get_external_models

        named = get_external_models()[named.removeprefix("open-mmlab://")]
    assert named.endswith("/" + model.pretrained.filename)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_optimizer_is_the_sources(model: Model, tmp_path: Path) -> None:
    ours, _ = rendered(model, tmp_path)
    theirs = upstream(model).optim_wrapper.to_dict()
    if theirs.get("clip_grad") is None:
        theirs.pop("clip_grad", None)
    assert ours.optim_wrapper.to_dict() == theirs


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_schedule_is_the_sources_to_this_runs_end(model: Model, tmp_path: Path) -> None:
    ours, _ = rendered(model, tmp_path)
    theirs = [dict(scheduler) for scheduler in upstream(model).param_scheduler]
    theirs[-1]["end"] = 80000
    assert [dict(scheduler) for scheduler in ours.param_scheduler] == theirs


def test_the_datasets_are_mmsegs_own() -> None:
    import mmseg.datasets  # noqa: F401
    from mmseg.registry import DATASETS as REGISTERED

    from provecfg.catalog.datasets import DATASETS

    for dataset in (dataset for dataset in DATASETS.values() if not dataset.is_paired):
        registered = REGISTERED.get(dataset.type)
        assert registered.METAINFO["classes"] == dataset.classes
