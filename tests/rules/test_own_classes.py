"""Right configs whose parts are the user's own, or stand where few people put them: no error, and no fix of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.findings import Applicability, Severity
from provecfg.mmconfig import read_config
from provecfg.rules import judge

OWN = """
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.registry import FUNCTIONS
from mmengine.runner import IterBasedTrainLoop
from mmseg.datasets import BaseSegDataset
from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor, UNet
from mmseg.registry import DATASETS, LOOPS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS

KEYS = ("img_path_ir", "rgb_path")
THREE = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])

@DATASETS.register_module()
class ListsItsOwnWay(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    def load_data_list(self):
        return [dict(img_path=self.data_prefix[key]) for key in KEYS]

@DATASETS.register_module()
class StacksImages(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    def prepare_data(self, index):
        return stacked(super().prepare_data(index))

@DATASETS.register_module()
class TwoOfThree(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    def __init__(self, **kwargs):
        kwargs["metainfo"] = dict(classes=("a", "b"))
        super().__init__(**kwargs)

@DATASETS.register_module()
class Three(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])

@DATASETS.register_module()
class HandsNothingOn(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    def __init__(self, data_root, pipeline):
        super().__init__(data_root=data_root, pipeline=pipeline)

@DATASETS.register_module()
class SetsCrops(BaseSegDataset):
    METAINFO = dict(classes=("a", "b", "c"), palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    def __init__(self, pipeline, crop, **kwargs):
        super().__init__(pipeline=[*pipeline[:2], dict(pipeline[2], **{"crop_size": crop}), *pipeline[3:]], **kwargs)

@DATASETS.register_module()
class Packs:
    def __init__(self, dataset):
        self.dataset = DATASETS.build(dataset)

@TRANSFORMS.register_module()
class MergeLabels(BaseTransform):
    def transform(self, results):
        results["gt_seg_map"] = results["gt_seg_map"] > 0
        return results

@MODELS.register_module()
class OfManyLosses(FCNHead):
    def __init__(
        self,
        loss_decode_modal=None,
        loss_decode_head=None,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
        **kwargs
    ):
        self.loss_weight = 1.0
        super().__init__(loss_decode=loss_decode, **kwargs)

@MODELS.register_module()
class Weighs(FCNHead):
    def __init__(self, loss_decode, weight, **kwargs):
        super().__init__(loss_decode=dict(loss_decode, **{"loss_weight": weight}), **kwargs)

@MODELS.register_module()
class WeighsByAttribute(FCNHead):
    def __init__(self, loss_decode, weight, **kwargs):
        loss_decode.loss_weight = weight
        super().__init__(loss_decode=loss_decode, **kwargs)

@MODELS.register_module()
class WeighsByUpdate(FCNHead):
    def __init__(self, loss_decode, weight, **kwargs):
        loss_decode.update(loss_weight=weight)
        super().__init__(loss_decode=loss_decode, **kwargs)

@MODELS.register_module()
class AddsEdges(SegDataPreProcessor):
    def forward(self, data, training=False):
        return with_edges(super().forward(data, training))

@MODELS.register_module()
class TwoBackbones(EncoderDecoder):
    def __init__(self, backbone, **kwargs):
        super().__init__(backbone["rgb"], **kwargs)

@MODELS.register_module(force=True)
class UNet(UNet):
    def forward(self, x):
        return super().forward(x)[::-1]

@LOOPS.register_module()
class TwoLoaders(IterBasedTrainLoop):
    def __init__(self, runner, dataloader, max_iters, **kwargs):
        super().__init__(runner, runner.build_dataloader(dataloader["labeled"]), max_iters, **kwargs)

@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OfTwo:
    def __call__(self, model):
        return built(model)
"""
HEAD = """\
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
custom_imports = dict(imports=['own'])
model = dict(auxiliary_head=None)
"""
LOADS = "dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')"
THREE = (
    "_delete_=True, data_root='d', data_prefix=dict(img_path='a', seg_map_path='b'), pipeline={{_base_.train_pipeline}}"
)

RIGHT = {
    "keys that its own dataset reads": "train_dataloader = dict(dataset=dict(_delete_=True, type='ListsItsOwnWay', "
    "data_prefix=dict(img_path_ir='i', rgb_path='r', seg_map_path='s'), pipeline={{_base_.train_pipeline}}))\n"
    "model = dict(auxiliary_head=None, decode_head=dict(num_classes=3))",
    "classes that a constructor leaves": "model = dict(auxiliary_head=None, decode_head=dict(num_classes=2))\n"
    f"train_dataloader = dict(dataset=dict(type='TwoOfThree', {THREE}))",
    "labels that its own transform merges": "model = dict(auxiliary_head=None, decode_head=dict(num_classes=2))\n"
    "train_dataloader = dict(dataset=dict(_delete_=True, type='Three', data_root='d', data_prefix=dict(img_path='a', "
    f"seg_map_path='b'), pipeline=[{LOADS}, dict(type='MergeLabels'), dict(type='RandomCrop', crop_size=(512, 1024)), "
    "dict(type='PackSegInputs')]))",
    "channels of a file": "model = dict(auxiliary_head=None, backbone=dict(in_channels=4), "
    "data_preprocessor=dict(mean=None, std=None, bgr_to_rgb=False))\ntrain_dataloader = dict(dataset=dict(pipeline=["
    "dict(type='LoadImageFromFile', imdecode_backend='tifffile'), dict(type='LoadAnnotations'), "
    "dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='PackSegInputs')]))",
    "channels that a preprocessor adds": "model = dict(auxiliary_head=None, backbone=dict(in_channels=4), "
    "data_preprocessor=dict(type='AddsEdges'))",
    "channels that a dataset stacks": "model = dict(auxiliary_head=None, backbone=dict(in_channels=4), "
    f"decode_head=dict(num_classes=3))\ntrain_dataloader = dict(dataset=dict(type='StacksImages', {THREE}))",
    "positions of crops that are larger than the padding": "model = dict(auxiliary_head=None, data_preprocessor=dict("
    "size=(256, 512)), backbone=dict(_delete_=True, type='MAE', img_size=(512, 1024), patch_size=16, embed_dims=768, "
    "num_layers=12, num_heads=12, out_indices=[3, 5, 7, 11]), decode_head=dict(in_channels=768))",
    "one window": "model = dict(auxiliary_head=None, data_preprocessor=dict(test_cfg=dict(size_divisor=32)), "
    "test_cfg=dict(mode='slide', crop_size=(1024, 2048), stride=(512, 1024)), decode_head=dict(_delete_=True, "
    "type='Mask2FormerHead', in_channels=[256, 512, 1024, 2048], feat_channels=256, out_channels=256, num_classes=19, "
    "num_queries=100, num_transformer_feat_level=3))",
    "windows over images that its own transform makes": "model = dict(auxiliary_head=None, test_cfg=dict(mode='slide', "
    "crop_size=(677, 1024), stride=(768, 768)))\nval_dataloader = dict(dataset=dict(pipeline=[dict("
    "type='LoadImageFromFile'), dict(type='MergeLabels'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))",
    "loaders of its own loop": "train_cfg = dict(_delete_=True, type='TwoLoaders', max_iters=40000, "
    "val_interval=4000)\ntrain_dataloader = dict(_delete_=True, labeled={{_base_.train_dataloader}}, "
    "unlabeled={{_base_.train_dataloader}})",
    "batch sizes of its own loop": "train_cfg = dict(_delete_=True, type='TwoLoaders', max_iters=40000, "
    "val_interval=400)\ntrain_dataloader = dict(batch_size=[2, 2])",
    "boxes beside labels": f"train_dataloader = dict(dataset=dict(pipeline=[{LOADS}, "
    "dict(type='mmdet.LoadAnnotations', with_bbox=True, with_seg=False), dict(type='RandomCrop', crop_size=(512, "
    "1024)), dict(type='RandomFlip', "
    "prob=0.5), dict(type='PackSegInputs')]))",
    "labels of the size that they have on disk": "train_dataloader = dict(dataset=dict(pipeline=[dict("
    "type='LoadImageFromFile'), dict(type='Resize', scale=(1024, 512)), dict(type='LoadAnnotations'), dict("
    "type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]))",
    "labels of the size that images are brought to": "train_dataloader = dict(dataset=dict(pipeline=[dict("
    "type='LoadImageFromFile'), dict(type='Resize', scale=(1024, 512)), dict(type='LoadAnnotations'), dict("
    "type='RandomCrop', crop_size=(512, 1024)), dict(type='PackSegInputs')]))",
    "labels of the size that all images have": "val_dataloader = dict(dataset=dict(pipeline=[dict("
    "type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='Resize', scale=(2048, 1024)), dict("
    "type='PackSegInputs')]))",
    "no validation": "train_cfg = dict(val_interval=99999999)",
    "labels resized twice": f"train_dataloader = dict(dataset=dict(pipeline=[{LOADS}, dict(type='LoadAnnotations'), "
    "dict(type='Resize', scale=(1024, 512), keep_ratio=False), dict(type='PackSegInputs')]))",
    "maps of its own UNet": "model = dict(auxiliary_head=None, backbone=dict(_delete_=True, type='UNet', "
    "base_channels=64, num_stages=5), decode_head=dict(in_channels=64, in_index=0))",
    "an evaluator that mmengine names": "val_evaluator = dict(_delete_=True, metrics=[dict(type='IoUMetric', "
    "iou_metrics=['mIoU'])])",
    "backbones of its own segmentor": "model = dict(type='TwoBackbones', auxiliary_head=None, backbone=dict("
    "_delete_=True, rgb=dict(type='ResNetV1c', depth=18), depth=dict(type='ResNetV1c', depth=18)), decode_head=dict("
    "in_channels=4096))",
    **{
        f"a weight that its own head sets: {loss}": "model = dict(auxiliary_head=None, decode_head=dict(type='Weighs', "
        f"weight=2.0, loss_decode=dict(_delete_=True, type={loss})))"
        for loss in (
            "'DiceLoss', use_sigmoid=False, loss_weight='auto'",  # which is refused in trials
            "'CrossEntropyLoss', loss_weight='auto'",  # is of another kind
            "'FocalLoss', loss_weight='auto'",  # is asserted
        )
    },
    **{
        f"a weight that {head} sets": f"model = dict(auxiliary_head=None, decode_head=dict(type='{head}', "
        "weight=2.0, loss_decode=dict(_delete_=True, type='CrossEntropyLoss', loss_weight='auto')))"
        for head in ("WeighsByAttribute", "WeighsByUpdate")
    },
    "an argument that its own dataset sets": "model = dict(auxiliary_head=None, decode_head=dict(num_classes=3))\n"
    "train_dataloader = dict(dataset=dict(_delete_=True, type='SetsCrops', crop=(512, 1024), pipeline=["
    f"{LOADS}, dict(type='RandomCrop'), dict(type='PackSegInputs')]))",
    "a section of its own constructor": "optim_wrapper = dict(_delete_=True, constructor='OfTwo', generator=dict("
    "type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4)), disc=dict(type='OptimWrapper', optimizer=dict("
    "type='Adam', lr=1e-4)))",
    "a key that a backbone takes out": "model = dict(auxiliary_head=None, backbone=dict(dcn=dict(type='DCNv2', "
    "deform_groups=1, fallback_on_stride=False), stage_with_dcn=(False, True, True, True)))",
    "a collate function that packs": "train_dataloader = dict(collate_fn=dict(type='packed'), dataset=dict(pipeline=["
    f"{LOADS}, dict(type='RandomCrop', crop_size=(512, 1024))]))",
    "a wrapper that packs": "train_dataloader = dict(dataset=dict(_delete_=True, type='Packs', dataset=dict("
    "type='CityscapesDataset', data_root='d', data_prefix=dict(img_path='a', seg_map_path='b'), pipeline=["
    f"{LOADS}, dict(type='RandomCrop', crop_size=(512, 1024))])))",
    "labels loaded within a choice": "train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), "
    "dict(type='RandomChoice', transforms=[[dict(type='LoadAnnotations', reduce_zero_label=False)], "
    "[dict(type='LoadAnnotations')]]), dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='PackSegInputs')]))",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module of own classes is beside the configs."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN, encoding="utf-8")
    return folder


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_is_the_users_own_is_no_error(text: str, folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(HEAD + text + "\n", encoding="utf-8")
    view = read_config(path)
    errors = [finding for finding in (*view.problems, *judge(view)) if finding.severity is Severity.ERROR]
    assert [(error.code, error.key, error.message) for error in errors] == []


def test_what_an_own_class_does_not_hand_on_to_its_parent_is_told_so(folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(HEAD + "train_dataloader = dict(dataset=dict(type='HandsNothingOn'))\n", encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.severity is Severity.ERROR)
    assert error.message.startswith("HandsNothingOn takes no argument 'data_prefix': cityscapes.py sets it")
    assert error.hint == (
        "let HandsNothingOn take **kwargs and hand them to BaseSegDataset, which takes it; or, with _delete_=True, "
        "set here all that it needs"
    )


def test_what_an_own_class_sets_by_default_alone_is_judged_in_its_place(folder: Path) -> None:
    path = folder / "config.py"
    loss = "loss_decode=dict(_delete_=True, type='CrossEntropyLoss', loss_weight='auto')"
    head = f"dict(type='OfManyLosses', {loss})"
    path.write_text(HEAD + f"model = dict(auxiliary_head=None, decode_head={head})\n", encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.severity is Severity.ERROR)
    assert (error.code, error.key) == ("REG108", "model.decode_head.loss_decode.loss_weight")


def test_a_checkpoint_hook_that_counts_epochs_saves_the_best_all_the_same(folder: Path) -> None:
    path = folder / "config.py"
    hook = "default_hooks = dict(checkpoint=dict(by_epoch=True, save_best='mIoU'))\n"
    path.write_text(HEAD + hook, encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.severity is Severity.ERROR)
    assert error.code == "SCHED012"
    assert error.message.endswith("nothing but the best is saved before the end")


def test_a_number_without_end_is_not_printed_whole(folder: Path) -> None:
    path = folder / "config.py"
    text = f"model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512), stride=({'9' * 400}, 1)))\n"
    path.write_text(HEAD + text, encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.code == "HEAD020")
    assert len(error.message) < 150


def test_what_may_stand_for_a_required_argument_is_not_dropped(folder: Path) -> None:
    path = folder / "config.py"
    path.write_text("train_cfg = dict(type='EpochBasedTrainLoop', max_iters=12)\n", encoding="utf-8")
    told = {finding.code: finding for finding in judge(read_config(path))}
    assert {"REG002", "REG004"} <= told.keys()
    assert told["REG002"].hint == "EpochBasedTrainLoop needs max_epochs"
    assert told["REG002"].fix is None


def test_the_preprocessor_of_another_library_is_not_judged_as_mmsegs(folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(
        "from mmengine.config import read_base\nfrom mmpretrain.models import SelfSupDataPreprocessor\n"
        "data_preprocessor = dict(type=SelfSupDataPreprocessor, mean=[123.675, 116.28, 103.53], to_rgb=True)\n",
        encoding="utf-8",
    )
    assert [finding.code for finding in judge(read_config(path)) if finding.severity is not Severity.NOTE] == []


@pytest.mark.parametrize(
    ("written", "message", "is_safe"),
    [
        ("loss_decode_modl", "rename it to 'loss_decode_modal'", False),
        ("loss_decode_similar_2", None, False),
        ("ignore_label", "rename it to 'ignore_index'", False),
        ("concat_inputs", "rename it to 'concat_input'", True),
    ],
)
def test_a_name_is_renamed_to_one_that_it_misspells(
    written: str, message: str | None, is_safe: bool, folder: Path
) -> None:
    path = folder / "config.py"
    head = f"dict(type='OfManyLosses', {written}=0)"
    path.write_text(HEAD + f"model = dict(auxiliary_head=None, decode_head={head})\n", encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.code == "REG002")
    assert (error.fix and error.fix.message) == message
    assert (error.fix is not None and error.fix.applicability is Applicability.SAFE) == is_safe


@pytest.mark.parametrize(("listed", "is_mended"), [("'mDice'", True), ("'mIoU'", False)])
def test_a_metric_is_not_renamed_to_one_that_is_listed_already(listed: str, is_mended: bool, folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(HEAD + f"val_evaluator = dict(iou_metrics=[{listed}, 'mFwIoU'])\n", encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.key == "val_evaluator.iou_metrics[1]")
    assert (error.fix is not None) == is_mended


@pytest.mark.parametrize(("written", "meant"), [("lr_mul", "lr_mult"), ("dacay_mult", "decay_mult"), ("wd_mult", None)])
def test_a_multiplier_is_renamed_to_one_that_it_misspells(written: str, meant: str | None, folder: Path) -> None:
    path = folder / "config.py"
    groups = f"optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict({written}=0.0))))\n"
    path.write_text(HEAD + groups, encoding="utf-8")
    (warning,) = (finding for finding in judge(read_config(path)) if finding.code == "RUN002")
    assert (warning.fix and warning.fix.message) == (meant and f"rename it to {meant!r}")


def test_of_two_misspellings_of_a_metric_one_is_mended(folder: Path) -> None:
    path = folder / "config.py"
    path.write_text(HEAD + "val_evaluator = dict(iou_metrics=['miou', 'MIOU'])\n", encoding="utf-8")
    errors = [finding for finding in judge(read_config(path)) if finding.code == "DATA011"]
    assert [error.fix is not None for error in errors] == [True, False]


@pytest.mark.parametrize("written", ["__delete__", "delete", "_Delete_"])
def test_a_misspelt_delete_is_renamed_and_what_it_would_lose_is_not_told(written: str, folder: Path) -> None:
    path = folder / "config.py"
    optimizer = f"optim_wrapper = dict(optimizer=dict({written}=True, type='AdamW', lr=1e-4))\n"
    path.write_text(HEAD + optimizer, encoding="utf-8")
    (error,) = (finding for finding in judge(read_config(path)) if finding.code == "REG002")
    assert error.key == f"optim_wrapper.optimizer.{written}"
    assert error.fix is not None
    assert error.fix.message == "rename it to '_delete_'"


FORK = """
import torch
from mmseg.evaluation import IoUMetric
from mmseg.models import BaseSegmentor, EncoderDecoder, FCNHead
from mmseg.registry import METRICS, MODELS
from my_heads import MaskHead

@MODELS.register_module(force=True)
class EncoderDecoder(EncoderDecoder):
    def inference(self, inputs, metas):
        return self.by_windows(inputs, metas) if self.test_cfg.mode == "windows" else super().inference(inputs, metas)

@METRICS.register_module(force=True)
class IoUMetric(IoUMetric):
    def compute_metrics(self, results):
        if "Kappa" in self.metrics:
            return kappa_of(results)
        metrics = super().compute_metrics(results)
        metrics["IoU_of_class"] = metrics["mIoU"]
        return dict(metrics, **{f"{name}_IoU": 0 for name in self.dataset_meta["classes"]})

@MODELS.register_module()
class OfPairs(EncoderDecoder):
    def loss(self, inputs, data_samples):
        maps = [torch.cat(pair, dim=1) for pair in zip(*map(self.extract_feat, inputs.chunk(2, dim=1)))]
        return self.decode_head.loss(maps, data_samples, self.train_cfg)

@MODELS.register_module()
class AddsALoss(EncoderDecoder):
    def loss(self, inputs, data_samples):
        losses = dict(super().loss(inputs, data_samples))
        return dict(losses, loss_edges=edges(inputs))

@MODELS.register_module()
class HandsAllOn(EncoderDecoder):
    def loss(self, *args, **kwargs):
        losses = super().loss(*args, **kwargs)
        losses["loss_edges"] = edges(*args)
        return losses

@MODELS.register_module()
class AddsALossNow(EncoderDecoder):
    def loss(self, inputs, data_samples):
        return super().loss(inputs, data_samples) if self.training else fused(inputs)

@MODELS.register_module()
class FusesFeatures(EncoderDecoder):
    def extract_feat(self, inputs):
        return fused(super().extract_feat(inputs))

@MODELS.register_module()
class WidensInPlace(EncoderDecoder):
    def _decode_head_forward_train(self, inputs, data_samples):
        inputs[-1] = wide(inputs[-1])
        return super()._decode_head_forward_train(inputs, data_samples)

@MODELS.register_module()
class WidensByAMethod(EncoderDecoder):
    def _decode_head_forward_train(self, inputs, data_samples):
        inputs.append(wide(inputs.pop()))
        return super()._decode_head_forward_train(inputs, data_samples)

@MODELS.register_module()
class FindsEdges(EncoderDecoder):
    def loss(self, inputs, data_samples):
        for sample in data_samples:
            sample.gt_edge_map = edges_of(sample)
        return super().loss(inputs, data_samples)

@MODELS.register_module()
class StacksItself(BaseSegmentor):
    def predict(self, inputs, data_samples=None):
        return [self.of(image) for image in inputs]

@MODELS.register_module()
class NoSegmentor(torch.nn.Module):
    def __init__(self, decode_head, **kwargs):
        super().__init__()
        self.decode_head = MODELS.build(decode_head)
        self.rest = kwargs

@MODELS.register_module()
class OfSegmentor(EncoderDecoder):
    def __init__(self, segmentor, data_preprocessor, backbone=None, decode_head=None, auxiliary_head=None, **kwargs):
        super().__init__(data_preprocessor=data_preprocessor, **segmentor)

@MODELS.register_module()
class OfMasks(FCNHead):
    def loss_by_feat(self, seg_logits, batch_data_samples):
        return {loss.loss_name: loss(with_none(seg_logits), masks_of(batch_data_samples)) for loss in self.loss_decode}

@MODELS.register_module()
class CountsToo(FCNHead):
    def loss_by_feat(self, seg_logits, batch_data_samples):
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
        losses["accuracy"] = accuracy_of(seg_logits)
        return losses

@MODELS.register_module()
class AddsAClass(FCNHead):
    def __init__(self, num_classes, **kwargs):
        super().__init__(num_classes=num_classes + 1, **kwargs)

@MODELS.register_module()
class AddsAClassBefore(FCNHead):
    def __init__(self, num_classes, **kwargs):
        num_classes += 1
        super().__init__(num_classes=num_classes, **kwargs)

@MODELS.register_module()
class AddsAClassByName(FCNHead):
    def __init__(self, num_classes, **kwargs):
        FCNHead.__init__(self, num_classes=num_classes + 1, **kwargs)

@MODELS.register_module()
class AddsAClassToAll(FCNHead):
    def __init__(self, **kwargs):
        kwargs["num_classes"] += 1
        super().__init__(**kwargs)

@MODELS.register_module()
class HandsOnClasses(FCNHead):
    def __init__(self, num_classes, depth=1, **kwargs):
        super().__init__(num_classes=num_classes, **kwargs)
        self.depth = depth

@MODELS.register_module()
class OfQueries(MaskHead):
    def __init__(self, feat_channels, out_channels, **kwargs):
        super().__init__(**kwargs)
"""
OF_A_FORK = {
    "a mode": ("model = dict(test_cfg=dict(mode='windows'))", "model = dict(test_cfg=dict(mode='window'))"),
    "a metric": ("val_evaluator = dict(iou_metrics=['Kappa'])", "val_evaluator = dict(iou_metrics=['Kapa'])"),
    **{
        f"what a metric gives: {name}": (
            f"default_hooks = dict(checkpoint=dict(save_best='{name}', rule='greater'))",
            "default_hooks = dict(checkpoint=dict(save_best='IoU_of_classes', rule='greater'))",
        )
        for name in ("IoU_of_class", "traffic_light_IoU")
    },
    "what a metric gives, behind its prefix": tuple(
        "val_evaluator = dict(prefix='val')\n"
        f"default_hooks = dict(checkpoint=dict(save_best='{prefix}IoU_of_class', rule='greater'))"
        for prefix in ("val/", "")
    ),
    "what a metric gives, for a scheduler": (
        "param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='IoU_of_class', rule='greater')]",
        "param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='IoU_of_classes', rule='greater')]",
    ),
    "what a metric gives, beside another name": (
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='IoU_of_class', rule='greater')]",
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='IoU_of_class', rule='greater')]\n"
        "default_hooks = dict(checkpoint=dict(save_best='mIuO', rule='greater'))",
    ),
    "channels of a segmentor that is not found": (
        "model = dict(type='elsewhere.Segmentor', decode_head=dict(in_channels=4096))",
        "model = dict(decode_head=dict(in_channels=4096))",
    ),
    "channels of pairs": (
        "model = dict(type='OfPairs', decode_head=dict(in_channels=4096))",
        "model = dict(decode_head=dict(in_channels=4096))",
    ),
    **{
        f"channels that {own} may change": tuple(
            f"model = dict(type='{segmentor}', decode_head=dict(in_channels=4096))" for segmentor in (own, plain)
        )
        for own, plain in (
            ("AddsALossNow", "AddsALoss"),
            ("FusesFeatures", "HandsAllOn"),
            ("WidensInPlace", "AddsALoss"),
            ("WidensByAMethod", "AddsALoss"),
        )
    },
    **{
        f"a weight for no class of {heads[0]}": tuple(
            f"model = dict(auxiliary_head=None, decode_head=dict(type='{head}', loss_decode=dict("
            "type='CrossEntropyLoss', class_weight=[1.0] * 19 + [0.1])))"
            for head in heads
        )
        for heads in (
            ("OfMasks", "CountsToo"),
            ("AddsAClass", "HandsOnClasses"),
            ("AddsAClassBefore", "HandsOnClasses"),
            ("AddsAClassByName", "HandsOnClasses"),
            ("AddsAClassToAll", "HandsOnClasses"),
        )
    },
    "edges that the segmentor finds": tuple(
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), "
        "dict(type='RandomCrop', crop_size=(512, 1024)), dict(type='PackSegInputs')]))\n"
        f"model = dict(type='{segmentor}', auxiliary_head=None, decode_head=dict(_delete_=True, type='PIDHead', "
        "in_channels=2048, channels=128, num_classes=19, loss_decode=[dict(type='CrossEntropyLoss')] * 4))"
        for segmentor in ("FindsEdges", "EncoderDecoder")
    ),
    "a loss that nothing calls": tuple(
        f"model = dict(type='{model}', decode_head=dict(loss_decode=dict(class_weight=[1.0, 2.0])))"
        for model in ("NoSegmentor", "AddsALoss")
    ),
    "images that are not stacked": (
        "val_dataloader = dict(batch_size=2, dataset=dict(type='ADE20KDataset'))\n"
        "model = dict(_delete_=True, type='StacksItself')\ndata_preprocessor = None",
        "val_dataloader = dict(batch_size=2, dataset=dict(type='ADE20KDataset'))",
    ),
    "a preprocessor of the top level": (
        "model = dict(_delete_=True, type='OfSegmentor', segmentor=dict())",
        "model = dict(_delete_=True, type='OfSegmentor')",
    ),
    "a head of another kind": (
        "model = dict(decode_head=dict(_delete_=True, type='OfQueries', feat_channels=256, out_channels=256, "
        "num_classes=19))",
        "model = dict(decode_head=dict(out_channels=256))",
    ),
}


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a module that replaces classes of the release is beside the configs."""
    folder = tmp_path_factory.mktemp("fork")
    (folder / "own.py").write_text(FORK, encoding="utf-8")
    return folder


@pytest.mark.parametrize(("right", "wrong"), OF_A_FORK.values(), ids=OF_A_FORK)
def test_what_a_fork_adds_to_a_class_is_known_and_its_misspelling_an_error(right: str, wrong: str, fork: Path) -> None:
    def errors(text: str) -> list[str]:
        (fork / "config.py").write_text(HEAD + text + "\n", encoding="utf-8")
        view = read_config(fork / "config.py")
        return [finding.code for finding in (*view.problems, *judge(view)) if finding.severity is Severity.ERROR]

    assert errors(right) == []
    assert errors(wrong)


COPY = """
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS

@METRICS.register_module()
class IoUMetric(BaseMetric):
    def __init__(self, iou_metrics=["mIoU"], prefix=None, **kwargs):
        super().__init__(prefix=prefix, **kwargs)
        self.metrics = iou_metrics

    def compute_metrics(self, results):
        areas = {"aAcc": total(results)}
        for metric in self.metrics:
            if metric not in ["mIoU", "mDice", "mFscore"]:
                raise KeyError(metric)
            areas.update({"IoU": iou(results)} if metric == "mIoU" else {"Dice": dice(results)})
        return {"m" + "_".join(key.split("_")): value for key, value in areas.items()}
"""


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("val_evaluator = dict(iou_metrics=['IoU'])", "DATA011"),
        ("default_hooks = dict(checkpoint=dict(save_best='Dice'))", "STOP013"),
        ("default_hooks = dict(checkpoint=dict(save_best='mDice'))", "STOP013"),
        ("default_hooks = dict(checkpoint=dict(save_best='best'))", "STOP013"),
    ],
)
def test_what_every_copy_of_a_class_names_is_nothing_that_a_fork_adds(text: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(COPY, encoding="utf-8")
    path = tmp_path / "config.py"
    path.write_text(HEAD + text + "\n", encoding="utf-8")
    assert code in {finding.code for finding in judge(read_config(path)) if finding.severity is Severity.ERROR}
