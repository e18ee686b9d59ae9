"""Where rules had nothing to say, kept for the next config that has the same content there."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from operator import itemgetter

from provecfg.facts.fact import EVERYTHING, Reader


class _Readers:
    """The rules that read the same paths.

    Args:
        paths: What they read, and maybe did not all read: sets of paths are few so, and many rules share one.
    """

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self.contents = itemgetter(*paths) if paths else _nothing
        """The contents of a config at the paths, out of the numbers of all; see `Lookup.contents_at`."""
        self.silent: dict[Hashable, set[Hashable]] = {}
        """The rules that had nothing to say, by contents."""


def _nothing(contents: Mapping[str, int]) -> tuple[()]:
    return ()


class Silences:
    """The rules that had nothing to say, by what they read and what its content was.

    A rule that finds nothing in a config finds nothing in another that has the same content wherever it looked: what
    it looks at next depends on nothing but what it has seen.
    """

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}
        self._readers: dict[tuple[str, ...], _Readers] = {}
        self._readers_of: dict[Hashable, _Readers] = {}
        self._not_kept: list[tuple[Hashable, set[str], Reader]] = []

    def about(self, config: Reader) -> set[Hashable]:
        """The rules that are known to have nothing to say about a config."""
        for rule, reads, learnt_of in self._not_kept:
            self._keep(rule, reads, learnt_of)
        self._not_kept.clear()
        contents = config.contents_at(self._paths)
        silent: set[Hashable] = set()
        for readers in self._readers.values():
            rules = readers.silent.get(readers.contents(contents))
            if rules is not None:
                silent |= rules
        return silent

    def learn(self, rule: Hashable, config: Reader) -> None:
        """Keep that a rule, which read `config.reads`, had nothing to say.

        It is worked out when the next config asks: whoever judges one does not pay for it.
        """
        if EVERYTHING not in config.reads:
            self._not_kept.append((rule, config.reads, config))

    def _keep(self, rule: Hashable, reads: set[str], config: Reader) -> None:
        readers = self._readers_of.get(rule)
        if readers is None or not reads.issubset(readers.paths):
            paths = tuple(sorted(reads.union(readers.paths if readers is not None else ())))
            readers = self._readers.setdefault(paths, _Readers(paths))
            self._readers_of[rule] = readers
            self._paths.update(dict.fromkeys(paths))
        contents = readers.contents(config.contents_at(readers.paths))
        readers.silent.setdefault(contents, set()).add(rule)
