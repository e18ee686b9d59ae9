"""docs/losses.md: the template's prose and formulas around what the definitions say.

Parameters come from the schema and from the docstrings of the registered classes, sources from those docstrings, the
equation of each example and what Mask2Former does with it from planning it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2
import yaml

from docs.generate.plugin import class_doc
from docs.generate.tables import cell, field_table
from provecfg.catalog.losses import PLUGIN_LOSSES
from provecfg.catalog.studies import CITYSCAPES_CLASS_WEIGHTS
from provecfg.class_weights.formulas import METHODS
from provecfg.codes import problems
from provecfg.errors import ProvecfgError
from provecfg.generate.literal import literal
from provecfg.generate.plan import Plan, plans_of
from provecfg.paths import templates_dir
from provecfg.study.load import study_from_fields
from provecfg.study.losses import AUXILIARY_LOSSES, PRIMARY_LOSSES, AuxiliaryLoss, CrossEntropy, Loss, WeightSchedule
from provecfg.study.schema import DeepSupervision, Ohem, Study
from provecfg.study.spec import Spec

_SPECS: tuple[type[Spec], ...] = (CrossEntropy, *AUXILIARY_LOSSES.values(), WeightSchedule, Ohem, DeepSupervision)
_SHARED = ("weight", "schedule", "scales")  # of every auxiliary loss
_EVERYWHERE = ("reduction", "avg_non_ignore", "ignore_index", "loss_weight", "loss_name")
_ON_MASKS = "mask2former_swin-b"
_LONG_LIST = re.compile(r"\[\s+([\d.]+),\s+([\d.]+),[^\]]*\]")  # of class weights
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def losses_page() -> str:
    """docs/losses.md: every loss and improvement."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir() / "docs"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters["study"] = _study
    environment.globals |= {
        "auxiliary_losses": lambda: _auxiliary_losses(environment),
        "overview": _overview,
        "fields": _fields,
        "shared_fields": _shared_fields,
        "arguments": _arguments,
        "shared_arguments": _shared_arguments,
        "promises": _promises,
        "summary": _summary,
        "source": _source,
        "rule": _rule,
        "methods": _methods,
    }
    return environment.get_template("losses.md.j2").render().rstrip("\n") + "\n"


def _auxiliary_losses(environment: jinja2.Environment) -> str:
    """A section for each: its own prose where `templates/docs/losses` has some, else what the definitions say of it."""
    sections = []
    for name, spec in AUXILIARY_LOSSES.items():
        template = environment.select_template([f"losses/{name}.md.j2", "losses/plain.md.j2"])
        text = template.render(name=name, spec=spec, is_of_plugin=spec.registered in PLUGIN_LOSSES)
        sections.append(text.rstrip("\n"))
    return "\n\n".join(sections)


# --- What the template asks for -----------------------------------------------------------------------------------


def _overview() -> str:
    """The table of losses."""
    lines = ["| loss | in a study | class | for | with OHEM | cost |", "|---|---|---|---|---|---|"]
    specs: dict[str, type[Loss]] = {**PRIMARY_LOSSES, **AUXILIARY_LOSSES}
    for name, spec in specs.items():
        title = spec.title if spec is not CrossEntropy else "cross-entropy"
        of_class = spec.registered if spec is not CrossEntropy else f"{spec.registered}`, `SegCrossEntropyLoss"
        sampled = "yes" if spec.takes_pixel_weights else "no"
        lines.append(
            f"| [{title}](#{title.lower().replace(' ', '-')}) | `{name}` | `{of_class}` | {spec.purpose} | {sampled} "
            "| [measured](performance.md) |"
        )
    return "\n".join(lines)


def _fields(name: str) -> str:
    """The parameters that a study sets, by the schema class's name; those that every auxiliary loss has aside."""
    spec = next(spec for spec in _SPECS if spec.__name__ == name)
    left_out = ("type", *_SHARED) if issubclass(spec, Loss) else ()
    return _table(spec.model_json_schema()["properties"], left_out)


def _shared_fields() -> str:
    """The parameters that every auxiliary loss has."""
    properties = AuxiliaryLoss.model_json_schema()["properties"]
    return _table({name: properties[name] for name in _SHARED})


def _table(properties: Mapping[str, Any], without: tuple[str, ...] = ()) -> str:
    kept = {name: field for name, field in properties.items() if name not in without}
    return "\n".join(field_table(kept, page="study.md")).rstrip("\n")


def _arguments(name: str) -> str:
    """The arguments of a registered class, for configs that are written by hand; those of every loss aside."""
    return _argument_table(name, lambda argument: argument not in _EVERYWHERE)


def _shared_arguments() -> str:
    """The arguments that every loss has."""
    return _argument_table("SegCrossEntropyLoss", lambda argument: argument in _EVERYWHERE)


def _argument_table(name: str, is_shown: Callable[[str], bool]) -> str:
    lines = [f"| argument of `{name}` | default | |", "|---|---|---|"]
    for argument in class_doc(name).arguments:
        if is_shown(argument.name):
            default = "" if argument.default is None else f"`{cell(argument.default)}`"
            lines.append(f"| `{argument.name}` | {default} | {cell(argument.text)} |")
    return "\n".join(lines)


def _promises() -> str:
    """What every loss does at the edges: the list in the docstring of their base class."""
    body = class_doc("SegLoss").body
    return "\n".join(re.findall(r"^(?:- .*|  \S.*)$", body, re.MULTILINE))


def _summary(name: str) -> str:
    """What a class computes: its docstring up to the first section, or what the study says of one that is mmseg's."""
    if name not in PLUGIN_LOSSES:
        spec = next(spec for spec in AUXILIARY_LOSSES.values() if spec.registered == name)
        return str(spec.__doc__)
    doc = class_doc(name)
    return f"{doc.summary}\n\n{doc.body}".rstrip("\n")


def _source(name: str) -> str:
    """Where a class is from, papers linked."""
    text = _linked(class_doc(name).sections["Source"])
    return f"*Source.* {text[0].upper()}{text[1:]}"


def _linked(text: str) -> str:
    """The text with its arXiv numbers as links."""
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)


def _rule(code: str) -> str:
    """A rule by its code, linked."""
    page = problems()[code]
    return f"[{page.code}](rules.md#{page.code.lower()})"


def _methods() -> str:
    """The table of ways to weigh classes."""
    lines = ["| `--method` | weight of a class, before the mean is made 1 | source |", "|---|---|---|"]
    for name, method in METHODS.items():
        formula = str(method.formula.__doc__).split("\n")[0].rstrip(".")
        defaults = ", ".join(f"{key} {value:g}" for key, value in method.parameters.items())
        formula += f" ({defaults})" if defaults else ""
        lines.append(f"| `{name}` | {cell(formula)} | {cell(_linked(method.source))} |")
    return "\n".join(lines)


# --- Examples -----------------------------------------------------------------------------------------------------


def _study(text: str) -> str:
    """A study as a block, then what it trains and what Mask2Former does with it.

    Raises:
        ProvecfgError: It is no valid study.
    """
    fields = yaml.safe_load(text)
    study, problems = _planned(fields)
    if study is None:
        raise ProvecfgError(f"an example of docs/losses.md is no study: {problems}\n{text}")
    model = next(iter(study.bases.values()))
    plans = [plan for plan in plans_of(study) if plan.model.name == model.name]
    lines = ["```yaml", text.strip("\n"), "```", "", f"What that trains on {model.title}:", "", "```python"]
    lines += [line for plan in plans for line in _of_plan(plan, is_only=len(plans) == 1)]
    lines += ["```", "", f"*On Mask2Former:* {_on_masks(fields)}"]
    return "\n".join(lines) + "\n"


def _of_plan(plan: Plan, *, is_only: bool) -> Iterator[str]:
    yield f"# {plan.header.equation}"
    if is_only:
        for hook in plan.custom_hooks:
            if hook["type"] == "LossWeightScheduleHook":
                yield f"custom_hooks={literal([hook], 13)}"
        if plan.main_head.sampler:
            yield f"sampler={literal(plan.main_head.sampler, 8)}"
        yield _LONG_LIST.sub(r"[\1, \2, ...]", f"loss_decode={literal(plan.main_head.entries, 12)}")


def _on_masks(fields: Mapping[str, Any]) -> str:
    study, problems = _planned({**fields, "models": [_ON_MASKS]})
    if study is None:
        return f"refused, {problems}."
    *others, plan = plans_of(study)
    return f"taken, {'the last one ' if others else ''}as `{plan.header.equation}`."


def _planned(fields: Mapping[str, Any]) -> tuple[Study | None, str]:
    """The study, or what is wrong with it."""
    study, findings = study_from_fields(_with_example_weights(fields))
    return study, "; ".join(f"{finding.message} ({finding.hint})" for finding in findings)


def _with_example_weights(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with weights in place of the file of class weights that they name, which is not there."""
    losses = dict(fields.get("losses", {}))
    primary = dict(losses.get("primary", {}))
    if isinstance(primary.get("class_weight"), str):
        primary["class_weight"] = list(CITYSCAPES_CLASS_WEIGHTS)
        losses["primary"] = primary
    return {**fields, "losses": losses}
