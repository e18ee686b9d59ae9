"""provecfg: segmentation-training configs that say what they train."""

__version__ = "0.1.0"
