"""What importing the plugin does."""

from __future__ import annotations

import subprocess
import sys

import pytest

import provecfg.plugin

pytestmark = pytest.mark.stack

RING_1 = (
    "pydantic",
    "jinja2",
    "click",
    "provecfg.study",
    "provecfg.generate.plan",
    "provecfg.rules",
    "provecfg.generate.render",
)


def test_everything_that_configs_name_is_registered():
    from mmengine.registry import HOOKS
    from mmseg.registry import MODELS

    for name in ("SoftmaxFocalLoss", "SegLovaszLoss", "SegBoundaryLoss", "Mask2FormerPixelLossHead"):
        assert MODELS.get(name).__module__.startswith("provecfg.plugin."), name
    for name in ("ResumableEarlyStoppingHook", "PlainCheckpointHook", "FiniteLossHook"):
        assert HOOKS.get(name).__module__.startswith("provecfg.plugin."), name


def test_no_registered_name_is_one_of_the_stack():
    from mmengine.registry import HOOKS
    from mmseg.registry import MODELS

    for exported in (provecfg.plugin.losses, provecfg.plugin.heads, provecfg.plugin.hooks):
        for name in exported.__all__:
            for registry in (HOOKS, MODELS):
                registered = registry.get(name)
                assert registered is None or registered.__module__.startswith("provecfg.plugin."), name


@pytest.mark.slow
def test_it_is_imported_by_a_config_in_a_fresh_process_and_loads_nothing_of_ring_1(tmp_path):
    config = tmp_path / "config.py"
    config.write_text("custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)\n")
    code = (
        "import sys\n"
        "from mmengine.config import Config\n"
        # Twice, as a second config of the same process does.
        f"Config.fromfile({str(config)!r}); Config.fromfile({str(config)!r})\n"
        "import mmseg.models, mmseg.datasets\n"
        f"print('loaded:', [name for name in {RING_1!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("loaded: []")
