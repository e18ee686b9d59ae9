"""provecfg: segmentation-training configs that say what they train."""

__version__ = "0.2.0"
