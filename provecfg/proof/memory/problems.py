"""Codes PROOF090 to PROOF099: the memory forecast."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

DOES_NOT_FIT = Problem(
    "PROOF090",
    "does-not-fit",
    "The tensors of a training step need more memory than the GPU has, the forecast's error allowed for.",
    "Training stops with 'CUDA out of memory' in its first iterations.",
)
MAY_NOT_FIT = Problem(
    "PROOF091",
    "may-not-fit",
    "A training step would fill the GPU to within what CUDA itself, fragmentation and the forecast's error may take.",
    "Training may stop with 'CUDA out of memory', maybe after hours.",
    Severity.WARNING,
)
