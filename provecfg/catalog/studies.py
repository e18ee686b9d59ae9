"""Studies that come with provecfg, as a user would write them: study files read as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# fmt: off
# Class weights of Cityscapes, whose classes BDD10k has too: mmseg's pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py
# (borrowed there from OCNet.pytorch, issue 14).
CITYSCAPES_CLASS_WEIGHTS = (
    0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023,
    0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507,
)
# fmt: on

_PIXEL_MODELS = ("deeplabv3plus_r50", "pspnet_r50", "segformer_mit-b3", "segnext_mscan-b", "hrnet_hr48")
_ALL_MODELS = (*_PIXEL_MODELS, "mask2former_swin-b")


@dataclass(frozen=True, slots=True)
class CatalogStudy:
    """A named study.

    Args:
        name: What the command line calls it.
        title: What it compares.
        parts: Contents of the study files that it is made of; what one leaves out has the schema's defaults.
    """

    name: str
    title: str
    parts: tuple[Mapping[str, Any], ...]


def _part(name: str, models: tuple[str, ...] = _ALL_MODELS, **losses: Any) -> Mapping[str, Any]:
    return MappingProxyType({"name": name, "models": list(models), "losses": losses})


LOSS_STUDY = CatalogStudy(
    name="loss-study",
    title="cross-entropy alone against focal, Lovasz and boundary beside it, on six models",
    parts=(MappingProxyType({"name": "loss-study"}),),  # the schema's defaults are this study
)

_FOCAL_AND_LOVASZ = ["focal", {"type": "lovasz", "weight": 0.2}]  # the seed's "For Production Use", 1 and 2
_WEIGHTED = {"class_weight": list(CITYSCAPES_CLASS_WEIGHTS)}

PRODUCTION = CatalogStudy(
    name="production",
    title="CE + 0.3 focal, then + 0.2 Lovasz, then class weights",
    parts=(
        _part("production", auxiliary=["focal", _FOCAL_AND_LOVASZ]),
        _part("production-weighted", _PIXEL_MODELS, primary=_WEIGHTED, auxiliary=[_FOCAL_AND_LOVASZ]),
    ),
)

IMPROVEMENTS = CatalogStudy(
    name="improvements",
    title="every improvement of the loss study by itself, on every model that supports it",
    parts=(
        _part(
            "improvements",
            auxiliary=[
                "dice",
                {"type": "focal", "weight": 0.1},
                {"type": "focal", "weight": 0.5},
                {"type": "lovasz", "schedule": {"kind": "linear", "start": 0.5, "end": 0.1}},
                "boundary_focal",
                # The paper lets its weight grow from 0.01 (Kervadec et al. 2019, section 3).
                {
                    "type": "distance_boundary",
                    "normalize": True,
                    "schedule": {"kind": "linear", "start": 0.01, "end": 1.0},
                },
                {"type": "focal", "scales": [1.0, 0.5, 0.25]},
            ],
        ),
        _part("improvements-weighted", _PIXEL_MODELS, primary=_WEIGHTED, auxiliary=["none"]),
        _part("improvements-smooth", _PIXEL_MODELS, primary={"label_smoothing": 0.1}, auxiliary=["none"]),
        _part("improvements-ohem", _PIXEL_MODELS, ohem={}, auxiliary=["none"]),
        _part("improvements-deep", auxiliary=["none"], deep_supervision=[{"stage": 1, "weight": 0.2}]),
    ),
)

STUDIES: Mapping[str, CatalogStudy] = MappingProxyType(
    {study.name: study for study in (LOSS_STUDY, PRODUCTION, IMPROVEMENTS)}
)
