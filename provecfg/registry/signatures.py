"""What a class is called with: parameters with their kinds, defaults and annotations, read from syntax trees."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, cast, overload


class Kind(enum.Enum):
    """How a parameter may be given."""

    POSITIONAL_ONLY = "positional-only"
    POSITIONAL_OR_KEYWORD = "positional or keyword"
    KEYWORD_ONLY = "keyword-only"
    VAR_POSITIONAL = "*args"
    VAR_KEYWORD = "**kwargs"


class _Marker(enum.Enum):
    REQUIRED = "required"
    UNKNOWN = "..."

    def __repr__(self) -> str:
        return self.value


REQUIRED: Final = _Marker.REQUIRED
"""The default of a parameter that has none."""
UNKNOWN_DEFAULT: Final = _Marker.UNKNOWN
"""The default of a parameter whose default is not a plain literal (a class, a module constant)."""


class Parameter(NamedTuple):
    """One argument that a class takes.

    Args:
        name: As it is written in a config.
        kind: How it may be given; a config gives every argument by keyword.
        default: A plain Python value, `REQUIRED`, or `UNKNOWN_DEFAULT`.
        annotation: Source text of the annotation (`float`, `Optional[int]`), or None.
        origin: Dotted name of the class or function that declares it, which may be a parent.
    """

    name: str
    kind: Kind
    default: Any
    annotation: str | None
    origin: str

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED and self.kind not in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)

    @property
    def by_keyword(self) -> bool:
        """Whether `name=...` binds this parameter."""
        return self.kind in (Kind.POSITIONAL_OR_KEYWORD, Kind.KEYWORD_ONLY)


class _Literals:
    """Evaluate the literals that defaults are written in; anything else raises ValueError."""

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, node)
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            items = [self.value(item) for item in node.elts]
            return {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)](items)
        if isinstance(node, ast.Dict):
            if None in node.keys:
                raise ValueError("unpacking")
            return {self.value(k): self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k}
        return ast.literal_eval(node)

    def _call(self, function: str, node: ast.Call) -> Any:
        args = [self.value(arg) for arg in node.args]
        if function == "dict" and not args and all(k.arg for k in node.keywords):
            return {k.arg: self.value(k.value) for k in node.keywords}
        if node.keywords or len(args) > 1 or function not in ("tuple", "list", "set", "float"):
            raise ValueError(f"call of {function}")
        if function == "float" and not (args and isinstance(args[0], (str, int, float))):
            raise ValueError("float of something else")
        return {"tuple": tuple, "list": list, "set": set, "float": float}[function](*args)


def default_value(node: ast.expr) -> Any:
    """The value of a default's expression, or `UNKNOWN_DEFAULT` where it is not a literal."""
    try:
        value = _Literals().value(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN_DEFAULT
    return UNKNOWN_DEFAULT if value is Ellipsis else value


def parameters_of(
    arguments: ast.arguments, *, origin: str, skip_first: bool, text: str | None = None
) -> tuple[Parameter, ...]:
    """The parameters of a function's syntax tree.

    Args:
        arguments: The `args` of a function definition.
        origin: Dotted name of the class or function that they belong to.
        skip_first: Leave out `self`.
        text: The line that was parsed, where it is as `ast.unparse` writes it, and ASCII.
    """
    positional = [(arg, Kind.POSITIONAL_ONLY) for arg in arguments.posonlyargs]
    positional += [(arg, Kind.POSITIONAL_OR_KEYWORD) for arg in arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults
    rows = [(arg, kind, default) for (arg, kind), default in zip(positional, defaults, strict=True)]
    if skip_first:
        rows = rows[1:]
    if arguments.vararg:
        rows.append((arguments.vararg, Kind.VAR_POSITIONAL, None))
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        rows.append((arg, Kind.KEYWORD_ONLY, default))
    if arguments.kwarg:
        rows.append((arguments.kwarg, Kind.VAR_KEYWORD, None))
    return tuple(
        Parameter(
            name=arg.arg,
            kind=kind,
            default=REQUIRED if default is None else default_value(default),
            annotation=None if arg.annotation is None else _source_of(arg.annotation, text),
            origin=origin,
        )
        for arg, kind, default in rows
    )


def _source_of(annotation: ast.expr, text: str | None) -> str:
    if text is not None:  # writing it anew takes as long as parsing all of it
        return text[annotation.col_offset : annotation.end_col_offset]
    return annotation.id if isinstance(annotation, ast.Name) else ast.unparse(annotation)  # most are a name


class WrittenParameters(Sequence[Parameter]):
    """Parameters written as source text, parsed when first looked at: of most parents of a class, they never are.

    Args:
        text: Such as `in_channels: int, depth=50, **kwargs`, as `parameters_as_text` writes it.
        origin: Dotted name of the class or function that they belong to.
    """

    def __init__(self, text: str, origin: str) -> None:
        self._text = text
        self._origin = origin

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        line = f"def f({self._text}): pass"
        function = cast(ast.FunctionDef, ast.parse(line).body[0])
        text = line if line.isascii() else None  # columns count bytes
        return parameters_of(function.args, origin=self._origin, skip_first=False, text=text)

    @overload
    def __getitem__(self, index: int) -> Parameter: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Parameter, ...]: ...
    def __getitem__(self, index: int | slice) -> Parameter | tuple[Parameter, ...]:
        return self._parameters[index]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, WrittenParameters)) and self._parameters == tuple(other)

    def __hash__(self) -> int:
        return hash(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def parameters_as_text(arguments: ast.arguments, *, skip_first: bool, values: dict[str, str]) -> str:
    """Source text of a signature, `self` left out where asked.

    Args:
        arguments: The syntax tree.
        skip_first: Leave out the first positional parameter.
        values: For defaults that are not literals in the source, the text of their value.
    """
    shown = ast.arguments(
        posonlyargs=list(arguments.posonlyargs),
        args=list(arguments.args),
        vararg=arguments.vararg,
        kwonlyargs=list(arguments.kwonlyargs),
        kw_defaults=list(arguments.kw_defaults),
        kwarg=arguments.kwarg,
        defaults=list(arguments.defaults),
    )
    if skip_first:
        del (shown.posonlyargs or shown.args)[:1]
        surplus = len(shown.defaults) - len(shown.posonlyargs) - len(shown.args)
        shown.defaults = shown.defaults[max(surplus, 0) :]
    positional = [*shown.posonlyargs, *shown.args]
    with_default = positional[len(positional) - len(shown.defaults) :]
    shown.defaults = [_settled(arg.arg, node, values) for arg, node in zip(with_default, shown.defaults, strict=True)]
    shown.kw_defaults = [
        None if node is None else _settled(arg.arg, node, values)
        for arg, node in zip(shown.kwonlyargs, shown.kw_defaults, strict=True)
    ]
    return ast.unparse(shown)


def _settled(name: str, node: ast.expr, values: dict[str, str]) -> ast.expr:
    if default_value(node) is not UNKNOWN_DEFAULT:
        return node
    return ast.parse(values.get(name, "..."), mode="eval").body
