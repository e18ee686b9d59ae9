"""A config, built once for every check."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from torch import nn

from provecfg.plugin import mmcv_ops
from provecfg.proof.built import Built
from provecfg.proof.declared.build import build
from provecfg.proof.declared.declaration import Declaration
from provecfg.proof.declared.predict_once import smallest_crop
from provecfg.proof.declared.recorded_config import Recorder
from provecfg.proof.declared.small_config import CROPS, shrunk, writing_into
from provecfg.proof.declared.training_images import padded_size, training_images, training_size, training_transforms
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.training.adapt import pretrained_of


def build_declared(subject: Subject) -> Built:
    """Build all that the config declares by its real registries, and watch what becomes of each key."""
    mmcv_ops.install()
    config = shrunk(subject.config, subject.device)
    for key in ("val_evaluator", "test_evaluator"):
        if config.get(key) is not None:
            config[key] = writing_into(config[key], subject.work_dir)
    config.work_dir = str(subject.work_dir)
    config.launcher = "none"  # as mmseg's tools do, whatever the config says
    recorder = Recorder()
    model: nn.Module | None = None
    preprocessor: Any = None
    crop, prediction_error = CROPS[0], None
    with nothing_printed(), recorder.recording():
        init_default_scope(str(config.get("default_scope") or "mmseg"))
        parts = build(recorder.config(config), lost_weights=any(pretrained_of(subject.config)))
        if parts.model is not None:
            preprocessor = copy.deepcopy(getattr(parts.model, "data_preprocessor", None))  # before it pads to the crop
            model = parts.model = revert_sync_batchnorm(parts.model).to(subject.device).float()
            crop, prediction_error = smallest_crop(model)
            model.train()
    transforms = training_transforms(getattr(parts.train_loop, "dataloader", None))
    with nothing_printed():
        images = training_images(transforms, preprocessor) if preprocessor is not None and transforms else None
    return Built(
        model,
        crop,
        transforms,
        images,
        padded_size(preprocessor),
        training_size(preprocessor, images),
        Declaration(config, parts, recorder.by_path, prediction_error),
    )
