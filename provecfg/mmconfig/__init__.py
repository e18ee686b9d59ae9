"""The mmengine config language read as data: nothing is executed.

`read_config(path)` gives a `ConfigView`: the merged values, where each was written, and what is
wrong with the files.
"""

from __future__ import annotations

from provecfg.findings import Problem
from provecfg.mmconfig.problems import PROBLEMS
from provecfg.mmconfig.read import read_config
from provecfg.mmconfig.values import (
    ConfigDict,
    ConfigList,
    ConfigTuple,
    DottedName,
    Opaque,
    Origin,
)
from provecfg.mmconfig.view import ConfigView, Layer, Node

__all__ = [
    "PROBLEMS",
    "ConfigDict",
    "ConfigList",
    "ConfigTuple",
    "ConfigView",
    "DottedName",
    "Layer",
    "Node",
    "Opaque",
    "Origin",
    "Problem",
    "read_config",
]
