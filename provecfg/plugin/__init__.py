"""What provecfg registers in mmseg: datasets, transforms, losses, heads, hooks, metrics and samplers.

A generated config imports it by `custom_imports`. Importing it also makes an mmcv without compiled operators
sufficient (see `mmcv_ops`), so it comes before mmseg's models.
"""

from provecfg.plugin import late_ops, mmcv_ops

mmcv_ops.install()
if not mmcv_ops.has_compiled_ops():
    late_ops.mend_loaded_modules()

# After the stand-in, since they import mmseg and mmdet.
from provecfg.plugin import datasets, heads, hooks, losses, metrics, samplers, transforms  # noqa: E402

__all__ = ["datasets", "heads", "hooks", "losses", "metrics", "samplers", "transforms"]
