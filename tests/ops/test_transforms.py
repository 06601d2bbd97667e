"""The operator inside PyTorch: torch.func, torch.compile, opcheck, autocast, and the raw operator's limits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from integration.features import DYNAMIC, needs, needs_autocast
from ops.cases import Case, assert_close, run
from ops.registered import opcheck
from torch import Tensor

import dcnbuild

CASE = Case(batch=1, channels=4, out_channels=2, size=(4, 5), groups=2, offset_groups=2)
NAMES = ("input", "offset", "weight", "bias", "mask")


def call(input: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None) -> Tensor:
    return dcnbuild.deform_conv2d(input, offset, weight, bias, padding=1, mask=mask)


def tensors(seed: int = 0, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Any]:
    made = CASE.tensors(seed, dtype, device)
    return [made[name] for name in NAMES]


def raw_arguments(inputs: list[Any]) -> list[Any]:
    input, offset, weight, bias, mask = inputs
    return [input, offset, mask, weight, bias, [1, 1], [1, 1], [1, 1], 2, 2]


def test_func_grad_equals_backward(device: str) -> None:
    inputs = tensors(device=device)
    grads = torch.func.grad(lambda *x: call(*x).square().sum(), argnums=tuple(range(5)))(*inputs)
    leaves = [t.requires_grad_() for t in inputs]
    expected = torch.autograd.grad(call(*leaves).square().sum(), leaves)
    for actual, wanted in zip(grads, expected):
        torch.testing.assert_close(actual, wanted, rtol=0, atol=1e-12)


def test_func_jvp_equals_finite_differences(device: str) -> None:
    inputs, directions = tensors(device=device), tensors(1, device=device)
    _, tangent = torch.func.jvp(call, tuple(inputs), tuple(directions))
    step = 1e-6
    ahead = call(*(x + step * d for x, d in zip(inputs, directions)))
    behind = call(*(x - step * d for x, d in zip(inputs, directions)))
    numeric = (ahead - behind) / (2 * step)
    assert tangent.abs().max() > 1
    torch.testing.assert_close(tangent, numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "in_dims",
    [(0, 0, None, None, 0), (0, 0, 0, 0, 0), (1, 0, None, None, 2), (None, 0, None, 0, None)],
)
def test_vmap_equals_a_loop(in_dims: tuple[int | None, ...], device: str) -> None:
    slices = [tensors(seed, device=device) for seed in range(3)]
    mapped = [
        slices[0][i] if dim is None else torch.stack([s[i] for s in slices], dim) for i, dim in enumerate(in_dims)
    ]
    chosen = [[slices[0][i] if dim is None else s[i] for i, dim in enumerate(in_dims)] for s in slices]
    expected = torch.stack([call(*s) for s in chosen])
    torch.testing.assert_close(torch.func.vmap(call, in_dims)(*mapped), expected, rtol=0, atol=1e-12)

    loss = torch.func.grad(lambda *x: call(*x).square().sum(), argnums=tuple(range(5)))
    per_sample = torch.func.vmap(loss, in_dims)(*mapped)
    looped = [torch.stack(grads) for grads in zip(*(loss(*s) for s in chosen))]
    for actual, wanted in zip(per_sample, looped):
        torch.testing.assert_close(actual, wanted, rtol=0, atol=1e-11)


def test_hessian_is_symmetric(device: str) -> None:
    inputs = tensors(device=device)
    hessian = torch.func.hessian(lambda o: call(inputs[0], o, *inputs[2:]).square().sum())(inputs[1])
    flat = hessian.reshape(inputs[1].numel(), -1)
    assert flat.abs().max() > 0
    torch.testing.assert_close(flat, flat.T, rtol=0, atol=1e-10)


@pytest.mark.parametrize("transform", ["jvp", "grad", "vmap"])
def test_the_raw_operator_refuses_transforms(transform: str) -> None:
    inputs = tensors()

    def raw(x: Tensor) -> Tensor:
        result: Tensor = torch.ops.dcnbuild.deform_conv2d(*raw_arguments([x, *inputs[1:]]))
        return result

    with pytest.raises((NotImplementedError, RuntimeError)) as caught:
        if transform == "jvp":
            torch.func.jvp(raw, (inputs[0],), (inputs[0],))
        elif transform == "grad":
            torch.func.grad(lambda x: raw(x).sum())(inputs[0])
        else:
            torch.func.vmap(torch.func.grad(lambda x: raw(x).sum()))(inputs[0][None])
    assert "dcnbuild" in str(caught.value)


def test_forward_mode_through_the_raw_operator_is_right_or_raises() -> None:
    inputs, directions = tensors(), tensors(1)
    with torch.autograd.forward_ad.dual_level():
        duals = [torch.autograd.forward_ad.make_dual(x, d) for x, d in zip(inputs, directions)]
        output = torch.ops.dcnbuild.deform_conv2d(*raw_arguments(duals))
        tangent = torch.autograd.forward_ad.unpack_dual(output).tangent
    _, expected = torch.func.jvp(call, tuple(inputs), tuple(directions))
    torch.testing.assert_close(tangent, expected, rtol=0, atol=1e-12)


@pytest.mark.slow
@needs("torch.library.opcheck")
@pytest.mark.parametrize("optional", [True, False], ids=["v2", "v1"])
def test_opcheck(optional: bool, device: str) -> None:
    inputs = [t.requires_grad_() for t in tensors(device=device)]
    arguments = raw_arguments(inputs)
    if not optional:
        arguments[2] = arguments[4] = None
    no_bias = [*arguments[:4], *arguments[5:]]
    masks = ([True] * 5, [False, True, False, True, False])
    opcheck("deform_conv2d", arguments, no_bias, masks)


@needs("torch.compile(fullgraph=True)")
@pytest.mark.parametrize("dynamic", DYNAMIC, ids=["static", "dynamic"])
def test_compile_without_graph_breaks(dynamic: bool, device: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(dcnbuild.deform_conv2d, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for case in (Case(), Case(size=(9, 8)), Case(mask=False, bias=False)):
        made = case.tensors(0, torch.float32, device)
        assert_close(run(compiled, case, made), run(dcnbuild.deform_conv2d, case, made), 1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_autocast_keeps_offsets_in_float32(dtype: torch.dtype, device: str) -> None:
    needs_autocast(device, dtype)
    inputs = [t.requires_grad_() for t in tensors(dtype=torch.float32, device=device)]
    exact = call(*inputs)
    with torch.autocast(device, dtype):
        output = call(*inputs)
        mixed = call(inputs[0].to(dtype), inputs[1].half(), inputs[2], inputs[3].bfloat16(), inputs[4])
    assert output.dtype == mixed.dtype == dtype
    assert (output - exact).abs().max() < 8 * torch.finfo(dtype).eps * exact.abs().max()
    output.float().sum().backward()
    assert all(t.grad is not None and t.grad.dtype == torch.float32 for t in inputs)
    with torch.autocast(device, dtype):
        assert call(inputs[0].double(), *inputs[1:]).dtype == torch.float64


def test_vmap_over_no_slices() -> None:
    """vmap over zero slices returns empty tensors of the right shapes, forward and backward."""

    def loss(x: torch.Tensor) -> torch.Tensor:
        offset, weight = torch.zeros(1, 18, 4, 4), torch.ones(3, 2, 3, 3)
        return dcnbuild.deform_conv2d(x, offset, weight, padding=1)

    def attend(value: torch.Tensor) -> torch.Tensor:
        return dcnbuild.deform_attn(value, [(2, 3)], torch.zeros(1, 5, 1, 1, 1, 2), torch.ones(1, 5, 1, 1, 1))

    for function, x, shape in (
        (loss, torch.zeros(0, 1, 2, 4, 4), (0, 1, 3, 4, 4)),
        (attend, torch.zeros(0, 1, 6, 1, 4), (0, 1, 5, 4)),
    ):
        assert torch.func.vmap(function)(x).shape == shape
        grads = torch.func.vmap(torch.func.grad(lambda x, f=function: f(x).sum()))(x)
        assert grads.shape == x.shape
