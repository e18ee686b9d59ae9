"""Everything that the config declares exists and is consumed."""

from __future__ import annotations

import inspect
import linecache
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.declared.build import BuildFailure, Parts, failed_at
from provecfg.proof.declared.consumption import unconsumed
from provecfg.proof.declared.loading import merged_unawares
from provecfg.proof.declared.problems import DOES_NOT_PREDICT, NOT_BUILT, NOT_IMPORTED
from provecfg.proof.declared.recorded_config import Reads
from provecfg.proof.declared.variables import unread_variables
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject
from provecfg.spelling import first_few as some
from provecfg.spelling import nearest_names

NAME = "declared"

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_UNKNOWN = re.compile(r"(\S+) is not in the (?:\S*::)?(\S+) registry")
_STACK = frozenset({"mmengine", "mmcv", "mmseg", "mmdet", "mmpretrain", "torch", "torchvision", "timm"})


def check(subject: Subject, built: Built) -> Section:
    """See what became of each key while all that the config declares was built.

    Args:
        subject: The config.
        built: With its declaration.
    """
    declaration = built.declaration
    assert declaration is not None  # of the prover
    parts, by_path = declaration.parts, declaration.by_path
    findings = [
        *(_not_built(failure, by_path) for failure in parts.failures),
        *_does_not_predict(declaration.prediction_error, parts),
        *unconsumed(by_path, parts),
        *unread_variables(by_path, subject.files, parts),
        *merged_unawares(subject.files, lambda key: by_path[key].declared if key in by_path else {}, parts),
        *_unimported(declaration.config, parts),
    ]
    lines, evidence = _summary(by_path, parts, built)
    return Section(NAME, lines, evidence, tuple(findings))


def _not_built(failure: BuildFailure, by_path: Mapping[str, Reads]) -> Finding:
    error, key = failure.error, failure.key
    text = _first_line(error)
    reads = by_path.get(key)
    named = reads.declared.get("type") if reads is not None else None
    what = f"{named} cannot be built" if isinstance(named, str) else f"{key or 'the runner'} cannot be built"
    hint = None
    if (unexpected := _UNEXPECTED.search(text)) is not None and reads is not None and unexpected[1] in reads.declared:
        key = reads.key_path(unexpected[1])
        near = nearest_names(unexpected[1], _parameters(reads, failure), limit=1)
        hint = f"did you mean {near[0]!r}?" if near else f"remove it; {named or 'the class'} has no such argument"
    if (unknown := _UNKNOWN.search(text)) is not None:
        text = f"{unknown[1]} is not in the registry of {unknown[2]}s"
        near = nearest_names(unknown[1], _registered(unknown[2]), limit=1)
        hint = f"did you mean {near[0]!r}?" if near else "custom_imports has to import the module that registers it"
    return Finding(NOT_BUILT, f"{what}: {type(error).__name__}: {text}", key, hint)


def _parameters(reads: Reads, failure: BuildFailure) -> list[str]:
    """Arguments of a class and its ancestors that a dict does not give it yet."""
    if failure.cls is None:
        return []
    constructors = [vars(cls)["__init__"] for cls in failure.cls.__mro__ if "__init__" in vars(cls)]
    names = [name for constructor in constructors for name in inspect.signature(constructor).parameters]
    return [name for name in names if name not in reads.declared]


def _registered(registry_name: str) -> list[str]:
    import mmseg.registry

    names = []
    for registry in vars(mmseg.registry).values():
        if getattr(registry, "name", None) == registry_name:
            while registry is not None:
                names += list(registry.module_dict)
                registry = registry.parent
            break
    return names


def _does_not_predict(error: Exception | None, parts: Parts) -> Iterator[Finding]:
    if error is not None:
        key = failed_at(error) or _raised_in(error, parts) or "model"
        message = f"predicting an image fails: {type(error).__name__}: {_first_line(error)}"
        yield Finding(DOES_NOT_PREDICT, message, key)


def _raised_in(error: Exception, parts: Parts) -> str | None:
    """The dict that the innermost module of the model in an exception's traceback was built from."""
    key, trace = None, error.__traceback__
    while trace is not None:
        key = parts.keys.get(id(trace.tb_frame.f_locals.get("self")), key)
        trace = trace.tb_next
    return key


def _unimported(config: Any, parts: Parts) -> Iterator[Finding]:
    if config.get("custom_imports"):
        return
    for key, (_, cls) in parts.built.items():
        package = cls.__module__.partition(".")[0]
        if package not in _STACK and package != "builtins":
            yield Finding(
                NOT_IMPORTED,
                f"{cls.__name__} is registered by {cls.__module__}, which the config does not import",
                key,
                hint=f"add custom_imports = dict(imports=['{cls.__module__}'], allow_failed_imports=False)",
            )


def _first_line(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = text.removeprefix(f"{type(error).__name__}: ")
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "") or _line_of(error)


def _line_of(error: Exception) -> str:
    """The source line that raised, for an exception that says nothing, such as a bare `assert`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno).strip() if trace is not None else ""
    return f"in the line `{line}`" if line else "without a message"


def _summary(by_path: Mapping[str, Reads], parts: Parts, built: Built) -> tuple[tuple[str, ...], dict[str, Any]]:
    top = by_path[""]
    variables = set(top.unread)  # used, if at all, while the files were read
    dicts = [
        reads for path, reads in by_path.items() if path and re.split(r"[.\[]", path, maxsplit=1)[0] not in variables
    ]
    typed = [reads for reads in dicts if reads.is_typed]
    used = [reads for reads in typed if reads.was_used]
    keys = sum(len(reads.declared) for reads in dicts if reads.was_used)
    consumed = sum(len(reads.consumed | reads.kept.keys()) for reads in dicts if reads.was_used)
    registries: dict[str, set[str]] = defaultdict(set)
    for registry, cls in parts.built.values():
        registries[registry].add(cls.__name__)
    unread = [reads.key_path(key) for reads in dicts if reads.was_used for key in reads.unread]
    swallowed = [reads.key_path(key) for reads in by_path.values() for key in reads.swallowed]
    lines = [f"{len(used)} of {len(typed)} typed dicts built, {consumed} of {keys} keys consumed"]
    if unread:
        lines.append(f"not needed here: {some(sorted(unread), 5)}")
    evidence: dict[str, Any] = {
        "typed_dicts": len(typed),
        "typed_dicts_built": len(used),
        "keys": keys,
        "keys_consumed": consumed,
        "classes": {registry: sorted(classes) for registry, classes in sorted(registries.items())},
        "unread": sorted([*unread, *swallowed]),
        "variables": sorted(map(str, variables)),
        "not_built": sorted(reads.path for reads in typed if not reads.was_used),
    }
    if built.model is not None:
        parameters = sum(parameter.numel() for parameter in built.model.parameters())
        lines.append(f"{type(built.model).__name__} has {parameters / 1e6:.1f} million parameters")
        evidence |= {"parameters": parameters, "crop": list(built.crop)}
    return tuple(lines), evidence
