"""Derivatives of DCNv3's and DCNv4's sampling, torch.func, autocast and FLOPs."""

from __future__ import annotations

import pytest
import torch
from integration.features import FEATURES, needs, needs_autocast
from ops.sample_cases import (
    CASE,
    KERNELS,
    SampleCase,
    leaves_of,
    operate,
)


@pytest.mark.slow
@needs("torch.library.opcheck")
def test_opcheck(device: str) -> None:
    arguments = (*leaves_of(device=device), *CASE.attributes)
    torch.library.opcheck(KERNELS.deform_sample.default, arguments)
    upstream = CASE.tensors(device=device)["grad_output"]
    for output_mask in ([True, True, True], [False, True, False]):
        torch.library.opcheck(KERNELS.deform_sample_backward.default, (upstream, *arguments, output_mask, False))


def test_derivatives_of_every_kind(device: str) -> None:
    """Reverse, forward and double backward, for all three tensors."""
    case = SampleCase(1, (3, 2), 2, 2).but(remove_center=True)
    leaves = leaves_of(case, 2, device=device)
    assert torch.autograd.gradcheck(
        lambda *t: operate(*t, case), leaves,
        check_forward_ad=True, fast_mode=True, check_undefined_grad=False,
    )  # fmt: skip
    assert torch.autograd.gradgradcheck(lambda *t: operate(*t, case), leaves, fast_mode=True)


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (None, 0, 0), (1, None, 0), (None, None, 1)])
def test_vmap_equals_a_loop(in_dims: tuple[int | None, ...], device: str) -> None:
    slices = [[t.detach() for t in leaves_of(seed=s, device=device)] for s in range(3)]
    mapped = [
        slices[0][i] if dim is None else torch.stack([s[i] for s in slices], dim) for i, dim in enumerate(in_dims)
    ]
    chosen = [[slices[0][i] if d is None else s[i] for i, d in enumerate(in_dims)] for s in slices]
    expected = torch.stack([operate(*s) for s in chosen])
    output = torch.func.vmap(operate, in_dims)(*mapped)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    for argnums in ((0, 1, 2), (1,)):
        loss = torch.func.grad(lambda *x: operate(*x).square().sum(), argnums=argnums)
        looped = [torch.stack(grads) for grads in zip(*(loss(*s) for s in chosen))]
        for grad, wanted in zip(torch.func.vmap(loss, in_dims)(*mapped), looped):
            torch.testing.assert_close(grad, wanted, rtol=0, atol=1e-11)


def test_the_raw_operator_refuses_transforms() -> None:
    input, *points = (t.detach() for t in leaves_of())
    with pytest.raises(NotImplementedError, match="call the function of the same name"):
        torch.func.jvp(lambda x: KERNELS.deform_sample(x, *points, *CASE.attributes), (input,), (input,))


def test_autocast_keeps_positions_in_float32(device: str) -> None:
    needs_autocast(device, torch.bfloat16)
    leaves = leaves_of(dtype=torch.float32, device=device)
    exact = operate(*leaves)
    with torch.autocast(device, torch.bfloat16):
        output = operate(*leaves)
    assert output.dtype == torch.bfloat16
    assert (output - exact).abs().max() < 8 * 2**-7 * exact.abs().max()
    output.float().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.dtype == torch.float32 for leaf in leaves)


@pytest.mark.skipif(not FEATURES["flop formulas"](), reason="torch lacks flop formulas")
def test_flops() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    leaves = leaves_of()
    product = 2 * leaves[2].numel() * CASE.channels
    with FlopCounterMode(display=False) as counter:
        operate(*leaves).sum().backward()
    assert counter.get_total_flops() == 3 * product
