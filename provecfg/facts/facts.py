"""All that the rules want to know about a config, worked out when first asked for, and shared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cached_property
from typing import TypeVar

from provecfg.facts.arguments import (
    Misfit,
    Owners,
    UnusedArgument,
    built_as_they_stand,
    loader_part_of,
    misfits_of,
    parts_of,
    typed_of,
    unregistered_of,
    unused_arguments_of,
)
from provecfg.facts.backbones import feature_channels
from provecfg.facts.data import Dataset, Loader, Split, loaders_of, preprocessor_of
from provecfg.facts.fact import EVERYTHING, Answer, Fact
from provecfg.facts.hooks import (
    WatchedMetric,
    best_metrics_of,
    checkpoint_hooks_of,
    hooks_of,
    hooks_of_family,
    monitored_metrics_of,
)
from provecfg.facts.lookup import Lookup
from provecfg.facts.metrics import Evaluator, evaluators_of, keys_of
from provecfg.facts.model import Head, Loss, all_losses, heads_of
from provecfg.facts.padding import Padding, padding_of
from provecfg.facts.parts import Part
from provecfg.facts.refusals import (
    Refused,
    RefusedInTrial,
    innermost,
    refused_by_runner,
    refused_in_trials_of,
    refused_section_of,
    refused_values_of,
)
from provecfg.facts.schedule import Schedule, schedule_of
from provecfg.facts.typed import BUILT, Typed, once_each
from provecfg.mmconfig import Node, Opaque
from provecfg.registry import ClassInfo
from provecfg.registry.layout import (
    EARLY_STOPPING_HOOKS,
    LOOP_KEYS,
    MMENGINE_KEYS,
    NEEDED_BY_TRAINING,
    OLD_KEYS,
    RUNNER_METHODS,
)

_T = TypeVar("_T")


class Facts(Lookup):
    """The facts of one config."""

    @Fact
    def is_of_mmcv_1(self) -> bool:
        """Whether the config is written for mmcv 1.x, of which mmengine reads nothing."""
        values = self.root.value
        if len(values.keys() & OLD_KEYS.keys()) < 2 or values.keys() & MMENGINE_KEYS:
            return False
        loop = values.get("train_cfg")
        return not isinstance(loop, Opaque) and not (isinstance(loop, dict) and loop.keys() & LOOP_KEYS)

    # The model

    @Fact
    def model(self) -> Node | None:
        """The model, if it is mmseg's. Who reads a part of it alone, `of_model`, depends on that alone."""
        return self.section("model") if self.is_mmseg else None

    def of_model(self, key: str) -> Node | None:
        """What the model sets under a dotted path, if it is mmseg's."""
        return self.get(f"model.{key}") if self.is_mmseg else None

    @Answer
    def segmentor(self) -> ClassInfo | None:
        """The class of the model, if it is mmseg's."""
        return self.class_of(self.model)

    @Fact
    def feature_channels(self) -> tuple[int | None, ...] | None:
        """Channels of each feature map that the heads see; see `backbones.feature_channels`."""
        return feature_channels(self) if self.is_mmseg else None

    @Fact
    def heads(self) -> tuple[Head, ...]:
        """Decode heads, then auxiliary heads."""
        return tuple(heads_of(self)) if self.is_mmseg else ()

    @Fact
    def decode_heads(self) -> tuple[Head, ...]:
        """The decode heads; of a cascade's, inference goes by the last."""
        return tuple(head for head in self.heads if head.role == "decode")

    @Fact
    def main_head(self) -> Head | None:
        """The last decode head whose number of classes is known."""
        return next((head for head in reversed(self.decode_heads) if head.num_classes is not None), None)

    @Fact
    def all_losses(self) -> tuple[Loss, ...]:
        """Every loss that a head lists, whether it calls them plainly or in its own way."""
        return tuple(all_losses(self.heads))

    @Fact
    def losses(self) -> tuple[Loss, ...]:
        """The losses that heads call plainly, those that a head has by default among them.

        None of a model of the user's that is certain to be no segmentor of mmseg's: it need not ask its heads for any.
        """
        info = self.segmentor
        is_known = info is not None and info.is_of_user and None not in info.ancestors
        if info is not None and is_known and not info.is_a("BaseSegmentor"):
            return ()
        return tuple(loss for head in self.heads for loss in head.losses)

    def losses_of(self, *kinds: str) -> Iterator[Loss]:
        """Those of one of these classes, as the release has it: a fork may compute it in another way."""
        return (loss for loss in self.losses if loss.kind in kinds and self._is_released(loss))

    def all_losses_of(self, *kinds: str) -> Iterator[Loss]:
        """Of `all_losses`, those of one of these classes: for what is true of a loss, whoever calls it."""
        return (loss for loss in self.all_losses if loss.kind in kinds and self._is_released(loss))

    def _is_released(self, loss: Loss) -> bool:
        info = self.class_of(loss.node)
        return info is None or not info.is_of_user

    # Data

    @Fact
    def loaders(self) -> tuple[Loader, ...]:
        """The data loaders that the config sets up, training first."""
        return tuple(loaders_of(self))

    def loader(self, split: Split) -> Loader | None:
        """The loader of a split, or None where the config sets none up."""
        return next((loader for loader in self.loaders if loader.split == split), None)

    @Fact
    def datasets(self) -> tuple[tuple[Loader, Dataset], ...]:
        """Every dataset, with the loader that it is in; wrappers are looked through."""
        return tuple((loader, dataset) for loader in self.loaders for dataset in loader.datasets)

    @Fact
    def preprocessor(self) -> Node | None:
        """The data preprocessor: the model's, which goes before the top level's."""
        return preprocessor_of(self) if self.is_mmseg else None

    @Fact
    def padding(self) -> Padding | None:
        """How much of a training image is padding, or None where the config does not tell."""
        return padding_of(self.preprocessor, self.loader("train"))

    # Evaluation, hooks, schedule

    @Fact
    def val_evaluators(self) -> tuple[Evaluator, ...]:
        """The metrics of the validation."""
        return evaluators_of(self, "val_evaluator")

    @Fact
    def metric_keys(self) -> frozenset[str] | None:
        """The keys that a validation's result will have, or None where they are not all known."""
        return keys_of(self.val_evaluators)

    def may_give(self, key: str) -> bool:
        """Whether a validation's result may have a key."""
        keys = self.metric_keys
        return keys is None or key in keys or any(evaluator.may_give(key) for evaluator in self.val_evaluators)

    @Fact
    def hooks(self) -> tuple[Node, ...]:
        """Every hook's dict: the default ones, then the custom ones."""
        return hooks_of(self)

    def hooks_of(self, *family: str) -> Iterator[Node]:
        """Hooks of one of these classes, or of one that inherits from it."""
        return hooks_of_family(self, self.hooks, family)

    @Fact
    def early_stopping(self) -> tuple[Node, ...]:
        """The hooks that end a run early."""
        return tuple(self.hooks_of(*EARLY_STOPPING_HOOKS))

    @Fact
    def checkpoints(self) -> tuple[Node, ...]:
        """The hooks that save checkpoints."""
        return tuple(checkpoint_hooks_of(self, self.hooks))

    @Fact
    def monitored_metrics(self) -> tuple[WatchedMetric, ...]:
        """The metrics that early stopping watches."""
        return tuple(monitored_metrics_of(self.early_stopping))

    @Fact
    def best_metrics(self) -> tuple[WatchedMetric, ...]:
        """The metrics whose best checkpoint is saved; `auto` names none."""
        return tuple(best_metrics_of(self.checkpoints))

    @Fact
    def schedule(self) -> Schedule:
        """The run as a timeline."""
        return schedule_of(self)

    # Names

    @cached_property
    def silent(self) -> set[Hashable]:
        """The rules, and what is asked of sections, that are known to find nothing in this config."""
        return self.class_cache.silences.about(self)

    def in_sections(self, find: Callable[[Facts, str], Iterable[_T]], sections: Iterable[str] = BUILT) -> Iterator[_T]:
        """What is found in the sections of the top level, those left out in whose content nothing was found before.

        Args:
            find: Finds it, given a section's key. A function of a module: it is known again by its identity.
            sections: The keys.
        """
        self.reads.add(EVERYTHING)
        for section in sections:
            question = (find, section)
            if question in self.silent:
                continue
            reader, self.reads = self.reads, set()
            try:
                items = tuple(find(self, section))
                if not items:
                    self.class_cache.silences.learn(question, self)
            finally:
                self.reads = reader
            yield from items

    def typed_in(self, section: str) -> tuple[Typed, ...]:
        """Every dict of a section with a `type`, with the registry that builds it; of another library's models, none.

        Args:
            section: One of `BUILT`.
        """
        return self._once(("typed", section), lambda: tuple(typed_of(self, section)))

    def parts_in(self, section: str) -> tuple[tuple[Typed, Part], ...]:
        """Those whose class is known, with what follows of it and of their dict alone."""
        return self._once(("parts", section), lambda: tuple(parts_of(self, self.typed_in(section))))

    def built_in(self, section: str) -> tuple[tuple[Typed, Part], ...]:
        """Those whose dict goes to its class as it is."""
        owners, parts = self.owners_in, self.parts_in
        return self._once(("built", section), lambda: tuple(built_as_they_stand(self, owners(section), parts(section))))

    def owners_in(self, section: str) -> Owners:
        """The classes around the dicts of a section."""
        return self._once(("owners", section), lambda: Owners(self, self.typed_in(section)))

    def _once(self, name: Hashable, work_out: Callable[[], _T]) -> _T:
        value, reads = self.known(name, work_out)
        self.reads |= reads
        return value

    @Fact
    def typed(self) -> tuple[Typed, ...]:
        """Those of all sections; an object that stands in several of them, once."""
        return tuple(once_each(typed for section in BUILT for typed in self.typed_in(section)))

    @Fact
    def parts(self) -> tuple[tuple[Typed, Part], ...]:
        """Those of all sections whose class is known; see `typed`."""
        return tuple(parts_of(self, self.typed))

    @Fact
    def unused_arguments(self) -> tuple[UnusedArgument, ...]:
        """Arguments that their class refuses or drops."""
        return tuple(self.in_sections(_unused_in))

    @Fact
    def misfits(self) -> tuple[Misfit, ...]:
        """Values of a kind that their class does not state."""
        return tuple(self.in_sections(_misfits_in))

    @Fact
    def unregistered(self) -> tuple[tuple[Typed, Node], ...]:
        """Dicts whose class is registered nowhere that was read, each with its `type`."""
        return tuple(self.in_sections(_unregistered_in))

    @Answer
    def is_whole_run(self) -> bool:
        """Whether the config has all that training needs, but for one thing, which is then missing."""
        return sum(self.get(key) is not None for key in NEEDED_BY_TRAINING) >= len(NEEDED_BY_TRAINING) - 1

    @Fact
    def refusals(self) -> tuple[Refused, ...]:
        """Parts of the config that their class, or mmengine's Runner, is certain to refuse."""
        values = self.in_sections(_refused_values_in)
        whole = refused_by_runner(self, is_whole_run=self.is_whole_run)
        sections = self.in_sections(_refused_section, RUNNER_METHODS)
        return tuple(innermost([*values, *whole, *sections]))

    @Fact
    def refused_in_trials(self) -> tuple[RefusedInTrial, ...]:
        """Values of kinds that their class refused when it was tried."""
        return tuple(self.in_sections(_refused_in_trials_in))


def _unused_in(facts: Facts, section: str) -> Iterator[UnusedArgument]:
    return unused_arguments_of(facts.owners_in(section), facts.built_in(section))


def _misfits_in(facts: Facts, section: str) -> Iterator[Misfit]:
    owners = facts.owners_in(section)
    for typed, part in facts.built_in(section):
        misfits = misfits_of(facts, typed.node, part)
        yield from (misfit for misfit in misfits if not owners.may_set(typed, misfit.argument))
    for node, part in loader_part_of(facts, section):
        yield from misfits_of(facts, node, part)


def _unregistered_in(facts: Facts, section: str) -> Iterator[tuple[Typed, Node]]:
    known = {id(typed) for typed, _ in facts.parts_in(section)}
    return unregistered_of(facts, [typed for typed in facts.typed_in(section) if id(typed) not in known])


def _refused_values_in(facts: Facts, section: str) -> Iterator[Refused]:
    return refused_values_of(facts, facts.owners_in(section), facts.built_in(section), is_whole_run=facts.is_whole_run)


def _refused_section(facts: Facts, section: str) -> Iterator[Refused]:
    return refused_section_of(facts, section, is_whole_run=facts.is_whole_run)


def _refused_in_trials_in(facts: Facts, section: str) -> Iterator[RefusedInTrial]:
    return refused_in_trials_of(facts, facts.owners_in(section), facts.built_in(section))
