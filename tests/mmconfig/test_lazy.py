"""The read_base() style, against mmengine."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from provecfg.mmconfig import DottedName, read_config

pytestmark = pytest.mark.stack

Load = Callable[[Path], dict[str, Any] | None]

# `name.py:` starts a further file.
CONFIGS = r"""
#: classes_are_names
from mmengine.optim import OptimWrapper
from torch.optim import SGD as Sgd
import torch.nn as nn
import mmseg.models
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Sgd, lr=0.01))
act = dict(type=nn.ReLU, inner=[nn.functional.relu])
model = dict(type=mmseg.models.EncoderDecoder)
#: star_base
from mmengine.config import read_base
with read_base():
    from .a import *
model.update(dict(head=dict(channels=2)))
model.neck = dict(type='N')
train.dataset.pipeline = pipeline
log_level = 'DEBUG'
a.py:
from torch.nn import ReLU
model = dict(type='M', head=dict(channels=1, act=ReLU))
pipeline = [dict(type='A')]
train = dict(dataset=dict(pipeline=[]))
log_level = 'INFO'
#: named_bases_of_several_levels
from mmengine.config import read_base
with read_base():
    from .sub.a import model as m, size
    from .b import *
m.depth = size * 2
both = [m, y]
sub/a.py:
from mmengine.config import read_base
with read_base():
    from ..b import y
model = dict(type='M', depth=1, y=y)
size = 3
b.py:
y = dict(k=1)
#: one_base_read_twice_is_two_copies
from mmengine.config import read_base
with read_base():
    from .a import x
    from .b import z
x.k = 5
a.py:
x = dict(k=1)
b.py:
from mmengine.config import read_base
with read_base():
    from .a import x
z = dict(x=x)
#: merge_and_delete
from mmengine.config import read_base
with read_base():
    from .a import *
model.merge(dict(head=dict(_delete_=True, x=1), tail=dict(y=2)))
a.py:
model = dict(head=dict(z=3), tail=dict(w=1))
#: imported_names_stay_behind
import os.path as osp
from functools import partial
from mmengine.runner import Runner
a = 1
b = osp.join('x', 'y')
#: lists_and_loops_over_bases
from mmengine.config import read_base
with read_base():
    from .a import *
for step in pipeline:
    step.update(size=1)
pipeline.insert(0, dict(type='Z'))
test_pipeline = [step for step in pipeline if step['type'] != 'B']
a.py:
from torch.nn import ReLU
pipeline = [dict(type='A'), dict(type='B')]
#: unpacked_base
from mmengine.config import read_base
with read_base():
    from .a import *
b = dict(**a, y=2)
c = {**a}
d = [*p]
a.py:
from torch.nn import ReLU
a = dict(x=dict(z=1), t=ReLU)
p = [1, 2]
#: braces_are_not_substituted
from torch.nn import ReLU
a = '{{ fileBasename }}'
#: base_first_wherever_it_stands
from mmengine.config import read_base
x = 2
with read_base():
    from .a import *
a.py:
from torch.nn import ReLU
x = 1
y = x
"""
PAIRS = re.findall(r"#: (\w+)\n((?:(?!#:).*\n)*)", CONFIGS)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PAIRS])
def test_a_config_gives_what_mmengine_gives(text: str, write: Callable[..., Path], load_with_mmengine: Load) -> None:
    path = write(text)
    view = read_config(path)
    assert view.problems == ()
    expected = load_with_mmengine(path)
    assert expected is not None
    # mmengine keeps `import os` and functions as values, though no config can use them.
    assert view.values == {k: v for k, v in expected.items() if not isinstance(v, (FunctionType, ModuleType))}


FAILING = {
    "star_of_a_package": ("from torch.nn import *", ["CFG018"]),
    "two_modules": ("import torch, numpy", ["CFG018"]),
    "another_with": ("with open('x') as f:\n    pass\na = 1", ["CFG018"]),
    "import_in_read_base": ("from mmengine.config import read_base\nwith read_base():\n    import a", ["CFG018"]),
    "missing_base": ("from mmengine.config import read_base\nwith read_base():\n    from .no import *", ["CFG003"]),
    "missing_package": (
        "from mmengine.config import read_base\nwith read_base():\n    from no_such_package.a import *",
        ["CFG003"],
    ),
    "missing_name": (
        "from mmengine.config import read_base\nwith read_base():\n    from .a import y\na.py:\nx = 1\n",
        ["CFG011"],
    ),
    "mixed_styles": ("from torch.nn import ReLU\n_base_ = 'a.py'\na.py:\n", ["CFG017"]),
    "base_of_the_other_style": (
        "from mmengine.config import read_base\nwith read_base():\n    from .a import *\n"
        "a.py:\n_base_ = 'b.py'\nb.py:\n",
        ["CFG017"],
    ),
    "called_class": ("from torch.nn import ReLU\na = ReLU()", ["CFG014"]),
}


@pytest.mark.parametrize(("text", "codes"), FAILING.values(), ids=FAILING)
def test_a_config_that_mmengine_refuses_has_a_problem(
    text: str, codes: list[str], write: Callable[..., Path], load_with_mmengine: Load
) -> None:
    path = write(text)
    assert load_with_mmengine(path) is None
    assert [problem.code for problem in read_config(path).problems] == codes


def test_an_absolute_base_is_found_in_its_package(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        "from mmengine.config import read_base\nwith read_base():\n    from provecfg_pkg.configs.a import *\n"
        "provecfg_pkg/__init__.py:\nraise SystemExit('imported')\n"
        "provecfg_pkg/configs/a.py:\nfrom torch.nn import ReLU\nx = dict(type=ReLU)\n"
    )
    monkeypatch.syspath_prepend(path.parent)
    view = read_config(path)
    assert view.problems == ()
    assert view.values == {"x": {"type": "torch.nn.ReLU"}}


def test_an_absolute_base_is_found_in_the_checkout_around_its_config(write: Callable[..., Path]) -> None:
    path = write(
        "pkg_of_nobody/configs/c.py:\nfrom mmengine.config import read_base\n"
        "with read_base():\n    from pkg_of_nobody.configs.a import *\n"
        "pkg_of_nobody/__init__.py:\npkg_of_nobody/configs/a.py:\nx = 1\n"
    )
    view = read_config(path.parent / "pkg_of_nobody" / "configs" / "c.py")
    assert (view.problems, view.values) == ((), {"x": 1})


@pytest.mark.parametrize(
    "text",
    [
        "from mmengine.config import read_base\nwith read_base():\n    from {}.configs.a import *",
        "_base_ = '{}::a/b.py'",
    ],
)
def test_a_package_that_no_folder_could_be_named_after_is_a_missing_base(text: str, write: Callable[..., Path]) -> None:
    assert [problem.code for problem in read_config(write(text.format("a" * 300))).problems] == ["CFG003"]


def test_a_class_is_a_dotted_name_and_its_node_has_a_type(write: Callable[..., Path]) -> None:
    view = read_config(write("from mmseg.models.decode_heads import FCNHead\nhead = dict(type=FCNHead)"))
    assert isinstance(view.values["head"]["type"], DottedName)
    node = view.dig("head")
    assert node is not None
    assert node.type == "FCNHead"


def test_a_value_of_a_base_points_into_the_base(write: Callable[..., Path]) -> None:
    path = write(
        "from mmengine.config import read_base\nwith read_base():\n    from .a import *\nmodel.head.x = 2\n"
        "a.py:\nfrom torch.nn import ReLU\nmodel = dict(type='M',\n             head=dict(x=1))\n"
    )
    view = read_config(path)
    said_here, said_there = view.dig("model.head.x"), view.dig("model.type")
    assert said_here is not None
    assert said_there is not None
    assert (said_here.file, said_here.span) == (path, (4, 16, 4, 17))
    assert (said_there.file.name, said_there.key_span) == ("a.py", (2, 14, 2, 18))
