"""Statements of a config file, run over its own variables only."""

from __future__ import annotations

import ast
import contextlib
import enum
import sys
from typing import Any

from provecfg.mmconfig.budget import LimitError
from provecfg.mmconfig.effects import leaves, outer_names, reaches_all, size_of_syntax
from provecfg.mmconfig.expressions import Expressions
from provecfg.mmconfig.functions import fill_dict, items_of, key_of
from provecfg.mmconfig.problems import FAILING_EXPRESSION, UNDEFINED_NAME, UNREAD_STATEMENT
from provecfg.mmconfig.reader import PYTHON_ERRORS, python_name
from provecfg.mmconfig.sizes import SCALARS
from provecfg.mmconfig.source import position_of
from provecfg.mmconfig.special import Imported, Module, NotKnownError
from provecfg.mmconfig.values import ConfigDict, ConfigList, DottedName, Opaque, Origin

BASE_KEY = "_base_"


class _Stop(enum.Enum):
    """Why a block of statements ended before its end."""

    BREAK = enum.auto()
    CONTINUE = enum.auto()
    RETURN = enum.auto()


class Statements(Expressions):
    """Runs the statements of one file."""

    _returned: Any = None
    """What the function under way returns."""

    def run(self, tree: ast.Module) -> None:
        """Run a whole file. `variables`, `problems` and `reads` hold what came of it.

        Raises:
            LimitError: It costs more than is left.
        """
        try:
            with contextlib.suppress(NotKnownError):  # of `break` outside a loop in a text too large to be compiled
                self._block(tree.body)
        except RecursionError:
            raise LimitError("it is nested too deeply") from None
        except MemoryError:
            raise LimitError("it takes too much memory") from None

    def run_body(self, body: list[ast.stmt]) -> Any:
        """What a function's statements return."""
        outer, self._returned = self._returned, None
        try:
            self._block(body)
            return self._returned
        finally:
            self._returned = outer

    def _block(self, body: list[ast.stmt]) -> _Stop | None:
        for statement in body:
            self.budget.spend(1)
            try:
                stop = self._statement(statement)
            except NotKnownError as unknown:
                self.unread(statement, unknown.reason)
                if leaves(statement):  # then what follows may not be reached
                    raise
                continue
            except PYTHON_ERRORS as error:
                if isinstance(error, RecursionError):
                    raise
                self.fails(statement, error)
                self.forget(statement, "its statement raises an error")
                continue
            if stop is not None:
                return stop
        return None

    def _statement(self, node: ast.stmt) -> _Stop | None:
        if isinstance(node, ast.Assign):
            if isinstance(node.targets[0], ast.Name) and node.targets[0].id == BASE_KEY:
                return None
            value = self.evaluate(node.value)
            for target in node.targets:
                self.assign(target, value, None, node.value)
            return None
        name = _STATEMENTS.get(type(node))
        if name is None:
            raise NotKnownError(f"provecfg does not read this kind of statement ({type(node).__name__})")
        stop: _Stop | None = getattr(self, name)(node)
        return stop

    def unread(self, node: ast.stmt, reason: str) -> None:
        """Note a statement that cannot be read; what it assigns is opaque."""
        self.report(UNREAD_STATEMENT, f"not judged: {reason}", position_of(node))
        self.forget(node, reason)

    # Simple statements

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.evaluate(node.value), None, node.value)

    def _augmented(self, node: ast.AugAssign) -> None:
        current = self.evaluate(node.target)
        value = self.evaluate(node.value)
        if isinstance(current, ConfigList) and isinstance(node.op, ast.Add) and not isinstance(value, Opaque):
            # In place, as Python does: other names of the same list see it.
            more, origins = items_of(value, self)
            current += more
            current.origins += origins
            return
        if isinstance(current, ConfigDict) and isinstance(node.op, ast.BitOr) and isinstance(value, dict):
            fill_dict(current, value, self)
            return
        if isinstance(current, Opaque) or isinstance(value, Opaque):
            self.doubt(current)  # lists and sets are changed in place
            self.assign(node.target, current if isinstance(current, Opaque) else value, None, node.value)
            return
        result = self.operate(node.op, current, value)
        if isinstance(current, ConfigList):
            current[:], current.origins[:] = result, result.origins
        elif isinstance(current, set):
            current.clear()
            current |= result
        else:
            self.assign(node.target, result, None, node.value)

    def _expression(self, node: ast.Expr) -> None:
        if reaches_all(node.value):
            raise NotKnownError("what this runs may set any key")
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._delete_name(target)
            elif isinstance(target, ast.Subscript):
                if isinstance(target.slice, ast.Slice):
                    raise NotKnownError("a slice that is deleted")
                self._delete_item(self.evaluate(target.value), self.evaluate(target.slice))
            elif isinstance(target, ast.Attribute):
                self._delete_attribute(self.evaluate(target.value), target.attr)
            else:
                raise NotKnownError("what is deleted is not known")

    def _delete_name(self, target: ast.Name) -> None:
        names: dict[str, Any] = self.scopes[-1] if self.scopes else self.variables
        if target.id not in names:
            if self.binds_any:
                raise NotKnownError("what is deleted is not known")
            self.report(UNDEFINED_NAME, f"name {target.id!r} is not defined", position_of(target))
            return
        del names[target.id]
        if not self.scopes:
            self.variables.origins.pop(target.id, None)

    def _delete_attribute(self, container: Any, name: str) -> None:
        if isinstance(container, (*SCALARS, dict, list, tuple, set)) and not (
            isinstance(container, ConfigDict) and container.by_attribute
        ):
            raise AttributeError(f"{python_name(container)!r} object has no attribute {name!r}")
        self._delete_item(container, name)

    def _delete_item(self, container: Any, key: Any) -> None:
        if isinstance(container, (*SCALARS, tuple, set)):
            raise TypeError(f"{python_name(container)!r} object doesn't support item deletion")
        if isinstance(key, Opaque) or not isinstance(container, (ConfigDict, ConfigList)):
            raise NotKnownError("what is deleted is not known")
        if isinstance(container, ConfigDict):
            key = key_of(key, self)
            del container[key]
            container.origins.pop(key, None)
        else:
            del container[key]
            del container.origins[key]

    def _pass(self, node: ast.Pass | ast.Global) -> None:
        pass

    def _assert(self, node: ast.Assert) -> None:
        if not self.truth(self.evaluate(node.test)):
            self.report(FAILING_EXPRESSION, "AssertionError: this assertion does not hold", position_of(node))

    def _raise(self, node: ast.Raise) -> None:
        self.report(FAILING_EXPRESSION, "the config raises an exception here", position_of(node))

    # Blocks

    def _if(self, node: ast.If) -> _Stop | None:
        return self._block(node.body if self.truth(self.evaluate(node.test)) else node.orelse)

    def _for(self, node: ast.For) -> _Stop | None:
        value = self.evaluate(node.iter)
        self.truth(value)
        for item, origin in self.items_one_by_one(value):
            self.assign(node.target, item, origin, node.iter)
            stop = self._block(node.body)
            if stop is _Stop.BREAK:
                return None
            if stop is _Stop.RETURN:
                return stop
        return self._block(node.orelse)

    def _while(self, node: ast.While) -> _Stop | None:
        while self.truth(self.evaluate(node.test)):
            stop = self._block(node.body)
            if stop is _Stop.BREAK:
                return None
            if stop is _Stop.RETURN:
                return stop
        return self._block(node.orelse)

    def _break(self, node: ast.Break) -> _Stop:
        return _Stop.BREAK

    def _continue(self, node: ast.Continue) -> _Stop:
        return _Stop.CONTINUE

    def _return(self, node: ast.Return) -> _Stop:
        self._returned = None if node.value is None else self.evaluate(node.value)
        return _Stop.RETURN

    def _function_def(self, node: ast.FunctionDef) -> None:
        if node.decorator_list:
            raise NotKnownError("a decorator is not run")
        self.budget.spend(2 * size_of_syntax(node))  # each time, as in a loop
        if any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in ast.walk(node)):
            raise NotKnownError("a generator function is not run")
        if outer_names(node):
            raise NotKnownError("a function that binds names outside of itself is not run")
        name = ast.copy_location(ast.Name(node.name, ast.Store()), node)
        self.assign(name, self.function(node.name, node.args, node.body))

    # Imports

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.name if alias.asname is not None else alias.name.partition(".")[0]
            self.bind_import(alias.asname or name, self.imported_module(name), alias)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                raise NotKnownError("the names that an import of all brings")
            self.bind_import(alias.asname or alias.name, self.imported_name(module, alias.name), alias)

    def bind_import(self, name: str, value: Any, alias: ast.alias) -> None:
        """Make an import known under its name."""
        if self.scopes:
            self.scopes[-1][name] = value
        else:
            self.variables.put(name, value, Origin(self.source, position_of(alias), position_of(alias)))

    def imported_module(self, module: str) -> Any:
        """What `import module` gives."""
        return Module(module) if is_python_module(module) else DottedName(module)

    def imported_name(self, module: str, name: str) -> Any:
        """What `from module import name` gives."""
        if module == "mmengine":  # mmengine lets `from mmengine import Config` stand in the classic style
            return Imported(f"{module}.{name}")
        return self.member(module, name) if is_python_module(module) else DottedName(f"{module}.{name}")


def is_python_module(module: str) -> bool:
    """Whether mmengine imports this one, rather than to note its name: Python's own, and `mmengine.config`."""
    if module.startswith("mmengine.config"):
        return True
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names


_STATEMENTS: dict[type[ast.stmt], str] = {
    ast.AnnAssign: "_annotated",
    ast.Assert: "_assert",
    ast.AugAssign: "_augmented",
    ast.Break: "_break",
    ast.Continue: "_continue",
    ast.Delete: "_delete",
    ast.Expr: "_expression",
    ast.For: "_for",
    ast.FunctionDef: "_function_def",
    ast.If: "_if",
    ast.Import: "_import",
    ast.ImportFrom: "_import_from",
    ast.Global: "_pass",
    ast.Pass: "_pass",
    ast.Raise: "_raise",
    ast.Return: "_return",
    ast.While: "_while",
}
"""Methods by name: the read_base() style has its own of some."""
