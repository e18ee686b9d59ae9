"""What classes refuse, as facts of a config: who says it, of which value, and when an absence counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provecfg.facts.facts import Facts

FactsOf = Callable[[str], Facts]

RUN = """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64)),
    backbone=dict(type='ResNetV1c', depth=18),
    decode_head=dict(type='FCNHead', in_channels=512, in_index=3, channels=16, num_classes=19))
train_dataloader = dict(
    batch_size=2, sampler=dict(type='InfiniteSampler'),
    dataset=dict(type='CityscapesDataset', data_root='data', pipeline=[dict(type='LoadImageFromFile')]))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
"""


def refused(facts: Facts) -> list[tuple[str, str]]:
    return [(part.name, part.arguments[0].key if part.arguments else part.node.key) for part in facts.refusals]


def test_a_run_that_is_whole_and_right_is_refused_nowhere(facts_of: FactsOf) -> None:
    facts = facts_of(RUN)
    assert facts.is_whole_run
    assert refused(facts) == []
    assert facts.misfits == ()


@pytest.mark.parametrize(
    ("right", "wrong", "who", "key"),
    [
        ("batch_size=2", "batch_size='2'", "mmengine", "train_dataloader.batch_size"),
        ("channels=16", "channels=-16", "FCNHead", "model.decode_head.channels"),
        ("depth=18", "depth=18, strides=(1, 2)", "ResNetV1c", "model.backbone.strides"),
        ("lr=0.01", "lr=-0.01", "SGD", "optim_wrapper.optimizer.lr"),
        ("size=(64, 64)", "size=(64, None)", "SegDataPreProcessor", "model.data_preprocessor.size"),
        ("dict(type='IterBasedTrainLoop', max_iters=100)", "[dict(max_iters=100)]", "mmengine", "train_cfg"),
        ("type='EncoderDecoder',", "", "mmengine", "model"),
        ("type='ResNetV1c', ", "", "EncoderDecoder", "model.backbone"),
        ("default_scope", "randomness = None\ndefault_scope", "mmengine", "randomness"),
    ],
)
def test_a_refusal_names_who_refuses_and_the_value(
    facts_of: FactsOf, right: str, wrong: str, who: str, key: str
) -> None:
    assert (who, key) in refused(facts_of(RUN.replace(right, wrong)))


def test_what_a_fragment_leaves_out_is_refused_nowhere(facts_of: FactsOf) -> None:
    facts = facts_of(
        "model = dict(type='EncoderDecoder', backbone=dict(depth=50))\noptim_wrapper = dict(clip_grad=None)\n"
    )
    assert not facts.is_whole_run
    assert refused(facts) == []


def test_the_part_inside_speaks_for_itself(facts_of: FactsOf) -> None:
    """The head is refused once, and not again by the segmentor that builds it."""
    assert refused(facts_of(RUN.replace("channels=16", "channels=-16"))) == [("FCNHead", "model.decode_head.channels")]


def test_a_data_preprocessor_that_the_models_own_goes_before_is_not_asked(facts_of: FactsOf) -> None:
    assert refused(facts_of(RUN + "data_preprocessor = dict(type='SegDataPreProcessor', mean=[0.0], std=1)\n")) == []
