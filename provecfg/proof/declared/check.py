"""Everything that the config declares exists and is consumed."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.classes import is_registered, is_scope
from provecfg.proof.declared.build import BuildFailure, Parts, failed_at
from provecfg.proof.declared.checkpoint_trip import resumed
from provecfg.proof.declared.consumption import unconsumed
from provecfg.proof.declared.declaration import Declaration
from provecfg.proof.declared.hook_starts import started
from provecfg.proof.declared.loading import merged_unawares
from provecfg.proof.declared.problems import DOES_NOT_PREDICT, NOT_BUILT, NOT_IMPORTED, SCOPE_WITHOUT_PACKAGE
from provecfg.proof.declared.recorded_config import Reads
from provecfg.proof.declared.starting_weights import nothing_loaded
from provecfg.proof.declared.variables import unread_variables
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.spelling import first_few as some
from provecfg.spelling import is_misspelling, nearest_names

NAME = "declared"

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")
_UNKNOWN = re.compile(r"(\S+) is not in the (?:(\S*)::)?(.+?) registry")
_SCOPES_OF_ALL = frozenset({None, "mmengine", "mmseg"})
"""Scopes that need no mention; None is mmengine's."""


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
        *_scope_without_package(declaration.config),
        *unbuilt(declaration),
        *_does_not_predict(declaration.prediction_error, parts),
        *unconsumed(by_path, parts),
        *unread_variables(by_path, subject.files, parts),
        *merged_unawares(subject.files, lambda key: by_path[key].declared if key in by_path else {}, parts),
        *_unimported(declaration.config, by_path, parts),
        *nothing_loaded(subject.config, parts),
    ]
    with nothing_printed():
        findings += started(parts)
        findings += resumed(parts, subject.work_dir)
    lines, evidence = _summary(by_path, parts, built)
    return Section(NAME, lines, evidence, tuple(findings))


def unbuilt(declaration: Declaration) -> list[Finding]:
    """What of a config could not be built, each part with what its class raised."""
    return [_not_built(failure, declaration.by_path, declaration.config) for failure in declaration.parts.failures]


def _not_built(failure: BuildFailure, by_path: Mapping[str, Reads], config: Any) -> Finding:
    error, key, text = failure.error, failure.key, failure.message
    reads = by_path.get(key)
    named = reads.declared.get("type") if reads is not None else None
    what = f"{named} cannot be built" if isinstance(named, str) else f"{key or 'the runner'} cannot be built"
    hint = None
    if (unexpected := _UNEXPECTED.search(text)) is not None and reads is not None and unexpected[1] in reads.declared:
        key = reads.key_path(unexpected[1])
        near = nearest_names(unexpected[1], _parameters(reads, failure), limit=1)
        hint = f"did you mean {near[0]!r}?" if near else f"remove it; {named or 'the class'} has no such argument"
    if (unknown := _UNKNOWN.search(text)) is not None:
        name, scope, registry = unknown.groups()
        text = f"{name} is not in the registry of {registry}s"
        if scope not in _SCOPES_OF_ALL:
            text += f" of the scope {scope!r}"
        if name == (reads.declared.get("constructor") if reads is not None else None):
            key = reads.key_path("constructor") if reads is not None else key
        default = config.get("default_scope")
        if reads is not None and reads.declared.get("_scope_") not in (None, default) and is_registered(name, default):
            hint = f"{default} has one, and the base was named as {scope}::...: write '{default}.{name}'"
        else:
            hint = _hint_for_unknown(name, _registered(registry))
    return Finding(NOT_BUILT, f"{what}: {type(error).__name__}: {text}", key, hint)


def _hint_for_unknown(name: str, known: Sequence[str]) -> str:
    """What may be meant by a name that its scope's registry does not have.

    Args:
        name: The name.
        known: What mmseg's registry of the kind has.
    """
    if name in known:
        return f"mmseg has one: write 'mmseg.{name}'"
    near = next((other for other in nearest_names(name, known) if _is_meant(name, other)), None)
    return f"did you mean {near!r}?" if near else "custom_imports has to import the module that registers it"


def _is_meant(name: str, other: str) -> bool:
    """Whether two names differ by letters, or word for word by endings: `EarlyStopHook` for `EarlyStoppingHook`."""
    words, others = (re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", text) for text in (name, other))
    pairs = list(zip(words, others, strict=False)) if len(words) == len(others) else []
    alike = bool(pairs) and all(a.startswith(b) or b.startswith(a) or is_misspelling(a, b) for a, b in pairs)
    return alike or is_misspelling(name, other)


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
        message = f"predicting an image fails: {type(error).__name__}: {BuildFailure(key, error).message}"
        yield Finding(DOES_NOT_PREDICT, message, key)


def _raised_in(error: Exception, parts: Parts) -> str | None:
    """The dict that the innermost module of the model in an exception's traceback was built from."""
    key, trace = None, error.__traceback__
    while trace is not None:
        key = parts.keys.get(id(trace.tb_frame.f_locals.get("self")), key)
        trace = trace.tb_next
    return key


def _unimported(config: Any, by_path: Mapping[str, Reads], parts: Parts) -> Iterator[Finding]:
    """Classes of provecfg's, imported in this process beforehand; whatever else there is, the config has imported."""
    if config.get("custom_imports"):
        return
    for key, (_, cls) in parts.built.items():
        is_by_name = key in by_path and isinstance(by_path[key].declared.get("type"), str)
        if is_by_name and cls.__module__.partition(".")[0] == "provecfg":
            yield Finding(
                NOT_IMPORTED,
                f"{cls.__name__} is registered by {cls.__module__}, which the config does not import",
                key,
                hint=f"add custom_imports = dict(imports=['{cls.__module__}'], allow_failed_imports=False)",
            )


def _scope_without_package(config: Any) -> Iterator[Finding]:
    """A default scope that no package brings."""
    scope = config.get("default_scope")
    if isinstance(scope, str) and not is_scope(scope):
        yield Finding(
            SCOPE_WITHOUT_PACKAGE,
            f"default_scope {scope!r}: no package of that name can be imported, so that names without a scope are "
            "looked up elsewhere",
            "default_scope",
            hint=f"install the package that registers {scope!r}, or set default_scope='mmseg'",
        )


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
