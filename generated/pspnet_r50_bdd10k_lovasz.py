# PSPNet R50 on BDD10k, cross-entropy + 0.3 Lovasz
#
# total = 1 CE[decode] + 0.3 Lovasz[decode] + 0.4 CE[auxiliary] + 0.3 Lovasz[auxiliary]
#
# Written by provecfg 0.2.0 from the study loss-study (f735455de7a7f9dd).
# Cell: model pspnet_r50, dataset bdd10k, strategy baseline, loss lovasz, seed 42.
# Change the study and run `provecfg generate`; an edited file is not overwritten.
# provecfg checksum: dceeb82fb7ef522ccd58fb419a02c28ffa142003dbc3c9c958c790cff69e7fc2

default_scope = 'mmseg'
# Registers the losses, heads and hooks that mmseg does not have.
custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)

# Model: mmseg's pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
    ),
    backbone=dict(
        type='ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'),
    ),
    decode_head=dict(
        type='PSPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        ignore_index=255,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=1.0),
            dict(
                type='SegLovaszLoss',
                loss_type='multi_class',
                reduction='mean',
                classes='all',
                per_image=True,
                loss_weight=0.3,
                loss_name='loss_lovasz',
            ),
        ],
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        ignore_index=255,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True, loss_weight=0.4),
            dict(
                type='SegLovaszLoss',
                loss_type='multi_class',
                reduction='mean',
                classes='all',
                per_image=True,
                loss_weight=0.3,
                loss_name='loss_lovasz',
            ),
        ],
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

# Data: BDD10k; training images by random resize, crop, horizontal flip, photometric distortion.
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='BDD100KDataset',
        data_root='{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}',
        data_prefix=dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomResize', scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KDataset',
        data_root='{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}',
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BDD100KDataset',
        data_root='{{$PROVECFG_BDD10K_ROOT:data/bdd100k}}',
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
    ),
)

# Metrics, in percent; the prefix makes them `val/mIoU`, `val/mAcc` and `val/aAcc`. mmseg's IoUMetric gives the same
# numbers, and keeps no counts for `provecfg report`.
val_evaluator = dict(type='SegCountsMetric', iou_metrics=['mIoU'], prefix='val')
test_evaluator = dict(type='SegCountsMetric', iou_metrics=['mIoU'], prefix='val')

# Optimizer and learning rate: mmseg's own for this model, to the end of this run.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [dict(type='PolyLR', eta_min=0.0001, power=0.9, begin=0, end=80000, by_epoch=False)]

# Run: iterations of training, and between validations.
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# Hooks: checkpoints that torch's safe loading takes, a stop at a loss that is not finite, the counts of validations,
# early stop after 5 validations without 0.1 points of val/mIoU.
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='PlainCheckpointHook',
        by_epoch=False,
        interval=5000,
        max_keep_ckpts=3,
        save_best='val/mIoU',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [
    dict(type='FiniteLossHook'),
    dict(
        type='ResumableEarlyStoppingHook',
        monitor='val/mIoU',
        rule='greater',
        patience=5,
        min_delta=0.1,
        strict=False,
        check_finite=True,
    ),
    dict(type='ValidationCountsHook'),
]

# Runtime
randomness = dict(seed=42)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
work_dir = 'work_dirs/loss-study/pspnet_r50_bdd10k_lovasz'
