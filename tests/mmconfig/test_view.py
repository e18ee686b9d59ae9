"""The cursor, and where it says that values were written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.mmconfig import ConfigDict, ConfigList, ConfigTuple, ConfigView, Node, read_config


def dug(view: ConfigView, key: str) -> Node:
    node = view.dig(key)
    assert node is not None, key
    return node


def under(view: ConfigView, key: str) -> tuple[str, str, str]:
    """The file, and the text under the key's and the value's span."""
    node = dug(view, key)
    lines = view.sources(node.file).split("\n")
    texts = []
    for span in (node.key_span, node.span):
        assert span is not None
        covered = lines[span.row - 1 : span.end_row]
        covered[-1] = covered[-1][: span.end_column - 1]
        covered[0] = covered[0][span.column - 1 :]
        texts.append("\n".join(covered))
    return (node.file.name, *texts)  # type: ignore[return-value]


@pytest.fixture
def view(write: Callable[..., Path]) -> ConfigView:
    return read_config(
        write(
            """
            _base_ = ['a.py', 'sub/b.py']
            norm = dict(type='BN')
            model = dict(
                head=dict(loss=[dict(type='mmseg.Focal'), dict(type='Dice')], channels=2),
                norm=norm)
            a.py:
            model = dict(type='M',
                         head=dict(type='H', channels=1), sizes=(1, 2))
            sub/b.py:
            schedule = {'max': 10, 'steps': [1, 2]}
            """
        )
    )


def test_values_are_plain_python(view: ConfigView) -> None:
    assert type(view.values["model"]) is ConfigDict
    assert type(view.values["model"]["head"]["loss"]) is ConfigList
    assert type(view.values["model"]["sizes"]) is ConfigTuple
    assert view.values["model"]["sizes"] == (1, 2)
    assert view.values["schedule"] == {"max": 10, "steps": [1, 2]}


@pytest.mark.parametrize(
    ("key", "file", "key_text", "text"),
    [
        ("model.head.channels", "config.py", "channels", "2"),
        ("model.head.type", "a.py", "type", "'H'"),
        ("model.head.loss[1].type", "config.py", "type", "'Dice'"),
        ("model.head.loss[1]", "config.py", "dict(type='Dice')", "dict(type='Dice')"),
        ("model.norm", "config.py", "norm", "norm"),
        ("model.norm.type", "config.py", "type", "'BN'"),
        ("model.sizes[1]", "a.py", "2", "2"),
        ("model.sizes", "a.py", "sizes", "(1, 2)"),
        ("schedule.max", "b.py", "'max'", "10"),
        ("schedule", "b.py", "schedule", "{'max': 10, 'steps': [1, 2]}"),
        ("norm", "config.py", "norm", "dict(type='BN')"),
    ],
)
def test_an_item_points_at_the_file_that_says_it(
    view: ConfigView, key: str, file: str, key_text: str, text: str
) -> None:
    assert under(view, key) == (file, key_text, text)
    assert dug(view, key).key == key


def test_a_merged_dict_points_at_the_child(view: ConfigView) -> None:
    assert dug(view, "model.head").file.name == "config.py"


@pytest.mark.parametrize(
    ("text", "key", "key_text", "value_text"),
    [
        ("d = {}\nd['x'] = 1 + 2", "d.x", "'x'", "1 + 2"),
        ("d = dict()\nd.update(x=1)", "d.x", "x", "1"),
        ("d = dict()\nd.update(dict(x=1))", "d.x", "x", "1"),
        ("d = dict()\nd.update({'x': 1})", "d.x", "'x'", "1"),
        ("a = dict(x=1)\nd = dict(**a)", "d.x", "x", "1"),
        ("a = dict(x=1)\nd = {**a}", "d.x", "x", "1"),
        ("d = [1]\nd.append(dict(x=2))", "d[1]", "dict(x=2)", "dict(x=2)"),
        ("d = [3, 1]\nd.sort()", "d[0]", "1", "1"),
        ("d = [1] + [2]", "d[1]", "2", "2"),
        ("d = [1, 2]\nd += [3]", "d[2]", "3", "3"),
        ("d = [7] * 3", "d[2]", "7", "7"),
        ("d = [1, 2, 3][1:]", "d[0]", "2", "2"),
        ("d = list(reversed([1, 2]))", "d[0]", "2", "2"),
        ("d = [dict(n=i) for i in (1, 2)]", "d[1].n", "n", "i"),
        ("d = {f'k{i}': i for i in (1, 2)}", "d.k2", "f'k{i}'", "i"),
        ("a, d = 1, [2]", "d", "d", "[2]"),
        ("d = dict(é=dict(ü='ä', x=1))", "d.é.x", "x", "1"),
        ("def f(x):\n    return dict(y=x)\nd = f(3)", "d.y", "y", "x"),
        ("a = '{{ fileBasename }}'; d = dict(x=1)", "d.x", "x", "1"),
        ("d = dict(a='{{ fileDirname }}/é', x='{{fileExtname}}')", "d.x", "x", "'{{fileExtname}}'"),
        ("d = ['{{$NOT_SET:a}}', '{{fileBasename}}{{$NOT_SET:b}}', 2]", "d[2]", "2", "2"),
        ("d = [{{'$NOT_SET:8000'}}, 2]", "d[0]", "{{'$NOT_SET:8000'}}", "{{'$NOT_SET:8000'}}"),
    ],
)
def test_an_item_remembers_where_it_was_written(
    text: str,
    key: str,
    key_text: str,
    value_text: str,
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    view = read_config(write(text))
    assert view.problems == ()
    assert under(view, key) == ("config.py", key_text, value_text)


def test_a_replaced_base_reference_points_here_and_its_parts_into_the_base(write: Callable[..., Path]) -> None:
    view = read_config(write("_base_ = 'a.py'\nd = dict(p={{_base_.p}}, q=1)\na.py:\np = [dict(x=1)]\n"))
    assert under(view, "d.p") == ("config.py", "p", "{{_base_.p}}")
    assert under(view, "d.q") == ("config.py", "q", "1")
    assert under(view, "d.p[0].x") == ("a.py", "x", "1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "# é\nmodel:\n  head: {type: H, sizes: [1, 22]}\n  'ü': &a\n    x: é\n  y: *a\n"),
        ("config.json", '{"model": {"head": {"type": "H", "sizes": [1, 22]}, "ü": {"x": "é"}, "y": {"x": "é"}}}'),
    ],
)
def test_other_formats_have_places_too(name: str, text: str, write: Callable[..., Path]) -> None:
    view = read_config(write(text, name))
    quote = '"' if name.endswith("json") else ""
    assert view.values == {"model": {"head": {"type": "H", "sizes": [1, 22]}, "ü": {"x": "é"}, "y": {"x": "é"}}}
    assert under(view, "model.head.type") == (name, f"{quote}type{quote}", f"{quote}H{quote}")
    assert under(view, "model.head.sizes[1]") == (name, "22", "22")
    assert under(view, "model.ü.x") == (name, f"{quote}x{quote}", f"{quote}é{quote}")


def test_an_option_has_no_origin_and_falls_back_to_its_parent(write: Callable[..., Path]) -> None:
    path = write("model = dict(head=dict(x=1))")
    view = read_config(path, cfg_options=(("model.head.x", 2), ("model.head.y", [{"z": 1}])))
    assert dug(view, "model.head.x").origin is None
    assert dug(view, "model.head.y[0].z").origin is None
    assert dug(view, "model.head.y[0].z").span == dug(view, "model.head").span


def test_steps_that_lead_nowhere_are_none(view: ConfigView) -> None:
    root = view.root
    assert root.get("nothing") is None
    assert root["model"] is not None
    assert root.dig("model.head.loss[2]") is None
    assert root.dig("model.head.loss.type") is None
    assert root.dig("model.norm.type.x") is None
    assert root.get([]) is None
    assert "model" in root
    assert "nothing" not in root


def test_a_node_knows_its_way_and_its_kind(view: ConfigView) -> None:
    loss = dug(view, "model.head.loss")
    assert loss.is_list
    assert not loss.is_dict
    assert [child.type for child in loss] == ["Focal", "Dice"]
    assert [child.name for child in loss] == ["0", "1"]
    first = loss.get(-2)
    assert first is not None
    assert first.key == "model.head.loss[0]"
    assert first.parent is loss
    assert list(first.get("type") or ()) == []
    assert view.root.key == view.root.name == ""
    assert repr(first) == "Node('model.head.loss[0]', ConfigDict)"


def test_walking_gives_parents_before_children(view: ConfigView) -> None:
    keys = [node.key for node in view.root.walk()]
    assert keys[0] == ""
    assert keys.index("model.head") < keys.index("model.head.loss") < keys.index("model.head.loss[0].type")
    assert len(keys) == len(set(keys))


def test_layers_say_what_each_file_sets_and_reads(view: ConfigView) -> None:
    child, first, second = view.layers
    assert [layer.file.name for layer in view.layers] == ["config.py", "a.py", "b.py"]
    assert set(child.values) == {"norm", "model"}
    assert set(first.values) == {"model"}
    assert set(second.values) == {"schedule"}
    assert list(child.reads) == ["norm"]
    assert child.spans_of_reads("norm") == ((5, 10, 5, 14),)
    assert first.spans_of_reads("norm") == ()
    assert first.root.dig("model.head.channels") is not None
    assert view.files == tuple(layer.file for layer in view.layers)


def test_a_file_that_was_not_read_has_no_text(view: ConfigView) -> None:
    assert view.sources(Path("/none.py")) == ""
