"""Where rules about parts, splits, hooks and curves are silent, and where they point."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge


def found(folder: Path, text: str) -> list[tuple[str, str]]:
    """(code, key) of every error and warning."""
    path = folder / "config.py"
    path.write_text(text, encoding="utf-8")
    return [
        (finding.code, finding.key) for finding in judge(read_config(path)) if finding.severity is not Severity.NOTE
    ]


def smaller_than_crop(padding: str) -> str:
    """A config whose images are half as large as its crop."""
    return (
        f"data_preprocessor = dict(type='SegDataPreProcessor', mean=[9.0] * 3, std=[9.0] * 3, {padding})\n"
        "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset',\n"
        "    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),\n"
        "              dict(type='Resize', scale=(256, 128), keep_ratio=True),\n"
        "              dict(type='RandomCrop', crop_size=(256, 256)), dict(type='PackSegInputs')]))"
    )


def trained_with(step: str) -> str:
    """A config whose training has a step before the crop."""
    return (
        "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset',\n"
        f"    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), {step},\n"
        "              dict(type='RandomCrop', crop_size=(64, 64)), dict(type='PackSegInputs')]))"
    )


def weight_from_zero(schedule: str) -> str:
    """A config with a loss of weight 0, and a hook that sets the weight of one."""
    return (
        "custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)\n"
        "model = dict(decode_head=dict(loss_decode=[\n"
        "    dict(type='SegDiceLoss', loss_weight=1.0), dict(type='SegBoundaryLoss', loss_weight=0.0)]))\n"
        f"custom_hooks = [dict(type='LossWeightScheduleHook', schedules=[dict({schedule})])]"
    )


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        *(
            (weight_from_zero(schedule), "LOSS009", "model.decode_head.loss_decode[1].loss_weight")
            for schedule in (
                "head='decode_head', loss_name='loss_seg_dice', kind='linear', start=0.0, end=0.3",
                "head='auxiliary_head', loss_name='loss_boundary', kind='linear', start=0.0, end=0.3",
                "head='decode_head', loss_name='loss_boundary', kind='constant', value=0.0",
            )
        ),
        (smaller_than_crop("size=(256, 256)"), "DATA021", "train_dataloader.dataset.pipeline[2].scale"),
        ("default_hooks = dict(timer=dict(tpe='IterTimerHook'))", "REG009", "default_hooks.timer.tpe"),
        ("custom_imports = dict(imports='mmseg.modells')", "REG010", "custom_imports.imports"),
        ("custom_imports = dict(imports=['mmseg.models', 'mmdet.nothing'])", "REG010", "custom_imports.imports[1]"),
        ("default_scope = 'MMSeg'", "REG011", "default_scope"),
        (
            "_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'\ndefault_scope = None",
            "REG011",
            "default_scope",
        ),
        ("custom_hooks = [dict(type='ParamSchedulerHook')]", "RUN013", "custom_hooks[0]"),
        ("randomness = dict(seed='42')", "RUN011", "randomness.seed"),
        (
            "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 1.999)))",
            "RUN008",
            "optim_wrapper.optimizer.betas[1]",
        ),
        # beside the name that is read, which a base has set
        (
            "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(\n"
            "    type='CityscapesDataset', data_prefix=dict(img_dir='mine', img_path='theirs', seg_map_path='gt')))",
            "DATA004",
            "val_dataloader.dataset.data_prefix.img_dir",
        ),
        # all images below a root, those of training among them
        (
            "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset',\n"
            "    data_root='data', data_prefix=dict(img_path='images/train', seg_map_path='labels/train')))\n"
            "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(\n"
            "    type='CityscapesDataset', data_root='data'))",
            "DATA030",
            "val_dataloader.dataset.data_prefix",
        ),
        # one mean is taken off each channel, and three means make three channels of one
        *(
            (
                "model = dict(type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', size=(8, 8), "
                f"mean={mean}, std={mean}),\n    backbone=dict(type='ResNetV1c', depth=50, in_channels={channels}),\n"
                "    decode_head=dict(type='FCNHead', in_channels=2048, channels=8, num_classes=19, in_index=3))\n"
                "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset',\n"
                f"    pipeline=[dict(type='LoadImageFromFile'), {grey}dict(type='LoadAnnotations'), "
                "dict(type='PackSegInputs')]))",
                "DATA039",
                f"model.{key}",
            )
            for mean, grey, channels, key in (
                ("[9.0] * 3", "dict(type='RGB2Gray', out_channels=1), ", 1, "backbone.in_channels"),
                ("[9.0]", "dict(type='RGB2Gray', out_channels=1), ", 3, "backbone.in_channels"),
                ("[9.0] * 4", "", 3, "data_preprocessor.mean"),
            )
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(text: str, code: str, key: str, tmp_path: Path) -> None:
    assert found(tmp_path, text) == [(code, key)]


@pytest.mark.parametrize(
    "text",
    [
        # images are padded to each other alone, and no pixel of the crop stays empty
        smaller_than_crop("size_divisor=32"),
        # a loss whose weight begins at 0, and whose weight steps up
        weight_from_zero("head='decode_head', loss_name='loss_boundary', kind='linear', start=0.0, end=0.3"),
        weight_from_zero(
            "head='decode_head', loss_name='loss_boundary', kind='steps', milestones=[9], values=[0.0, 0.3]"
        ),
        # a library that nobody here knows
        "default_scope = 'roadseg'",
        "custom_imports = dict(imports=['mmseg.models.losses', 'mmdet'], allow_failed_imports=False)",
        # the runner's own is taken away first
        "default_hooks = dict(param_scheduler=None)\ncustom_hooks = [dict(type='ParamSchedulerHook')]",
        # the best and the last checkpoint alone
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)\n"
        "default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=-1))",
        # the same folder, and lists of files that tell them apart
        "train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='PascalVOCDataset', "
        "ann_file='train.txt', data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')))\n"
        "val_dataloader = dict(sampler=dict(type='DefaultSampler'), dataset=dict(type='PascalVOCDataset', "
        "ann_file='val.txt', data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass')))",
        # channels as caffe's weights want them
        "model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[103.53, 116.28, 123.675], "
        "std=[1.0, 1.0, 1.0], bgr_to_rgb=False, size=(512, 512)))",
        # a decay to a plateau that is most of the way
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000)\n"
        "param_scheduler = [dict(type='PolyLR', eta_min=1e-5, begin=0, end=60000, by_epoch=False)]",
        # as many checkpoints as validations that are waited for, and one
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=4000)\n"
        "val_evaluator = dict(type='IoUMetric')\n"
        "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False))\n"
        "default_hooks = dict(\n"
        "    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4000, max_keep_ckpts=6))\n"
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater', patience=5)]",
        # a hook that says itself which way its metric is better
        "default_hooks = dict(checkpoint=dict(\n"
        "    type='CheckpointHook', by_epoch=False, save_best='cd/iou_changed', greater_keys=['cd/iou_changed']))",
        # what several configs have in common: a model and loops, and the data of each its own
        "model = dict(type='EncoderDecoder')\n"
        "test_cfg = dict(type='TestLoop')\ntest_evaluator = dict(type='IoUMetric')",
        # a backbone that nobody here knows may read both
        "custom_imports = dict(imports=['roads'], allow_failed_imports=True)\n"
        "model = dict(type='EncoderDecoder', pretrained='a.pth', "
        "backbone=dict(type='RoadNet', init_cfg=dict(type='Pretrained', checkpoint='b.pth')))",
        # labels that are loaded again once the image has its size
        "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(\n"
        "    type='CityscapesDataset', pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),\n"
        "    dict(type='Resize', scale=(64, 64)), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))",
        # a size that all images have
        "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(\n"
        "    type='CityscapesDataset', pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),\n"
        "    dict(type='Resize', scale=(2048, 1024), keep_ratio=True), dict(type='PackSegInputs')]))",
        # a mosaic that is never drawn, colours alone in a keymap of one's own, and a pass through the images
        trained_with("dict(type='RandomMosaic', prob=0, img_scale=(64, 64))"),
        trained_with("dict(type='Albu', keymap=dict(img='image'), transforms=[dict(type='Blur')])"),
        trained_with("dict(type='Albu', transforms=[dict(type='HorizontalFlip')])"),
        "val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(\n"
        "    type='RepeatDataset', times=1, dataset=dict(type='CityscapesDataset')))",
        # a hook that is written out twice, since a variable held it
        "earliest = dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')\n"
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]",
    ],
)
def test_what_may_be_meant_is_left_alone(text: str, tmp_path: Path) -> None:
    assert found(tmp_path, text) == []


RUN = """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)),
    backbone=dict(type='ResNetV1c', depth=18),
    decode_head=dict(
        type='FCNHead', in_channels=512, in_index=3, channels=16, num_classes=19,
        sampler=dict(type='OHEMPixelSampler')),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
train_dataloader = dict(
    batch_size=2, sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        type='CityscapesDataset', data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
val_dataloader = dict(
    batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CityscapesDataset', data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 1024)), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]))
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100, val_interval=10)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
"""


@pytest.mark.parametrize(
    ("right", "wrong", "code", "key"),
    [
        ("batch_size=2, sampler=dict(type='InfiniteSampler'),\n    dataset=", "mine=", "REG004", ".dataset"),
        ("dict(type='IterBasedTrainLoop', max_iters=100, val_interval=10)", "dict()", "REG107", ""),
        ("val_cfg = dict(type='ValLoop')", "val_cfg = dict()\nrandomness = dict(sede=1)", "REG107", "randomness.sede"),
        ("optimizer=dict(type='SGD', lr=0.01)", "optimizer=dict()", "REG009", ".optimizer.type"),
        ("optimizer=dict(type='SGD', lr=0.01)", "optimizer='SGD'", "RUN007", ".optimizer"),
        ("'OHEMPixelSampler'", "'DefaultSampler'", "REG001", ".decode_head.sampler.type"),
        ("scale=(2048, 1024)), dict(type='LoadAnnotations')", "scale=(2048, 1024))", "DATA016", ".dataset.pipeline"),
        ("scale=(2048, 1024)", "scale=(2048,)", "REG109", ".dataset.pipeline[1].scale"),
        ("dict(img_path='images/val', seg_map_path='labels/val')", "{}", "DATA004", ".dataset.data_prefix.img_path"),
        ("size=(512, 512))", "size=(512, [512]))", "DATA006", ".data_preprocessor.size"),
        ("stride=(341, 341)", "stride=(341,)", "HEAD020", ".test_cfg.stride"),
        ("dict(type='ResNetV1c', depth=18)", "dict(type='MobileNetV2')", "HEAD015", ".decode_head.in_channels"),
        ("batch_size=1,", "batch_size=1, pin_memory='False',", "REG005", "val_dataloader.pin_memory"),
        ("batch_size=1,", "batch_size=1, persistent_workers=[False],", "REG108", "persistent_workers"),
        ("depth=18", "depth=18, in_channels=30", "HEAD030", ".backbone.in_channels"),
        ("train_cfg=dict(),", "train_cfg=dict(channels=16),", "HEAD029", ".train_cfg.channels"),
        ("val_cfg = dict(type='ValLoop')", "val_cfg = dict(mode='slide')", "REG002", "val_cfg.mode"),
        ("val_cfg =", "val_dataloader['dataset'] = None\nval_cfg =", "DATA037", "val_dataloader.dataset"),
    ],
)
def test_one_mistake_in_a_right_run_is_told(right: str, wrong: str, code: str, key: str, tmp_path: Path) -> None:
    assert found(tmp_path, RUN) == []
    assert RUN.count(right) == 1
    marks = found(tmp_path, RUN.replace(right, wrong))
    assert code in [mark[0] for mark in marks]
    assert any(mark[0] == code and mark[1].endswith(key) for mark in marks)


@pytest.mark.parametrize(
    ("dataset", "resize", "codes"),
    [
        # what leaves every image as it is: as long and as short sides as all have
        ("type='CityscapesDataset'", "type='Resize', scale=(1024, 2048), keep_ratio=True", []),
        ("type='CityscapesDataset'", "type='Resize', scale=(2048, 2048), keep_ratio=True", []),
        ("type='CityscapesDataset'", "type='Resize', scale=(1024, 2048)", ["DATA009"]),
        ("type='CityscapesDataset'", "type='Resize', scale=(512, 1024), keep_ratio=True", ["DATA009"]),
        # images of one's own in the folders of Cityscapes
        ("type='CityscapesDataset', metainfo=dict(classes=('a', 'b'))", "type='Resize', scale=(512, 512)", ["DATA041"]),
        ("type='ADE20KDataset'", "type='Resize', scale=(512, 512)", ["DATA009"]),
        # sides that may be right already
        ("type='CityscapesDataset'", "type='ResizeToMultiple', size_divisor=32", ["DATA041"]),
        ("type='BaseSegDataset'", "type='ResizeShortestEdge', scale=512, max_size=2048", ["DATA041"]),
        ("type='BaseSegDataset'", "type='Resize', scale=(512, 512), scale_factor=None", ["DATA041"]),
        ("type='BaseSegDataset'", "type='Resize', scale_factor=0.5", ["DATA009"]),
        ("type='BaseSegDataset'", "type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2.0)", ["DATA009"]),
    ],
)
def test_a_resize_of_labels_in_validation_is_an_error_where_it_surely_changes_a_size(
    dataset: str, resize: str, codes: list[str], tmp_path: Path
) -> None:
    text = (
        f"val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict({dataset}, pipeline=["
        f"dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict({resize}), dict(type='PackSegInputs')]))"
    )
    assert [code for code, _ in found(tmp_path, text) if code in ("DATA009", "DATA041")] == codes


@pytest.mark.parametrize(
    ("waiting", "codes"),
    [
        ("default_hooks = dict(logger=dict(type='LoggerHook', interval=50))", []),
        (
            "default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, save_best='auto'))",
            ["SCHED001"],
        ),
        ("custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]", ["SCHED001"]),
        ("param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater')]", ["SCHED001"]),
    ],
)
def test_an_interval_that_means_never_is_an_error_where_something_waits_for_a_validation(
    waiting: str, codes: list[str], tmp_path: Path
) -> None:
    loop = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=99999999)\n"
    assert [code for code, _ in found(tmp_path, loop + waiting) if code == "SCHED001"] == codes
