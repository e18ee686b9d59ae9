"""How a cell predicts a whole image: at once, in windows, or averaged over augmented copies."""

from __future__ import annotations

from typing import Any

from provecfg.study.bases import Base
from provecfg.study.schema import Study


def set_test_cfg(model: dict[str, Any], study: Study, base: Base) -> None:
    """Put the study's way of predicting in the place of the base's, where it says one."""
    inference = study.inference
    if inference.mode is None:
        return
    own = model.get("test_cfg") or {}
    kept = {key: value for key, value in own.items() if key not in ("mode", "crop_size", "stride")}
    if inference.mode == "whole":
        model["test_cfg"] = {"mode": "whole", **kept}
        return
    window = inference.window or study.data.crop_size
    stride = inference.stride or tuple(max(1, side * 2 // 3) for side in window)
    model["test_cfg"] = {"mode": "slide", "crop_size": window, "stride": stride, **kept}
    if base.main_head.kind.startswith("Mask2Former"):
        # Mask2FormerHead.predict resizes each window to the padded image (mmsegmentation 1.2.2; its issue 3666)
        model["data_preprocessor"].pop("test_cfg", None)


def test_time_augmentation(study: Study, label_loader: dict[str, Any]) -> dict[str, Any]:
    """`tta_model` and `tta_pipeline`, which mmseg's test tool takes with `--tta`; nothing where no scales are named.

    Args:
        study: Which scales, and whether flipped.
        label_loader: The transform that loads the dataset's label maps.
    """
    inference = study.inference
    if not inference.tta_scales:
        return {}
    flips = [{"type": "RandomFlip", "prob": 0.0, "direction": "horizontal"}]
    if inference.tta_flip:
        flips.append({"type": "RandomFlip", "prob": 1.0, "direction": "horizontal"})
    return {
        "tta_model": {"type": "SegTTAModel"},
        "tta_pipeline": [
            {"type": "LoadImageFromFile"},
            {
                "type": "TestTimeAug",
                "transforms": [
                    [
                        {"type": "Resize", "scale_factor": float(scale), "keep_ratio": True}
                        for scale in inference.tta_scales
                    ],
                    flips,
                    [label_loader],
                    [{"type": "PackSegInputs"}],
                ],
            },
        ],
    }
