from __future__ import annotations

import multiprocessing
import pickle
import socket
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

from provecfg.counts.calibration import BINARY, LOGITS, PIXELS, SCORES
from provecfg.plugin.metrics import SegCountsMetric
from provecfg.proof.stopping.evaluator_output import evaluator_output
from provecfg.results import scores
from tests.counts.label_maps import IGNORED, label_map, shifted

pytestmark = pytest.mark.stack

CLASSES = tuple(f"class {index}" for index in range(6))
ALL = ["mIoU", "mDice", "mFscore"]


def sample(seed: int, *, channels: str = "logits") -> SegDataSample:
    """A prediction that is a few pixels off, as mmseg's segmentors hand it to the metrics."""
    label = label_map(seed, 48, 64, 6, ignored=2, cells=12)
    # The last class is predicted and never labelled; the one before is neither.
    label[label == 5] = 0
    prediction = shifted(label, 2, 3)
    prediction[:3, :3] = 5
    label[label == 4] = prediction[prediction == 4] = 1
    scores = torch.randn(6, 48, 64, generator=torch.Generator().manual_seed(seed))
    scores.scatter_(0, torch.from_numpy(prediction)[None], 4.0)
    result = SegDataSample(metainfo={"img_path": f"/data/val/{seed}.jpg"})
    result.pred_sem_seg = PixelData(data=torch.from_numpy(prediction)[None])
    result.gt_sem_seg = PixelData(data=torch.from_numpy(label)[None])
    if channels == "logits":
        result.seg_logits = PixelData(data=scores)
    elif channels == "masks":
        result.seg_logits = PixelData(data=scores.sigmoid())
    return result


def evaluated(metric: IoUMetric, samples: list[SegDataSample], size: int | None = None) -> dict[str, float]:
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": CLASSES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of the class that is nowhere
        for start in range(0, len(samples), 2):
            evaluator.process(samples[start : start + 2])
        return evaluator.evaluate(size or len(samples))


SAMPLES = [sample(seed) for seed in range(5)]


@pytest.mark.parametrize("arguments", [{}, {"nan_to_num": 0}, {"beta": 2}, {"ignore_index": 1}])
def test_its_numbers_are_those_of_mmseg_under_the_same_names(arguments: dict[str, Any]) -> None:
    arguments = {"iou_metrics": ALL, "prefix": "val", **arguments}
    ours, theirs = evaluated(SegCountsMetric(**arguments), SAMPLES), evaluated(IoUMetric(**arguments), SAMPLES)
    assert list(ours) == list(theirs)
    assert ours == theirs
    assert ours["val/mIoU"] > 0


def test_it_logs_the_table_of_classes_that_mmseg_logs(caplog: pytest.LogCaptureFixture) -> None:
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    tables = []
    for metric in (SegCountsMetric(), IoUMetric()):
        caplog.clear()
        evaluated(metric, SAMPLES)
        tables.append([record.message for record in caplog.records if "Class" in record.message])
    logger.removeHandler(caplog.handler)
    assert tables[0] == tables[1] != []


def test_what_it_counts_of_an_image_is_what_mmseg_counts() -> None:
    metric = SegCountsMetric()
    evaluated(metric, SAMPLES)
    counts = metric.counts
    assert counts is not None
    regions = counts.of_images(counts.regions)
    for index, data in enumerate(SAMPLES):
        theirs = IoUMetric.intersect_and_union(data.pred_sem_seg.data[0], data.gt_sem_seg.data[0], 6, IGNORED)
        intersection, union, prediction, label = (area.numpy().astype(np.int64) for area in theirs)
        assert regions[index].T.tolist() == [intersection.tolist(), prediction.tolist(), label.tolist()]
        assert (union == prediction + label - intersection).all()


def test_scores_recomputed_from_the_counts_are_those_of_mmseg() -> None:
    """To 1e-6, before mmseg rounds; its sums are of 32 bits."""
    metric = SegCountsMetric()
    evaluated(metric, SAMPLES)
    areas = [
        IoUMetric.intersect_and_union(data.pred_sem_seg.data[0], data.gt_sem_seg.data[0], 6, IGNORED)
        for data in SAMPLES
    ]
    theirs = IoUMetric.total_area_to_metrics(*map(sum, zip(*areas, strict=True)), metrics=["mIoU"])
    assert metric.counts is not None
    assert scores.class_iou(metric.counts.totals) == pytest.approx(100 * theirs["IoU"], rel=1e-6, nan_ok=True)
    assert scores.class_accuracy(metric.counts.totals) == pytest.approx(100 * theirs["Acc"], rel=1e-6, nan_ok=True)
    ours = {score.key: score.score(metric.counts) for score in scores.METRICS}
    assert ours["mIoU"] == pytest.approx(100 * np.nanmean(theirs["IoU"]), rel=1e-6)
    assert ours["mAcc"] == pytest.approx(100 * np.nanmean(theirs["Acc"]), rel=1e-6)
    assert ours["aAcc"] == pytest.approx(100 * theirs["aAcc"], rel=1e-6)
    assert ours["mIoU_labelled"] > ours["mIoU"], "a class that is predicted and never labelled is in the one alone"


def test_boundaries_are_counted_unless_that_is_not_wanted() -> None:
    with_bands, without = SegCountsMetric(), SegCountsMetric(boundaries=False)
    assert evaluated(with_bands, SAMPLES) == evaluated(without, SAMPLES)
    assert with_bands.counts is not None
    assert without.counts is not None
    band = with_bands.counts.band_totals(0.02)
    assert band is not None
    assert 0 < band.sum() < with_bands.counts.totals.sum()
    assert without.counts.band_totals(0.02) is None


@pytest.mark.parametrize(("channels", "source"), [("logits", LOGITS), ("masks", SCORES)])
def test_confidences_are_counted_on_a_grid(channels: str, source: str) -> None:
    metric = SegCountsMetric(calibration_pixels=48 * 64 // 16)
    evaluated(metric, [sample(seed, channels=channels) for seed in range(3)])
    assert metric.counts is not None
    assert metric.counts.calibration_sources == {source: 3}
    grid = [sample(seed).gt_sem_seg.data[0, 2::4, 2::4] for seed in range(3)]
    assert metric.counts.calibration[..., PIXELS].sum() == sum(int((part != IGNORED).sum()) for part in grid)


def test_without_scores_or_a_wish_no_confidences_are_counted() -> None:
    for metric, channels in ((SegCountsMetric(), "none"), (SegCountsMetric(calibration_pixels=0), "logits")):
        evaluated(metric, [sample(1, channels=channels)])
        assert metric.counts is not None
        assert metric.counts.calibration.size == 0
        assert metric.counts.calibration_sources == {}


def test_a_single_channel_is_a_probability() -> None:
    """mmseg hands on the sigmoid of a binary head's logits, and a prediction that is a float."""
    data = SegDataSample(metainfo={"img_path": "a.png"})
    data.seg_logits = PixelData(data=torch.tensor([[[0.9, 0.2]]]))
    data.pred_sem_seg = PixelData(data=torch.tensor([[[1.0, 0.0]]]))
    data.gt_sem_seg = PixelData(data=torch.tensor([[[1, 1]]]))
    metric = SegCountsMetric()
    evaluated(metric, [data])
    assert metric.counts is not None
    assert metric.counts.calibration_sources == {BINARY: 1}
    assert metric.counts.calibration[0, 11].tolist() == [1, 0, 800_000]
    assert metric.counts.calibration[1, 13].tolist() == [1, 1, 900_000]


def test_predictions_are_written_as_mmseg_writes_them(tmp_path: Path) -> None:
    for metric, folder in ((SegCountsMetric, "ours"), (IoUMetric, "theirs")):
        evaluated(metric(output_dir=str(tmp_path / folder)), SAMPLES)
    for data in SAMPLES:
        name = f"{Path(data.img_path).stem}.png"
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_a_test_set_without_labels_is_only_formatted(tmp_path: Path) -> None:
    metric = SegCountsMetric(format_only=True, output_dir=str(tmp_path))
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = {"classes": CLASSES}
    data = sample(1)
    del data.gt_sem_seg
    evaluator.process([data])
    assert metric.counts is None
    assert (tmp_path / "1.png").is_file()


def test_an_argument_that_it_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="iou_metric"):
        METRICS.build({"type": "SegCountsMetric", "iou_metric": ["mIoU"]})
    with pytest.raises(ValueError, match="calibration_pixels is -1"):
        SegCountsMetric(calibration_pixels=-1)


def test_a_proof_knows_what_it_gives_and_makes_it_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = []
    for kind in ("SegCountsMetric", "IoUMetric"):
        evaluator = {"type": kind, "iou_metrics": ["mIoU"], "prefix": "val"}
        dataset = {"type": "CityscapesDataset"}
        config = Config({"val_evaluator": evaluator, "val_dataloader": {"dataset": dataset}})
        with DefaultScope.overwrite_default_scope("mmseg"):
            outputs.append(evaluator_output(config, tmp_path))
    assert outputs[0] == outputs[1]
    assert outputs[0].perfect["val/mIoU"] == 100
    assert list(tmp_path.iterdir()) == []


def _evaluate_part(rank: int, port: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    metric = SegCountsMetric()
    # Five images for two processes: the last is given twice, as DefaultSampler does, and counts once.
    part = [*SAMPLES, SAMPLES[0]][rank::2]
    metrics = evaluated(metric, part, size=len(SAMPLES))
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps((metrics, metric.counts)))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_count_what_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # mmengine collects results in a folder of the current one
    torch.set_num_threads(1)  # lets the process be forked
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's, of forking beside threads
        processes = [context.Process(target=_evaluate_part, args=(rank, port, tmp_path)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
    first, second = (pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in range(2))
    alone = SegCountsMetric()
    metrics = evaluated(alone, SAMPLES)
    assert first[0] == second[0] == metrics
    assert second[1] is None
    assert alone.counts is not None
    assert first[1].image_names.tolist() == alone.counts.image_names.tolist()
    assert np.array_equal(first[1].regions, alone.counts.regions)
    assert np.array_equal(first[1].band_sums, alone.counts.band_sums)
    assert np.array_equal(first[1].calibration, alone.counts.calibration)
