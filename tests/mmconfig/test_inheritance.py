"""`_base_`, substitution and merging, against mmengine."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provecfg.mmconfig import read_config

pytestmark = pytest.mark.stack

Load = Callable[[Path], dict[str, Any] | None]

# `name.py:` starts a further file.
CHAINS = r"""
#: one_base
_base_ = './a.py'
model = dict(head=dict(channels=2), neck=None)
log_level = 'DEBUG'
a.py:
model = dict(head=dict(type='H', channels=1), backbone=dict(depth=50))
log_level = 'INFO'
seed = 1
#: several_bases
_base_ = ['a.py', './sub/b.py']
x = dict(k=2)
a.py:
x = dict(k=1, l=1)
sub/b.py:
_base_ = ['../c.py']
y = 1
c.py:
y = 0
z = dict(t=(1, 2))
#: lists_are_replaced
_base_ = 'a.py'
p = [dict(type='C')]
q = dict(r=[3])
a.py:
p = [dict(type='A'), dict(type='B')]
q = dict(r=[1, 2], s=1)
#: delete
_base_ = 'a.py'
m = dict(_delete_=True, type='New', inner=dict(_delete_=True, x=1))
n = dict(b=dict(_delete_=True), c=dict(_delete_=False, y=2))
new = dict(_delete_=True, x=1)
p = [dict(_delete_=True)]
a.py:
m = dict(type='Old', gone=1)
n = dict(b=dict(z=1), c=dict(x=1))
p = []
#: dict_over_scalar_with_delete
_base_ = 'a.py'
m = dict(_delete_=True, x=1)
a.py:
m = [1]
#: scalar_over_dict
_base_ = 'a.py'
m = None
n = 3
a.py:
m = dict(x=1)
n = dict(x=1)
#: base_variables_in_braces
_base_ = 'a.py'
b = {{_base_.a.x}}
c = dict(d=[{{ _base_.a }}, ({{_base_.l}},)], e={{_base_.a.x}})
a = dict(x=2)
a.py:
a = dict(x=1, y=dict(z=[1]))
l = [dict(type='T')]
#: base_variables_in_expressions
_base_ = 'a.py'
b = _base_.a.x + 1
c = [*_base_.l, dict(type='U')]
d = _base_.a['y'].z
e = dict(_base_.a, w=1)
f = _base_.l[0].type
a.py:
a = dict(x=1, y=dict(z=[1]))
l = [dict(type='T')]
#: base_changed_in_place
_base_ = 'a.py'
_base_.model.head.channels = 7
_base_.model.update(dict(head=dict(type='N')), neck=dict(x=1))
_base_.pipeline.pop(0)
_base_.pipeline[0].update(size=3)
del _base_.model.backbone
_base_.new = dict(a=dict(b=1))
_base_.new.a.b = 2
x = _base_.model.pop('missing')
y = _base_.model.get('absent', 5)
a.py:
model = dict(head=dict(channels=1, type='H'), backbone=dict(depth=50))
pipeline = [dict(type='A'), dict(type='B')]
#: base_merged_by_hand
_base_ = 'a.py'
_base_.m.merge(dict(x=dict(_delete_=True, b=2), y=3))
n = _base_.m.to_dict()
a.py:
m = dict(x=dict(a=1), z=1)
#: grandparents_override
_base_ = 'a.py'
m = dict(z=3)
a.py:
_base_ = 'b.py'
m = dict(y=2)
b.py:
m = dict(x=1)
#: predefined_variables
a = '{{ fileBasename }}'
b = '{{fileBasenameNoExtension}}/{{ fileExtname }}'
d = '{{ fileDirname }}'
#: predefined_variables_of_a_base
_base_ = 'a.py'
a.py:
a = './runs/{{ fileBasenameNoExtension }}'
#: environment_variables
a = '{{$PROVECFG_TEST_SET:x}}/d'
b = '{{$PROVECFG_TEST_UNSET:data/bdd-100k}}'
c = {{'$PROVECFG_TEST_UNSET:80'}}
d = {{"$PROVECFG_TEST_NUMBER:80"}}
e = '{{ $PROVECFG_TEST_UNSET:x}}'
#: two_defaults_of_one_variable
a = '{{$PROVECFG_TEST_UNSET:x}}'
b = '{{$PROVECFG_TEST_UNSET:y.z}}'
#: expression_as_base_name
_base_ = ['./' + n + '.py' for n in ('a', 'b')]
a.py:
a = 1
b.py:
b = 1
#: empty_base_list
_base_ = []
a = 1
#: bases_of_other_formats
_base_ = ['a.yaml', 'b.json']
m = dict(x=2)
a.yaml:
m: {x: 1, y: [1, 2.5, null, true, text, "quoted", 1e3]}
n: &anchor
  k: 1
o:
  <<: *anchor
  l: *anchor
  name: {{ fileBasename }}
b.json:
{"j": {"a": [1, 2.5, null, true, "\u00e9", -3e2]}, "e": {}, "f": []}
#: deprecation
_base_ = 'a.py'
b = 1
a.py:
_deprecation_ = dict(expected='b.py', reference='url')
a = 1
#: custom_imports_are_data
custom_imports = dict(imports=['no.such.module'], allow_failed_imports=False)
#: list_index_keys_are_plain_keys
_base_ = 'a.py'
p = {'0': dict(x=1)}
a.py:
p = {'1': dict(y=1)}
#: functions_stay_behind
_base_ = 'a.py'
def f(x):
    return x
b = f(2)
a.py:
def g(x):
    return x
a = g(1)
#: shared_objects_come_apart
_base_ = 'a.py'
m = dict(a=dict(x=1))
a.py:
n = dict(x=0)
m = dict(a=n, b=n)
l = [n, n]
"""
PAIRS = re.findall(r"#: (\w+)\n((?:(?!#:).*\n)*)", CHAINS)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_TEST_SET", "from-outside")
    monkeypatch.setenv("PROVECFG_TEST_NUMBER", "19")
    monkeypatch.delenv("PROVECFG_TEST_UNSET", raising=False)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PAIRS])
def test_a_chain_gives_what_mmengine_gives(text: str, write: Callable[..., Path], load_with_mmengine: Load) -> None:
    path = write(text)
    view = read_config(path)
    assert [problem.code for problem in view.problems if problem.code != "CFG021"] == []
    assert view.values == load_with_mmengine(path)
    assert view.is_whole


FAILING_CHAINS = {
    "missing_base": ("_base_ = 'none.py'", ["CFG003"]),
    "base_of_another_type": ("_base_ = 'a.toml'\na.toml:\n", ["CFG010"]),
    "base_is_a_number": ("_base_ = 3", ["CFG019"]),
    "base_from_a_variable": ("n = 'a.py'\n_base_ = n\na.py:\n", ["CFG011"]),
    "same_key_twice": ("_base_ = ['a.py', 'b.py']\na.py:\nx = 1\nb.py:\nx = 1\n", ["CFG005"]),
    "dict_over_list": ("_base_ = 'a.py'\nm = dict(n=dict(x=1))\na.py:\nm = dict(n=[1])\n", ["CFG006"]),
    "dict_over_none": ("_base_ = 'a.py'\nm = dict(x=1)\na.py:\nm = None\n", ["CFG006"]),
    "base_variable_missing": ("_base_ = 'a.py'\nx = {{_base_.y.z}}\na.py:\ny = dict()\n", ["CFG011"]),
    "base_variable_missing_in_expression": ("_base_ = 'a.py'\nx = _base_.y.z\na.py:\ny = dict()\n", ["CFG012"]),
    "base_variable_without_base": ("x = {{_base_.y}}", ["CFG011"]),
    "base_variable_by_bare_name": ("_base_ = 'a.py'\nx = y\na.py:\ny = 1\n", ["CFG011"]),
    "variable_without_default": ("x = '{{$PROVECFG_TEST_UNSET:}}'", ["CFG016"]),
    "unquoted_variable": ("x = {{$PROVECFG_TEST_UNSET:80}}", ["CFG001"]),
    "syntax_error_in_base": ("_base_ = 'a.py'\na.py:\nx = (\n", ["CFG001"]),
    "failing_base": ("_base_ = 'a.py'\na.py:\nx = 1 / 0\n", ["CFG012"]),
    "import_in_base": ("_base_ = 'a.py'\na.py:\nfrom torch.nn import ReLU\n", ["CFG017"]),
    "json_list": ("_base_ = 'a.json'\na.json:\n[1]\n", ["CFG019"]),
    "broken_json": ("_base_ = 'a.json'\na.json:\n{\"a\": }\n", ["CFG001"]),
    "broken_yaml": ("_base_ = 'a.yaml'\na.yaml:\na: [1\n", ["CFG001"]),
    "package_that_mmengine_does_not_know": ("_base_ = 'numpy::a/b.py'", ["CFG003"]),
    "package_path_without_folder": ("_base_ = 'mmseg::b'", ["CFG019"]),
}


@pytest.mark.parametrize(("text", "codes"), FAILING_CHAINS.values(), ids=FAILING_CHAINS)
def test_a_chain_that_mmengine_refuses_is_an_error(
    text: str, codes: list[str], write: Callable[..., Path], load_with_mmengine: Load
) -> None:
    path = write(text)
    assert load_with_mmengine(path) is None
    view = read_config(path)
    assert [problem.code for problem in view.problems] == codes
    assert not view.is_whole


def test_a_cycle_of_bases_is_one_error_where_it_closes(write: Callable[..., Path]) -> None:
    # mmengine recurses until Python stops it, which takes it some seconds.
    path = write("_base_ = 'a.py'\nx = 1\na.py:\n_base_ = ['b.py']\nb.py:\n_base_ = 'config.py'\ny = 2\n")
    view = read_config(path)
    (problem,) = view.problems
    assert (problem.code, problem.filename.name, problem.target) == ("CFG004", "b.py", path)
    assert problem.message == "the config inherits from itself: config.py -> a.py -> b.py -> config.py"
    assert view.values == {"x": 1, "y": 2}


def test_a_base_of_an_installed_package_is_found_and_scoped(write: Callable[..., Path]) -> None:
    view = read_config(write("_base_ = 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'\nx = 1"))
    assert view.problems == ()
    assert view.values["model"]["_scope_"] == "mmseg"
    assert "_scope_" not in view.values["model"]["decode_head"]
    assert view.values["train_dataloader"]["dataset"]["_scope_"] == "mmseg"


def test_a_package_of_the_users_gives_bases_where_it_says_so_to_mmengine(write: Callable[..., Path]) -> None:
    base = "configs/_base_/run.py:\nlog_level = 'INFO'\n"
    package = (
        "lanes/__init__.py:\nfrom mmengine.config.utils import MODULE2PACKAGE\nMODULE2PACKAGE['lanes'] = 'lanes'\n"
    )
    view = read_config(write(f"_base_ = 'lanes::_base_/run.py'\n{base}{package}"))
    assert view.problems == ()
    assert view.values["log_level"] == "INFO"
    unknown = read_config(write("_base_ = 'fields::_base_/run.py'\nfields/__init__.py:\nfields = 1\n"))
    assert [problem.code for problem in unknown.problems] == ["CFG003"]


OPTIONS: dict[str, dict[str, Any]] = {
    "a_value": {"model.depth": 101},
    "a_new_path": {"a.b.c": 1},
    "an_index": {"pipeline.1.size": 3},
    "a_whole_list": {"pipeline": [{"type": "C"}]},
    "a_dict": {"model": {"depth": 2, "_delete_": True}},
    "several": {"model.depth": 1, "model.type": "X", "pipeline.0.type": "Z"},
    "a_list_in_a_tuple": {"model.x": ([1], 2)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_merge_as_mmengine_merges_them(options: dict[str, Any], write: Callable[..., Path]) -> None:
    from mmengine.config import Config

    path = write("model = dict(type='M', depth=50)\npipeline = [dict(type='A'), dict(type='B')]")
    config = Config.fromfile(path)
    config.merge_from_dict(copy.deepcopy(options))  # it takes `_delete_` out of what it is given
    view = read_config(path, cfg_options=options.items())
    assert view.values == config.to_dict()
    assert view.problems == ()


@pytest.mark.parametrize(
    "options", [{"pipeline.5.x": 1}, {"pipeline.x.y": 1}, {"n.x": 1}, {"pipeline.0": 1}, {"n": 1, "n.x": 2}]
)
def test_options_that_mmengine_refuses_are_an_error(options: dict[str, Any], write: Callable[..., Path]) -> None:
    from mmengine.config import Config

    path = write("pipeline = [dict(type='A')]\nn = 3")
    with pytest.raises((KeyError, TypeError, AttributeError), match=r"."):
        Config.fromfile(path).merge_from_dict(options)
    assert [problem.code for problem in read_config(path, cfg_options=options.items()).problems] == ["CFG022"]


def test_a_changed_base_or_variable_is_read_again(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("_base_ = 'a.py'\nb = '{{$PROVECFG_TEST_UNSET:old}}'\na.py:\na = 1\n")
    assert read_config(path).values == {"a": 1, "b": "old"}
    (path.parent / "a.py").write_text("a = 22\n", encoding="utf-8")
    monkeypatch.setenv("PROVECFG_TEST_UNSET", "new")
    assert read_config(path).values == {"a": 22, "b": "new"}
    (path.parent / "a.py").unlink()
    assert [problem.code for problem in read_config(path).problems] == ["CFG003"]
    (path.parent / "a.py").write_text("a = 333\n", encoding="utf-8")
    assert read_config(path).values == {"a": 333, "b": "new"}


def test_reading_one_config_leaves_others_of_the_same_base_alone(write: Callable[..., Path]) -> None:
    first = write("_base_ = 'a.py'\n_base_.m.x = 2\n_base_.m.l.append(1)\na.py:\nm = dict(x=1, l=[])\n")
    second = write("_base_ = 'a.py'\n", "second.py")
    assert read_config(first).values == {"m": {"x": 2, "l": [1]}}
    assert read_config(second).values == {"m": {"x": 1, "l": []}}
