"""The losses that a study can name, against the classes that they become."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest

from provecfg.catalog.losses import PLUGIN_LOSSES
from provecfg.registry import registry_for
from provecfg.study.losses import AUXILIARY_LOSSES, AuxiliaryLoss, CrossEntropy, Loss

SPECS = pytest.mark.parametrize(("name", "spec"), AUXILIARY_LOSSES.items(), ids=list(AUXILIARY_LOSSES))


def test_every_spec_can_be_named() -> None:
    assert list(AUXILIARY_LOSSES.values()) == AuxiliaryLoss.__subclasses__()


def test_a_loss_of_the_plugin_has_one_name_in_studies_and_in_its_class() -> None:
    names = {name: spec.registered for name, spec in AUXILIARY_LOSSES.items() if spec.registered in PLUGIN_LOSSES}
    assert len(names) >= 6
    assert {name: PLUGIN_LOSSES[registered].study_name for name, registered in names.items()} == {
        name: name for name in names
    }


@SPECS
def test_what_a_spec_writes_is_what_its_class_takes(name: str, spec: type[AuxiliaryLoss]) -> None:
    info = registry_for(["provecfg.plugin"]).find(spec.registered, "model")
    assert info is not None
    entry = spec(type=name).config()  # type: ignore[call-arg]
    assert all(info.accepts(key, entry) for key in entry), entry


def test_the_plugins_cross_entropy_goes_by_the_name_of_the_one_it_stands_in_for() -> None:
    assert PLUGIN_LOSSES["SegCrossEntropyLoss"].title == CrossEntropy.title


def test_a_spec_of_a_class_that_nobody_knows_needs_a_title() -> None:
    with pytest.raises(TypeError, match="Lost has no title, and LostLoss is no known loss"):

        class Lost(Loss):
            registered: ClassVar[str] = "LostLoss"
            type: Literal["lost"] = "lost"
