"""Make the snapshot of the installed release: what every registered class accepts.

    python -m provecfg.registry.snapshot [-o FILE] [--check]

Imports mmengine, mmcv, mmseg and mmdet, and reads the source of every class that they register, of the parents of
these, and of torch's modules. The result depends on the installed versions only.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gzip
import importlib
import importlib.metadata
import inspect
import json
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.registry.layout import RUNNER
from provecfg.registry.release import DATA_DIR, FORMAT, RELEASES, excerpts_file, flow_row, installed_release
from provecfg.registry.signatures import parameters_as_text
from provecfg.registry.source_reading import constructor_flow, defines_loss_name
from provecfg.registry.stated_types import documented

_PACKAGES = {
    "onedl": ("onedl-mmengine", "onedl-mmcv", "onedl-mmsegmentation", "onedl-mmdetection"),
    "openmmlab": ("mmengine", "mmcv", "mmcv-lite", "mmsegmentation", "mmdet"),
}

_TOP_PACKAGES = ("mmengine", "mmcv", "mmseg", "mmdet", "torch")

_UNINFORMATIVE = {"object", "Generic", "Protocol", "ABC"}

_LATER = ("mmengine.runner.runner.Runner.save_checkpoint",)
"""Methods that a hook hands its **kwargs to, see `kwargs_flow`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the snapshot, or with --check say whether the file there is what would be written."""
    parser = argparse.ArgumentParser(prog="python -m provecfg.registry.snapshot", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="the file (default: the package's own)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file would change")
    options = parser.parse_args(argv)
    release = installed_release()
    file = options.output or DATA_DIR / f"{release}.json"
    try:
        data = snapshot(release)
    except ProvecfgError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    text = as_text(data)
    if options.check:
        there = file.read_text(encoding="utf-8") if file.is_file() else ""
        if there == text:
            return ExitCode.CLEAN
        was = json.loads(there)["packages"] if there else "nothing"
        print(f"{file} is out of date: made from {was}, installed are {versions(release)}", file=sys.stderr)
        return ExitCode.FINDINGS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    packed = gzip.compress(_compact(data["excerpts"]).encode(), mtime=0)
    excerpts_file(release, file.parent).write_bytes(packed)
    print(f"{file}: {len(text.encode())} bytes, excerpts {len(packed)}", file=sys.stderr)
    return ExitCode.CLEAN


def as_text(data: dict[str, Any]) -> str:
    """Compact JSON, a class per line, in a fixed order."""
    lines = ["{"]
    for key in ("format", "release", "packages"):
        lines.append(f"{_compact(key)}:{_compact(data[key])},")
    lines.append('"registered":{')
    lines.append(",\n".join(f"{_compact(n)}:{_compact(s)}" for n, s in sorted(data["registered"].items())))
    lines.append('},\n"classes":{')
    modules = []
    for module, rows in sorted(data["classes"].items()):
        inner = ",\n".join(f"{_compact(name)}:{_compact(row)}" for name, row in sorted(rows.items()))
        modules.append(f"{_compact(module)}:{{\n{inner}}}")
    lines.append(",\n".join(modules))
    lines.append("}}")
    return "\n".join(lines) + "\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def snapshot(release: str) -> dict[str, Any]:
    """What the installed packages register, as plain data.

    Args:
        release: `onedl` or `openmmlab`.
    """
    if _version(RELEASES[release]) is None:
        raise ProvecfgError(
            "a snapshot needs mmengine, mmcv, mmseg and mmdet",
            hint="pip install 'provecfg[train]', or 'provecfg[openmmlab]'",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages, on import
        import_all()
        reader = _Reader()
        registered = reader.registered()
        for dotted in _LATER:
            reader.add_function(*_find(dotted))
        for module in _torch_modules():
            reader.add_class(module)
        reader.add_class(_find(RUNNER)[2])
        excerpts = reader.excerpts()
    return {
        "format": FORMAT,
        "release": release,
        "packages": versions(release),
        "registered": registered,
        "classes": reader.rows,
        "excerpts": excerpts,
    }


def versions(release: str) -> dict[str, str]:
    """The installed versions of what a snapshot is made from, without local parts such as `+cpu`."""
    installed = {name: _version(name) for name in (*_PACKAGES[release], "torch")}
    return {name: version.partition("+")[0] for name, version in installed.items() if version is not None}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_all() -> None:
    """Import every module of mmengine, mmcv, mmseg and mmdet that registers something."""
    from provecfg.plugin import mmcv_ops

    mmcv_ops.install()
    for name in ("mmcv.ops", "mmcv.transforms", "mmcv.cnn"):
        importlib.import_module(name)
    for package in ("mmseg", "mmdet"):
        importlib.import_module(f"{package}.utils").register_all_modules(init_default_scope=False)
    # where mmengine imports from when a name is first looked up; register_all_modules leaves out mmseg.visualization
    for root in _registries():
        for registry in (root, *root.children.values()):
            for location in registry._locations:
                importlib.import_module(location)


def _registries() -> Iterator[Any]:
    from mmengine.registry import Registry, root

    for variable in sorted(vars(root)):
        if isinstance(getattr(root, variable), Registry):
            yield getattr(root, variable)


def _torch_modules() -> list[type]:
    import torch.nn

    return [v for _, v in sorted(vars(torch.nn).items()) if inspect.isclass(v) and issubclass(v, torch.nn.Module)]


def _find(dotted: str) -> tuple[str, str, Any]:
    """Module, name within it, and object of a dotted name."""
    module, rest = dotted, ""
    while module not in sys.modules:
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    return module, rest, functools.reduce(getattr, rest.split("."), sys.modules[module])


class _Reader:
    def __init__(self) -> None:
        self.rows: dict[str, dict[str, list[Any]]] = {}
        self.classes: dict[str, type] = {}

    def registered(self) -> dict[str, dict[str, dict[str, str]]]:
        classes: dict[str, dict[str, dict[str, str]]] = {}
        for root in _registries():
            classes[root.name] = {}
            for registry in (root, *root.children.values()):
                if registry.scope not in ("mmengine", "mmseg", "mmdet"):
                    continue
                names = {}
                for name, registered in sorted(registry.module_dict.items()):
                    # not those of other packages that happen to be installed (transformers' Adafactor), nor our own
                    if getattr(registered, "__module__", "").partition(".")[0] in _TOP_PACKAGES:
                        names[name] = self.add(registered)
                classes[root.name][registry.scope] = names
        return classes

    def add(self, registered: Any) -> str:
        """Read a class or function; returns its dotted name."""
        if inspect.isclass(registered):
            return self.add_class(registered)
        module, name = registered.__module__, registered.__qualname__
        return self.add_function(module, name, registered)

    def add_class(self, cls: type) -> str:
        dotted = _dotted(cls)
        rows = self.rows.setdefault(cls.__module__, {})
        if cls.__qualname__ in rows:
            return dotted
        row: list[Any] = [[], None, None, None, None, documented(cls.__doc__ or "") or None]
        rows[cls.__qualname__] = row
        self.classes[dotted] = cls
        row[0] = [
            self.add_class(base)
            for base in cls.__bases__
            if base.__name__ not in _UNINFORMATIVE and base.__module__ not in ("builtins", "typing", "abc")
        ]
        tree = _class_tree(cls)
        if "__init__" in vars(cls):
            row[1], row[2] = self._constructor(cls, tree)
        elif _takes_what_new_takes(cls):
            row[1], row[2] = "*args, **kwargs", {"unknown": True}
        forward = vars(cls).get("forward")
        if inspect.isfunction(forward) and not cls.__module__.startswith("torch."):
            function = _function_tree(forward)
            if function is not None:
                row[3] = _text(function, forward, skip_first=True)
        if tree is not None and defines_loss_name(tree):
            row[4] = 1
        while row and row[-1] is None:
            row.pop()
        return dotted

    def excerpts(self) -> dict[str, dict[str, list[Any]]]:
        """What the constructors refuse, after all classes were read: module -> name -> methods, constants."""
        from provecfg.registry.snapshot_excerpts import Excerpts

        excerpts = Excerpts(self.classes, self.add_class, _function_tree)
        rows: dict[str, dict[str, list[Any]]] = {}
        for cls, (methods, constants) in excerpts.rows().items():
            if methods or constants:
                rows.setdefault(cls.__module__, {})[cls.__qualname__] = [methods, constants]
        for dotted, (function, text) in excerpts.function_rows().items():
            self.add_function(function.__module__, function.__qualname__, function)
            row = [{dotted.rpartition(".")[2]: text}]
            rows.setdefault(function.__module__, {})[function.__qualname__] = row
        return rows

    def _constructor(self, cls: type, tree: ast.ClassDef | None) -> tuple[str, dict[str, Any] | None]:
        wrapped = inspect.unwrap(vars(cls)["__init__"])
        function = _function_tree(wrapped) if inspect.isfunction(wrapped) else None
        if function is None:  # written by @dataclass, or in C
            return _signature_text(vars(cls)["__init__"])
        flow = constructor_flow(function, tree, functools.partial(self._resolve, wrapped))
        return _text(function, wrapped, skip_first=True), None if flow is None else flow_row(flow)

    def add_function(self, module: str, name: str, function: Any) -> str:
        rows = self.rows.setdefault(module, {})
        if name not in rows:
            wrapped = inspect.unwrap(function)
            tree = _function_tree(wrapped) if inspect.isfunction(wrapped) else None
            if tree is None:
                rows[name] = [None, *_signature_text(function)]
            else:
                is_method = "." in name and "<locals>" not in name
                flow = constructor_flow(tree, None, functools.partial(self._resolve, wrapped))
                row = [None, _text(tree, wrapped, skip_first=is_method)]
                rows[name] = row if flow is None else [*row, flow_row(flow)]
        return f"{module}.{name}"

    def _resolve(self, where: types.FunctionType, name: str) -> str | None:
        """What a name means in the module of a function: its dotted name, and its row made."""
        if name.endswith(".__init__"):
            inner = self._resolve(where, name[: -len(".__init__")])
            return None if inner is None else f"{inner}.__init__"
        try:
            definition = functools.reduce(getattr, name.split(".")[1:], where.__globals__[name.split(".")[0]])
        except (AttributeError, KeyError):
            return None
        if inspect.isclass(definition):
            return self.add_class(definition)
        if inspect.isfunction(definition):
            return self.add_function(definition.__module__, definition.__qualname__, definition)
        return None


def _dotted(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@functools.cache
def _module_tree(file: str) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return None


def _definitions(tree: ast.AST, name: str) -> Iterator[ast.AST]:
    """Every definition of a dotted name below `tree`, `<locals>` being the inside of a function."""
    head, _, rest = name.partition(".")
    rest = rest.removeprefix("<locals>.")
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == head:
            if rest:
                yield from _definitions(node, rest)
            else:
                yield node


def _takes_what_new_takes(cls: type) -> bool:
    """Whether a class has no constructor of Python's, so that its signature is not to be read."""
    return cls.__init__ is object.__init__ and cls.__new__ is not object.__new__  # type: ignore[comparison-overlap, misc]


def _class_tree(cls: type) -> ast.ClassDef | None:
    try:
        file = inspect.getsourcefile(cls)
    except TypeError:
        return None
    tree = None if file is None else _module_tree(file)
    if tree is None:
        return None
    definitions = [node for node in _definitions(tree, cls.__qualname__) if isinstance(node, ast.ClassDef)]
    return definitions[-1] if definitions else None


def _function_tree(function: Callable[..., Any]) -> ast.FunctionDef | None:
    """The definition of a Python function, told from others of its name by its line."""
    code = function.__code__
    return _functions_in(code.co_filename).get((code.co_name, code.co_firstlineno))


@functools.cache
def _functions_in(file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    """The functions of a module by name and first line."""
    tree = _module_tree(file)
    functions: dict[tuple[str, int], ast.FunctionDef] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            functions.setdefault((node.name, first), node)
    return functions


def _text(tree: ast.FunctionDef, function: Callable[..., Any], *, skip_first: bool) -> str:
    values = {}
    for name, parameter in inspect.signature(function).parameters.items():
        literal = _literal(parameter.default)
        if literal is not None:
            values[name] = literal
    return parameters_as_text(tree.args, skip_first=skip_first, values=values)


def _signature_text(function: Any) -> tuple[str, dict[str, Any] | None]:
    """Of a constructor without Python source: what inspect can tell, and that the rest is not known."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (ValueError, TypeError):
        return "*args, **kwargs", {"unknown": True}
    stripped = [
        p.replace(
            default=p.default if p.default is p.empty or _literal(p.default) is not None else ...,
            annotation=p.empty,
        )
        for p in parameters
    ]
    text = str(inspect.Signature(stripped))[1:-1].replace("Ellipsis", "...")
    return text, {"unknown": True} if "**" in text else None


def _literal(value: Any) -> str | None:
    """Source text of a plain value, or None if it has none."""
    text = repr(value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f"float('{value}')"
    try:
        return text if ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError, TypeError, RuntimeError):
        return None


if __name__ == "__main__":
    sys.exit(main())
