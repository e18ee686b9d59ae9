"""The stand-in for mmcv's compiled operators. What depends on the order of imports runs in fresh processes."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import warnings

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from provecfg.plugin import mmcv_ops

with warnings.catch_warnings():
    # mmcv.ops uses torch.jit.script, which torch deprecates.
    warnings.simplefilter("ignore")
    import mmcv.ops
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch

pytestmark = pytest.mark.stack

without_compiled_ops = pytest.mark.skipif(mmcv_ops.has_compiled_ops(), reason="mmcv has compiled operators here")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def attention_inputs() -> dict[str, torch.Tensor]:
    """Two images, three levels, two heads of four channels, five queries with two points each."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[6, 4], [3, 2], [2, 1]])
    sizes = shapes.prod(dim=1)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    return {
        "value": uniform(2, int(sizes.sum()), 2, 4).requires_grad_(),
        "value_spatial_shapes": shapes,
        "value_level_start_index": sizes.cumsum(0) - sizes,
        "sampling_locations": uniform(2, 5, 2, 3, 2, 2).requires_grad_(),
        "attention_weights": uniform(2, 5, 2, 3, 2).requires_grad_(),
    }


@without_compiled_ops
def test_attention_by_the_way_of_cuda_is_pytorchs_forward_and_backward(attention_inputs):
    # mmcv calls the Function on CUDA, and its PyTorch path on the CPU.
    leaves = [tensor for tensor in attention_inputs.values() if tensor.requires_grad]
    output = MultiScaleDeformableAttnFunction.apply(*attention_inputs.values(), 64)
    expected = multi_scale_deformable_attn_pytorch(
        *(tensor for name, tensor in attention_inputs.items() if name != "value_level_start_index")
    )
    assert torch.equal(output, expected)
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    for computed, wanted in zip(
        torch.autograd.grad(output, leaves, direction), torch.autograd.grad(expected, leaves, direction), strict=True
    ):
        assert torch.equal(computed, wanted)


@without_compiled_ops
def test_attention_in_half_precision_keeps_the_dtype_and_sums_in_float32(attention_inputs):
    exact = MultiScaleDeformableAttnFunction.apply(*attention_inputs.values(), 64)
    value = attention_inputs["value"].detach().half().requires_grad_()
    half = MultiScaleDeformableAttnFunction.apply(value, *list(attention_inputs.values())[1:], 64)
    assert half.dtype == torch.float16
    # Inputs and result are rounded to 11 bits, and locations of up to 6 cells with them.
    torch.testing.assert_close(half.float(), exact, atol=2e-2, rtol=0)
    half.sum().backward()
    assert value.grad.dtype == torch.float16
    assert value.grad.isfinite().all()


@without_compiled_ops
def test_another_operator_says_its_name_and_how_to_get_it():
    with pytest.raises(mmcv_ops.MissingOpError, match=r"operator 'nms' is compiled code.*\n.*install mmcv with its op"):
        mmcv.ops.nms(torch.rand(3, 4), torch.rand(3), 0.5)


@without_compiled_ops
def test_the_module_has_a_real_spec_and_no_made_up_special_attributes():
    module = importlib.import_module("mmcv._ext")
    assert importlib.util.find_spec("mmcv._ext") is module.__spec__
    assert module.__spec__.name == "mmcv._ext"
    assert not hasattr(module, "__path__")


@without_compiled_ops
def test_the_environment_report_says_that_there_is_no_compiler():
    from mmcv.utils import collect_env

    report = collect_env()
    assert report["MMCV Compiler"] == report["MMCV CUDA Compiler"] == "n/a"


def test_installing_twice_adds_one_finder():
    before = list(sys.meta_path)
    mmcv_ops.install()
    assert sys.meta_path == before


@pytest.mark.slow
def test_compiled_operators_are_left_alone(tmp_path):
    # A package of the name with an extension of its own, which the stand-in must not hide.
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv" / "__init__.py").touch()
    (tmp_path / "mmcv" / "_ext.py").write_text("nms = 'compiled'\n")
    out = run_python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        f"spec = spec_from_file_location('mmcv_ops', {mmcv_ops.__file__!r})\n"
        "ops = module_from_spec(spec); spec.loader.exec_module(ops)\n"
        "ops.install()\n"
        "import mmcv._ext\n"
        "print(mmcv._ext.nms, ops.has_compiled_ops())"
    )
    assert out.split() == ["compiled", "True"]


@pytest.mark.slow
@without_compiled_ops
def test_what_was_imported_without_the_operators_is_mended():
    out = run_python(
        "for name in ('mmseg.models', 'mmdet.models', 'mmcv.ops'):\n"
        "    try: __import__(name)\n"
        "    except ImportError: pass\n"
        "import provecfg.plugin\n"
        "import mmcv.ops, mmseg.models, mmdet.models\n"
        "import mmdet.models.dense_heads.mask2former_head as detection\n"
        "import mmseg.models.decode_heads.mask2former_head as segmentation\n"
        "import mmseg.models.decode_heads.point_head as point_head\n"
        "print(issubclass(segmentation.Mask2FormerHead, detection.Mask2FormerHead))\n"
        "print(detection.point_sample is mmcv.ops.point_sample, point_head.point_sample is mmcv.ops.point_sample)\n"
    )
    assert out.split()[-3:] == ["True"] * 3


class HasOperators(Dataset):
    """Whether the process that loads an item can import the operators anew."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> bool:
        sys.modules.pop("mmcv._ext")
        return hasattr(importlib.import_module("mmcv._ext"), "nms")


# Python 3.12 warns of forking beside threads: torch's, which the workers do not use.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_loading_workers_have_it_too():
    loader = DataLoader(HasOperators(), num_workers=2, multiprocessing_context="fork")
    assert [bool(item) for item in loader] == [True, True]
