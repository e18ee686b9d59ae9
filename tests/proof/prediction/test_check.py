"""What the validation and the test read, predicted by a small real model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.evaluator import BaseMetric

from provecfg.proof.declared.construction import build_declared
from provecfg.proof.prediction import check as prediction
from provecfg.proof.prediction.predicted import shown_size
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

READ = [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": (160, 96), "keep_ratio": True}]
LABELS = [{"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
NORM = {"type": "BN"}
BACKBONE: dict[str, Any] = {
    "type": "UNet",
    "base_channels": 4,
    "num_stages": 5,
    "strides": (1,) * 5,
    "enc_num_convs": (1,) * 5,
    "dec_num_convs": (1,) * 4,
    "downsamples": (True,) * 4,
    "enc_dilations": (1,) * 5,
    "dec_dilations": (1,) * 4,
    "norm_cfg": NORM,
}


def loader(pipeline: list[dict[str, Any]], sampler: str) -> dict[str, Any]:
    dataset = {"type": "BaseSegDataset", "metainfo": {"classes": tuple("abcd")}, "pipeline": pipeline}
    return {"batch_size": 1, "num_workers": 0, "sampler": {"type": sampler}, "dataset": dataset}


@pytest.fixture
def predicted(tmp_path: Path) -> Callable[..., Section]:
    """The section of a UNet, which takes multiples of 16, whose validation reads images by a pipeline."""

    def prove(read: list[dict[str, Any]] = READ, test_cfg: dict[str, Any] | None = None, **more: Any) -> Section:
        head = {"type": "FCNHead", "in_channels": 4, "in_index": 4, "channels": 4, "num_convs": 1, "num_classes": 4}
        config = Config(
            copy.deepcopy(
                {
                    "default_scope": "mmseg",
                    "model": {
                        "type": "EncoderDecoder",
                        "data_preprocessor": {"type": "SegDataPreProcessor", "mean": [0.0] * 3, "std": [1.0] * 3},
                        "backbone": BACKBONE,
                        "decode_head": head,
                        "test_cfg": test_cfg or {"mode": "whole"},
                    },
                    "val_dataloader": loader([*read, *LABELS], "DefaultSampler"),
                    "val_cfg": {"type": "ValLoop"},
                    "val_evaluator": {"type": "IoUMetric"},
                    "test_dataloader": loader([*read, *LABELS], "DefaultSampler"),
                    "test_cfg": {"type": "TestLoop"},
                    "test_evaluator": {"type": "IoUMetric"},
                    **more,
                }
            )
        )
        subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path)
        built = build_declared(subject)
        section = prediction.check(subject, built)
        assert (built.validation_size is None) == (section.not_judged is not None)
        return section

    return prove


def said(section: Section) -> list[tuple[str, str]]:
    return [(finding.problem.name, finding.key) for finding in section.findings]


def test_an_image_that_the_model_takes_is_predicted_and_measured(predicted) -> None:
    section = predicted()
    assert section.findings == ()
    assert section.evidence == {"val": {"image": [96, 160], "shown": [96, 96]}}


def test_a_whole_image_that_no_stride_divides_is_not_predicted(predicted) -> None:
    section = predicted([READ[0], {"type": "Resize", "scale": (160, 90), "keep_ratio": False}])
    assert said(section) == [("image-not-predicted", "val_dataloader.dataset.pipeline")]
    assert "an image of 160x90, as the validation pipeline yields it" in section.findings[0].message


def test_a_window_takes_whatever_it_slides_over(predicted) -> None:
    read = [READ[0], {"type": "Resize", "scale": (400, 213), "keep_ratio": False}]
    section = predicted(read, {"mode": "slide", "crop_size": (128, 128), "stride": (85, 85)})
    assert section.findings == ()
    assert section.evidence["val"]["image"] == [213, 400]


def test_a_test_with_augmented_images_is_averaged_and_measured(predicted) -> None:
    augmented = {
        "tta_model": {"type": "SegTTAModel"},
        "tta_pipeline": [
            READ[0],
            {
                "type": "TestTimeAug",
                "transforms": [
                    [{"type": "Resize", "scale_factor": factor, "keep_ratio": True} for factor in (0.5, 1.0)],
                    [{"type": "RandomFlip", "prob": share, "direction": "horizontal"} for share in (0.0, 1.0)],
                    [LABELS[0]],
                    [LABELS[1]],
                ],
            },
        ],
    }
    section = predicted(**augmented)
    assert section.findings == ()
    assert section.evidence["tta"] == {"variants": 4}


def test_data_whose_files_hold_colours_is_predicted_and_measured(predicted) -> None:
    dataset = {
        "type": "PairedFilesDataset",
        "data_root": "nowhere",
        "images": "*.png",
        "labels": "*.png",
        "metainfo": {"classes": tuple("abcd")},
        "encoding": "rgb",
        "mapping": {"#ff0000": 0, "#00ff00": 1, "#0000ff": 2, "#ffffff": 3},
        "pipeline": [*READ, {"type": "LoadEncodedAnnotations"}, LABELS[1]],
    }
    data = {**loader([], "DefaultSampler"), "dataset": dataset}
    section = predicted(val_dataloader=data, test_dataloader=data)
    assert section.findings == ()
    assert section.evidence == {"val": {"image": [96, 160], "shown": [96, 96]}}


def test_a_pipeline_that_fails_on_a_made_image_is_said_to_show_nothing(predicted) -> None:
    section = predicted([*READ, {"type": "Normalize", "mean": [0.0] * 5, "std": [1.0] * 5, "to_rgb": False}])
    assert section.not_judged == "no image could be predicted"
    assert section.lines[0].startswith("validation: not predicted: Normalize fails on a made image: ")


class WantsDepth(BaseMetric):
    """A metric of what no segmentor predicts."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [sample["pred_depth_map"] for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"depth": float(len(results))}


def test_a_metric_of_what_is_not_predicted_fails(predicted) -> None:
    section = predicted(val_evaluator={"type": WantsDepth})
    assert said(section) == [("prediction-refused", "val_evaluator")]
    assert section.findings[0].message == "the evaluator fails on the model's prediction: KeyError: 'pred_depth_map'"


def test_what_a_metric_writes_goes_into_the_proofs_own_folder(predicted, tmp_path: Path) -> None:
    predicted(val_evaluator={"type": "IoUMetric", "output_dir": str(tmp_path / "results")})
    assert not (tmp_path / "results").exists()
    assert list((tmp_path / "predictions").rglob("*.png"))


@pytest.mark.parametrize(
    ("real", "shown"),
    [
        ((96, 160), (96, 96)),
        ((64, 64), (64, 64)),
        ((1024, 2048), (64, 128)),
        ((1024, 64), (128, 64)),
        ((1025, 2047), (65, 127)),
        ((40, 1024), (40, 64)),
    ],
)
def test_a_large_image_is_shown_as_a_small_one_with_the_same_remainders(real, shown) -> None:
    assert shown_size(real, {"mode": "whole"}, (64, 64)) == shown
    assert all((large - small) % 64 == 0 for large, small in zip(real, shown, strict=True))
    assert (shown == (64, 64)) is (real == (64, 64))


def test_of_a_window_that_fits_in_the_window_alone_is_shown() -> None:
    sliding = {"mode": "slide", "crop_size": (512, 512)}
    assert shown_size((1025, 2047), sliding, (64, 64)) == (64, 96)
    assert shown_size((500, 2047), sliding, (64, 64)) == (64 + (500 - 64) % 64, 64 + (2047 - 64) % 64)
