"""Checks every derivative of the operator numerically."""

from __future__ import annotations

import pytest
import torch
from ops.cases import Case
from torch import Tensor

import dcnbuild

CASES = {
    "v2": Case(batch=1, channels=2, out_channels=2, size=(3, 4)),
    "v1": Case(batch=1, channels=2, out_channels=2, size=(3, 4), mask=False, bias=False),
    "groups": Case(
        batch=2,
        channels=4,
        out_channels=4,
        size=(3, 2),
        kernel=(2, 1),
        padding=(1, 0),
        groups=2,
        offset_groups=2,
    ),
    "strided": Case(
        batch=1,
        channels=2,
        out_channels=3,
        size=(5, 6),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 2),
    ),
}


def _inputs(case: Case, device: str) -> tuple[list[Tensor], list[str]]:
    present = {name: t.requires_grad_() for name, t in case.tensors(0, device=device).items() if t is not None}
    return list(present.values()), list(present)


@pytest.mark.parametrize("name", CASES)
class TestDerivatives:
    def _function(self, case: Case, names: list[str]):  # type: ignore[no-untyped-def]
        return lambda *tensors: dcnbuild.deform_conv2d(**dict(zip(names, tensors)), **case.attributes())

    def test_backward(self, name: str, device: str) -> None:
        tensors, names = _inputs(CASES[name], device)
        # CUDA sums grad_input with atomics, so that repeated backward passes differ in the last bits.
        slack = 0.0 if device == "cpu" else 1e-10
        assert torch.autograd.gradcheck(self._function(CASES[name], names), tensors, nondet_tol=slack)

    def test_forward_mode(self, name: str, device: str) -> None:
        tensors, names = _inputs(CASES[name], device)
        assert torch.autograd.gradcheck(
            self._function(CASES[name], names),
            tensors,
            fast_mode=True,
            check_forward_ad=True,
            check_backward_ad=False,
        )

    def test_double_backward(self, name: str, device: str) -> None:
        tensors, names = _inputs(CASES[name], device)
        assert torch.autograd.gradgradcheck(
            self._function(CASES[name], names),
            tensors,
            fast_mode=True,
            check_fwd_over_rev=True,
            nondet_tol=1e-10,
        )


def test_raw_operator_backward(device: str) -> None:
    case = CASES["v2"]
    t = case.tensors(0, device=device)
    tensors = [t[name].requires_grad_() for name in ("input", "offset", "mask", "weight", "bias")]  # type: ignore[union-attr]
    slack = 0.0 if device == "cpu" else 1e-10
    assert torch.autograd.gradcheck(
        lambda *x: torch.ops.dcnbuild.deform_conv2d(*x, case.stride, case.padding, case.dilation, 1, 1),
        tensors,
        nondet_tol=slack,
    )


def test_only_what_is_asked_for(device: str) -> None:
    """A gradient that is asked for alone equals the same gradient among all."""
    case = CASES["groups"]
    tensors = case.tensors(0, device=device)
    leaves = {name: t.requires_grad_() for name, t in tensors.items() if t is not None}
    together = torch.autograd.grad(
        dcnbuild.deform_conv2d(**leaves, **case.attributes()).square().sum(), list(leaves.values())
    )
    for index, name in enumerate(leaves):
        alone = {other: t.detach().requires_grad_(other == name) for other, t in leaves.items()}
        (grad,) = torch.autograd.grad(dcnbuild.deform_conv2d(**alone, **case.attributes()).square().sum(), alone[name])
        torch.testing.assert_close(grad, together[index], rtol=0, atol=1e-12)
