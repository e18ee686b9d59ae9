"""The pictures of docs/losses.md can be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of mmcv's and matplotlib's modules while they are imported
]


def test_every_committed_picture_is_drawn_anew(project: Path, tmp_path: Path) -> None:
    from docs.generate.loss_pictures import draw

    drawn = draw(tmp_path)
    committed = project / "docs" / "pictures"
    assert {path.name for path in drawn} == {path.name for path in committed.iterdir()}
    for path in drawn:
        with Image.open(path) as image, Image.open(committed / path.name) as old:
            # Not compared pixel by pixel: another matplotlib sets its text a little differently.
            assert image.size == old.size, path.name
            difference = np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(old.convert("RGB"), float))
            assert difference.mean() < 10, path.name
        assert path.stat().st_size < 80_000, path.name


def test_the_prediction_is_always_the_same_and_half_right() -> None:
    from docs.generate.loss_pictures import half_trained_scene

    first, second = half_trained_scene(), half_trained_scene()
    assert (first.logits == second.logits).all()
    right = (first.logits.argmax(1) == first.labels)[first.valid].float().mean()
    assert 0.8 < right < 0.99
