"""What the builders add to a config dict, and take out of it, before the class sees the rest.

A hook's dict may say `priority`, which no hook takes; a sampler's `dataset` is required and never written in a config.
"""

from __future__ import annotations

from typing import Final

ALWAYS_TAKEN: Final = frozenset({"type", "_scope_"})
"""Keys that `build_from_cfg` removes (mmengine 0.10.7, registry/build_functions.py)."""

TAKEN: Final[dict[str, frozenset[str]]] = {
    # mmengine 0.10.7, runner/runner.py, register_hook
    "hook": frozenset({"priority"}),
    # mmengine 0.10.7, registry/build_functions.py, build_scheduler_from_cfg
    "parameter scheduler": frozenset({"convert_to_iter_based", "epoch_length"}),
    # mmengine 0.10.7, optim/optimizer/builder.py, build_optim_wrapper
    "optim_wrapper": frozenset({"constructor", "paramwise_cfg"}),
    # mmengine 0.10.7, visualization/visualizer.py, Visualizer.__init__
    "vis_backend": frozenset({"name"}),
}
"""Keys that the builder of a registry's classes removes."""

SUPPLIED: Final[dict[str, frozenset[str]]] = {
    # mmengine 0.10.7, runner/runner.py: build_train_loop, build_val_loop, build_test_loop
    "loop": frozenset({"runner", "dataloader", "evaluator"}),
    # ... build_dataloader; a batch sampler is given the sampler and the batch size
    "data sampler": frozenset({"dataset", "seed", "sampler", "batch_size"}),
    # ... wrap_model
    "model_wrapper": frozenset({"module", "device_ids"}),
    # ... build_visualizer
    "visualizer": frozenset({"name", "save_dir"}),
    "vis_backend": frozenset({"save_dir"}),
    # ... build_param_scheduler, which fills in the end
    "parameter scheduler": frozenset({"optimizer", "epoch_length", "end"}),
    # optim/optimizer/default_constructor.py, DefaultOptimWrapperConstructor.__call__
    "optimizer": frozenset({"params"}),
    "optim_wrapper": frozenset({"optimizer"}),
    # optim/optimizer/builder.py, build_optim_wrapper
    "optimizer wrapper constructor": frozenset({"optim_wrapper_cfg", "paramwise_cfg"}),
    # mmsegmentation 1.2.2, models/decode_heads/decode_head.py: build_pixel_sampler(sampler, context=self)
    "task util": frozenset({"context"}),
}
"""Arguments that the builder gives where the config does not, so that none is missing."""

SUPPLIED_TO: Final[dict[str, frozenset[str]]] = {
    # mmengine 0.10.7, hooks/test_time_aug_hook.py, build_runner_with_tta
    "BaseTTAModel": frozenset({"module"}),
    # mmengine 0.10.7, hooks/ema_hook.py, EMAHook.before_run
    "BaseAveragedModel": frozenset({"model"}),
}
"""The same for single classes and those that inherit from them."""

OPTIONAL: Final[dict[str, dict[str, str]]] = {
    # mmengine 0.10.7, optim/optimizer/builder.py: registered where the package is installed
    "optimizer": {
        **dict.fromkeys(("DAdaptAdaGrad", "DAdaptAdam", "DAdaptSGD"), "dadaptation"),
        "Lion": "lion_pytorch",
        "SophiaG": "Sophia",
        "Adafactor": "transformers",
        **{
            f"{paged}{name}{bits}": "bitsandbytes"
            for paged in ("", "Paged")
            for name in ("Adagrad", "Adam", "AdamW", "AdEMAMix", "LAMB", "LARS", "Lion", "RMSprop", "SGD")
            for bits in ("8bit", "32bit", "")
            if paged or bits or name in ("AdEMAMix", "LAMB", "LARS")
        },
        **{f"bnb_{name}": "bitsandbytes" for name in ("Adagrad", "Adam", "AdamW", "Lion", "RMSprop", "SGD")},
    },
}
"""Names that mmengine registers for packages that it does not require: registry -> name -> package."""

TAKEN_IN_SLOT: Final[dict[str, frozenset[str]]] = {
    # mmcv 2.1.0, cnn/bricks/norm.py, build_norm_layer
    "norm_cfg": frozenset({"requires_grad"}),
    # mmsegmentation 1.2.2, models/backbones/{resnet,resnext,resnest}.py
    "dcn": frozenset({"fallback_on_stride"}),
}
"""Keys that are removed from a dict that stands under a key that ends so (`backbone_norm_cfg`), whatever its type."""


def taken_in_slot(slot: str) -> frozenset[str]:
    """Keys that are removed from the dict that stands under the key `slot`."""
    return next((keys for end, keys in TAKEN_IN_SLOT.items() if slot.endswith(end)), frozenset())


FILLED_IN: Final = frozenset({"end"})
"""Of what builders supply, what they only fill in where the config does not set it.

Source: mmengine 0.10.7, registry/build_functions.py, `build_scheduler_from_cfg`.
"""
