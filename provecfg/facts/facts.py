"""All that the rules want to know about a config, worked out when first asked for, and shared."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from provecfg.facts.arguments import (
    Misfit,
    UnusedArgument,
    built_as_they_stand,
    misfits_of,
    parts_of,
    typed_of,
    unregistered_of,
    unused_arguments_of,
)
from provecfg.facts.backbones import feature_channels
from provecfg.facts.data import Dataset, Loader, Split, loaders_of, preprocessor_of
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
from provecfg.facts.model import Head, Loss, all_losses, heads_of, is_mmseg, model_of
from provecfg.facts.padding import Padding, padding_of
from provecfg.facts.parts import Part
from provecfg.facts.refusals import (
    Refused,
    RefusedInTrial,
    innermost,
    refused_in_trials_of,
    refused_sections_of,
    refused_values_of,
)
from provecfg.facts.schedule import Schedule, schedule_of
from provecfg.facts.typed import Typed
from provecfg.mmconfig import Node
from provecfg.registry.layout import EARLY_STOPPING_HOOKS, MMENGINE_KEYS, NEEDED_BY_TRAINING, OLD_KEYS


class Facts(Lookup):
    """The facts of one config."""

    @cached_property
    def is_of_mmcv_1(self) -> bool:
        """Whether the config is written for mmcv 1.x, of which mmengine reads nothing."""
        keys = self.root.value.keys()
        return len(keys & OLD_KEYS.keys()) >= 2 and not keys & MMENGINE_KEYS

    # The model

    @cached_property
    def is_mmseg(self) -> bool:
        """Whether unscoped names mean mmseg's classes. A fragment that sets no scope counts."""
        return is_mmseg(self)

    @cached_property
    def model(self) -> Node | None:
        """The model, if it is mmseg's."""
        return model_of(self)

    @cached_property
    def feature_channels(self) -> tuple[int | None, ...] | None:
        """Channels of each feature map that the heads see; see `backbones.feature_channels`."""
        return feature_channels(self)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Decode heads, then auxiliary heads."""
        return tuple(heads_of(self))

    @cached_property
    def decode_heads(self) -> tuple[Head, ...]:
        """The decode heads; of a cascade's, inference goes by the last."""
        return tuple(head for head in self.heads if head.role == "decode")

    @cached_property
    def main_head(self) -> Head | None:
        """The last decode head whose number of classes is known."""
        return next((head for head in reversed(self.decode_heads) if head.num_classes is not None), None)

    @cached_property
    def all_losses(self) -> tuple[Loss, ...]:
        """Every loss that a head lists, whether it calls them plainly or in its own way."""
        return tuple(all_losses(self.heads))

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """The losses that heads call plainly, those that a head has by default among them."""
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

    @cached_property
    def loaders(self) -> tuple[Loader, ...]:
        """The data loaders that the config sets up, training first."""
        return tuple(loaders_of(self))

    def loader(self, split: Split) -> Loader | None:
        """The loader of a split, or None where the config sets none up."""
        return next((loader for loader in self.loaders if loader.split == split), None)

    @cached_property
    def datasets(self) -> tuple[tuple[Loader, Dataset], ...]:
        """Every dataset, with the loader that it is in; wrappers are looked through."""
        return tuple((loader, dataset) for loader in self.loaders for dataset in loader.datasets)

    @cached_property
    def preprocessor(self) -> Node | None:
        """The data preprocessor: the model's, which goes before the top level's."""
        return preprocessor_of(self) if self.is_mmseg else None

    @cached_property
    def padding(self) -> Padding | None:
        """How much of a training image is padding, or None where the config does not tell."""
        return padding_of(self.preprocessor, self.loader("train"))

    # Evaluation, hooks, schedule

    @cached_property
    def val_evaluators(self) -> tuple[Evaluator, ...]:
        """The metrics of the validation."""
        return evaluators_of(self, "val_evaluator")

    @cached_property
    def metric_keys(self) -> frozenset[str] | None:
        """The keys that a validation's result will have, or None where they are not all known."""
        return keys_of(self.val_evaluators)

    @cached_property
    def hooks(self) -> tuple[Node, ...]:
        """Every hook's dict: the default ones, then the custom ones."""
        return hooks_of(self)

    def hooks_of(self, *family: str) -> Iterator[Node]:
        """Hooks of one of these classes, or of one that inherits from it."""
        return hooks_of_family(self, self.hooks, family)

    @cached_property
    def early_stopping(self) -> tuple[Node, ...]:
        """The hooks that end a run early."""
        return tuple(self.hooks_of(*EARLY_STOPPING_HOOKS))

    @cached_property
    def checkpoints(self) -> tuple[Node, ...]:
        """The hooks that save checkpoints."""
        return tuple(checkpoint_hooks_of(self, self.hooks))

    @cached_property
    def monitored_metrics(self) -> tuple[WatchedMetric, ...]:
        """The metrics that early stopping watches."""
        return tuple(monitored_metrics_of(self.early_stopping))

    @cached_property
    def best_metrics(self) -> tuple[WatchedMetric, ...]:
        """The metrics whose best checkpoint is saved; `auto` names none."""
        return tuple(best_metrics_of(self.checkpoints))

    @cached_property
    def schedule(self) -> Schedule:
        """The run as a timeline."""
        return schedule_of(self)

    # Names

    @cached_property
    def typed(self) -> tuple[Typed, ...]:
        """Every dict with a `type`, with the registry that builds it; of another library's models, none."""
        return typed_of(self)

    @cached_property
    def parts(self) -> tuple[tuple[Typed, Part], ...]:
        """Those whose class is known, with what follows of it and of their dict alone."""
        return tuple(parts_of(self, self.typed))

    @cached_property
    def _built_parts(self) -> tuple[tuple[Typed, Part], ...]:
        return tuple(built_as_they_stand(self, self.typed, self.parts))

    @cached_property
    def unused_arguments(self) -> tuple[UnusedArgument, ...]:
        """Arguments that their class refuses or drops."""
        return tuple(unused_arguments_of(self, self.typed, self._built_parts))

    @cached_property
    def misfits(self) -> tuple[Misfit, ...]:
        """Values of a kind that their class does not state."""
        return tuple(misfits_of(self, self._built_parts))

    @cached_property
    def unregistered(self) -> tuple[tuple[Typed, Node], ...]:
        """Dicts whose class is registered nowhere that was read, each with its `type`."""
        if len(self.parts) == len(self.typed):
            return ()
        known = {id(typed) for typed, _ in self.parts}
        return tuple(unregistered_of(self, [typed for typed in self.typed if id(typed) not in known]))

    @cached_property
    def is_whole_run(self) -> bool:
        """Whether the config has all that training needs, but for one thing, which is then missing."""
        return sum(self.get(key) is not None for key in NEEDED_BY_TRAINING) >= len(NEEDED_BY_TRAINING) - 1

    @cached_property
    def refusals(self) -> tuple[Refused, ...]:
        """Parts of the config that their class, or mmengine's Runner, is certain to refuse."""
        values = refused_values_of(self, self._built_parts, is_whole_run=self.is_whole_run)
        sections = refused_sections_of(self, is_whole_run=self.is_whole_run)
        return tuple(innermost([*values, *sections]))

    @cached_property
    def refused_in_trials(self) -> tuple[RefusedInTrial, ...]:
        """Values of kinds that their class refused when it was tried."""
        return tuple(refused_in_trials_of(self, self._built_parts))
