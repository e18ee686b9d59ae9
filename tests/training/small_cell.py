"""A cell that is real in every part and small: an encoder-decoder of 60,000 weights on drawn street scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for

MAX_ITERS, VAL_INTERVAL, CHECKPOINT_INTERVAL = 24, 4, 2

_CONFIG = """\
custom_imports = dict(imports=['provecfg.plugin'])
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255, size=(32, 32)),
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4, norm_cfg=dict(type='BN')),
    decode_head=dict(
        type='FCNHead', in_channels=32, in_index=3, channels=8, num_convs=1, concat_input=False,
        dropout_ratio={dropout}, num_classes=19, norm_cfg=dict(type='BN'), align_corners=False, ignore_index=255,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
data_root = {root!r}
train_dataloader = dict(
    batch_size=2, num_workers={workers}, persistent_workers={workers} > 0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='BDD100KDataset', data_root=data_root,
        data_prefix=dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train'),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='RandomResize', scale=(96, 54), ratio_range=(0.8, 1.5), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(32, 32), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KDataset', data_root=data_root,
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 36), keep_ratio=True),
            dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], prefix='val')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type='PolyLR', eta_min=0.0001, power=0.9, begin=0, end={max_iters}, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters={max_iters}, val_interval={val_interval})
val_cfg = dict(type='ValLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='PlainCheckpointHook', by_epoch=False, interval={checkpoint_interval}, max_keep_ckpts=3,
        save_best='val/mIoU', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [
    dict(type='FiniteLossHook'),
    dict(
        type='ResumableEarlyStoppingHook', monitor='val/mIoU', rule='greater', patience={patience},
        min_delta={min_delta}, strict=False, check_finite=True)]
randomness = dict(seed=42)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
"""


def write_small_cell(path: Path, data_root: Path | None = None, **changes: object) -> Path:
    """Write the cell's config.

    Args:
        path: Where to.
        data_root: Its data, in BDD10k's layout; drawn if None.
        changes: Of `max_iters`, `val_interval`, `checkpoint_interval`, `patience` and `min_delta` (of early stopping;
            by itself it comes near the end), `workers` (loader processes) and `dropout` (the head's ratio).
    """
    root = data_root or smoke_data_for(DATASETS["bdd10k"], Drawing(train=8, val=2, width=96, height=54))
    values: dict[str, Any] = {
        "root": str(root),
        "max_iters": MAX_ITERS,
        "val_interval": VAL_INTERVAL,
        "checkpoint_interval": CHECKPOINT_INTERVAL,
        "min_delta": 0.1,
        "workers": 0,
        "dropout": 0.1,
        **changes,
    }
    values.setdefault("patience", values["max_iters"] // values["val_interval"] - 2)
    path.write_text(_CONFIG.format(**values), encoding="utf-8")
    return path
