"""What is wrong with keys that nobody consumed, once all is built."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.declared.build import Parts
from provecfg.proof.declared.bytecode_names import words_of
from provecfg.proof.declared.problems import LEFTOVER, NO_SUCH_PARAMETER, REFUSED_LATER, SWALLOWED, UNREAD_KEY
from provecfg.proof.declared.recorded_config import Reads
from provecfg.spelling import nearest_names

_MULTIPLIERS = "optim_wrapper.paramwise_cfg.custom_keys"


def unconsumed(by_path: Mapping[str, Reads], parts: Parts) -> Iterator[Finding]:
    """Findings of keys below the top level. What lies inside a part that failed is not judged.

    Args:
        by_path: What became of the keys of every dict.
        parts: What was built.
    """
    unfinished = [failure.key for failure in parts.failures]
    if parts.model is None:
        unfinished.append("optim_wrapper")
    if parts.failed("optim_wrapper") or parts.model is None:
        unfinished += ["param_scheduler", "auto_scale_lr"]  # built after it
    lost: list[str] = []  # these are reported, and everything beneath them with them
    for path, reads in by_path.items():
        if not path or _is_in(path, lost) or any(overlap(path, failed) for failed in unfinished):
            continue
        for key, swallowed in reads.swallowed.items():
            if key in reads.consumed:
                continue
            lost.append(reads.key_path(key))
            if _is_leftover(reads, key, parts):
                yield _left_over(reads, key, parts)
            else:
                yield _swallowed(reads, key, swallowed.by, parts)
        for key, (owner, attribute) in reads.kept.items():
            if (refused := _refused(owner, attribute, key)) is not None:
                yield Finding(REFUSED_LATER, refused[0], reads.key_path(key), refused[1])
        if path == _MULTIPLIERS:
            yield from _unmatched(reads, parts.model)
            continue
        strange = _no_group_options(reads, parts) if path.startswith(f"{_MULTIPLIERS}.") else []
        for key in [*_unasked(reads), *strange]:
            lost.append(reads.key_path(key))
            yield _unread(reads, key)
    yield from _clipping(by_path, parts)


def _is_in(path: str, above: list[str]) -> bool:
    return any(path == part or path.startswith((f"{part}.", f"{part}[")) for part in above)


def overlap(path: str, failed: str) -> bool:
    """Whether one of two dotted paths lies at or below the other."""
    return not failed or _is_in(path, [failed]) or _is_in(failed, [path])


def _is_leftover(reads: Reads, key: Any, parts: Parts) -> bool:
    """Whether a plain value is for an ancestor of the class that the class does not initialise.

    mmdet's `Mask2FormerHead` skips `AnchorFreeHead.__init__`, whose `strides` every config of it carries on.
    """
    value = reads.declared[key]
    if reads.path not in parts.built or (isinstance(value, dict) and "type" in value):
        return False
    ancestors = [cls for cls in parts.built[reads.path][1].__mro__ if "__init__" in vars(cls) and cls is not object]
    return any(key in inspect.signature(vars(cls)["__init__"]).parameters for cls in ancestors)


def _left_over(reads: Reads, key: Any, parts: Parts) -> Finding:
    owner = parts.built[reads.path][1].__name__
    message = f"{owner} takes {key!r} for an ancestor that it does not initialise: it has no effect"
    return Finding(LEFTOVER, message, reads.key_path(key), hint="remove it")


def _swallowed(reads: Reads, key: Any, by: str, parts: Parts) -> Finding:
    owner = parts.built[reads.path][1].__name__ if reads.path in parts.built else None
    owner = owner or str(reads.declared.get("type") or reads.path)
    value = reads.declared[key]
    consequence = "it has no effect"
    if (isinstance(value, dict) and "type" in value) or "loss" in str(key):
        consequence = "it is never built" + (", and never trains" if "loss" in str(key) else "")
    first = inspect.signature(parts.built[reads.path][1]).parameters if reads.path in parts.built else {}
    near = nearest_names(str(key), [name for name in first if name not in reads.declared], limit=1)
    return Finding(
        SWALLOWED,
        f"{owner} takes {key!r} in its **kwargs, and {by} hands it to nobody: {consequence}",
        reads.key_path(key),
        hint=f"did you mean {near[0]!r}?" if near else f"remove it; {owner} has no such argument",
    )


def _unasked(reads: Reads) -> list[Any]:
    """Keys that the readers of a dict have not asked for, and have no word for in their code."""
    if not reads.consumed and not reads.missed - {"type", "_scope_"}:
        return []  # kept for later, whole
    words = frozenset[str]().union(*(words_of(module) for module in reads.readers))
    return [key for key in reads.unread if key not in words]


def _no_group_options(reads: Reads, parts: Parts) -> list[Any]:
    """Keys that mmengine's constructor copied into a parameter group, and the optimizer knows nothing of."""
    optimizer = getattr(getattr(parts.runner, "optim_wrapper", None), "optimizer", None)
    options = words_of("mmengine.optim.optimizer.default_constructor").union(getattr(optimizer, "defaults", ()))
    return [key for key in reads.declared if key in reads.consumed and key not in options] if optimizer else []


def _unread(reads: Reads, key: Any) -> Finding:
    readers = " and ".join(sorted(reads.readers))
    words = set[str]().union(*(words_of(module) for module in reads.readers)) - set(reads.declared)
    near = nearest_names(str(key), words, limit=1)
    return Finding(
        UNREAD_KEY,
        f"{readers} reads {reads.path.rpartition('.')[2]}, and does not ask for {key!r}: it has no effect",
        reads.key_path(key),
        hint=f"did you mean {near[0]!r}?" if near else "remove it",
    )


def _unmatched(reads: Reads, model: nn.Module | None) -> Iterator[Finding]:
    """Multipliers for parameters of a name that none has.

    Exemptions from weight decay are customarily listed for more models than the one at hand (`absolute_pos_embed`),
    so one that matches nothing counts only if it is a parameter's name but for a letter or two.
    """
    names = [name for name, _ in model.named_parameters()] if model is not None else []
    words = {word for name in names for word in name.split(".")}
    for key in reads.unread:
        if any(str(key) in name for name in names):
            continue  # a longer key is applied instead
        value = reads.declared[key]
        near = nearest_names(str(key), words, limit=1)
        is_exemption = isinstance(value, dict) and "decay_mult" in value
        if not names or (is_exemption and not (near and _is_slip(str(key), near[0]))):
            continue
        yield Finding(
            NO_SUCH_PARAMETER,
            f"no parameter of the model has {key!r} in its name: {_plain(value)} applies to nothing",
            reads.key_path(key),
            hint=f"did you mean {near[0]!r}?" if near else f"names begin with {', '.join(_beginnings(names))}",
        )


def _beginnings(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def _is_slip(name: str, other: str) -> bool:
    """Whether two names have the same letters but for one, or two that changed places."""
    if abs(len(name) - len(other)) > 1 or min(len(name), len(other)) < 4:
        return False
    same = 0
    while same < min(len(name), len(other)) and name[same] == other[same]:
        same += 1
    rest, others = name[same:], other[same:]
    swapped = len(rest) > 1 and rest[1::-1] + rest[2:] == others
    return swapped or rest[1:] == others or rest == others[1:] or rest[1:] == others[1:]


def _plain(value: Any) -> str:
    return ", ".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else repr(value)


def _clipping(by_path: Mapping[str, Reads], parts: Parts) -> Iterator[Finding]:
    """Gradient clipping, whose arguments the optimizer wrapper keeps until the first step."""
    wrapper = getattr(parts.runner, "optim_wrapper", None)
    kwargs = getattr(wrapper, "clip_grad_kwargs", None)
    if not isinstance(wrapper, OptimWrapper) or not kwargs or "optim_wrapper.clip_grad" not in by_path:
        return
    signature = inspect.signature(wrapper.clip_func)
    for key in kwargs:
        if key not in signature.parameters:
            near = nearest_names(str(key), signature.parameters, limit=1)
            yield Finding(
                REFUSED_LATER,
                f"{wrapper.clip_func.__name__} takes no {key!r}: the first step fails",
                f"optim_wrapper.clip_grad.{key}",
                hint=f"did you mean {near[0]!r}?" if near else None,
            )


def _refused(owner: object, attribute: str, key: Any) -> tuple[str, str | None] | None:
    """Why the runner's method that a hook hands its kept arguments to does not take one of them, and a hint."""
    cls: Any = type(owner)
    if not isinstance(owner, Hook):
        return None
    for name, parameters in _handed_to(cls, attribute).items():
        if key not in parameters:
            near = nearest_names(str(key), [*parameters, *inspect.signature(cls).parameters], limit=1)
            message = f"{cls.__name__} keeps {key!r} for Runner.{name}, which takes no such argument: it fails"
            return message, f"did you mean {near[0]!r}?" if near else f"remove it; Runner.{name} has no such argument"
    return None


@functools.cache
def _handed_to(cls: type, attribute: str) -> dict[str, tuple[str, ...]]:
    """Methods of the Runner that a class calls with `**self.attribute`, and their parameters.

    Those that take anything are left out.
    """
    from mmengine.runner import Runner

    methods = {}
    for base in cls.__mro__:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):
            continue
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            method = getattr(Runner, call.func.attr, None)
            unpacked = [ast.unparse(word.value) for word in call.keywords if word.arg is None]
            if method is not None and f"self.{attribute}" in unpacked and "runner" in ast.unparse(call.func.value):
                parameters = inspect.signature(method).parameters
                if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
                    methods[call.func.attr] = tuple(parameters)
    return methods
