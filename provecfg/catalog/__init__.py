"""Facts as data, each number with its source: models, datasets, strategies, studies.

Paths such as `pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py` are below mmsegmentation's `configs/`, as of
onedl-mmsegmentation 1.4.2 (the same numbers stand in upstream 1.2.2).
"""
