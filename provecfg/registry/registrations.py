"""Which classes a module registers, in which registry and scope, under which names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from provecfg.registry.outline import Module
from provecfg.registry.registering_calls import registering_calls, registers
from provecfg.registry.syntax import dotted_text, is_text, outer_statements

_LONGEST_TRAIL = 30
"""Names for names that are followed for one registry."""

VARIABLES: Final = {
    "DATASETS": "dataset",
    "DATA_SAMPLERS": "data sampler",
    "EVALUATOR": "evaluator",
    "FUNCTIONS": "function",
    "HOOKS": "hook",
    "INFERENCERS": "inferencer",
    "LOG_PROCESSORS": "log_processor",
    "LOOPS": "loop",
    "METRICS": "metric",
    "MODELS": "model",
    "MODEL_WRAPPERS": "model_wrapper",
    "OPTIMIZERS": "optimizer",
    "OPTIM_WRAPPERS": "optim_wrapper",
    "OPTIM_WRAPPER_CONSTRUCTORS": "optimizer wrapper constructor",
    "PARAM_SCHEDULERS": "parameter scheduler",
    "RUNNERS": "runner",
    "RUNNER_CONSTRUCTORS": "runner constructor",
    "STRATEGIES": "strategy",
    "TASK_UTILS": "task util",
    "TRANSFORMS": "transform",
    "VISBACKENDS": "vis_backend",
    "VISUALIZERS": "visualizer",
    "WEIGHT_INITIALIZERS": "weight initializer",
    # other names of MODELS and TASK_UTILS (mmsegmentation 1.2.2, models/builder.py and structures/sampler/builder.py)
    "BACKBONES": "model",
    "NECKS": "model",
    "HEADS": "model",
    "LOSSES": "model",
    "SEGMENTORS": "model",
    "PIXEL_SAMPLERS": "task util",
    # mmdetection 3.3.0 keeps none of its own; mmengine names this one differently in mmdet
    "OPTIMIZER_CONSTRUCTORS": "optimizer wrapper constructor",
}
"""The registries by the name of the variable that holds them (mmengine 0.10.7, registry/root.py)."""


class Registration(NamedTuple):
    """One class in one registry.

    Args:
        registry: mmengine's name of the registry.
        scope: The scope of the registry.
        names: The type names it is registered under.
        target: Dotted name of the class.
    """

    registry: str
    scope: str
    names: tuple[str, ...]
    target: str


def registrations_in(module: Module, modules: Mapping[str, Module]) -> Iterator[Registration]:
    """What importing a module registers, as far as decorators and calls at its top level say it.

    Args:
        module: The module.
        modules: Every module that was read, by dotted name, where the registry may be defined.
    """
    for call, target in _calls(module):
        place = _registry_of_call(call, module, modules)
        if place is not None and target is not None:
            name = next((k.value for k in call.keywords if k.arg == "name"), call.args[0] if call.args else None)
            names = _names(name) or [target.rpartition(".")[2]]
            yield Registration(*place, tuple(names), module.resolve(target) or f"{module.name}.{target}")


def registers_unseen(module: Module) -> int | None:
    """The line of a registration that only running the module can tell (in a loop, in a function), or None."""
    seen = {id(call.func) for call, target in _calls(module) if target is not None}
    for statement in module.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and registers(node) and id(node.func) not in seen:
                return node.lineno
    return None


def _calls(module: Module) -> Iterator[tuple[ast.Call, str | None]]:
    """Every call at the top level that registers something, and the name that it registers, where it has one."""
    for call, target in registering_calls(module.body):
        yield call, target if target is not None and module.resolve(target) is not None else None


def _registry_of_call(call: ast.Call, module: Module, modules: Mapping[str, Module]) -> tuple[str, str] | None:
    variable = dotted_text(call.func.value) if isinstance(call.func, ast.Attribute) else None
    return None if variable is None else registry_of(variable, module, modules)


def _names(node: ast.expr | None) -> list[str]:
    items = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    return [item.value for item in items if is_text(item)]


def registry_of(variable: str, module: Module, modules: Mapping[str, Module], depth: int = 0) -> tuple[str, str] | None:
    """The registry's name and scope of a variable of a module, or None if it is none.

    Args:
        variable: As the module writes it (`MODELS`, `registry.MODELS`).
        module: The module.
        modules: Modules by dotted name, where the registry may be defined.
        depth: Names for names that were followed already.
    """
    made = _made_as(variable, module, modules, depth)
    if isinstance(made, _NewRegistry):
        return _new_registry(made, modules)
    home, _, name = (made or "").rpartition(".")
    if name not in VARIABLES:
        return None
    top = home.partition(".")[0]
    return VARIABLES[name], "mmengine" if top == "mmcv" else top


def scope_above(scope: str, registry: str, modules: Mapping[str, Module]) -> str | None:
    """The scope of the registry that one of a package's own is a child of, as its module `registry` has it.

    Args:
        scope: The package.
        registry: mmengine's name of the registry.
        modules: Modules by dotted name.

    Returns:
        None where the package makes no such registry, or not there.
    """
    module = modules.get(f"{scope}.registry")
    for variable in (name for name, kind in VARIABLES.items() if kind == registry and module is not None):
        made = _made_as(variable, module, modules, 0) if module is not None else None
        above = made.above(modules) if isinstance(made, _NewRegistry) else None
        if above is not None:
            return above[1]
    return None


class _NewRegistry(NamedTuple):
    """A call of `Registry`, and where it stands.

    Args:
        call: The call.
        module: Its module.
        depth: Names for names that were followed to it.
    """

    call: ast.Call
    module: Module
    depth: int

    def above(self, modules: Mapping[str, Module]) -> tuple[str, str] | None:
        """Name and scope of its parent."""
        parent = next((dotted_text(keyword.value) for keyword in self.call.keywords if keyword.arg == "parent"), None)
        return registry_of(parent, self.module, modules, self.depth + 1) if parent else None


def _made_as(variable: str, module: Module, modules: Mapping[str, Module], depth: int) -> _NewRegistry | str | None:
    """Where the registry of a variable is made, or the dotted name of a library's variable; None if it is none."""
    head = variable.partition(".")[0]
    local = _assigned(module, head) if "." not in variable else None
    if local is not None and depth < _LONGEST_TRAIL:
        if isinstance(local, ast.Call) and (dotted_text(local.func) or "").endswith("Registry"):
            return _NewRegistry(local, module, depth)
        text = dotted_text(local)
        return None if text is None else _made_as(text, module, modules, depth + 1)
    dotted = module.resolve(variable)
    if dotted is None or depth >= _LONGEST_TRAIL:
        return None
    home, _, name = dotted.rpartition(".")
    if home not in modules:
        return dotted
    other = modules[home]
    if other is not module:
        return _made_as(name, other, modules, depth + 1)
    onward = next((s for s in module.starred if name in VARIABLES and s not in modules), None)
    if onward is not None:
        return f"{onward}.{name}"
    for starred in module.starred:
        inner = modules.get(starred)
        made = None if inner is None else _made_as(name, inner, modules, depth + 1)
        if made is not None:
            return made
    return None


def _new_registry(made: _NewRegistry, modules: Mapping[str, Module]) -> tuple[str, str] | None:
    keywords = {k.arg: k.value for k in made.call.keywords}
    scope, above = keywords.get("scope"), made.above(modules)
    name = (
        above[0] if above else next(iter(_names(made.call.args[0] if made.call.args else keywords.get("name"))), None)
    )
    if name is None:
        return None
    if is_text(scope):
        return name, scope.value
    return name, made.module.name.partition(".")[0]  # as mmengine infers it


def _assigned(module: Module, name: str) -> ast.expr | None:
    value = None
    for statement in outer_statements(module.body):
        if isinstance(statement, ast.Assign) and [dotted_text(t) for t in statement.targets] == [name]:
            value = statement.value
    return value
