"""Hooks, imports and settings of the runner: what is not run, drawn, logged or set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.lookup import entries, kind_of
from provecfg.findings import Edit, Fix, Severity, Span
from provecfg.mmconfig import Node
from provecfg.registry.layout import CHECKPOINT_HOOKS, DEFAULT_HOOKS
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names


@rule("RUN001", Severity.ERROR)
def hooks_not_listed(facts: Facts) -> Iterator[Mark]:
    """`custom_hooks` is no list, or `default_hooks` is one.

    Why it matters: custom hooks are a list, default hooks are named. The runner goes through the keys of a dict and
    fails: "hook should be an instance".

    Bad:
        custom_hooks = dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')

    Good:
        custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', rule='greater')]

    Source: mmengine 0.10.7, runner/runner.py, `register_custom_hooks`.
    """
    custom, default = facts.get("custom_hooks"), facts.get("default_hooks")
    if custom is not None and custom.is_dict and custom.value:
        yield Mark(
            custom, "custom_hooks is a dict, and mmengine goes through a list", "put it in brackets", _listed(custom)
        )
    if default is not None and default.is_list:
        yield Mark(
            default, "default_hooks is a list, and mmengine looks hooks up by name", "name them: dict(logger=...)"
        )


def _listed(node: Node) -> Fix | None:
    origin = node.origin
    if origin is None or origin.source.path.suffix != ".py" or "type" not in node.value:
        return None
    span, file = origin.span, origin.source.path
    opening = Edit(file, Span(span.row, span.column, span.row, span.column), "[")
    closing = Edit(file, Span(span.end_row, span.end_column, span.end_row, span.end_column), "]")
    return fix("put it in brackets", (opening, closing), safe=True)


@rule("RUN004", Severity.WARNING)
def hook_draws_nothing(facts: Facts) -> Iterator[Mark]:
    """The visualisation hook is set up and does not draw.

    Why it matters: `draw=False` turns it off; its interval and everything else are not read, and there are no images.

    Bad:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=False, interval=20))

    Good:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True, interval=20))

    Source: mmsegmentation 1.2.2, engine/hooks/visualization_hook.py; mmsegmentation issue 3520.
    """
    for hook in facts.hooks_of("SegVisualizationHook"):
        node = hook.get("draw")
        set_up = [key for key in ("interval", "show", "wait_time") if key in hook.value]
        if facts.argument(hook, "draw", "hook") is False and (set_up or node is not None):
            yield Mark(
                node or hook,
                "draw is False: the hook draws nothing" + (f", whatever its {', '.join(set_up)}" if set_up else ""),
                "set draw=True, or leave the hook out",
                fix("draw", replaced(node, True), safe=False) if node is not None else None,
            )


@rule("RUN005", Severity.ERROR)
def imports_not_a_dict(facts: Facts) -> Iterator[Mark]:
    """`custom_imports` does not say what to import.

    Why it matters: mmengine reads `custom_imports['imports']`, a name or a list of names; anything else fails when the
    config is loaded, or imports nothing.

    Bad:
        custom_imports = ['mmseg.models']

    Good:
        custom_imports = dict(imports=['mmseg.models'], allow_failed_imports=False)

    Source: mmengine 0.10.7, config/config.py, `fromfile`; utils/misc.py, `import_modules_from_strings`.
    """
    node = facts.get("custom_imports")
    if node is None or node.is_opaque or node.value is None:
        return
    if not node.is_dict:
        yield Mark(node, "custom_imports is not a dict", "write dict(imports=[...], allow_failed_imports=False)")
        return
    for child in node:
        if child.name not in ("imports", "allow_failed_imports", "_delete_"):
            near = nearest_names(child.name, ("imports", "allow_failed_imports"), limit=1)
            yield Mark(
                child,
                f"custom_imports has no {child.name!r}",
                f"did you mean {near[0]!r}?" if near else "it has imports and allow_failed_imports",
                fix(f"rename it to {near[0]!r}", renamed(child, near[0]), safe=True) if near else None,
                at_key=True,
            )


@rule("RUN006", Severity.WARNING)
def drawings_go_nowhere(facts: Facts) -> Iterator[Mark]:
    """Predictions are drawn, and the visualizer has no backend to keep them.

    Why it matters: without `vis_backends` the visualizer drops what it is given, with one warning in the log.

    Bad:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True))
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[])

    Good:
        default_hooks = dict(visualization=dict(type='SegVisualizationHook', draw=True))
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

    Source: mmengine 0.10.7, visualization/visualizer.py, `__init__`.
    """
    visualizer = facts.section("visualizer")
    if visualizer is None or facts.value(visualizer, "vis_backends", None):
        return
    if visualizer.type != "SegLocalVisualizer" or facts.value(visualizer, "vis_backends", None) not in (None, []):
        return
    for hook in facts.hooks_of("SegVisualizationHook"):
        if facts.value(hook, "draw", False) is True and facts.value(hook, "show", False) is not True:
            yield Mark(
                visualizer.get("vis_backends") or visualizer,
                "predictions are drawn, and no vis_backend keeps them",
                "set vis_backends=[dict(type='LocalVisBackend')]",
            )
            return


_LEVELS: Final = ("CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET")
_STARTS: Final = ("fork", "spawn", "forkserver")


@rule("RUN011", Severity.ERROR)
def unknown_setting(facts: Facts) -> Iterator[Mark]:
    """A setting of the run has a value that there is not.

    Why it matters: it is handed to Python's logging, multiprocessing or random numbers when the run starts, and
    refused.

    Bad:
        log_level = 'INFOS'

    Good:
        log_level = 'INFO'

    Source: mmengine 0.10.7, runner/utils.py, `set_random_seed`; utils/dl_utils/setup_env.py; logging/logger.py.
    """
    for key, choices in (("log_level", _LEVELS), ("env_cfg.mp_cfg.mp_start_method", _STARTS)):
        node = facts.get(key)
        if node is not None and isinstance(node.value, str) and node.value not in choices:
            near = nearest_names(node.value, choices, limit=1)
            yield Mark(
                node,
                f"there is no {node.value!r}",
                f"did you mean {near[0]!r}?" if near else f"it is {', '.join(choices)}",
            )
    seed = facts.get("randomness.seed")
    if seed is not None and not seed.is_opaque and _is_no_seed(seed.value):
        yield Mark(seed, f"the seed is {seed.value!r}, and no whole number from 0", "write it without quotes")


def _is_no_seed(value: Any) -> bool:
    return isinstance(value, (str, float)) or (isinstance(value, int) and not 0 <= value < 2**32)


@rule("RUN012", Severity.WARNING)
def curves_go_nowhere(facts: Facts) -> Iterator[Mark]:
    """Nothing keeps the scalars that are logged.

    Why it matters: losses, rates and metrics go through the visualizer's backends. Without one there is no scalars.json
    and no event file, and the run's curves are in the text of its log alone.

    Bad:
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[])

    Good:
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

    Known problems: a visualizer that does not mention `vis_backends` is taken for a fragment.

    Source: mmengine 0.10.7, visualization/visualizer.py, `__init__`; hooks/logger_hook.py.
    """
    visualizer = facts.section("visualizer")
    node = visualizer.get("vis_backends") if visualizer is not None else None
    if node is not None and (node.value is None or node.value in ([], ())):
        yield Mark(node, "no backend keeps what is logged", "set vis_backends=[dict(type='LocalVisBackend')]")


_FILE_STORES: Final = ("file:", "/", "./", "../")


@rule("RUN014", Severity.WARNING)
def tracker_writes_files(facts: Facts) -> Iterator[Mark]:
    """MLflow is to keep its runs in plain files, which newer releases of it refuse.

    Why it matters: mmengine points MLflow at a folder of the work dir unless `tracking_uri` names something else,
    whatever MLFLOW_TRACKING_URI says. MLflow keeps runs in a database by now, and raises "the filesystem tracking
    backend is in maintenance mode" when the first number is logged, unless MLFLOW_ALLOW_FILE_STORE is set.

    Bad:
        visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='MLflowVisBackend')])

    Good:
        visualizer = dict(
            type='SegLocalVisualizer',
            vis_backends=[dict(type='MLflowVisBackend', tracking_uri='http://mlflow.example.org:5000')])

    Known problems: MLflow before 3.17 may take them; which release trains the config is not known here.

    Source: mmengine 0.10.7, visualization/vis_backend.py, `MLflowVisBackend._init_env`; mlflow 3.17.2,
    store/tracking/file_store.py, `FileStore.__init__`.
    """
    visualizer = facts.section("visualizer")
    for backend in entries(visualizer.get("vis_backends") if visualizer is not None else None):
        if kind_of(backend.type) != "MLflowVisBackend":
            continue
        uri = facts.value(backend, "tracking_uri")
        if uri is None or (isinstance(uri, str) and uri.startswith(_FILE_STORES)):
            yield Mark(
                backend.get("tracking_uri") or backend,
                f"MLflow keeps the run in files ({'no tracking_uri' if uri is None else f'tracking_uri {uri!r}'}), "
                "which newer releases of it refuse",
                "set tracking_uri to a server, or to a database such as 'sqlite:////path/to/mlflow.db'",
            )


_DEFAULT_SLOTS: Final = {hook["type"]: slot for slot, hook in DEFAULT_HOOKS.items() if slot != "checkpoint"}


@rule("RUN013", Severity.ERROR)
def hook_runs_twice(facts: Facts) -> Iterator[Mark]:
    """A hook that the runner registers by itself is registered once more.

    Why it matters: the runner has a timer, a logger, a checkpoint hook and one that steps the learning rate unless the
    config says otherwise under that very name. Under another one both run: rates are stepped twice an iteration, and
    the schedule is over in the middle of the run.

    Bad:
        default_hooks = dict(param_schedule=dict(type='ParamSchedulerHook'))

    Good:
        default_hooks = dict(param_scheduler=dict(type='ParamSchedulerHook'))

    Source: mmengine 0.10.7, runner/runner.py, `register_default_hooks`.
    """
    default = facts.section("default_hooks")
    for hook in facts.hooks:
        slot = _DEFAULT_SLOTS.get(hook.type or "")
        if hook.type in CHECKPOINT_HOOKS and hook.parent is not None and hook.parent.name == "default_hooks":
            slot = "checkpoint"
        if slot is None or hook.name == slot or _is_off(default, slot):
            continue
        in_default = hook.parent is not None and hook.parent.name == "default_hooks"
        if slot == "checkpoint" and default is not None and slot in default.value:
            continue  # a second one, beside the first: two ways of keeping checkpoints
        free = default is None or slot not in default.value
        yield Mark(
            hook,
            f"{hook.type} under {hook.name!r} runs beside the runner's own {slot}",
            f"call it {slot}" if in_default else f"set default_hooks.{slot}",
            fix(f"rename it to {slot!r}", renamed(hook, slot), safe=False) if in_default and free else None,
            at_key=True,
        )


def _is_off(default: Node | None, slot: str) -> bool:
    return default is not None and slot in default.value and default.value[slot] is None
