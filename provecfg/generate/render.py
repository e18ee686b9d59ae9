"""A plan as the text of an mmseg config. The templates lay out; nothing is decided here or there."""

from __future__ import annotations

import functools

import jinja2

from provecfg.generate.literal import literal
from provecfg.generate.plan import Plan
from provecfg.header import sealed
from provecfg.paths import templates_dir


def render(plan: Plan) -> str:
    """The config, ending in a newline; its header holds a checksum of all the rest."""
    return sealed(_template().render(plan=plan))


@functools.cache
def _template() -> jinja2.Template:
    return _environment().get_template("config.py.j2")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python text, not markup
    )
    environment.filters["literal"] = literal
    return environment
