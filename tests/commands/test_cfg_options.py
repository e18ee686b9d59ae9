from __future__ import annotations

import click
import pytest

from provecfg.commands.cfg_options import CommandWithCfgOptions, parse_cfg_options

TEXTS = {
    "1": 1,
    "1e-3": 1e-3,
    "true": True,
    "False": False,
    "None": None,
    "none": "none",
    "text": "text",
    "a=b": "a=b",
    "": "",
    "1,2": [1, 2],
    "[1, 2]": [1, 2],
    "(1,2)": (1, 2),
    "(512,)": (512,),
    "[(0.9, 0.999),[a,b],c]": [(0.9, 0.999), ["a", "b"], "c"],
    "[]": [],
    "'quoted'": "quoted",
}


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_read_as_they_look(text: str) -> None:
    assert parse_cfg_options([f"a.b={text}"]) == (("a.b", TEXTS[text]),)


@pytest.mark.stack
@pytest.mark.parametrize("text", TEXTS)
def test_values_are_read_as_mmengine_reads_them(text: str) -> None:
    from mmengine.config import DictAction

    assert DictAction._parse_iterable(text) == TEXTS[text]


@pytest.mark.parametrize("text", ["a", "=1", "a=[1,2", "a=1],[2"])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="--cfg-options"):
        parse_cfg_options([text])


@pytest.mark.parametrize(
    ("words", "options", "names"),
    [
        (["x.py", "--cfg-options", "a=1", "b.c=2"], ("a=1", "b.c=2"), ("x.py",)),
        (["--cfg-options", "a=1", "x.py", "--cfg-options", "b=2"], ("a=1", "b=2"), ("x.py",)),
        (["--cfg-options", "a=1", "--flag", "x=y.py"], ("a=1",), ("x=y.py",)),
        (["--cfg-options", "a=1", "--", "x=y.py"], ("a=1",), ("x=y.py",)),
    ],
)
def test_several_values_follow_one_option(words: list[str], options: tuple, names: tuple) -> None:
    seen = {}

    @click.command(cls=CommandWithCfgOptions)
    @click.argument("names", nargs=-1)
    @click.option("--cfg-options", multiple=True)
    @click.option("--flag", is_flag=True)
    def command(names: tuple, cfg_options: tuple, flag: bool) -> None:
        seen.update(names=names, options=cfg_options)

    command.main(words, standalone_mode=False)
    assert seen == {"names": names, "options": options}
