"""One module of the user's as its syntax tree has it: what it defines, imports, and hands on."""

from __future__ import annotations

import ast
import functools
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from provecfg.files import open_regular
from provecfg.registry.syntax import dotted_text, is_text, last_name, outer_statements


@dataclass(frozen=True)
class Module:
    """One module as its syntax tree has it.

    Args:
        name: Dotted.
        file: Where it was read.
        is_package: Whether it is an `__init__.py`.
        body: Its statements.
        definitions: Classes and functions that it defines.
        imported: Names that it imports, each with the dotted name it stands for.
        starred: Modules of which it imports all names, or may hand on any.
        wanted: Every module that importing it imports.
        imports_folder: Whether it is a package that imports every module of its folder.
    """

    name: str
    file: Path
    is_package: bool
    body: list[ast.stmt]
    definitions: dict[str, ast.ClassDef | ast.FunctionDef] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    starred: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    imports_folder: bool = False

    def resolve(self, name: str) -> str | None:
        """The full name of what `name` means in this module, or None if it is a variable."""
        head, dot, rest = name.partition(".")
        if head in self.definitions:
            return f"{self.name}.{name}"
        if head in self.imported:
            return f"{self.imported[head]}{dot}{rest}"
        # a star import may have brought it; the search for its record goes through the module
        return f"{self.name}.{name}" if self.starred else None

    def base_name(self, node: ast.expr, *, of: str) -> str:
        """The dotted name of a parent of the class `of`; one that cannot be found starts with `?`."""
        if isinstance(node, ast.Subscript):
            node = node.value
        text = dotted_text(node)
        if text == "object":
            return text
        if text == of and text in self.imported:  # a class that is called as its parent is
            return self.imported[text]
        return (self.resolve(text) if text else None) or f"?{text or ast.unparse(node)}"


def changed_at(file: Path) -> int:
    """When a file was last changed, in ns; -1 for one that is gone."""
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return -1


@functools.lru_cache(maxsize=1000)
def parsed(file: Path, changed_at: int) -> ast.Module:
    """The syntax tree of a file; `changed_at` (ns) only tells its versions apart."""
    del changed_at
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's module, such as an invalid escape
        with open_regular(file) as stream:
            return ast.parse(stream.read(), filename=str(file))


def outline_of(name: str, file: Path, tree: ast.Module) -> Module:
    """The outline of a module's syntax tree."""
    is_package = file.name == "__init__.py"
    imports_folder = is_package and any(map(_goes_through_folder, outer_statements(tree.body)))
    module = Module(name, file, is_package, tree.body, imports_folder=imports_folder)
    if imports_folder:
        beside = [f"{name}.{other}" for other in _modules_beside(file)]
        module.starred.extend(beside)
        module.wanted.extend(beside)
    package = name if module.is_package else name.rpartition(".")[0]
    for statement in outer_statements(tree.body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            module.definitions[statement.name] = statement
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                module.wanted.append(alias.name)
                head = alias.name.partition(".")[0]
                module.imported[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(statement, ast.ImportFrom):
            source = _absolute(statement, package)
            if source is None:
                continue
            module.wanted.append(source)
            for alias in statement.names:
                if alias.name == "*":
                    module.starred.append(source)
                    continue
                module.imported[alias.asname or alias.name] = f"{source}.{alias.name}"
                module.wanted.append(f"{source}.{alias.name}")
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            module.wanted.extend(_locations(statement.value))
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, (ast.Name, ast.Attribute)):
            # `Head = FCNHead`, another name of an imported or a local class
            alias_of = module.resolve(dotted_text(statement.value) or "?")
            for target in statement.targets:
                if isinstance(target, ast.Name) and alias_of is not None:
                    module.imported.setdefault(target.id, alias_of)
    return module


def _goes_through_folder(statement: ast.stmt) -> bool:
    """Whether it is `for ... in pkgutil.iter_modules(__path__)`."""
    if not isinstance(statement, ast.For) or not isinstance(statement.iter, ast.Call):
        return False
    call = statement.iter
    return last_name(call.func) == "iter_modules" and bool(call.args) and dotted_text(call.args[0]) == "__path__"


def _modules_beside(file: Path) -> list[str]:
    """The modules and packages in the folder of a package's `__init__.py`, by name."""
    modules = {path.stem for path in file.parent.glob("*.py") if path != file}
    return sorted(modules | {path.parent.name for path in file.parent.glob("*/__init__.py")})


def _locations(call: ast.Call) -> list[str]:
    """The modules that `Registry(..., locations=[...])` imports when a name is first looked up."""
    locations = next((k.value for k in call.keywords if k.arg == "locations"), None)
    items = locations.elts if isinstance(locations, (ast.List, ast.Tuple)) else []
    return [item.value for item in items if is_text(item)]


def _absolute(statement: ast.ImportFrom, package: str) -> str | None:
    if not statement.level:
        return statement.module
    parts = package.split(".")
    if statement.level > len(parts):
        return None
    base = ".".join(parts[: len(parts) - statement.level + 1])
    return f"{base}.{statement.module}" if statement.module else base
