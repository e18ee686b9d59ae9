from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.proof.memory.cuda_paths import cuda_paths
from provecfg.proof.memory.meta_autocast import meta_autocast
from provecfg.proof.memory.meta_values import MetaValues

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


class Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.values = MetaValues(classes=2)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.values.run(func, args, kwargs or {})


def nowhere(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", requires_grad=True)


def test_numbers_put_on_the_device_stay_known() -> None:
    with cuda_paths(), Watch() as watch:
        made = [
            torch.as_tensor([(4, 6)], device="meta"),
            torch.tensor([[4, 6]], device="meta"),
            nowhere(1).new_tensor([[4, 6]], dtype=torch.int64),
        ]

        assert [(tensor.device.type, tensor.tolist()) for tensor in made] == [("meta", [[4, 6]])] * 3
    assert watch.values.assumed == {}


def test_everything_is_put_back() -> None:
    before = (torch.autocast, torch.tensor, torch.as_tensor, torch._shape_as_tensor, Tensor.new_tensor)

    with cuda_paths():
        pass

    assert before == (torch.autocast, torch.tensor, torch.as_tensor, torch._shape_as_tensor, Tensor.new_tensor)


def test_deformable_attention_is_what_mmcv_computes_with_its_gradients() -> None:
    from mmcv.ops import multi_scale_deform_attn as module

    torch.manual_seed(0)
    shapes = torch.tensor([[4, 6], [2, 3]])
    inputs = [torch.rand(2, 30, 4, 8), torch.rand(2, 5, 4, 2, 3, 2), torch.rand(2, 5, 4, 2, 3)]

    def gradients() -> tuple[Tensor, ...]:
        value, locations, weights = (tensor.clone().requires_grad_() for tensor in inputs)
        output = module.multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
        (output**2).sum().backward()
        return output, *(tensor.grad for tensor in (value, locations, weights))

    expected = gradients()
    with cuda_paths():
        computed = gradients()

    for computed_tensor, other in zip(computed, expected, strict=True):
        torch.testing.assert_close(computed_tensor, other)


def test_half_precision_casts_what_autocast_on_cuda_casts() -> None:
    weight = torch.nn.Parameter(torch.empty(8, 8, device="meta"))
    with cuda_paths(), meta_autocast():
        x = functional.linear(nowhere(4, 8), weight)

        assert x.dtype is torch.bfloat16
        assert (x @ x.t()).dtype is torch.bfloat16
        assert torch.einsum("ij,kj->ik", nowhere(4, 8), x).dtype is torch.bfloat16
        assert x.relu().dtype is torch.bfloat16
        assert x.softmax(1).dtype is torch.float32
        assert functional.layer_norm(x, (8,)).dtype is torch.float32
        with torch.autocast("meta", enabled=False):
            assert functional.linear(nowhere(4, 8), weight).dtype is torch.float32
    assert functional.linear(nowhere(4, 8), weight).dtype is torch.float32


def test_half_precision_reaches_into_multi_head_attention() -> None:
    attention = torch.nn.MultiheadAttention(8, 2).to("meta")
    tokens = nowhere(5, 3, 8)
    softmaxes: list[torch.dtype] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **kwargs or {})
            if func is torch.ops.aten._softmax.default:
                softmaxes.append(result.dtype)
            return result

    with cuda_paths(), meta_autocast(), Seen():
        output, _ = attention(tokens, tokens, tokens)

    assert output.dtype is torch.bfloat16
    assert softmaxes == [torch.float32]


def test_autocast_of_the_cpu_stays_what_it_is() -> None:
    with cuda_paths(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
