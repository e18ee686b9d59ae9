from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import Evaluator

from provecfg.counts.counts_file import read_counts, read_counts_file
from provecfg.plugin.hooks import ValidationCountsHook
from provecfg.plugin.hooks.atomic_backend import AtomicLocalBackend
from provecfg.plugin.metrics import SegCountsMetric
from tests.plugin.hooks.conftest import VAL_INTERVAL, ScriptedMetric, ToyRun, ToySegmentor

pytestmark = pytest.mark.stack

RISES_ONCE = (10.0, 40.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0)


class Segmentor(ToySegmentor):
    """The toy, whose predictions are those of a segmentor, too."""

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor, mode: str = "tensor") -> Any:
        results = super().forward(inputs, labels, mode)
        if mode != "predict":
            return results
        logits = self.conv(inputs)
        return [
            {
                **results[0],
                "img_path": f"/data/{index}.png",
                "pred_sem_seg": {"data": logits[index].argmax(0, keepdim=True)},
                "gt_sem_seg": {"data": labels[index : index + 1]},
                "seg_logits": {"data": logits[index]},
            }
            for index in range(len(inputs))
        ]


def counting_run(toy_run: Callable[..., ToyRun], scores: tuple[float, ...] = RISES_ONCE, **arguments: Any) -> ToyRun:
    """Both metrics at once: the script decides which validation is the best."""
    run = toy_run(scores=scores, patience=None, max_iters=VAL_INTERVAL * len(scores), **arguments)
    run.extra_hooks = [{"type": "ValidationCountsHook"}]
    _renew(run)
    return run


def _renew(run: ToyRun) -> None:
    run.overrides["model"] = Segmentor()
    run.overrides["val_evaluator"] = Evaluator([SegCountsMetric(prefix="seg"), ScriptedMetric(run.scores)])
    loader = run.loader("DefaultSampler")
    loader["dataset"].metainfo = {"classes": ("negative", "positive")}
    run.overrides["val_dataloader"] = loader


def kept(run: ToyRun) -> list[int]:
    return sorted(int(path.stem.rpartition("_")[2]) for path in (run.work_dir / "counts").iterdir())


def test_the_best_and_the_last_four_are_kept(toy_run: Callable[..., ToyRun]) -> None:
    run = counting_run(toy_run)
    run.train()
    assert kept(run) == [4, 14, 16, 18, 20]


def test_a_file_says_when_it_was_and_what_the_validation_gave(toy_run: Callable[..., ToyRun]) -> None:
    run = counting_run(toy_run, scores=(10.0, 20.0))
    run.train()
    file = read_counts_file(run.work_dir / "counts" / "seg_iter_4.npz")
    assert file.occasion.iteration == 4
    assert file.occasion.prefix == "seg"
    assert file.occasion.metrics["val/mIoU"] == 20.0
    assert file.occasion.parameters == sum(parameter.numel() for parameter in Segmentor().parameters())
    counts = read_counts(file.path)
    intersection, prediction, label = counts.totals.T
    iou = intersection / (prediction + label - intersection)
    assert file.occasion.metrics["seg/mIoU"] == pytest.approx(100 * iou.mean(), abs=0.005)
    assert label.sum() == 8 * 8 * 8
    assert counts.image_names.tolist() == [f"{index % 2}.png" for index in range(8)]
    logged = [json.loads(line) for line in next(run.work_dir.glob("*/vis_data/scalars.json")).read_text().splitlines()]
    assert [row["seg/mIoU"] for row in logged if "seg/mIoU" in row][-1] == file.occasion.metrics["seg/mIoU"]


def test_a_resumed_run_leaves_the_files_of_one_in_a_piece(toy_run: Callable[..., ToyRun]) -> None:
    whole, parts = counting_run(toy_run, name="whole"), counting_run(toy_run, name="parts")
    whole.train()
    parts.max_iters = 12
    parts.train()
    # A part that was trained beyond the checkpoint before the process died.
    (parts.work_dir / "counts" / "seg_iter_99.npz").write_bytes(b"of the life before")
    parts.max_iters = 20
    _renew(parts)
    parts.train(resume=True)
    assert kept(parts) == kept(whole)


def test_files_that_are_not_its_own_are_left_alone(toy_run: Callable[..., ToyRun]) -> None:
    run = counting_run(toy_run, scores=(10.0,) * 6)
    folder = run.work_dir / "counts"
    folder.mkdir()
    for name in ("notes.txt", "test_best.npz"):
        (folder / name).write_text("mine")
    run.train()
    assert {path.name for path in folder.iterdir()} == {
        "notes.txt",
        "test_best.npz",
        *(f"seg_iter_{step}.npz" for step in (2, 6, 8, 10, 12)),
    }


def test_a_disk_that_is_full_is_logged_and_training_goes_on(
    toy_run: Callable[..., ToyRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AtomicLocalBackend, contents: bytes, path: Path) -> None:
        if str(path).endswith(".npz"):
            raise OSError(28, "No space left on device")
        put(self, contents, path)

    put = AtomicLocalBackend.put
    monkeypatch.setattr(AtomicLocalBackend, "put", full)
    run = counting_run(toy_run, scores=(10.0, 20.0))
    assert run.train().iter == 4
    log = next(run.work_dir.glob("*/*.log")).read_text()
    assert "the counts of the validation at 4 are not kept: [Errno 28] No space left on device" in log


def test_without_the_metric_it_does_nothing(toy_run: Callable[..., ToyRun]) -> None:
    run = toy_run(scores=(10.0, 20.0), patience=None, max_iters=4)
    run.extra_hooks = [{"type": "ValidationCountsHook"}]
    run.train()
    assert not (run.work_dir / "counts").exists()


def test_keeping_none_is_refused() -> None:
    with pytest.raises(ValueError, match="keep_last is 0"):
        ValidationCountsHook(keep_last=0)
