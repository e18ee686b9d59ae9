"""Try every class of the installed release, and keep what it refuses that its source does not tell.

    python -m docs.generate.experiments.tried_domains [--new] [CLASS ...]
    python -m docs.generate.experiments.tried_domains --again COUNT

After `python -m provecfg.registry.snapshot`, whose release it is about; see `docs.generate.experiments`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import inspect
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from docs.generate.experiments.inference import Inference, Subject, shortened
from docs.generate.experiments.trial_process import Attempt, TrialProcess
from docs.generate.experiments.variations import Values
from docs.generate.zoo import installed_configs, leaf_configs
from provecfg.facts.arguments import Owners, built_as_they_stand
from provecfg.facts.facts import Facts
from provecfg.facts.parts import Part
from provecfg.mmconfig import DottedName, Opaque, read_config
from provecfg.paths import write_atomically
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Registry, registry_for
from provecfg.registry.builders import SUPPLIED, TAKEN
from provecfg.registry.domains import (
    ABSENT,
    ITEMS,
    KINDS,
    NOTHING,
    Domain,
    Domains,
    dig,
    domains_file,
    domains_text,
    read_domains,
)
from provecfg.registry.preconditions import refusal
from provecfg.registry.release import installed_release, shipped_file
from provecfg.registry.stated_types import BOOL, DICT, FLOAT, INT, NONE, NUMBERS, SEQUENCE, TEXT, StatedType, kind_of

if TYPE_CHECKING:
    from docs.generate.experiments.subjects import Way

T = TypeVar("T")

_MOST_BASES: Final = 4
_SECONDS: Final = 40.0
"""Of processor time, for a class; what is not concluded by then is not known."""
_SECONDS_OF_TRIAL: Final = 10.0
_MOST_SECONDS_OF_BASE: Final = 4.0
"""Of processor time; what cannot be tried within it is not small enough."""
_REGISTRIES: Final = (
    "model",
    "transform",
    "hook",
    "loop",
    "dataset",
    "metric",
    "optimizer",
    "optim_wrapper",
    "parameter scheduler",
    "data sampler",
)
_STATED: Final = {
    NONE: ("None",),
    TEXT: ("a text",),
    DICT: ("a dict",),
    SEQUENCE: ("a list", "a list of texts"),
    INT: ("a number",),
    FLOAT: ("a number", "a fraction"),
    BOOL: (),
}
"""Kind that a type states -> kinds of values that it may take."""
_SAMPLES: Final = {TEXT: "sample", INT: 1, FLOAT: 0.5}
"""Kind that a type states -> a value, for an argument that another one demands."""
_MOST_GIVEN: Final = 3
_UNFINISHED: Final = "the process ended, or did not end in time"


@dataclass(slots=True)
class TriedClass:
    """A class, and the parts of configs that name it."""

    registry: str
    info: ClassInfo
    values: list[Values] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, after every class."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate.experiments.tried_domains", description=__doc__)
    parser.add_argument("classes", nargs="*", metavar="CLASS", help="try these alone, by dotted names or parts of them")
    parser.add_argument("--new", action="store_true", help="try those alone that the file does not name")
    parser.add_argument(
        "--again", type=int, metavar="COUNT", help="make so many experiments of the file again; no more"
    )
    parser.add_argument("--seed", type=int, default=20, help="by which these are drawn")
    options = parser.parse_args(argv)
    release = installed_release()
    registry = registry_for(release=release)
    file = domains_file(shipped_file(release))
    tried = tried_classes(registry)
    if options.again is not None:
        differences = repeated(registry.snapshot.domains, tried, options.seed, options.again)
        print("\n".join(differences) or "all end as the file says")
        return 1 if differences else 0
    there = read_domains(shipped_file(release))
    if not ((options.classes or options.new) and there.packages == registry.snapshot.packages):
        there = NOTHING
    classes, untried = dict(there.classes), dict(there.untried)
    chosen = {
        dotted: trial
        for dotted, trial in tried.items()
        if (not options.classes or any(name in dotted for name in options.classes))
        and not (options.new and (dotted in classes or dotted in untried))
    }
    figures: Counter[str] = Counter()
    for dotted, domain in domains_of(chosen, tried, figures):
        classes.pop(dotted, None)
        untried.pop(dotted, None)
        if isinstance(domain, str):
            untried[dotted] = domain
            print(f"{dotted} accepts nothing: {domain}", flush=True)
        else:
            classes[dotted] = domain
            print(f"{dotted}: {sum(map(len, domain.values()))}", flush=True)
        write_atomically(file, domains_text(Domains(registry.snapshot.packages, classes, untried)))
    print(f"{', '.join(f'{count} {what}' for what, count in figures.items())}: {file}")
    return 0


def tried_classes(registry: Registry) -> dict[str, TriedClass]:
    """The classes that shipped and generated configs name, with their parts there, and those that need no argument."""
    tried: dict[str, TriedClass] = {}
    _, folder = installed_configs()
    generated = sorted((Path(__file__).parents[3] / "generated").glob("*.py"))
    seen: set[tuple[str, str]] = set()
    for path in [*leaf_configs(folder), *generated]:
        view = read_config(path)
        facts = Facts(view, registry_for(view, release=registry.snapshot.release))
        for typed, part in built_as_they_stand(facts, Owners(facts, facts.typed), facts.parts):
            dotted = part.info.dotted
            if dotted.startswith("provecfg.") or not typed.is_direct or typed.registry not in _REGISTRIES:
                continue
            values = _plain(part.value)
            if values is ABSENT or "_scope_" in values or (dotted, repr(values)) in seen:
                continue
            seen.add((dotted, repr(values)))
            values.setdefault("type", part.info.type_name)
            tried.setdefault(dotted, TriedClass(typed.registry, part.info)).values.append(values)
    for name in _REGISTRIES:
        for scope in ("mmengine", "mmseg"):
            for type_name in registry.snapshot.registered[name].get(scope, ()):
                info = registry.find(f"{scope}.{type_name}", name)
                if info is not None and info.dotted not in tried and not info.required:
                    tried[info.dotted] = TriedClass(name, info, [{"type": f"{scope}.{type_name}"}])
    return dict(sorted(tried.items()))


def _plain(value: Any) -> Any:
    """A value of a config as one of Python's own; `ABSENT` where it is not known."""
    if isinstance(value, (DottedName, Opaque)):
        return ABSENT
    if isinstance(value, dict):
        plain: Any = {key: _plain(item) for key, item in value.items()}
        return ABSENT if any(item is ABSENT for item in plain.values()) else plain
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        is_known = all(item is not ABSENT for item in items)
        return (tuple(items) if isinstance(value, tuple) else items) if is_known else ABSENT
    return value if value is None or isinstance(value, (bool, int, float, str)) else ABSENT


def domains_of(
    chosen: dict[str, TriedClass], tried: dict[str, TriedClass], figures: Counter[str]
) -> Iterator[tuple[str, Domain | str]]:
    """What each of the chosen classes refuses; of one that accepts no arguments, how it refuses them.

    Args:
        chosen: The classes that are tried.
        tried: All of them: what the parts of others say of an argument that both inherit.
        figures: Counts, added to.
    """
    shipped_kinds = _shipped_kinds(tried)
    with _prepared() as folder:
        for dotted, trial in chosen.items():
            domain = _domain(dotted, trial, shipped_kinds, folder, figures)
            figures["classes"] += 1
            figures["domains"] += 0 if isinstance(domain, str) else sum(map(len, domain.values()))
            yield dotted, domain


@contextlib.contextmanager
def _prepared() -> Iterator[Path]:
    """The stack imported, and a folder for what is tried to write into."""
    from docs.generate.experiments import subjects
    from provecfg.registry.snapshot import import_all

    import_all()
    with tempfile.TemporaryDirectory(prefix="provecfg-experiments-") as scratch:
        subjects.prepare(Path(scratch))
        yield Path(scratch)


def repeated(domains: Domains, tried: dict[str, TriedClass], seed: int, count: int) -> list[str]:
    """Experiments of the table, made again on what is installed; what is not refused now, as lines.

    Args:
        domains: The table.
        tried: The classes that may be tried.
        seed: By which the experiments are drawn.
        count: How many.
    """
    experiments = [
        (dotted, _Experiment(path, kind, evidence.unless))
        for dotted, domain in domains.classes.items()
        if dotted in tried
        for path, kinds in domain.items()
        for kind, evidence in kinds.items()
    ]
    by_class: dict[str, list[_Experiment]] = defaultdict(list)
    for dotted, experiment in random.Random(seed).sample(experiments, min(count, len(experiments))):
        by_class[dotted].append(experiment)
    differences = []
    with _prepared() as folder:
        for dotted, drawn in by_class.items():
            differences += [f"{dotted}: {line}" for line in _repeated(dotted, tried[dotted], drawn, folder)]
    return differences


class _Experiment(NamedTuple):
    path: str
    kind: str
    unless: tuple[tuple[str, bool], ...]


def _repeated(dotted: str, trial: TriedClass, drawn: Sequence[_Experiment], folder: Path) -> list[str]:
    def conclude(inference: Inference) -> list[str]:
        return [f"{it.path} takes {it.kind}" for it in drawn if not inference.is_refused(*it)]

    _, lines = _concluded(dotted, trial, {}, folder, conclude)
    return [f"no config's arguments are accepted: {lines}"] if isinstance(lines, str) else lines


def _domain(
    dotted: str, trial: TriedClass, shipped_kinds: dict[tuple[str, str], set[str]], folder: Path, figures: Counter[str]
) -> Domain | str:
    def conclude(inference: Inference) -> tuple[int, Domain]:
        domain = inference.domain()
        return inference.trials, domain

    way, concluded = _concluded(dotted, trial, shipped_kinds, folder, conclude)
    if isinstance(concluded, str):
        figures["accept nothing"] += 1
        return concluded
    trials, domain = concluded
    figures["trials"] += trials
    figures[way.value] += 1
    return _not_contradicted(domain, trial.values, figures)


def _concluded(
    dotted: str,
    trial: TriedClass,
    shipped_kinds: dict[tuple[str, str], set[str]],
    folder: Path,
    conclude: Callable[[Inference], T],
) -> tuple[Way, T | str]:
    """What is concluded from trials of a class in the first of its ways in which it accepts some arguments.

    Args:
        dotted: Its name.
        trial: The class.
        shipped_kinds: See `_shipped_kinds`.
        folder: Where it may write.
        conclude: Concludes.

    Returns:
        The way, and the conclusion; with the last of the ways, how the class refuses all arguments.
    """
    from docs.generate.experiments import subjects

    values = _diverse(trial.values)

    def with_bases(attempt: Attempt) -> T | str:
        subject = _subject(dotted, trial, values, shipped_kinds)
        bases = _accepted(attempt, subject)
        if not bases:
            refused = attempt(values[0])
            words = (refused.error, shortened(refused.words)) if refused.error else (_UNFINISHED,)
            return ": ".join(filter(None, words))
        return conclude(Inference(replace(subject, bases=bases), attempt, _SECONDS))

    for way in subjects.ways_of(trial.registry, dotted):
        steps = subjects.steps_of(trial.registry, dotted, values, folder, way)
        concluded = TrialProcess(steps, folder, _SECONDS_OF_TRIAL).concluded(with_bases)
        if concluded is not None and not isinstance(concluded, str):
            break
    return way, _UNFINISHED if concluded is None else concluded


def _accepted(attempt: Attempt, subject: Subject) -> list[Values]:
    """The bases that are accepted, and soon enough; where there is none, the first one completed so that it is."""
    bases = []
    for base in subject.bases:
        start = time.process_time()
        if attempt(base).is_accepted and time.process_time() - start < _MOST_SECONDS_OF_BASE:
            bases.append(base)
    completed = None if bases else Inference(subject, attempt, _SECONDS).completed(subject.bases[0])
    return bases if completed is None else [completed]


def _subject(
    dotted: str, trial: TriedClass, bases: Sequence[Values], shipped_kinds: dict[tuple[str, str], set[str]]
) -> Subject:
    defaults = {
        name: parameter.default
        for name, parameter in trial.info.parameters.items()
        if parameter.default is not REQUIRED
        and parameter.default is not UNKNOWN_DEFAULT
        and name not in SUPPLIED.get(trial.registry, ())
    }
    return Subject(
        bases=bases,
        defaults=defaults,
        values_of=functools.partial(_values_of, trial),
        known_kinds=functools.partial(_known_kinds, trial.info, shipped_kinds),
        texts=_texts(dotted),
        is_silent=functools.partial(_is_silent, trial.info),
    )


def _values_of(trial: TriedClass, name: str) -> list[Any]:
    """Values of an argument, some that configs give it and some of the type that is stated."""
    given = [part[name] for part in trial.values if part.get(name) is not None]
    stated = trial.info.stated_type(name)
    return [*given[:_MOST_GIVEN], *(_samples(stated) if stated is not None else ())]


def _samples(stated: StatedType) -> Iterator[Any]:
    yield from (value for kind, value in _SAMPLES.items() if kind in stated.kinds)
    if SEQUENCE in stated.kinds and stated.items is not None:
        yield from ([item] * (stated.length or 1) for item in _samples(stated.items))


def _diverse(values: Sequence[Values]) -> list[Values]:
    """Some of the parts: those that differ most in which arguments they set, and in the kinds of these."""
    by_shape: dict[tuple[Any, ...], Values] = {}
    for part in sorted(values, key=lambda part: len(repr(part))):
        by_shape.setdefault(tuple(sorted((key, str(kind_of(value))) for key, value in part.items())), part)
    shapes = list(by_shape.values())
    step = max(1, len(shapes) // _MOST_BASES)
    return [*shapes[::step], *(part for part in values if part not in shapes)][:_MOST_BASES]


def _not_contradicted(domain: Domain, values: Sequence[Values], figures: Counter[str]) -> Domain:
    """The domain without arguments of which a config gives a value that it refuses."""
    kept = {}
    for path, kinds in domain.items():
        is_breached = any(Domains({}, {"": {path: kinds}}).breaches("", part) for part in values)
        figures["contradicted by a config"] += is_breached
        if not is_breached:
            kept[path] = kinds
    return kept


def _origin(info: ClassInfo, name: str) -> tuple[str, str]:
    parameter = info.parameters.get(name)
    return (info.dotted if parameter is None else parameter.origin or info.dotted), name


def _shipped_kinds(tried: dict[str, TriedClass]) -> dict[tuple[str, str], set[str]]:
    """Where an argument is declared, and its path -> the kinds of the values that any config gives it."""
    from docs.generate.experiments.variations import paths_of

    shipped_kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for trial in tried.values():
        for part in trial.values:
            for path in paths_of(part):
                origin, _ = _origin(trial.info, path.removesuffix(ITEMS).split(".")[0])
                value = dig(part, path.removesuffix(ITEMS))
                for item in value if path.endswith(ITEMS) else (value,):
                    shipped_kinds[origin, path] |= _kinds_of(item)
    return shipped_kinds


def _kinds_of(value: Any) -> set[str]:
    return {kind for kind, is_of in KINDS.items() if is_of(value)}


def _known_kinds(info: ClassInfo, shipped_kinds: dict[tuple[str, str], set[str]], path: str) -> Collection[str]:
    """Kinds that documentation, default or a config give an argument, of this class or of one that shares it."""
    argument = path.removesuffix(ITEMS)
    name = argument.split(".")[0]
    if name not in info.parameters and name not in TAKEN.get(info.registry, ()):
        return KINDS  # it goes to a class that another argument names
    kinds = set(shipped_kinds.get((_origin(info, name)[0], path), ()))
    parameter = info.parameters.get(name)
    if name == argument and parameter is not None:
        items = parameter.default if path.endswith(ITEMS) else [parameter.default]
        for item in items if isinstance(items, (list, tuple)) else ():
            kinds |= _kinds_of(item)
        stated: StatedType | None = info.stated_type(name)
        if stated is not None and path.endswith(ITEMS):
            stated = stated.items
        for kind in stated.kinds if stated is not None else ():
            kinds.update(_STATED.get(kind, ()))
    return kinds


def _is_silent(info: ClassInfo, values: Values, path: str) -> bool:
    """Whether the source says nothing against an argument of these."""
    name = path.removesuffix(ITEMS).split(".")[0]
    misfits = [(where, stated) for key, where, stated in Part(values, info).misfits if key == name]
    for where, stated in misfits:
        value = values[name] if not where else functools.reduce(lambda v, i: v[i], _indices(where), values[name])
        kind = kind_of(value)
        if kind in (TEXT, DICT) or (kind == SEQUENCE and stated.kinds <= NUMBERS | {NONE}):
            return False
    return refusal(info, values) is None


def _indices(path: str) -> list[int]:
    return [int(index) for index in path.strip("[]").split("][")]


def _texts(dotted: str) -> list[str]:
    """The texts that the source of a class, or of a parent, compares with or keeps in a table."""
    module, _, name = dotted.rpartition(".")
    cls = getattr(sys.modules.get(module), name, None)
    texts: dict[str, None] = {}
    for parent in inspect.getmro(cls) if inspect.isclass(cls) else ():
        if parent.__module__.startswith(("torch.nn", "builtins")):
            continue
        try:
            tree = ast.parse(inspect.cleandoc("if 1:\n" + inspect.getsource(parent)))
        except (OSError, TypeError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Compare, ast.Dict, ast.Tuple, ast.List, ast.Set)):
                for child in ast.walk(node):
                    if isinstance(child, ast.Constant) and isinstance(child.value, str) and child.value.isidentifier():
                        texts[child.value] = None
    return list(texts)[:24]


if __name__ == "__main__":
    sys.exit(main())
