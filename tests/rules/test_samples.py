from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from provecfg.mmconfig import read_config
from provecfg.mmconfig.shipped_bases import shipped_bases
from provecfg.rules import judge

PROJECT = Path(__file__).parents[2]
CONFIG = """
default_scope = 'mmseg'
train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset', pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='{}', prob=0.987), dict(type='PackSegInputs')]))
"""


def mixes(transform: str) -> bool:
    view = read_config(Path("config.py").absolute(), text=CONFIG.format(transform))
    return "DATA042" in {finding.code for finding in judge(view)}


def test_no_config_of_mmsegmentations_mixes_images_so_that_its_transforms_need_not_be_asked() -> None:
    named = {name for text in shipped_bases().texts.values() for name in re.findall(r"type='(\w+)'", text)}
    assert {"RandomCrop", "RandomFlip"} <= named
    assert [name for name in named if mixes(name)] == []
    assert mixes("RandomMosaic")


def test_what_classes_refuse_is_not_read_for_a_config_of_known_parts() -> None:
    program = (
        "import sys; from pathlib import Path; from provecfg.validate import judgement_of;"
        "judgement_of(Path('generated/pspnet_r50_bdd10k_focal.py').absolute());"
        "sys.exit('gzip' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=True)
