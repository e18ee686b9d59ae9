"""Builds all that a config declares as mmengine's Runner would, and goes on where a part fails."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.registry import Registry, build_functions
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from mmseg.registry import MODEL_WRAPPERS, MODELS, RUNNERS, TRANSFORMS
from torch import nn
from torch.utils.data import DataLoader

from provecfg.proof.declared.recorded_config import Recorded
from provecfg.proof.declared.stubs import STUB_IMAGES, visualizers_stubbed, with_files_stubbed, without_init_info
from provecfg.proof.dry_runner import BuildsInStages
from provecfg.proof.exceptions import line_of

_TRIOS = (
    ("train_dataloader", "train_cfg", "optim_wrapper"),
    ("val_dataloader", "val_cfg", "val_evaluator"),
    ("test_dataloader", "test_cfg", "test_evaluator"),
)
"""Keys of which the Runner takes all or none."""


@dataclass(frozen=True)
class BuildFailure:
    """A part that could not be built.

    Args:
        key: Dotted path of the innermost dict that failed, as far as it is known.
        error: What its class, or its registry, raised.
        cls: The class, where one was found.
    """

    key: str
    error: Exception
    cls: type | None = None

    @functools.cached_property
    def message(self) -> str:
        """What the error says, on one line; the line of source that raised where it says nothing."""
        error = self.error
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        text = text.removeprefix(f"{type(error).__name__}: ")
        return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "") or line_of(error)


@dataclass(frozen=True, slots=True)
class Builder:
    """How a part was built.

    Args:
        build: Takes a dict of the config, and returns the part that its registry builds of it.
        added: What the dict had beside what the config declares: the parameters of an optimizer, say.
        removed: Keys that had been taken out of it by then: the priority of a hook, say.
        part: What was built.
    """

    build: Callable[[Any], Any]
    added: Mapping[Any, Any]
    removed: Set[Any]
    part: Any


@dataclass(slots=True)
class Parts:
    """What was built.

    Args:
        runner: With model, hooks, optimizer wrapper, schedulers and loops; None where its own checks refuse the config.
        model: None where it could not be built.
        failures: What could not be built.
        built: Dotted path of a dict -> the registry that built it, and the class.
        keys: id of a built module or hook -> dotted path of the dict that it was built from.
        builders: Dotted path of a dict -> how each part that was built of it was built.
    """

    runner: Any = None
    model: nn.Module | None = None
    failures: list[BuildFailure] = field(default_factory=list)
    built: dict[str, tuple[str, type]] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    builders: dict[str, list[Builder]] = field(default_factory=dict)

    @property
    def train_loop(self) -> Any:
        """The loop of the training, with its data; None where the config does not train, or it was not built."""
        return self.runner.built_train_loop if self.runner is not None else None

    def failed(self, key: str) -> bool:
        """Whether what stands at a dotted path, or below it, could not be built."""
        return any(f"{failure.key}.".startswith((f"{key}.", f"{key}[")) for failure in self.failures)

    def fail(self, key: str, error: Exception) -> None:
        """Note that a part failed, at the innermost dict that is known."""
        failure = BuildFailure(failed_at(error) or key, error, getattr(error, "declared_class", None))
        if all(str(other.error) != str(error) or other.key != failure.key for other in self.failures):
            self.failures.append(failure)


def build(config: Config, *, lost_weights: bool) -> Parts:
    """Build every part of a config, the data's files excepted.

    Args:
        config: Of `Recorder.config`, with a `work_dir`.
        lost_weights: It was declared with pretrained weights and has none: a model that cannot be initialised without
            them is no fault of the config, and keeps what its constructor gave it.

    Returns:
        What was built, and what failed. Weights are initialised as mmengine does before training.
    """
    parts = Parts()
    with _noting_keys(parts), visualizers_stubbed():
        runner = _runner(config, parts)
        if runner is not None:
            parts.runner = runner
            runner.build_stages(lambda key: _Attempt(parts, key))
        elif parts.model is None and isinstance(config.get("model"), dict):
            with _Attempt(parts, "model"):
                parts.model = MODELS.build(config.model)
        if parts.model is not None:
            segmentor: Any = parts.model
            with _Attempt(Parts() if lost_weights else parts, "model"), without_init_info():
                segmentor.init_weights()
        _build_for_testing(config, parts)
    return parts


def failed_at(error: BaseException) -> str | None:
    """Dotted path of the innermost dict of the config that an exception came from, or None."""
    cause: BaseException | None = error
    while cause is not None:
        if (key := getattr(cause, "declared_at", None)) is not None:
            return str(key)
        cause = cause.__cause__ or cause.__context__
    return None


class _Attempt:
    """A context in which building the part at `key` may fail: that is noted, and what comes after it goes on."""

    def __init__(self, parts: Parts, key: str) -> None:
        self._parts = parts
        self._key = key

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, cls: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, Exception):  # the config's own classes raise what they like
            return False
        self._parts.fail(self._key, error)
        return True


def _runner(config: Config, parts: Parts) -> Any:
    """The config's Runner, without the groups of keys that it refuses; None where it refuses the rest, too."""
    named = config.get("runner_type", "Runner")
    runner_class = RUNNERS.get(named) if isinstance(named, str) else named
    if runner_class is None:
        parts.fail("runner_type", KeyError(f"{named!r} is not a registered runner"))
        runner_class = Runner
    for trio in _TRIOS:
        present = [key for key in trio if config.get(key) is not None]
        if present and len(present) < len(trio):
            absent = [key for key in trio if key not in present]
            parts.fail(present[0], ValueError(f"{', '.join(present)} without {' and '.join(absent)}"))
            config = config.copy()
            for key in (*trio, *(["param_scheduler"] if "optim_wrapper" in trio else [])):
                config[key] = None
    try:
        return _tolerant(runner_class, parts).from_cfg(config)
    except Exception as error:
        parts.fail("", error)
        return None


def _tolerant(runner_class: Any, parts: Parts) -> Any:
    """A subclass of a Runner that notes what fails, and goes on."""

    class Tolerant(BuildsInStages, runner_class):
        def build_model(self, model: Any) -> nn.Module:
            with _Attempt(parts, "model"):
                built = super().build_model(model)
                if not isinstance(built, nn.Module):
                    raise TypeError(f"{type(built).__name__} is not a torch Module")
                parts.model = built
                return built
            return _ModelStub()

        def build_visualizer(self, visualizer: Any = None) -> Any:
            named = visualizer.get("name") if isinstance(visualizer, dict) else None
            for cls in {Visualizer, *_subclasses(Visualizer)}:
                # A visualizer of the name, built for another config in this process, would be taken for this one's.
                _instances(cls).pop(named, None)
            with _Attempt(parts, "visualizer"):
                return super().build_visualizer(visualizer)
            return super().build_visualizer(None)

        def build_log_processor(self, log_processor: Any) -> Any:
            with _Attempt(parts, "log_processor"):
                return super().build_log_processor(log_processor)
            return super().build_log_processor({})

        def setup_env(self, env_cfg: Any) -> None:
            try:
                super().setup_env(env_cfg)
            except Exception as error:
                parts.fail("env_cfg", error)
                super().setup_env({})

        def set_randomness(self, *args: Any, **kwargs: Any) -> None:
            try:
                super().set_randomness(*args, **kwargs)
            except Exception as error:
                parts.fail("randomness", error)
                super().set_randomness(None)

        def register_default_hooks(self, hooks: Any = None) -> None:
            self.hooks_key = "default_hooks"
            with _Attempt(parts, "default_hooks"):
                super().register_default_hooks(hooks)
            self.hooks_key = "custom_hooks"

        def register_custom_hooks(self, hooks: Any) -> None:
            with _Attempt(parts, "custom_hooks"):
                if isinstance(hooks, dict):
                    raise TypeError("custom_hooks is a dict, must be a list of hooks")
                super().register_custom_hooks(hooks)

        def register_hook(self, hook: Any, priority: Any = None) -> None:
            with _Attempt(parts, getattr(hook, "declared_at", None) or self.hooks_key):
                super().register_hook(hook, priority)

        def build_dataloader(self, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
            with _Attempt(parts, getattr(dataloader, "declared_at", None) or ""), with_files_stubbed():
                return runner_class.build_dataloader(dataloader, *args, **kwargs)
            nothing: Any = [None] * STUB_IMAGES
            return DataLoader(nothing)

        def build_evaluator(self, evaluator: Any) -> Any:
            with _Attempt(parts, _evaluator_key(evaluator)):
                return super().build_evaluator(evaluator)
            return Evaluator([])

        def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
            if model_wrapper_cfg is not None:
                with _Attempt(parts, "model_wrapper_cfg"):
                    _check_wrapper(model_wrapper_cfg)
            return super().wrap_model(None, model)

    return Tolerant


def _check_wrapper(wrapper: Any) -> None:
    """Refuse what the wrapper of several processes would refuse; it cannot be built in one."""
    arguments = dict(wrapper)
    named = arguments.pop("type", "MMDistributedDataParallel")
    cls = MODEL_WRAPPERS.get(named) if isinstance(named, str) else named
    if cls is None:
        raise KeyError(f"{named} is not in the model wrapper registry")
    constructors = [base.__init__ for base in cls.__mro__ if "__init__" in vars(base)]
    names = {name for constructor in constructors for name in inspect.signature(constructor).parameters}
    for name in arguments:
        if name not in names:
            raise TypeError(f"{named} got an unexpected keyword argument '{name}'")


class _ModelStub(nn.Module):
    """Stands for a model that could not be built, so that an optimizer has something to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def _build_for_testing(config: Config, parts: Parts) -> None:
    """What mmseg's `tools/test.py --tta` puts in the place of the model and the test pipeline."""
    if config.get("tta_pipeline") is not None:
        with _Attempt(parts, "tta_pipeline"):
            pipeline = config.tta_pipeline
            Compose(pipeline) if isinstance(pipeline, (list, tuple)) else TRANSFORMS.build(pipeline)
    if config.get("tta_model") is not None and parts.model is not None:
        with _Attempt(parts, "tta_model"):
            MODELS.build(config.tta_model, default_args={"module": parts.model})


def _class_of(declared: Any, registry: Registry) -> type | None:
    named = dict.get(declared, "type")
    cls = registry.get(named) if isinstance(named, str) else named
    return cls if isinstance(cls, type) else None


def _evaluator_key(evaluator: Any) -> str:
    first = evaluator[0] if isinstance(evaluator, (list, tuple)) and evaluator else evaluator
    key = getattr(first, "declared_at", None)
    return key.partition("[")[0] if key else "val_evaluator"


@contextlib.contextmanager
def _noting_keys(parts: Parts) -> Iterator[None]:
    """Note which dict each object is built from, and which dict an exception comes from."""

    def noting(original: Callable[..., Any], registry_of: Callable[..., Registry]) -> Callable[..., Any]:
        def build_and_note(*args: Any, **kwargs: Any) -> Any:
            registry = registry_of(*args, **kwargs)
            config = kwargs.get("cfg", args[1] if args and isinstance(args[0], Registry) else args[0] if args else None)
            key = getattr(config, "declared_at", None)
            added, removed = config.changes() if isinstance(config, Recorded) else ({}, frozenset())
            try:
                part = original(*args, **kwargs)
            except Exception as error:
                if key is not None and failed_at(error) is None:
                    with contextlib.suppress(AttributeError):
                        vars(error).update(declared_at=key, declared_class=_class_of(config, registry))
                raise
            if key is not None:
                parts.built[key] = (registry.name, type(part))
                builder = Builder(_repeated(original, config, args, kwargs), added, removed, part)
                parts.builders.setdefault(key, []).append(builder)
                if isinstance(part, (nn.Module, Hook)):
                    parts.keys[id(part)] = key
            return part

        return build_and_note

    through_registry = noting(Registry.build, lambda self, *_, **__: self)
    directly = noting(
        build_functions.build_from_cfg, lambda *args, **kwargs: kwargs["registry"] if "registry" in kwargs else args[1]
    )
    with (
        mock.patch.object(Registry, "build", through_registry),
        mock.patch.object(build_functions, "build_from_cfg", directly),
    ):
        yield


def _repeated(
    original: Callable[..., Any], config: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[Any], Any]:
    """The same call with another dict in the place of `config`."""

    def build(other: Any) -> Any:
        replaced = [other if value is config else value for value in args]
        return original(*replaced, **{name: other if value is config else value for name, value in kwargs.items()})

    return build


def _subclasses(cls: type) -> set[type]:
    direct: list[type] = type.__subclasses__(cls)
    return {sub for base in direct for sub in (base, *_subclasses(base))}


def _instances(cls: Any) -> dict[Any, Any]:
    instances: dict[Any, Any] = cls._instance_dict  # of mmengine's ManagerMixin
    return instances
