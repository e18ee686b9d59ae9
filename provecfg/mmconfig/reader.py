"""What evaluating one file shares: its variables, its budget, and the problems that were found."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from provecfg.findings import Finding, Problem
from provecfg.mmconfig.budget import MAX_PROBLEMS, Budget
from provecfg.mmconfig.operators import binary
from provecfg.mmconfig.problems import FAILING_EXPRESSION, UNREAD_VALUE, file_finding
from provecfg.mmconfig.source import Located, Position, SourceFile, position_of
from provecfg.mmconfig.special import NotKnownError
from provecfg.mmconfig.values import ConfigDict, Opaque, Origin

PYTHON_ERRORS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What the operations known here can raise; of RuntimeError, only what Python says of a dict changed in a loop."""
_FAILED = "its expression raises an error"

Scope = dict[str, Any]


class Reader(ABC):
    """The state of reading one file.

    Args:
        source: The file.
        budget: What the reading may cost.
        references: Placeholders that `{{_base_.x}}` became, and their dotted paths.
        base: Gives what `_base_` means; None where the file has no bases or is of the read_base() style.
    """

    def __init__(
        self,
        source: SourceFile,
        budget: Budget,
        references: dict[str, str] | None = None,
        base: Callable[[], ConfigDict] | None = None,
    ) -> None:
        self.source = source
        self.budget = budget
        self.references = references or {}
        self.base = base
        self.variables = ConfigDict()
        """The top-level variables."""
        self.scopes: tuple[Scope, ...] = ()
        """Of functions and comprehensions, the outermost first."""
        self.problems: list[Finding] = []
        self.reads: dict[str, list[Position]] = {}
        self.calls = 0
        """Calls of the config's own functions that are under way."""
        self.doubtful: dict[int, Any] = {}
        """Containers that something not run may have changed, by identity."""
        self.unknowable: set[str] = set()
        """Top-level names that a function which is not run may change at any time."""
        self.all_unknowable = False
        """Whether it may change any of them."""
        self.exposed: dict[int, Any] = {}
        """Containers that something not run has read, by identity; what is not known may be another name of one."""
        self.seen_later: set[str] = set()
        """Top-level names that a function which is not run may read at any time."""
        self.binds_any = False
        """Whether `exec`, or an import of `*`, may have bound a name that nothing defines."""
        self._argument_nodes: list[ast.expr] = []

    @abstractmethod
    def evaluate(self, node: ast.expr) -> Any:
        """The value of an expression.

        Raises:
            LimitError: It costs more than is left.
        """

    @abstractmethod
    def call(self, function: Any, positional: list[Any], keywords: ConfigDict) -> Any:
        """`function(*positional, **keywords)` on values.

        Raises:
            NotKnownError: The function is not known, or what it does with these values.
        """

    # What goes wrong

    def report(
        self, problem: Problem, message: str, position: Position | None, hint: str | None = None, key: str = ""
    ) -> None:
        """Say a problem of this file, and of which variable of it where that is known."""
        self.budget.spend(10)
        if len(self.problems) < MAX_PROBLEMS:
            span = self.source.span(position) if position is not None else None
            self.problems.append(file_finding(problem, message, self.source.path, span, key=key, hint=hint))

    def unknown(self, node: Located, reason: str) -> Opaque:
        """A value that cannot be known, with a note."""
        self.report(UNREAD_VALUE, f"not judged: {reason}", position_of(node))
        return Opaque(reason)

    def fails(self, node: Located, error: Exception) -> Opaque:
        """The value of an expression that raises `error`, with a problem."""
        description = str(error) if not isinstance(error, KeyError) else f"no key {error}"
        self.report(FAILING_EXPRESSION, f"{type(error).__name__}: {description}", position_of(node))
        return Opaque(_FAILED)

    def lookup(self, name: str) -> Any:
        """What a name stands for in the file itself; None where it stands for nothing."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self.variables.get(name)

    def truth(self, value: Any) -> bool:
        """Whether `value` is true.

        Raises:
            NotKnownError: It is not known.
        """
        if isinstance(value, Opaque):
            raise NotKnownError(value.reason)
        return bool(value)

    def known(self, value: Any) -> Any:
        """`value` itself.

        Raises:
            NotKnownError: It is not known.
        """
        if isinstance(value, Opaque):
            raise NotKnownError(value.reason)
        return value

    def operate(self, op: ast.operator, left: Any, right: Any) -> Any:
        """`left op right` on values; raises as `operators.binary`."""
        return binary(op, self.known(left), self.known(right), self.budget)

    def argument_origin(self, index: int) -> Origin | None:
        """Where a positional argument of the method call under way was written."""
        if index < len(self._argument_nodes):
            return Origin(self.source, None, position_of(self._argument_nodes[index]))
        return None


def python_name(value: Any) -> str:
    """The name of the value's class, of the plain one for a config's own containers."""
    for plain in (dict, list, tuple, str):
        if isinstance(value, plain):
            return plain.__name__
    return type(value).__name__
