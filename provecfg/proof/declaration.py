"""Everything that the config declares exists and is consumed."""

from __future__ import annotations

import copy

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope, init_default_scope
from mmseg.registry import MODELS

from provecfg.proof.built import Built
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.training.adapt import without_amp, without_pretrained

CROP = (64, 64)


def prove(subject: Subject) -> tuple[Section, Built | None]:
    """Build what the config declares by its real registries."""
    config = without_amp(without_pretrained(subject.config))
    with nothing_printed():
        try:
            built = _built(config, subject.device)
        except Exception as error:
            return Section("declared", not_judged=f"{type(error).__name__}: {error}"), None
    return Section("declared"), built


def _built(config: Config, device: str) -> Built:
    init_default_scope(config.get("default_scope", "mmseg"))
    assert DefaultScope.get_current_instance() is not None
    model = copy.deepcopy(config.model)
    if config.get("data_preprocessor") is not None:
        model.setdefault("data_preprocessor", copy.deepcopy(config.data_preprocessor))
    preprocessor = model.get("data_preprocessor") or {}
    if preprocessor.get("size") is not None:
        preprocessor["size"] = CROP
    network = revert_sync_batchnorm(MODELS.build(model))
    network.init_weights()
    return Built(network.to(device).train(), CROP)
