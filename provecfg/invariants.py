"""Rules that hold between several values, each written once: the schema and the rules both ask here.

A predicate takes plain values and returns the problem as a sentence, or None.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence


def early_stopping_budget(patience: int, val_interval: int, max_iters: int) -> str | None:
    """Early stopping has to be able to stop before the run ends by itself.

    The first validation sets the best score, so the earliest stop is at validation patience + 1.
    """
    first_stop = (patience + 1) * val_interval
    if first_stop < max_iters:
        return None
    return (
        f"patience {patience} validations, one every {val_interval} iterations: the earliest stop would be at "
        f"iteration {first_stop}, and the run ends at {max_iters}"
    )


def validation_within_run(val_interval: int, max_iters: int) -> str | None:
    """At least one validation has to fall within the run."""
    if val_interval <= max_iters:
        return None
    return f"the first validation would be at iteration {val_interval}, after the run's end at {max_iters}"


def warmup_within_run(warmup_iters: int, max_iters: int) -> str | None:
    """The warmup has to end before the run does, or the base learning rate is never reached."""
    if warmup_iters < max_iters:
        return None
    return (
        f"the warmup takes {warmup_iters} iterations of a run of {max_iters}: the base learning rate is never reached"
    )


def images_for_pooled_batch_norm(batch_size: int) -> str | None:
    """A batch norm over features pooled to one pixel needs two images (torch refuses one value per channel)."""
    if batch_size >= 2:
        return None
    return f"batch size {batch_size}: its head normalises features pooled to one pixel, which needs two images"


def ohem_leaves_pixels_out(min_kept: int, height: int, width: int) -> str | None:
    """OHEM has to keep fewer pixels than an image has, or it keeps them all.

    Source: mmsegmentation 1.2.2, structures/sampler/ohem_pixel_sampler.py: `batch_kept = min_kept * batch size`.
    """
    if min_kept < height * width:
        return None
    return f"min_kept is {min_kept}, and a crop of {height} x {width} has {height * width} pixels: none is left out"


def distinct(names: Sequence[str]) -> str | None:
    """Each name stands once."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if not twice:
        return None
    return f"{', '.join(map(repr, twice))} stands more than once"


_SUBSTITUTABLE = re.compile(r"[A-Za-z0-9_/~,@%=:-]+(\.[A-Za-z0-9_/~,@%=:-]*)*")


def substitutable_path(path: str) -> str | None:
    """A path that mmengine's `{{$NAME:default}}` takes as a default.

    mmengine ends the default at a space or a brace and uses it as a regular expression (config.py,
    `_substitute_env_variables`); a dot matches itself there, other special signs do not.
    """
    if _SUBSTITUTABLE.fullmatch(path):
        return None
    return f"{path!r} holds a sign that mmengine's environment substitution does not read back"
