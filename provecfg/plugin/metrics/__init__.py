"""Metrics registered in mmseg."""

from provecfg.plugin.metrics.seg_counts_metric import SegCountsMetric

__all__ = ["SegCountsMetric"]
