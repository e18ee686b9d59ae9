"""Backends of the visualizer that hand a run's numbers to an experiment tracker; importing this registers them."""

from provecfg.plugin.trackers.backends import MLflowRunBackend, TensorboardRunBackend, WandbRunBackend

__all__ = ["MLflowRunBackend", "TensorboardRunBackend", "WandbRunBackend"]
