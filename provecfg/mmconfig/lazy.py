"""Configs of the read_base() style: bases are imported, classes are named by import."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from provecfg.mmconfig.bases import read_base_module
from provecfg.mmconfig.budget import Budget, LimitError
from provecfg.mmconfig.chain import Chain
from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.functions import deep_copy
from provecfg.mmconfig.parsed_file import ParsedFile, is_name
from provecfg.mmconfig.problems import (
    ILLEGAL_IMPORT,
    MISSING_BASE,
    MISSING_FILE,
    MIXED_STYLES,
    TOO_LARGE,
    UNDEFINED_NAME,
    file_finding,
)
from provecfg.mmconfig.resolved import Resolved
from provecfg.mmconfig.settle import settled
from provecfg.mmconfig.source import position_of
from provecfg.mmconfig.statements import BASE_KEY, Statements, is_python_module
from provecfg.mmconfig.values import ConfigDict, Opaque
from provecfg.mmconfig.view import Layer


def resolve_lazy(chain: Chain, path: Path) -> Resolved:
    """A file of the read_base() style with its bases; of the file that was asked for, without imported names.

    Raises:
        UnreadableError: The file is not there, or not text.
        LimitError: The budget is spent, and nothing of this file was read.
    """
    resolved = _resolve(chain, path)
    values = ConfigDict()
    for name, value in resolved.values.items():
        if name not in resolved.hidden:
            values.put(name, value, resolved.values.origins.get(name))
    return Resolved(values, resolved.layers, resolved.problems, hidden=resolved.hidden)


def _resolve(chain: Chain, path: Path) -> Resolved:
    if path in chain.done:
        return chain.done[path]
    chain.enter(path)
    try:
        parsed = chain.open(path, lazy=True)
        resolved = _LazyFile(chain, parsed).resolve()
    finally:
        chain.leave()
    chain.done[path] = resolved
    return resolved


class _LazyFile(Statements):
    """Runs one file, after its bases have been brought in."""

    def __init__(self, chain: Chain, parsed: ParsedFile) -> None:
        super().__init__(parsed.source, chain.budget)
        self._chain = chain
        self._parsed = parsed
        self._bases: dict[str, Resolved | None] = {}
        self._hidden: set[str] = set()
        self._read_base: ast.With | None = None

    def resolve(self) -> Resolved:
        tree = self._parsed.syntax_tree()
        own = ConfigDict()
        if tree is not None:
            try:
                self._check(tree)
                self._bring_in_bases(tree)
                self.run(tree)
            except LimitError as limit:
                # What was read so far is still judged.
                self.budget = Budget()
                self.report(TOO_LARGE, limit.what, None)
            own = settled(self)
        bases = [base for base in self._bases.values() if base is not None]
        written_here = ConfigDict()
        for name, value in own.items():
            origin = own.origins.get(name)
            if name not in self._hidden and origin is not None and origin.source is self.source:
                written_here.put(name, value, origin)
        layer = Layer(self.source, written_here, self.reads)
        problems = (
            *self._parsed.problems,
            *self.problems,
            *(problem for base in bases for problem in base.problems),
        )
        return Resolved(
            own,
            tuple(dict.fromkeys((layer, *(layer_of_base for base in bases for layer_of_base in base.layers)))),
            tuple(dict.fromkeys(problems)),
            hidden=frozenset(self._hidden).union(*(base.hidden for base in bases)),
        )

    # Bases

    def _check(self, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.Assign) and is_name(node.targets[0], BASE_KEY):
                self.report(
                    MIXED_STYLES,
                    "_base_ does not work in the read_base() style",
                    position_of(node),
                    "import the base in 'with read_base():'",
                )
            if isinstance(node, ast.With) and self._read_base is None:
                call = node.items[0].context_expr
                if len(node.items) == 1 and isinstance(call, ast.Call) and is_name(call.func, "read_base"):
                    self._read_base = node

    def _bring_in_bases(self, tree: ast.Module) -> None:
        """mmengine brings in the bases before it runs the first line."""
        if self._read_base is None:
            return
        for node in self._read_base.body:
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                self.report(
                    ILLEGAL_IMPORT, "in 'with read_base():' only 'from base import ...' is allowed", position_of(node)
                )
                continue
            base = self._base(node)
            for alias in node.names:
                if base is not None:
                    self._import_from_base(base, alias, node)
                elif alias.name != "*":
                    self.bind_import(alias.asname or alias.name, Opaque("its base was not read"), alias)

    def _base(self, node: ast.ImportFrom) -> Resolved | None:
        name = "." * node.level + (node.module or "")
        if name in self._bases:
            return self._bases[name]
        base: Resolved | None = None
        path = self.source.path
        try:
            path = read_base_module(node.module or "", node.level, self.source.path)
            base = _resolve(self._chain, path)
        except UnreadableError as error:
            if error.span is not None:  # something in the base, not in how it is named
                self.problems.append(file_finding(error.problem, error.message, path, error.span, hint=error.hint))
            else:
                problem = MISSING_BASE if error.problem is MISSING_FILE else error.problem
                self.report(problem, f"the base {name!r}: {error.message}", position_of(node), error.hint)
        except LimitError as limit:
            self.report(TOO_LARGE, f"the base {name!r}: {limit.what}", position_of(node))
        self._bases[name] = base
        return base

    def _import_from_base(self, base: Resolved, alias: ast.alias, node: ast.ImportFrom) -> None:
        names = list(base.values) if alias.name == "*" else [alias.name]
        for name in names:
            if name not in base.values:
                self.report(UNDEFINED_NAME, f"the base {node.module!r} does not set {name!r}", position_of(node))
                self.bind_import(alias.asname or name, Opaque(f"the base does not set {name!r}"), alias)
                continue
            # mmengine reads a base anew for each that imports it, so each may change its own.
            value = deep_copy(base.values[name], self, by_attribute=True)
            self.variables.put(alias.asname or name, value, base.values.origins.get(name))

    # Statements

    def _statement(self, node: ast.stmt) -> Any:
        if isinstance(node, ast.With):
            if node is not self._read_base:
                self.report(
                    ILLEGAL_IMPORT, "only one 'with', that of read_base(), is allowed in a config", position_of(node)
                )
            return None
        return super()._statement(node)

    def _import(self, node: ast.Import) -> None:
        if len(node.names) > 1:
            self.report(ILLEGAL_IMPORT, "mmengine takes one module to an import here", position_of(node))
        super()._import(node)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        if self._bases.get(module) is not None:
            return
        if node.names[0].name == "*" and not is_python_module(module):
            self.report(
                ILLEGAL_IMPORT,
                f"'from {module} import *' is only allowed of a base config, in 'with read_base():'",
                position_of(node),
            )
            return
        super()._import_from(node)

    def bind_import(self, name: str, value: Any, alias: ast.alias) -> None:
        super().bind_import(name, value, alias)
        if not isinstance(value, Opaque):
            self._hidden.add(name)
