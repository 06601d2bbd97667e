"""The poolings inside PyTorch: torch.func, torch.compile, opcheck and autocast."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from integration.features import needs, needs_autocast
from ops.cases import assert_close
from ops.pooling_cases import CASES, KINDS, PSROI, ROI, PoolCase, gradients
from ops.registered import opcheck
from torch import Tensor


@pytest.mark.slow
@needs("torch.library.opcheck")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_opcheck(case: PoolCase, device: str) -> None:
    tensors = list(case.tensors(device=device).values())
    arguments = [t if t is None or i == 1 else t.requires_grad_() for i, t in enumerate(tensors)]
    backward = arguments
    if case.pooling.samples == 0:
        # Second derivatives look at the RoIs, which tracing cannot.
        backward = [None if t is None else t.detach() for t in arguments]
    masks = ([True, True], [True, False], [False, False])
    opcheck(case.operator, [*arguments, *case.attributes], [*backward, *case.attributes], masks)


@needs("torch.compile(fullgraph=True)")
@pytest.mark.parametrize(
    ("case", "dynamic"),
    [
        pytest.param(PSROI, False, id="psroi-static"),
        pytest.param(ROI, False, id="roi-static"),
        pytest.param(PSROI, True, id="psroi-dynamic", marks=needs("torch.compile(dynamic=True)")),
        pytest.param(ROI, True, id="roi-dynamic", marks=needs("torch.compile(dynamic=True) of sizes")),
    ],
)
def test_compile_without_graph_breaks(case: PoolCase, dynamic: bool, device: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(case.operate, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rois, size in ((5, (9, 7)), (8, (6, 11))):
        other = PoolCase(case.operator, case.attributes, case.out_channels, case.classes, size, 2, rois)
        made = other.tensors(0, torch.float32, device)
        assert_close(gradients(compiled, made), gradients(case.operate, made), 1e-5)


@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_func_jvp_equals_finite_differences(case: PoolCase, device: str) -> None:
    t = case.tensors(0, device=device)
    directions = case.tensors(1, device=device)

    def call(x: Tensor, offset: Tensor) -> Tensor:
        return case.operate(x, t["rois"], offset)  # type: ignore[arg-type]

    at: Any = (t["input"], t["offset"])
    along: Any = (directions["input"], directions["offset"])
    _, tangent = torch.func.jvp(call, at, along)
    step = 1e-6
    ahead = call(*(x + step * d for x, d in zip(at, along)))
    behind = call(*(x - step * d for x, d in zip(at, along)))
    assert tangent.abs().max() > 0.1
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-5)


def test_rois_have_no_forward_mode_derivative() -> None:
    t = ROI.tensors()
    with pytest.raises(NotImplementedError, match="RoIs are constants"):
        torch.func.jvp(
            lambda rois: ROI.operate(t["input"], rois, t["offset"]),  # type: ignore[arg-type]
            (t["rois"],),
            (t["rois"],),
        )


def test_rois_have_no_gradient() -> None:
    t = PSROI.tensors()
    assert all(tensor is not None for tensor in t.values())
    leaves = [tensor.requires_grad_() for tensor in t.values() if tensor is not None]
    grads = torch.autograd.grad(PSROI.operate(*leaves).sum(), leaves, allow_unused=True)
    assert grads[1] is None and grads[0] is not None and grads[2] is not None


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (None, 0, 0), (1, None, None), (0, None, 1)])
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_vmap_equals_a_loop(case: PoolCase, in_dims: tuple[int | None, ...], device: str) -> None:
    slices: list[list[Any]] = [list(case.tensors(s, device=device).values()) for s in range(3)]
    mapped = [
        slices[0][i] if dim is None else torch.stack([s[i] for s in slices], dim) for i, dim in enumerate(in_dims)
    ]
    chosen = [[slices[0][i] if dim is None else s[i] for i, dim in enumerate(in_dims)] for s in slices]
    expected = torch.stack([case.operate(*s) for s in chosen])
    actual = torch.func.vmap(case.operate, in_dims)(*mapped)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)

    loss = torch.func.grad(lambda *x: case.operate(*x).square().sum(), argnums=(0, 2))
    per_slice = torch.func.vmap(loss, in_dims)(*mapped)
    looped = [torch.stack(grads) for grads in zip(*(loss(*s) for s in chosen))]
    for grad, wanted in zip(per_slice, looped):
        torch.testing.assert_close(grad, wanted, rtol=0, atol=1e-11)


def test_vmap_of_bfloat16_keeps_count_of_its_images() -> None:
    """bfloat16 cannot count beyond 256; a vmapped call has the images of all slices in one batch."""
    case = PoolCase("deform_roi_pool", ([1, 1], 1.0, 1, 0.0), 1, size=(2, 2), batch=1, rois=1)
    x = torch.arange(300).bfloat16().reshape(300, 1, 1, 1, 1).expand(-1, -1, -1, 2, 2)
    rois = torch.zeros(300, 1, 5).bfloat16() + torch.tensor([0, 0.5, 0.5, 1.5, 1.5]).bfloat16()
    pooled = torch.func.vmap(lambda i, r: case.operate(i, r, None))(x, rois)
    assert torch.equal(pooled.flatten(), x[:, 0, 0, 0, 0])


@pytest.mark.parametrize("transform", ["jvp", "grad", "vmap"])
def test_the_raw_operator_refuses_transforms(transform: str) -> None:
    t = ROI.tensors()

    def raw(x: Tensor) -> Tensor:
        result: Tensor = torch.ops.dcnbuild.deform_roi_pool(x, t["rois"], t["offset"], *ROI.attributes)
        return result

    x = t["input"]
    assert x is not None
    with pytest.raises((NotImplementedError, RuntimeError), match="dcnbuild"):
        if transform == "jvp":
            torch.func.jvp(raw, (x,), (x,))
        elif transform == "grad":
            torch.func.grad(lambda i: raw(i).sum())(x)
        else:
            torch.func.vmap(torch.func.grad(lambda i: raw(i).sum()))(x[None])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_autocast_keeps_positions_in_float32(case: PoolCase, dtype: torch.dtype, device: str) -> None:
    needs_autocast(device, dtype)
    t = case.tensors(0, torch.float32, device)
    leaves: Any = [t["input"].requires_grad_(), t["rois"], t["offset"].requires_grad_()]  # type: ignore[union-attr]
    exact = case.operate(*leaves)
    with torch.autocast(device, dtype):
        output = case.operate(*leaves)
        assert case.operate(leaves[0].to(dtype), *leaves[1:]).dtype == dtype
        assert case.operate(leaves[0].double(), *leaves[1:]).dtype == torch.float64
    assert output.dtype == dtype
    assert (output - exact).abs().max() < 8 * torch.finfo(dtype).eps * exact.abs().max()
    output.float().sum().backward()
    assert leaves[0].grad.dtype == leaves[2].grad.dtype == torch.float32
