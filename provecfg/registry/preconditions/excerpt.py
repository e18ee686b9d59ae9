"""The part of a constructor's source that can refuse a plain value, with what leads to it.

What cannot be evaluated without running the packages (a layer that is built, a file that is read) becomes `...`, which
stands for a value that is not known. Names of the module are written out in full, below `__`: `__.torch.nn.Linear`.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from provecfg.registry.preconditions.natives import BUILTINS, METHODS, is_native
from provecfg.registry.signatures import UNKNOWN_DEFAULT, default_value
from provecfg.registry.syntax import dotted_text, is_text

GLOBAL: Final = "__"
"""Below this name stand the names of modules, classes and functions, in full."""

UNFOLLOWED: Final = "_unfollowed"
"""Stands for a function that is not followed, in a call whose arguments make objects that are."""

SWITCHES: Final = "switch_scope_and_registry"
"""The method of mmengine's registries whose context is a registry."""

Resolve = Callable[[str], "str | ast.expr | None"]
"""From a name of the module (`nn.Linear`) to its dotted name, or to the literal that it stands for, or to None."""

HasExcerpt = Callable[[str], bool]
"""Whether a function, by its dotted name, or a method, as `self.name`, has an excerpt of its own."""

Sets = Callable[[str], "frozenset[str] | None"]
"""The attributes that calling a method sets, by its name; None where that is not known."""


def excerpt(
    function: ast.FunctionDef,
    resolve: Resolve,
    has_excerpt: HasExcerpt,
    sets: Sets,
    *,
    needed: frozenset[str] | None = None,
) -> list[ast.stmt]:
    """The statements of a function that can refuse a value, and what leads to them.

    Args:
        function: A constructor, a method that one calls, or a function.
        resolve: What the names of its module mean.
        has_excerpt: Which functions and methods can be followed.
        sets: What the methods set that cannot be.
        needed: Attributes that some excerpt reads, so that setting them is kept; None for all.

    Returns:
        Statements of the function's own; [] where nothing can be refused.
    """
    if any(isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)) for node in ast.walk(function)):
        return []  # nothing of it runs when it is called
    try:
        maker = _Maker(function, resolve, has_excerpt, sets, needed)
        return maker.live(maker.block(function.body))
    except RecursionError:
        return []


def attributes_read(body: Iterable[ast.stmt]) -> set[str]:
    """The attributes that statements look at, of `self` or of a class that a variable holds."""
    return {
        node.attr
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def functions_called(body: Iterable[ast.stmt]) -> set[str]:
    """The dotted names of functions, and `self.name` of methods, that statements call."""
    called: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                name = dotted_text(node.func) or ""
                called.add(name.removeprefix(f"{GLOBAL}."))
    return called


def is_super_init(call: ast.expr) -> bool:
    """Whether a call is that of the next constructor, or of a named parent's."""
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"


_ANY: Final = "_any_attribute_"
"""A method that nobody has: after it, no attribute is known."""


def attributes_set(function: ast.FunctionDef, method: Callable[[str], ast.FunctionDef | None]) -> frozenset[str]:
    """The attributes of `self` that calling a method sets, those of methods that it calls included.

    Args:
        function: The method.
        method: Finds another method by its name.
    """
    attributes: set[str] = set()
    waiting, seen = [function], {function.name}
    while waiting:
        current = waiting.pop()
        for node in ast.walk(current):
            if not isinstance(node, ast.Attribute) or dotted_text(node.value) != "self":
                continue
            if isinstance(node.ctx, ast.Store):
                attributes.add(node.attr)
        for name in own_methods_called([current]) if len(seen) < _MOST_METHODS else ():
            inner = method(name)
            if inner is not None and name not in seen:
                seen.add(name)
                waiting.append(inner)
    return frozenset(attributes)


_MOST_METHODS: Final = 30


def own_methods_called(body: Iterable[ast.AST]) -> set[str]:
    """The names of the methods that statements call on `self`."""
    return {
        node.func.attr
        for part in body
        for node in ast.walk(part)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and dotted_text(node.func.value) == "self"
    }


def _own_expressions(node: ast.stmt) -> list[ast.AST]:
    """The expressions of a statement, less the statements below it."""
    return [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def _may_leave(node: ast.AST, is_in_loop: bool = False) -> bool:
    """Whether running a statement may leave the block that it stands in.

    A handler that leaves does so where something failed that is no value's affair: a file, or a package.
    """
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ExceptHandler)):
        return False
    if isinstance(node, ast.Return):
        return True
    if isinstance(node, (ast.Break, ast.Continue)):
        return not is_in_loop
    is_in_loop |= isinstance(node, (ast.For, ast.While))
    return any(_may_leave(child, is_in_loop) for child in ast.iter_child_nodes(node))


def _unknown() -> ast.expr:
    return ast.Constant(...)


def _is_unknown(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


class _Maker:
    def __init__(
        self,
        function: ast.FunctionDef,
        resolve: Resolve,
        has_excerpt: HasExcerpt,
        sets: Sets,
        needed: frozenset[str] | None,
    ) -> None:
        self.resolve = resolve
        self.has_excerpt = has_excerpt
        self.sets = sets
        self.needed = needed
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self.locals = {argument.arg for argument in every if argument is not None}
        self.locals |= {
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }

    # Statements

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for statement in body:
            kept += self.statement(statement)
        return kept

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        maker = getattr(self, f"_{type(node).__name__.lower()}", None)
        made: list[ast.stmt] = self._forgotten([node]) if maker is None else maker(node)
        return made + self._set_unseen([node] if maker is None else _own_expressions(node))

    def _set_unseen(self, parts: Iterable[ast.AST]) -> list[ast.stmt]:
        """What the methods set that a statement calls and that cannot be followed."""
        made: list[ast.stmt] = []
        for part in parts:
            for node in ast.walk(part):
                name = dotted_text(node.func) if isinstance(node, ast.Call) else None
                if name is None or not name.startswith("self.") or name.count(".") != 1 or self.has_excerpt(name):
                    continue
                attributes = self.sets(name.removeprefix("self."))
                if attributes is None:
                    made.append(
                        ast.Expr(ast.Call(ast.Attribute(ast.Name("self", ast.Load()), _ANY, ast.Load()), [], []))
                    )
                for attribute in sorted(attributes or ()):
                    target = ast.Attribute(ast.Name("self", ast.Load()), attribute, ast.Store())
                    made.append(ast.Assign([target], _unknown(), lineno=0))
        return made

    def _forgotten(self, body: Sequence[ast.AST]) -> list[ast.stmt]:
        """In place of statements that cannot be followed: what they set is not known from there on, nor, where they may
        return, whether there is anything from there on.
        """
        targets: dict[str, ast.expr] = {}
        for part in body:
            for node in ast.walk(part):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    targets[node.id] = ast.Name(node.id, ast.Store())
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    text = dotted_text(node)
                    if text is not None and text.startswith("self.") and text.count(".") == 1:
                        targets[text] = ast.Attribute(ast.Name("self", ast.Load()), node.attr, ast.Store())
                elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    targets[node.name] = ast.Name(node.name, ast.Store())
                elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                    changed = dotted_text(node.value)
                    if changed is not None and "." not in changed:
                        targets[changed] = ast.Name(changed, ast.Store())
        made: list[ast.stmt] = [ast.Assign([target], _unknown(), lineno=0) for target in targets.values()]
        if any(map(_may_leave, body)):
            made.append(ast.If(_unknown(), [ast.Return(None)], []))
        return made

    def _assert(self, node: ast.Assert) -> list[ast.stmt]:
        test = self.expression(node.test)
        if _is_unknown(test):
            return []
        return [ast.Assert(test, None if node.msg is None else self.expression(node.msg))]

    def _raise(self, node: ast.Raise) -> list[ast.stmt]:
        kind = node.exc
        call = kind.func if isinstance(kind, ast.Call) else kind
        name = dotted_text(call) if call is not None else None
        words = [self.expression(arg) for arg in kind.args[:1]] if isinstance(kind, ast.Call) else []
        return [ast.Raise(ast.Call(ast.Name(name or "Exception", ast.Load()), words, []), None)]

    def _if(self, node: ast.If) -> list[ast.stmt]:
        test, body, orelse = self.expression(node.test), self.block(node.body), self.block(node.orelse)
        if not body and not orelse:
            return [ast.Expr(test)] if _may_refuse(test) else []
        return [ast.If(test, body or [ast.Pass()], orelse)]

    def _for(self, node: ast.For) -> list[ast.stmt]:
        iterated = self.expression(node.iter)
        body = self.block(node.body)
        if _is_unknown(iterated):
            return self._forgotten([node])
        loop = ast.For(node.target, iterated, body or [ast.Pass()], [], lineno=0)
        return [loop, *self._forgotten(node.orelse)]

    def _with(self, node: ast.With) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for item in node.items:
            call, target = item.context_expr, item.optional_vars
            if target is None:
                continue
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == SWITCHES:
                kept.append(ast.Assign([target], self._name(call.func.value), lineno=0))
            else:
                kept += self._forgotten([target])
        return kept + self.block(node.body)

    def _expr(self, node: ast.Expr) -> list[ast.stmt]:
        call = node.value
        if is_super_init(call):
            kept = self._super_call(call)
        else:
            kept = self.expression(call)
            if not isinstance(kept, ast.Call):
                return [ast.Expr(kept)] if _may_refuse(kept) else []
        return [] if kept is None or _is_unknown(kept) else [ast.Expr(kept)]

    def _super_call(self, call: ast.expr) -> ast.expr | None:
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return None
        inner = call.func.value
        named: ast.expr
        if isinstance(inner, ast.Call) and dotted_text(inner.func) == "super":
            own = [self._name(arg) for arg in inner.args[:1]]
            if own and _is_unknown(own[0]):
                return None
            named = ast.Call(ast.Name("super", ast.Load()), own, [])
        else:
            named = self._name(inner)
            if _is_unknown(named):
                return None
        function = ast.Attribute(named, "__init__", ast.Load())
        return ast.Call(function, [self.expression(arg) for arg in call.args], self._keywords(call))

    def _assign(self, node: ast.Assign) -> list[ast.stmt]:
        if not all(map(self._is_target, node.targets)):
            return self._forgotten([node])
        return [ast.Assign([self._target(target) for target in node.targets], self.expression(node.value), lineno=0)]

    def _annassign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        if node.value is None:
            return []
        return self._assign(ast.Assign([node.target], node.value))

    def _augassign(self, node: ast.AugAssign) -> list[ast.stmt]:
        if not self._is_target(node.target):
            return []
        target = self._target(node.target)
        if not isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
            return []
        return [ast.AugAssign(target, node.op, self.expression(node.value))]

    def _return(self, node: ast.Return) -> list[ast.stmt]:
        return [ast.Return(None if node.value is None else self.expression(node.value))]

    def _delete(self, node: ast.Delete) -> list[ast.stmt]:
        return self._forgotten(
            [
                ast.Assign([ast.Name(name, ast.Store())], _unknown())
                for target in node.targets
                if (name := dotted_text(target.value if isinstance(target, ast.Subscript) else target))
                and "." not in name
            ]
        )

    def _pass(self, node: ast.Pass) -> list[ast.stmt]:
        return []

    _import = _importfrom = _pass

    def _break(self, node: ast.Break) -> list[ast.stmt]:
        return [node]

    def _continue(self, node: ast.Continue) -> list[ast.stmt]:
        return [node]

    def _is_target(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return True
        if isinstance(node, (ast.Tuple, ast.List)):
            return all(map(self._is_target, node.elts))
        if isinstance(node, ast.Subscript):
            return isinstance(node.value, (ast.Name, ast.Attribute)) and not _is_unknown(self.expression(node.value))
        return isinstance(node, ast.Attribute) and dotted_text(node.value) == "self"

    def _target(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Subscript):
            return ast.Subscript(self.expression(node.value), self.expression(node.slice), ast.Store())
        return node

    # Expressions

    def expression(self, node: ast.expr) -> ast.expr:
        """The expression, with `...` for what cannot be evaluated."""
        maker = getattr(self, f"_e_{type(node).__name__.lower()}", None)
        if maker is None:
            return _unknown()
        made: ast.expr = maker(node)
        return made

    def _all(self, nodes: Iterable[ast.expr]) -> list[ast.expr]:
        return [self.expression(node) for node in nodes]

    def _e_constant(self, node: ast.Constant) -> ast.expr:
        return node if node.value is None or isinstance(node.value, (str, int, float, bool)) else _unknown()

    def _e_name(self, node: ast.Name) -> ast.expr:
        return self._name(node)

    def _name(self, node: ast.expr) -> ast.expr:
        """A name of the function's or of its module."""
        text = dotted_text(node)
        if text is None:
            return _unknown()
        head, _, rest = text.partition(".")
        if head in self.locals:
            return node
        meaning = self.resolve(text)
        if isinstance(meaning, str):
            return ast.parse(f"{GLOBAL}.{meaning}", mode="eval").body if _is_dotted(meaning) else _unknown()
        if meaning is not None:
            return copy.deepcopy(meaning)
        if rest:
            inner = self._name(node.value) if isinstance(node, ast.Attribute) else _unknown()
            return _unknown() if _is_unknown(inner) else ast.Attribute(inner, node.attr, ast.Load())  # type: ignore[attr-defined]
        return node if head in BUILTINS or _is_exception(head) else _unknown()

    def _e_attribute(self, node: ast.Attribute) -> ast.expr:
        if dotted_text(node) is not None:
            return self._name(node)
        inner = self.expression(node.value)
        return _unknown() if _is_unknown(inner) else ast.Attribute(inner, node.attr, ast.Load())

    def _e_subscript(self, node: ast.Subscript) -> ast.expr:
        value = self.expression(node.value)
        return _unknown() if _is_unknown(value) else ast.Subscript(value, self.expression(node.slice), ast.Load())

    def _e_slice(self, node: ast.Slice) -> ast.expr:
        lower, upper, step = (
            None if part is None else self.expression(part) for part in (node.lower, node.upper, node.step)
        )
        return ast.Slice(lower, upper, step)

    def _e_tuple(self, node: ast.Tuple) -> ast.expr:
        return ast.Tuple(self._all(node.elts), ast.Load())

    def _e_list(self, node: ast.List) -> ast.expr:
        return ast.List(self._all(node.elts), ast.Load())

    def _e_set(self, node: ast.Set) -> ast.expr:
        return ast.Set(self._all(node.elts))

    def _e_dict(self, node: ast.Dict) -> ast.expr:
        return ast.Dict([None if key is None else self.expression(key) for key in node.keys], self._all(node.values))

    def _e_starred(self, node: ast.Starred) -> ast.expr:
        return ast.Starred(self.expression(node.value), ast.Load())

    def _e_compare(self, node: ast.Compare) -> ast.expr:
        left, right = self.expression(node.left), self._all(node.comparators)
        return _unknown() if _is_unknown(left) and all(map(_is_unknown, right)) else ast.Compare(left, node.ops, right)

    def _e_boolop(self, node: ast.BoolOp) -> ast.expr:
        values = self._all(node.values)
        return _unknown() if all(map(_is_unknown, values)) else ast.BoolOp(node.op, values)

    def _e_unaryop(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.expression(node.operand)
        return _unknown() if _is_unknown(operand) else ast.UnaryOp(node.op, operand)

    def _e_binop(self, node: ast.BinOp) -> ast.expr:
        left, right = self.expression(node.left), self.expression(node.right)
        return _unknown() if _is_unknown(left) or _is_unknown(right) else ast.BinOp(left, node.op, right)

    def _e_ifexp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.expression(node.test), self.expression(node.body), self.expression(node.orelse))

    def _e_joinedstr(self, node: ast.JoinedStr) -> ast.expr:
        return ast.JoinedStr([self.expression(value) for value in node.values])

    def _e_formattedvalue(self, node: ast.FormattedValue) -> ast.expr:
        return ast.FormattedValue(self.expression(node.value), -1, None)

    def _e_generatorexp(self, node: ast.GeneratorExp | ast.ListComp | ast.SetComp) -> ast.expr:
        generators = []
        for part in node.generators:
            self.locals |= {name.id for name in ast.walk(part.target) if isinstance(name, ast.Name)}
            iterated = self.expression(part.iter)
            if part.is_async or _is_unknown(iterated):
                return _unknown()
            generators.append(ast.comprehension(part.target, iterated, self._all(part.ifs), 0))
        return type(node)(self.expression(node.elt), generators)

    _e_listcomp = _e_setcomp = _e_generatorexp

    def _e_dictcomp(self, node: ast.DictComp) -> ast.expr:
        inner = self._e_generatorexp(ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators))
        if not isinstance(inner, ast.GeneratorExp) or not isinstance(inner.elt, ast.Tuple):
            return _unknown()
        return ast.DictComp(inner.elt.elts[0], inner.elt.elts[1], inner.generators)

    def _e_call(self, node: ast.Call) -> ast.expr:
        function = self._called(node.func)
        if function is None:
            return self._unfollowed(node)
        return ast.Call(function, self._all(node.args), self._keywords(node))

    def _unfollowed(self, node: ast.Call) -> ast.expr:
        """A call that is not followed, for the sake of the objects that are made for it."""
        made = [argument for argument in self._all(node.args) if _makes_object(argument)]
        return ast.Call(ast.Name(UNFOLLOWED, ast.Load()), made, []) if made else _unknown()

    def _keywords(self, node: ast.Call) -> list[ast.keyword]:
        return [ast.keyword(keyword.arg, self.expression(keyword.value)) for keyword in node.keywords]

    def _called(self, function: ast.expr) -> ast.expr | None:
        """What a call calls, where that can be followed."""
        text = dotted_text(function)
        if text is not None:
            head, _, rest = text.partition(".")
            if head == "self" and "." not in rest:
                return function if self.has_excerpt(text) else None
            if head in self.locals and not rest:
                return function  # it may hold a class
            if head not in self.locals:
                meaning = self.resolve(text)
                if isinstance(meaning, str):
                    follows = is_native(meaning) or self.has_excerpt(meaning)
                    return self._name(function) if follows and _is_dotted(meaning) else None
                if meaning is None and not rest:
                    return function if head in BUILTINS else None
        if isinstance(function, ast.Attribute) and function.attr in METHODS:
            owner = self.expression(function.value)
            return None if _is_unknown(owner) else ast.Attribute(owner, function.attr, ast.Load())
        return None

    # What is of use

    def live(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements without those that set what nothing looks at."""
        while True:
            read = _names_read(body)
            kept = self._without_dead(body, read)
            if len(list(_every(kept))) == len(list(_every(body))):
                break
            body = kept
        # a return matters where something follows it; the last statement's does not
        while kept and isinstance(kept[-1], ast.Return) and kept[-1].value is None:
            kept.pop()
        return kept if any(map(_matters, _every(kept))) else []

    def _without_dead(self, body: list[ast.stmt], read: set[str]) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, ast.If):
                inner, orelse = self._without_dead(statement.body, read), self._without_dead(statement.orelse, read)
                if inner or orelse:
                    kept.append(ast.If(statement.test, inner or [ast.Pass()], orelse))
                elif _may_refuse(statement.test):
                    kept.append(ast.Expr(statement.test))
            elif isinstance(statement, ast.For):
                inner = self._without_dead(statement.body, read)
                if inner or not isinstance(statement.iter, ast.Constant):
                    kept.append(ast.For(statement.target, statement.iter, inner or [ast.Pass()], [], lineno=0))
            elif isinstance(statement, ast.Assign):
                if any(self._is_read(target, read) for target in statement.targets) or _assignment_may_refuse(
                    statement
                ):
                    kept.append(statement)
            elif isinstance(statement, ast.Expr):
                if _is_change(statement.value) and not self._is_read(statement.value.func.value, read):  # type: ignore[attr-defined]
                    continue
                kept.append(statement)
            elif not isinstance(statement, ast.Pass):
                kept.append(statement)
        return kept

    def _is_read(self, target: ast.AST, read: set[str]) -> bool:
        if isinstance(target, (ast.Tuple, ast.List)):
            return any(self._is_read(inner, read) for inner in target.elts)
        if isinstance(target, ast.Subscript):
            return self._is_read(target.value, read)
        if isinstance(target, ast.Attribute) and dotted_text(target.value) == "self":
            return self.needed is None or target.attr in self.needed or f"self.{target.attr}" in read
        return not isinstance(target, ast.Name) or target.id in read


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _is_exception(name: str) -> bool:
    value: Any = getattr(builtins, name, None)
    return isinstance(value, type) and issubclass(value, Exception)


def _every(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in body:
        yield statement
        yield from _every([*getattr(statement, "body", []), *getattr(statement, "orelse", [])])


def _names_read(body: Iterable[ast.stmt]) -> set[str]:
    read: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                read.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                text = dotted_text(node)
                if text is not None and text.startswith("self."):
                    read.add(".".join(text.split(".")[:2]))
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                read.add(node.target.id)
    return read


def _makes_object(node: ast.expr) -> bool:
    """Whether an argument is a call of a class or function that is followed (`Parameter(torch.empty(...))`)."""
    if isinstance(node, ast.Starred):
        return _makes_object(node.value)
    if not isinstance(node, ast.Call):
        return False
    name = dotted_text(node.func) or ""
    return name == UNFOLLOWED or name.startswith(f"{GLOBAL}.")


def _is_change(node: ast.expr) -> bool:
    """A call that does nothing but change what it is called on."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES


_CHANGES: Final = frozenset({"append", "extend", "insert", "update", "setdefault", "add", "clear", "sort", "reverse"})


def _may_refuse(node: ast.expr) -> bool:
    """Whether evaluating an expression can fail for a plain value of the wrong kind."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.BinOp, ast.Subscript)):
            if not (isinstance(inner, ast.Subscript) and is_text(inner.value)):
                return True
        elif isinstance(inner, ast.Compare):
            if any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)) for op in inner.ops):
                return True
        elif isinstance(inner, ast.UnaryOp):
            if isinstance(inner.op, ast.USub) and not isinstance(inner.operand, ast.Constant):
                return True
        elif isinstance(inner, (ast.Call, ast.comprehension, ast.Starred)):
            return True
    return False


def _assignment_may_refuse(statement: ast.Assign) -> bool:
    if _is_unknown(statement.value):
        return False
    unpacks = any(isinstance(target, (ast.Tuple, ast.List)) for target in statement.targets)
    return unpacks or _may_refuse(statement.value)


def _matters(statement: ast.stmt) -> bool:
    """Whether a statement is why a function has an excerpt at all."""
    if isinstance(statement, (ast.Assert, ast.Raise)):
        return True
    if isinstance(statement, ast.Expr):
        call = statement.value
        return not is_super_init(call) or bool(isinstance(call, ast.Call) and (call.args or call.keywords))
    if isinstance(statement, ast.Return):
        return statement.value is not None
    return isinstance(statement, ast.Assign) and _assignment_may_refuse(statement)


def literal_of(value: object, dotted: Callable[[object], str | None]) -> ast.expr | None:
    """The source of a plain value, of a short one; inside a dict or list, `...` for what is no plain value.

    Args:
        value: The value.
        dotted: The dotted name of a class.
    """
    node = _literal(value, 0, dotted)
    if node is None or _is_unknown(node):
        return None
    return node if len(ast.unparse(node)) <= _LONGEST_LITERAL else None


_LONGEST_LITERAL: Final = 1500
_DEEPEST_LITERAL: Final = 6


def _literal(value: object, depth: int, dotted: Callable[[object], str | None]) -> ast.expr:
    if value is None or type(value) in (bool, int, float, str):  # an enumeration's member is none of these
        node = ast.parse(repr(value), mode="eval").body
        return node if default_value(node) is not UNKNOWN_DEFAULT else _unknown()
    if depth > _DEEPEST_LITERAL:
        return _unknown()
    if type(value) is dict:
        keys: list[ast.expr | None] = [_literal(key, depth + 1, dotted) for key in value]
        return ast.Dict(keys, [_literal(item, depth + 1, dotted) for item in value.values()])
    if type(value) in (list, tuple) and isinstance(value, (list, tuple)):
        items = [_literal(item, depth + 1, dotted) for item in value]
        return ast.List(items, ast.Load()) if isinstance(value, list) else ast.Tuple(items, ast.Load())
    if type(value) is set and isinstance(value, (set, frozenset)):
        try:
            return ast.Set([_literal(item, depth + 1, dotted) for item in sorted(value)]) if value else _unknown()
        except TypeError:
            return _unknown()
    name = dotted(value)
    return _unknown() if name is None else ast.parse(f"{GLOBAL}.{name}", mode="eval").body
