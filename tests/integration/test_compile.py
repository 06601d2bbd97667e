"""Tests torch.compile of networks without a graph break, forward and backward. tests/ops tests single calls."""

from __future__ import annotations

import pytest
import torch
from integration.features import DYNAMIC, needs, needs_autocast
from integration.models import Aligned, assert_same, gradients, image

import dcnbuild

pytestmark = [needs("torch.compile for this Python"), needs("torch.compile(fullgraph=True)")]

SHAPES = [(2, 3, 9, 8), (3, 3, 12, 7), (2, 3, 5, 6)]


@pytest.mark.parametrize("dynamic", DYNAMIC, ids=["static", "dynamic"])
@pytest.mark.parametrize("modulated", [True, False], ids=["v2", "v1"])
def test_networks(modulated: bool, dynamic: bool) -> None:
    """Each network becomes one graph; with dynamic shapes one graph serves all sizes."""
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    model, graphs = Aligned(modulated=modulated), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(model, fullgraph=True, dynamic=dynamic, backend=graphs)
    for shape in SHAPES:
        x = image(*shape)
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-5, atol=1e-5)
        assert_same(gradients(model, compiled(x)), gradients(model, model(x)))
    assert graphs.frame_count == (1 if dynamic else len(SHAPES))


@pytest.mark.slow
def test_inductor() -> None:
    """Inductor compiles the code around the operator, and calls the operator."""
    torch._dynamo.reset()
    layer = dcnbuild.DeformConv2d(3, 4, 3, padding=1)
    compiled = torch.compile(layer, fullgraph=True)
    x, offset = image(2, 3, 9, 8), image(2, 18, 9, 8, seed=2)
    torch.testing.assert_close(compiled(x, offset), layer(x, offset), rtol=1e-5, atol=1e-5)
    assert_same(gradients(layer, compiled(x, offset)), gradients(layer, layer(x, offset)))


@needs("torch.compile under autocast on the CPU")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_under_autocast(dtype: torch.dtype) -> None:
    needs_autocast("cpu", dtype)
    torch._dynamo.reset()
    model, x = Aligned(), image(2, 3, 9, 8)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", dtype):
        output, expected = compiled(x), model(x)
    assert output.dtype == expected.dtype == dtype
    assert torch.equal(output, expected)
    assert_same(gradients(model, output.float()), gradients(model, expected.float()), 0.02)


def test_second_derivatives_of_compiled_code_are_refused_by_torch() -> None:
    """AOTAutograd refuses second derivatives of every compiled model; docs/pytorch.md says so."""
    torch._dynamo.reset()
    layer = dcnbuild.DeformConv2d(1, 1, 3, padding=1)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x, offset = image(1, 1, 4, 4).requires_grad_(), image(1, 18, 4, 4)
    (grad,) = torch.autograd.grad(compiled(x, offset).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        grad.sum().backward()
