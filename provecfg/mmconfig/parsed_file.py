"""One file, parsed: its syntax tree or data, what it is based on, and what is wrong with its text."""

from __future__ import annotations

import ast
import os
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provecfg.findings import Finding, Span
from provecfg.mmconfig.bases import Base, classic_base
from provecfg.mmconfig.budget import MAX_FILES, MAX_PROBLEMS, Budget, LimitError
from provecfg.mmconfig.compiler import check_compiles
from provecfg.mmconfig.files import UnreadableError
from provecfg.mmconfig.problems import (
    MISSING_VARIABLE,
    NOT_A_CONFIG,
    SYNTAX_ERROR,
    TOO_LARGE,
    UNREAD_VALUE,
    UNSUPPORTED_TYPE,
    file_finding,
)
from provecfg.mmconfig.resolved import Resolved
from provecfg.mmconfig.scan import check_nesting
from provecfg.mmconfig.source import Position, SourceFile, position_of
from provecfg.mmconfig.statements import BASE_KEY, Statements, is_python_module
from provecfg.mmconfig.substitute import Substituted, substitute
from provecfg.mmconfig.values import ConfigDict, Opaque, origin_of

_MAY_BE_LAZY = re.compile(r"(?m)(?:^|[;:])[ \t\f]*(?:from|import|with|async)\b")


@dataclass(slots=True, eq=False)
class ParsedFile:
    """One file, parsed in one of the two styles.

    Args:
        source: Its text.
        tree: Of Python files; None where it does not parse, or once it has served.
        data: What a JSON or YAML file holds; an empty dict of a Python file.
        references: See `Substituted`.
        variables: See `Substituted`.
        problems: Of the text itself.
        is_lazy: Whether mmengine reads it in the read_base() style, if it is not a base.
        bases: What `_base_` names.
        cost: The work that parsing it took.
        resolved: What the file and its bases came to, if that may be used again.
    """

    source: SourceFile
    tree: ast.Module | None = None
    data: Any = field(default_factory=ConfigDict)
    references: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    is_lazy: bool = False
    bases: list[Base] = field(default_factory=list)
    cost: int = 0
    resolved: Resolved | None = None
    has_served: bool = False

    def syntax_tree(self) -> ast.Module | None:
        """The tree of a Python file, parsed again if it was dropped since; None where it does not parse."""
        if self.tree is None and self.has_served:
            self.tree = _tree(self.source.parsed)
        return self.tree

    def drop_tree(self) -> None:
        """Forget the tree, which is ten times larger than the values that came of it."""
        self.has_served = self.tree is not None or self.has_served
        self.tree = None

    @property
    def is_fresh(self) -> bool:
        """Whether the environment still is as it was."""
        return all(os.environ.get(name) == value for name, value in self.variables.items())


def check_suffix(path: Path) -> None:
    """Check that mmengine reads files of this kind.

    Raises:
        UnreadableError: It does not.
    """
    if path.suffix not in (".py", ".json", ".yaml", ".yml"):
        raise UnreadableError(UNSUPPORTED_TYPE, f"{path.name}: mmengine reads .py, .yaml, .yml and .json files")


def parse_file(path: Path, text: str, budget: Budget, *, lazy: bool) -> ParsedFile:
    """Parse the text of a file.

    Args:
        path: Absolute.
        text: As `files.read_text` gives it.
        budget: Pays for it.
        lazy: Read it in the read_base() style, which substitutes nothing.

    Raises:
        LimitError: The budget does not suffice.
    """
    before = budget.left
    parsed = _parse(path, text, budget, lazy=lazy)
    parsed.cost = before - budget.left
    return parsed


def _parse(path: Path, text: str, budget: Budget, *, lazy: bool) -> ParsedFile:
    budget.spend(len(text) // 10)
    try:
        substituted = Substituted(text) if lazy else substitute(text, path, os.environ)
    except LimitError as limit:
        return _too_large(SourceFile(path, text, text), limit)
    budget.spend(max(0, len(substituted.text) - len(text)) // 10)
    source = SourceFile(path, text, substituted.text, substituted.passes)
    parsed = ParsedFile(source, references=substituted.references, variables=substituted.variables)
    for missing in substituted.missing:
        row, column = source.row_and_column(missing.start)
        message = f"the environment variable {missing.name} is not set and has no default"
        hint = f"set it, or write a default: {{{{${missing.name}:default}}}}"
        span = Span(row, column, row, column + 2)
        parsed.problems.append(file_finding(MISSING_VARIABLE, message, path, span, hint=hint))
    try:
        if path.suffix == ".py":
            _parse_python(parsed, lazy=lazy)
        else:
            _parse_data(parsed, budget)
    except LimitError as limit:
        parsed.problems.append(file_finding(TOO_LARGE, limit.what, path))
    except SyntaxError as error:
        parsed.problems.append(_syntax_problem(error, source))
    if not lazy:
        _find_bases(parsed, budget)
    return parsed


def _parse_data(parsed: ParsedFile, budget: Budget) -> None:
    """Read JSON or YAML.

    Raises:
        LimitError: It is too large or too deep.
    """
    from provecfg.mmconfig.data_files import DataError, Unread, read_json, read_yaml  # most configs are Python

    source = parsed.source
    unread: list[Unread] = []
    try:
        if source.path.suffix == ".json":
            parsed.data = read_json(source, parsed.references, budget)
        else:
            parsed.data = read_yaml(source, parsed.references, budget, unread)
    except DataError as error:
        parsed.problems.append(file_finding(SYNTAX_ERROR, error.message, source.path, source.span(error.position)))
        return
    for reason, position in unread[:MAX_PROBLEMS]:
        parsed.problems.append(file_finding(UNREAD_VALUE, f"not judged: {reason}", source.path, source.span(position)))


def _find_bases(parsed: ParsedFile, budget: Budget) -> None:
    source = parsed.source
    named, position = _named_bases(parsed, budget)
    if isinstance(named, Opaque):  # the reason has been said
        return
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        span = source.span(position) if position is not None else None
        problem = file_finding(NOT_A_CONFIG, "_base_ is neither a path nor a list of paths", source.path, span)
        parsed.problems.append(problem)
        return
    if len(names) > MAX_FILES:
        parsed.problems.append(file_finding(TOO_LARGE, "it has too many bases", source.path))
        return
    for index, name in enumerate(names):
        origin = origin_of(names, index)
        at = origin.value if origin else position
        try:
            parsed.bases.append(classic_base(name, at, source.path))
        except UnreadableError as error:
            span = source.span(at) if at is not None else None
            parsed.problems.append(file_finding(error.problem, error.message, source.path, span, hint=error.hint))


def _named_bases(parsed: ParsedFile, budget: Budget) -> tuple[Any, Position | None]:
    """The value of `_base_`, and where it stands."""
    if parsed.source.path.suffix != ".py" and isinstance(parsed.data, ConfigDict):
        origin = origin_of(parsed.data, BASE_KEY)
        return parsed.data.get(BASE_KEY, []), origin.value if origin else None
    for statement in parsed.tree.body if parsed.tree is not None else []:
        if isinstance(statement, ast.Assign) and is_name(statement.targets[0], BASE_KEY):
            # mmengine evaluates this line by itself, before the rest of the file.
            reader = Statements(parsed.source, budget)
            try:
                named = reader.evaluate(statement.value)
            except (LimitError, RecursionError):
                return Opaque("_base_ takes too much work to read"), position_of(statement.value)
            parsed.problems += reader.problems
            return named, position_of(statement.value)
    return [], None


def is_name(node: ast.expr, name: str) -> bool:
    """Whether `node` is that variable."""
    return isinstance(node, ast.Name) and node.id == name


def _parse_python(parsed: ParsedFile, *, lazy: bool) -> None:
    """Parse as mmengine does: the text on disk to tell the style, the substituted one to compile and run.

    Raises:
        SyntaxError: Either does not parse.
        LimitError: Either is too large or too deep.
    """
    source = parsed.source
    parsed.tree = raw = _tree(source.parsed)
    if source.parsed is not source.text and not all_in_strings(source.text):
        try:
            raw = _tree(source.text)
        except SyntaxError as error:
            as_read = SourceFile(source.path, source.text, source.text)
            problem = _syntax_problem(error, as_read)
            parsed.problems.append(
                file_finding(
                    SYNTAX_ERROR,
                    "mmengine parses the file once before it replaces {{...}}, and it does not parse then: "
                    f"{problem.message}",
                    source.path,
                    problem.span,
                    hint="quote what is in the braces: {{'$NAME:default'}}",
                )
            )
            return
    parsed.is_lazy = _may_be_lazy(source.text) and is_lazy_style(raw)
    try:
        check_compiles(parsed.tree, source.parsed)
    except SyntaxError as error:
        parsed.tree = None
        parsed.problems.append(_compiler_problem(error, source))


_HOLE = re.compile(r"\{\{[^{}'\"\n]*\}\}")


def all_in_strings(text: str) -> bool:
    """Whether every `{{...}}` surely stands in a string of one line: the file parses before replacing if it does after.

    Anything unusual (strings of several lines, quotes in the braces) makes it False: then both texts are parsed.
    """
    if "'''" in text or '"""' in text or "\\\n" in text:
        return False
    for line in text.split("\n"):
        if "{{" not in line:
            continue
        parts = _HOLE.split(line)
        if any("{{" in part for part in parts):
            return False
        if not all(_ends_in_string("".join(parts[:count])) for count in range(1, len(parts))):
            return False
    return True


def _ends_in_string(beginning: str) -> bool:
    """Whether the beginning of a line opens a string and does not close it; one with `#` or `\\` counts as none."""
    quote = ""
    for character in beginning:
        if character in "#\\":
            return False
        if character in "'\"":
            quote = "" if character == quote else quote or character
    return bool(quote)


def _tree(text: str) -> ast.Module:
    check_nesting(text)
    try:
        with warnings.catch_warnings():
            # Of invalid escapes in strings, which under -W error would be a syntax error.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (RecursionError, MemoryError):
        raise LimitError("it is nested too deeply") from None
    except ValueError as error:
        raise SyntaxError(str(error)) from None


def _may_be_lazy(text: str) -> bool:
    # looking for words takes a twentieth of looking at every line, and few configs have one
    return ("import" in text or "with" in text) and _MAY_BE_LAZY.search(text) is not None


def is_lazy_style(tree: ast.Module) -> bool:
    """mmengine's Config._is_lazy_import: whether the file is of the read_base() style."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == BASE_KEY:
                return False
        elif isinstance(node, ast.With):
            return True
        elif isinstance(node, ast.ImportFrom):
            if node.level != 0:
                return True
            if node.module == "mmengine" and [alias.name for alias in node.names] == ["Config"]:
                continue
            if node.module is not None and not is_python_module(node.module):
                return True
        elif isinstance(node, ast.Import) and not all(is_python_module(alias.name) for alias in node.names):
            return True
    return False


def _too_large(source: SourceFile, limit: LimitError) -> ParsedFile:
    return ParsedFile(source, problems=[file_finding(TOO_LARGE, limit.what, source.path)])


def _compiler_problem(error: SyntaxError, source: SourceFile) -> Finding:
    span: Span | None = None
    if error.lineno:
        # Of the compiler, columns count bytes; it says no end before Python 3.11, or one that is 0.
        start = (error.lineno, max((error.offset or 1) - 1, 0))
        end = (error.end_lineno or 0, (error.end_offset or 0) - 1)
        span = source.span((*start, *max(end, start)))
    return file_finding(SYNTAX_ERROR, error.msg or "the file does not compile", source.path, span)


def _syntax_problem(error: SyntaxError, source: SourceFile) -> Finding:
    span: Span | None = None
    if error.lineno:
        # Columns of a SyntaxError count characters from 1; places count bytes from 0.
        lines = source.parsed.split("\n")
        row = min(error.lineno, len(lines))
        line = lines[row - 1]
        column = max((error.offset or 1) - 1, 0)
        byte = len(line[:column].encode("utf-8", "replace"))
        next_byte = len(line[: column + 1].encode("utf-8", "replace"))
        span = source.span((row, byte, row, max(next_byte, byte)))
    return file_finding(SYNTAX_ERROR, error.msg or "the file does not parse", source.path, span)
