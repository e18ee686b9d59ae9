"""`--cfg-options KEY=VALUE...`, as mmengine's own tools read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from provecfg.mmconfig.budget import MAX_NESTING
from provecfg.spelling import shown

OPTION = "--cfg-options"


def parse_cfg_options(texts: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    """Each `KEY=VALUE` as the dotted key and its value.

    A value is an int, a float, `true`, `false`, `None`, text, or a list or tuple of such: `1,2`, `[1,2]`, `(1,2)`.

    Raises:
        click.UsageError: There is no `=`, no key, or brackets do not match.

    Source: mmengine 0.10.7, config/config.py, DictAction.
    """
    options = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{OPTION} {shown(text)} is not KEY=VALUE")
        options.append((key, _value(value, text, MAX_NESTING)))
    return tuple(options)


def _value(text: str, whole: str, levels: int) -> Any:
    if levels == 0:
        raise click.UsageError(f"{OPTION} {shown(whole)} is nested too deeply")
    text = text.strip("'\"").replace(" ", "")
    for opening, closing, kind in (("(", ")", tuple), ("[", "]", list)):
        if text.startswith(opening) and text.endswith(closing):
            return kind(_value(item, whole, levels - 1) for item in _items(text[1:-1], whole))
    if "," in text:
        return [_value(item, whole, levels - 1) for item in _items(text, whole)]
    return _scalar(text)


def _scalar(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return None if text == "None" else text


def _items(text: str, whole: str) -> Iterator[str]:
    """What commas outside of brackets separate; a comma at the end adds nothing."""
    depth, item = 0, ""
    for character in text:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
        if character == "," and depth == 0:
            yield item
            item = ""
        else:
            item += character
    if depth != 0:
        raise click.UsageError(f"{OPTION} {shown(whole)}: brackets do not match")
    if item:
        yield item


class CommandWithCfgOptions(click.Command):
    """A command whose `--cfg-options` takes several values at once: `--cfg-options a=1 b.c=2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each value that follows the first, then parse as usual."""
        spread: list[str] = []
        takes_values = False
        for index, word in enumerate(args):
            if word == "--":
                spread += args[index:]
                break
            is_value = takes_values and "=" in word and not word.startswith("-")
            if is_value and spread[-1] != OPTION:
                spread.append(OPTION)
            takes_values = word == OPTION or is_value
            spread.append(word)
        return super().parse_args(ctx, spread)
