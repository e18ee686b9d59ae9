"""Configs of the classic style: `_base_`, and dicts merged into dicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from provecfg.findings import Finding, Problem
from provecfg.mmconfig.bases import Base
from provecfg.mmconfig.budget import Budget, LimitError
from provecfg.mmconfig.chain import Chain
from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.functions import deep_copy
from provecfg.mmconfig.merge import Clash, merge_child, with_scope, without
from provecfg.mmconfig.parsed_file import ParsedFile
from provecfg.mmconfig.problems import (
    CANNOT_MERGE,
    DEPRECATED_CONFIG,
    DUPLICATE_BASE_KEY,
    MISSING_BASE,
    MISSING_FILE,
    MIXED_STYLES,
    NOT_A_CONFIG,
    TOO_LARGE,
    UNDEFINED_NAME,
    file_finding,
)
from provecfg.mmconfig.resolved import Resolved
from provecfg.mmconfig.settle import settled
from provecfg.mmconfig.shipped_bases import namesakes
from provecfg.mmconfig.sizes import size_of
from provecfg.mmconfig.source import Position
from provecfg.mmconfig.special import BaseReference
from provecfg.mmconfig.statements import BASE_KEY, Statements
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple, Opaque, Origin
from provecfg.mmconfig.view import Layer
from provecfg.spelling import first_few

DEPRECATION_KEY = "_deprecation_"


def resolve_classic(chain: Chain, path: Path) -> Resolved:
    """A file of the classic style, merged with its bases.

    Raises:
        UnreadableError: The file is not there, or not text.
        LimitError: The budget is spent, and nothing of this file was read.
    """
    if path in chain.done:
        return chain.done[path]
    chain.enter(path)
    try:
        parsed = chain.open(path, lazy=False)
        resolved = _Classic(chain, parsed).resolve()
    finally:
        chain.leave()
    chain.done[path] = resolved
    return resolved


class _Classic:
    """Resolves one file."""

    def __init__(self, chain: Chain, parsed: ParsedFile) -> None:
        self._chain = chain
        self._budget = chain.budget
        self._parsed = parsed
        self._source = parsed.source
        self._problems: list[Finding] = []
        self._may_be_kept = True
        self._base_copy: ConfigDict | None = None

    def resolve(self) -> Resolved:
        before = self._budget.left
        bases = self._bases()
        kept = self._parsed.resolved
        if (
            kept is not None
            and self._may_be_kept
            and len(kept.bases) == len(bases)
            and all(base is before for before, (base, _) in zip(kept.bases, bases, strict=True))
        ):
            self._budget.spend(kept.cost)
            return kept
        if len(self._chain.open_paths) > 1 and self._parsed.is_lazy:
            self._report(
                MIXED_STYLES,
                "it imports what is not Python's own, so mmengine takes it for the read_base() style",
                None,
                "a base that is named in _base_ cannot import classes",
            )
        spent_on_bases = before - self._budget.left
        base = self._union(bases)
        own, reads = ConfigDict(), dict[str, list[Position]]()
        try:
            own, reads = self._own(base)
            if self._parsed.references:
                own = self._with_references(own, base)
        except LimitError as limit:
            self._report(TOO_LARGE, limit.what, None)
            self._may_be_kept = False
        own = self._without_deprecation(own)
        resolved = Resolved(
            values=self._merged(own, base if self._base_copy is None else self._base_copy),
            layers=_unique_layers(Layer(self._source, own, reads), bases),
            problems=_unique_problems(self._parsed.problems, self._problems, bases),
            bases=tuple(base for base, _ in bases),
            cost=before - self._budget.left - spent_on_bases,
            may_be_kept=self._may_be_kept and all(base.may_be_kept for base, _ in bases),
        )
        if resolved.may_be_kept:
            self._parsed.resolved = resolved
            self._parsed.drop_tree()
        return resolved

    def _report(
        self, problem: Problem, message: str, position: Position | None, hint: str | None = None, key: str = ""
    ) -> None:
        span = self._source.span(position) if position is not None else None
        self._problems.append(file_finding(problem, message, self._source.path, span, key=key, hint=hint))

    # Bases

    def _bases(self) -> list[tuple[Resolved, Base]]:
        """The bases that can be read."""
        bases = []
        for base in self._parsed.bases:
            try:
                bases.append((resolve_classic(self._chain, base.path), base))
            except UnreadableError as error:
                self._may_be_kept = False
                self._budget.spend(100)
                self._report_unreadable(error, base)
            except LimitError as limit:
                self._may_be_kept = False
                self._report(TOO_LARGE, f"the base {base.name!r}: {limit.what}", base.position)
        return bases

    def _report_unreadable(self, error: UnreadableError, base: Base) -> None:
        if error.span is not None:  # something in the base, not in how it is named
            self._problems.append(file_finding(error.problem, error.message, base.path, error.span, hint=error.hint))
        elif error.problem is MISSING_FILE:
            hint = error.hint or _hint_for(base.name)
            self._report(MISSING_BASE, f"the base {base.name!r}: {error.message}", base.position, hint)
        else:
            self._report(error.problem, error.message, base.position, error.hint)

    def _union(self, bases: list[tuple[Resolved, Base]]) -> ConfigDict:
        """The bases side by side; mmengine lets no two of them set the same key."""
        union = ConfigDict()
        for resolved, base in bases:
            values = resolved.values if base.scope is None else with_scope(resolved.values, base.scope)
            if not union:
                union = values
                continue
            union = union.copy()
            twice = [key for key in values if key in union]
            if twice:
                names = ", ".join(repr(key) for key in twice)
                self._report(
                    DUPLICATE_BASE_KEY,
                    f"{base.name!r} sets {names}, which a base before it sets too",
                    base.position,
                    "set it in one of the bases only, or here",
                )
            for key, value in values.items():
                if key not in twice:
                    union.put(key, value, values.origins.get(key))
        return union

    # The file itself

    def _own(self, base: ConfigDict) -> tuple[ConfigDict, dict[str, list[Position]]]:
        if self._source.path.suffix != ".py":
            return self._own_data(), {}
        tree = self._parsed.syntax_tree()
        if tree is None:
            return ConfigDict(), {}

        def base_for_expressions() -> ConfigDict:
            # A copy: the file may change what it reaches through `_base_`.
            if self._base_copy is None:
                self._base_copy = deep_copy(base, reader, by_attribute=True)
            return self._base_copy

        reader = Statements(self._source, self._budget, self._parsed.references, base_for_expressions)
        try:
            reader.run(tree)
        except LimitError as limit:
            self._report(TOO_LARGE, limit.what, None)
            self._may_be_kept = False
            # What was read so far is still judged.
            reader.budget = Budget()
        own = settled(reader)
        self._problems += reader.problems
        return own, reader.reads

    def _own_data(self) -> ConfigDict:
        data = self._parsed.data
        if not isinstance(data, ConfigDict) or not all(isinstance(key, str) for key in data):
            self._report(NOT_A_CONFIG, "the file is not a mapping with names as keys", None)
            return ConfigDict()
        self._budget.spend(size_of(data).items)
        own = data.copy()
        for key in data:
            if key.startswith("__") or key == BASE_KEY:
                del own[key]
                own.origins.pop(key, None)
        return own

    def _with_references(self, own: ConfigDict, base: ConfigDict) -> ConfigDict:
        """`own` with the bases' values for `{{_base_.x}}`.

        Raises:
            LimitError: That makes it too large.
        """
        base = base if self._base_copy is None else self._base_copy
        replaced: ConfigDict = self._replace(own, base, None, {})
        self._budget.spend(size_of(replaced).items)
        return replaced

    def _replace(self, value: Any, base: ConfigDict, origin: Origin | None, done: dict[int, Any]) -> Any:
        if isinstance(value, BaseReference):
            return self._referenced(value, base, origin)
        if not isinstance(value, (ConfigDict, ConfigList, ConfigTuple)):
            return value
        if id(value) not in done:
            if isinstance(value, ConfigDict):
                items = {key: self._replace(item, base, value.origins.get(key), done) for key, item in value.items()}
                done[id(value)] = ConfigDict(items, value.origins)
            else:
                made = ConfigTuple if isinstance(value, tuple) else ConfigList
                done[id(value)] = made(
                    [
                        self._replace(item, base, item_origin, done)
                        for item, item_origin in zip(value, value.origins, strict=True)
                    ],
                    list(value.origins),
                )
        return done[id(value)]

    def _referenced(self, reference: BaseReference, base: ConfigDict, origin: Origin | None) -> Any:
        value: Any = base
        for step in reference.dotted.split("."):
            if isinstance(value, Opaque):
                return value
            if not isinstance(value, dict) or step not in value:
                self._report(
                    UNDEFINED_NAME,
                    f"no base sets {reference.dotted!r}",
                    origin.value if origin and origin.source is self._source else None,
                )
                return Opaque(f"no base sets {reference.dotted!r}")
            value = value[step]
        return value

    def _without_deprecation(self, own: ConfigDict) -> ConfigDict:
        if DEPRECATION_KEY not in own:
            return own
        says, origin = own[DEPRECATION_KEY], own.origins.get(DEPRECATION_KEY)
        expected = says.get("expected") if isinstance(says, dict) else None
        self._report(
            DEPRECATED_CONFIG,
            "the config says that it is deprecated",
            origin.key if origin else None,
            f"use {expected} instead" if isinstance(expected, str) else None,
        )
        return without(own, DEPRECATION_KEY)

    def _merged(self, own: ConfigDict, base: ConfigDict) -> ConfigDict:
        if not base:
            return own
        clashes: list[Clash] = []
        merged = merge_child(own, base, clashes)
        for clash in clashes:
            self._report(
                CANNOT_MERGE,
                f"{clash.key} is a dict here and of type {clash.base_type} in the base",
                clash.origin.value if clash.origin and clash.origin.source is self._source else None,
                "set _delete_=True in it to replace the base's",
                key=clash.key,
            )
        return merged


def _hint_for(name: str) -> str | None:
    """The base of mmsegmentation's that a base which is not there may mean."""
    known = namesakes(name)
    return f"mmsegmentation has {first_few(known)}" if known else None


def _unique_layers(own: Layer, bases: list[tuple[Resolved, Base]]) -> tuple[Layer, ...]:
    return tuple(dict.fromkeys((own, *(layer for base, _ in bases for layer in base.layers))))


def _unique_problems(
    of_text: list[Finding], own: list[Finding], bases: list[tuple[Resolved, Base]]
) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys((*of_text, *own, *(problem for base, _ in bases for problem in base.problems))))
