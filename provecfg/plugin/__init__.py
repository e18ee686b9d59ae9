"""What provecfg registers in mmseg: datasets, losses, heads, hooks, metrics, preprocessors, samplers,
trackers and transforms.

A generated config imports it by `custom_imports`. Importing it also makes an mmcv without compiled operators
sufficient (see `mmcv_ops`), so it comes before mmseg's models.
"""

from provecfg.plugin import late_ops, mmcv_ops

mmcv_ops.install()
if not mmcv_ops.has_compiled_ops():
    late_ops.mend_loaded_modules()

# After the stand-in, since they import mmseg and mmdet.
from provecfg.plugin import datasets, heads, hooks, losses, metrics, preprocessors, samplers, trackers, transforms  # noqa: E402

__all__ = ["datasets", "heads", "hooks", "losses", "metrics", "preprocessors", "samplers", "trackers", "transforms"]
