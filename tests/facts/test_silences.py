"""What is remembered of configs that were judged before: it is what judging them anew would say."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from provecfg.facts.facts import Facts
from provecfg.facts.silences import Silences
from provecfg.findings import Finding
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.values import ConfigDict
from provecfg.rules import judge
from tests.cases.scoring import CLEAN, FAULTS

GENERATED = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))
ODD_VALUES: tuple[Any, ...] = (None, "many", -1, 0, 0.5, 1e9, [], (512, 512), {"type": "FCNHead"}, True)


def remembered(view: ConfigView) -> list[Finding]:
    return judge(view)


def anew(view: ConfigView) -> list[Finding]:
    """Judged with nothing remembered, neither before nor after."""
    cache = Facts(view).class_cache
    memory, cache.silences = cache.silences, Silences()
    try:
        return judge(view)
    finally:
        cache.silences = memory


def mixed(view: ConfigView, other: ConfigView, draw: random.Random) -> ConfigView:
    """A config with some sections of another, and one value changed: much that was seen before, newly combined."""
    values = view.values.copy()
    for section in draw.sample(sorted(other.values, key=str), k=draw.randint(1, len(other.values))):
        values.put(section, other.values[section], other.values.origins.get(section))
    section = draw.choice(sorted(values, key=str))
    values.put(section, copy.deepcopy(values[section]), values.origins.get(section))  # values are shared: read-only
    holder: Any = values
    step: Any = section
    while steps(holder[step]) and not isinstance(holder[step], tuple) and draw.random() < 0.9:
        holder = holder[step]
        step = draw.choice(steps(holder))
    holder[step] = draw.choice(ODD_VALUES)
    return replace(view, values=values)


def steps(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, (list, tuple)) else []


def test_a_config_judged_after_others_has_the_findings_that_it_has_alone() -> None:
    draw = random.Random(7)
    views = [read_config(path) for path in (*GENERATED, *CLEAN, *FAULTS)]
    draw.shuffle(views)
    configs = [*views, *(mixed(draw.choice(views), draw.choice(views), draw) for _ in range(300))]
    findings_seen = 0
    for view in configs:
        findings = remembered(view)
        assert findings == anew(view)
        findings_seen += len(findings)
    assert findings_seen > 100


def test_what_no_rule_finds_fault_with_is_not_judged_again(facts_of: Callable[[str], Facts]) -> None:
    text = "default_scope = 'mmseg'\nmodel = dict(type='EncoderDecoder')\ntrain_cfg = dict(max_iters={})\n"
    first, again, other = (facts_of(text.format(length)) for length in (10, 10, 20))
    cache = first.class_cache
    cache.silences = Silences()
    asked: list[Facts] = []

    def has_a_negative_length(facts: Facts) -> bool:
        asked.append(facts)
        return (facts.schedule.length or 0) < 0

    for facts in (first, again, other):
        facts.reads = set()
        if has_a_negative_length not in cache.silences.about(facts) and not has_a_negative_length(facts):
            cache.silences.learn(has_a_negative_length, facts)
    assert asked == [first, other]


def test_what_a_rule_looks_at_further_on_counts_as_well(facts_of: Callable[[str], Facts]) -> None:
    """It reads `b` only where `a` is 2: what is remembered of configs where it did not says nothing of one where it
    does."""

    def rule(facts: Facts) -> bool:
        a = facts.get("a")
        return a is not None and a.value == 2 and facts.get("b") is not None

    silences = Silences()
    for text in ("a = 1", "a = 2", "a = 1\nb = 1"):
        facts = facts_of(text)
        facts.reads = set()
        assert not rule(facts)
        silences.learn(rule, facts)
    assert rule in silences.about(facts_of("a = 1\nb = 1"))
    assert rule in silences.about(facts_of("a = 2"))
    assert rule not in silences.about(facts_of("a = 2\nb = 1"))
    assert rule not in silences.about(facts_of("a = 3"))


def test_who_looks_at_everything_is_asked_each_time(facts_of: Callable[[str], Facts]) -> None:
    silences, facts = Silences(), facts_of("a = 1")
    facts.reads = set()
    assert facts.root.get("b") is None
    silences.learn("rule", facts)
    assert silences.about(facts_of("a = 1")) == set()


def test_a_fact_is_read_by_everyone_who_asks_for_it(facts_of: Callable[[str], Facts]) -> None:
    facts = facts_of("default_scope = 'mmseg'\nmodel = dict(decode_head=dict(type='FCNHead', num_classes=2))")
    reads = []
    for _ in range(2):
        facts.reads = set()
        assert facts.main_head is not None
        reads.append(facts.reads)
    assert reads[0] == reads[1] == {"?is_mmseg", "model.decode_head", "model.auxiliary_head"}


def test_an_answer_stands_for_what_it_was_made_of(facts_of: Callable[[str], Facts]) -> None:
    ours, fragment = facts_of("default_scope = 'mmseg'\nx = 1"), facts_of("x = 1")
    # numbers of contents are a registry's, and each scope has one
    theirs = Facts(facts_of("default_scope = 'mmdet'\nx = 1").view, ours.registry)
    silences = Silences()
    ours.reads = set()
    assert ours.is_mmseg
    silences.learn("rule", ours)
    assert "rule" in silences.about(fragment)
    assert "rule" not in silences.about(theirs)


def test_a_variable_called_type_names_no_class_around_the_sections(facts_of: Callable[[str], Facts]) -> None:
    """What is found in a section, and remembered of it, depends on the section alone."""
    model = "model = dict(backbone=dict(norm_cfg=dict(type='BN', momentum=[1], requires_gradd=True)))\n"
    named, plain = (judge(facts_of(text + model).view) for text in ("type = 'train'\n", ""))
    assert [finding.code for finding in named] == [finding.code for finding in plain] == ["REG108", "REG002"]


def test_a_view_of_plain_dicts_is_judged_as_well() -> None:
    values = ConfigDict({"train_cfg": {"type": "IterBasedTrainLoop", "max_iters": -1}})
    view = ConfigView(Path("config.py"), values, (), ())
    assert [finding.key for finding in judge(view)] == [finding.key for finding in anew(view)]
