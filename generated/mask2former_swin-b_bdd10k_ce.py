# Mask2Former Swin-B on BDD10k, set losses
#
# total = 2 class CE[queries] + 5 mask BCE[queries] + 5 mask Dice[queries]
# [queries] terms are summed over the decoder's 10 outputs; [decode] is the last one's.
#
# Written by provecfg 0.2.0 from the study loss-study (f735455de7a7f9dd).
# Cell: model mask2former_swin-b, dataset bdd10k, strategy baseline, loss ce, seed 42.
# Change the study and run `provecfg generate`; an edited file is not overwritten.
# provecfg checksum: 566de1f6d7447e534511fe8e30e51b41c5e2e3450c237d98fefe64ac2df32536

default_scope = 'mmseg'
# Registers the losses, heads and hooks that mmseg does not have.
custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)

# Model: mmseg's mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024.py
# Trained on sets of masks by loss_cls, loss_mask and loss_dice, once for each decoder layer; the losses of
# loss_decode see the semantic scores that inference uses. (mmseg's Mask2FormerHead would drop loss_decode.)
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
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='SwinTransformer',
        embed_dims=128,
        depths=[2, 2, 18, 2],
        num_heads=[4, 8, 16, 32],
        window_size=12,
        mlp_ratio=4,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.3,
        patch_norm=True,
        out_indices=(0, 1, 2, 3),
        with_cp=False,
        frozen_stages=-1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/swin/swin_base_patch4_window12_384_22k_20220317-e5c09f74.pth',
        ),
        pretrain_img_size=384,
    ),
    decode_head=dict(
        type='Mask2FormerPixelLossHead',
        in_channels=[128, 256, 512, 1024],
        strides=[4, 8, 16, 32],
        feat_channels=256,
        out_channels=256,
        num_classes=19,
        num_queries=100,
        num_transformer_feat_level=3,
        align_corners=False,
        pixel_decoder=dict(
            type='mmdet.MSDeformAttnPixelDecoder',
            num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=6,
                layer_cfg=dict(
                    self_attn_cfg=dict(
                        embed_dims=256,
                        num_heads=8,
                        num_levels=3,
                        num_points=4,
                        im2col_step=64,
                        dropout=0.0,
                        batch_first=True,
                        norm_cfg=None,
                        init_cfg=None,
                    ),
                    ffn_cfg=dict(
                        embed_dims=256,
                        feedforward_channels=1024,
                        num_fcs=2,
                        ffn_drop=0.0,
                        act_cfg=dict(type='ReLU', inplace=True),
                    ),
                ),
                init_cfg=None,
            ),
            positional_encoding=dict(num_feats=128, normalize=True),
            init_cfg=None,
        ),
        enforce_decoder_input_project=False,
        positional_encoding=dict(num_feats=128, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=9,
            layer_cfg=dict(
                self_attn_cfg=dict(
                    embed_dims=256,
                    num_heads=8,
                    attn_drop=0.0,
                    proj_drop=0.0,
                    dropout_layer=None,
                    batch_first=True,
                ),
                cross_attn_cfg=dict(
                    embed_dims=256,
                    num_heads=8,
                    attn_drop=0.0,
                    proj_drop=0.0,
                    dropout_layer=None,
                    batch_first=True,
                ),
                ffn_cfg=dict(
                    embed_dims=256,
                    feedforward_channels=2048,
                    num_fcs=2,
                    act_cfg=dict(type='ReLU', inplace=True),
                    ffn_drop=0.0,
                    dropout_layer=None,
                    add_identity=True,
                ),
            ),
            init_cfg=None,
        ),
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            loss_weight=2.0,
            reduction='mean',
            class_weight=[
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                1.0,
                0.1,
            ],
        ),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0),
        loss_dice=dict(
            type='mmdet.DiceLoss',
            use_sigmoid=True,
            activate=True,
            reduction='mean',
            naive_dice=True,
            eps=1.0,
            loss_weight=5.0,
        ),
        train_cfg=dict(
            num_points=12544,
            oversample_ratio=3.0,
            importance_sample_ratio=0.75,
            assigner=dict(
                type='mmdet.HungarianAssigner',
                match_costs=[
                    dict(type='mmdet.ClassificationCost', weight=2.0),
                    dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                    dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
                ],
            ),
            sampler=dict(type='mmdet.MaskPseudoSampler'),
        ),
        ignore_index=255,
        loss_decode=[],
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
    optimizer=dict(type='AdamW', lr=0.0001, weight_decay=0.05, eps=1e-08, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=0.01, norm_type=2),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1, decay_mult=1.0),
            'query_embed': dict(lr_mult=1.0, decay_mult=0.0),
            'query_feat': dict(lr_mult=1.0, decay_mult=0.0),
            'level_embed': dict(lr_mult=1.0, decay_mult=0.0),
            'backbone.patch_embed.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'absolute_pos_embed': dict(lr_mult=0.1, decay_mult=0.0),
            'relative_position_bias_table': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.0.blocks.0.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.0.blocks.1.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.1.blocks.0.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.1.blocks.1.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.0.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.1.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.2.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.3.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.4.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.5.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.3.blocks.0.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.3.blocks.1.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.0.downsample.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.1.downsample.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.downsample.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.6.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.7.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.8.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.9.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.10.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.11.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.12.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.13.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.14.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.15.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.16.norm': dict(lr_mult=0.1, decay_mult=0.0),
            'backbone.stages.2.blocks.17.norm': dict(lr_mult=0.1, decay_mult=0.0),
        },
        norm_decay_mult=0.0,
    ),
)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=80000, by_epoch=False)]

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
work_dir = 'work_dirs/loss-study/mask2former_swin-b_bdd10k_ce'
