"""A part of a config, built again with other values."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

from torch import nn

from provecfg.proof.data.sample_reader import own_randomness
from provecfg.proof.declared.build import Builder
from provecfg.proof.effect.comparison import is_same
from provecfg.proof.effect.settings import Setting

_PARAMETERS = 100_000_000
"""Of a part with more, two more copies with their weights would be too much memory: 4 bytes each."""
_SECONDS = 2.0
"""Of processor time: what takes longer to be built, a dataset that reads its files itself, say, is built once."""
_WITH_WEIGHTS = 2
"""Other values of a setting with which the weights are compared, too."""


class RebuiltPart:
    """A part of a config that can be built again.

    Args:
        builder: How the part was built.
        declared: Its dict of the config.
    """

    def __init__(self, builder: Builder, declared: Any) -> None:
        self._builder = builder
        self._declared = declared
        self._unweighted: Any = None
        self._weighted: Any = None

    def can_be_built(self) -> bool:
        """Whether the part can be built once more, soon, and of a size that leaves memory for two of it."""
        part = self._builder.part
        if isinstance(part, nn.Module) and sum(parameter.numel() for parameter in part.parameters()) > _PARAMETERS:
            return False
        started = time.process_time()
        with without_initialisation():
            self._unweighted = self._build(self._declared)
        return type(self._unweighted) is type(part) and time.process_time() - started < _SECONDS

    def ignores(self, setting: Setting) -> bool:
        """Whether the part is the same with each of a setting's other values; not where its class refuses one."""
        with without_initialisation():  # which takes most of the time, and most settings show in shapes and numbers
            if self._differs(self._unweighted, setting, setting.others, with_numbers=False):
                return False
        if self._weighted is None:
            self._weighted = self._build(self._declared)
        return not self._differs(self._weighted, setting, setting.others[:_WITH_WEIGHTS])

    def may_show(self, setting: Setting) -> bool:
        """Whether the part is another with other values, or cannot be compared, being another each time it is built."""
        with without_initialisation():
            part, again = self._build(self._declared), self._build(self._declared)
            if part is None or not is_same(part, again, with_numbers=False):
                return True
            return self._differs(part, setting, setting.others[:_WITH_WEIGHTS], with_numbers=False)

    def _differs(self, part: Any, setting: Setting, others: Iterable[Any], *, with_numbers: bool = True) -> bool:
        changed = (self._build(setting.changed(self._declared, value)) for value in others)
        return not all(other is not None and is_same(part, other, with_numbers=with_numbers) for other in changed)

    def _build(self, declared: Any) -> Any:
        """The part that is declared so; None where its class refuses it."""
        with own_randomness(), contextlib.suppress(Exception):  # the config's own classes raise what they like
            part = copy.deepcopy(declared)
            for name in self._builder.removed:
                part.pop(name, None)
            part.update(self._builder.added)
            return self._builder.build(part)
        return None


@contextlib.contextmanager
def without_initialisation() -> Iterator[None]:
    """Build modules whose weights are whatever is in memory."""

    def untouched(tensor: Any, *_: Any, **__: Any) -> Any:
        return tensor

    with contextlib.ExitStack() as stack:
        for name in dir(nn.init):
            if name.endswith("_") and not name.startswith("_"):
                stack.enter_context(mock.patch.object(nn.init, name, untouched))
        yield
