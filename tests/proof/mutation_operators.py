"""The kinds of mistakes that generated configs are mutated by, and what a run with each would do.

A change that somebody could have meant (another learning rate, a loss left out on purpose with its equation) is none:
each of these fails, or trains, measures, keeps or logs something other than the config says.
"""

from __future__ import annotations

from tests.proof import mutations_of_data, mutations_of_hooks, mutations_of_models, mutations_of_runs
from tests.proof.mutations import Operator

OPERATORS: tuple[Operator, ...] = (
    *mutations_of_models.OPERATORS,
    *mutations_of_data.OPERATORS,
    *mutations_of_hooks.OPERATORS,
    *mutations_of_runs.OPERATORS,
)
