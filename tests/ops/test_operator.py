"""Tests the defaults of a description: an operator with a list among its tensors, and no rules of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from integration.features import needs
from torch import Tensor

from dcnbuild.ops import registration
from dcnbuild.ops.operator import OPERATORS, Operator
from dcnbuild.ops.public import public
from dcnbuild.ops.reference.derivatives import pull_back

NAME = "test_attention"
SCHEMAS = (
    f"{NAME}(Tensor value, int[] shapes, Tensor locations, Tensor fixed, Tensor? weights, float scale) -> Tensor",
    f"{NAME}_backward(Tensor grad_output, Tensor value, int[] shapes, Tensor locations, Tensor fixed, Tensor? weights, "
    "float scale, bool[3] output_mask, bool deterministic) -> (Tensor, Tensor, Tensor)",
)


class Attributes(NamedTuple):
    shapes: Sequence[int]
    scale: float


def forward(value: Tensor, locations: Tensor, fixed: Tensor, weights: Tensor | None, a: Attributes) -> Tensor:
    output = value * locations.square() * fixed.detach() * (sum(a.shapes) * a.scale)
    return output if weights is None else output * weights


def backward(
    grad_output: Tensor,
    value: Tensor,
    locations: Tensor,
    fixed: Tensor,
    weights: Tensor | None,
    a: Attributes,
) -> tuple[Tensor | None, ...]:
    tensors = (value, locations, weights)
    return pull_back(lambda v, o, w: forward(v, o, fixed, w, a), tensors, grad_output)


def fake(value: Tensor, locations: Tensor, fixed: Tensor, weights: Tensor | None, a: Attributes) -> Tensor:
    return torch.empty_like(value)


def fake_backward(
    grad_output: Tensor,
    value: Tensor,
    locations: Tensor,
    fixed: Tensor,
    weights: Tensor | None,
    a: Attributes,
) -> tuple[Tensor | None, ...]:
    like_weights = None if weights is None else torch.empty_like(weights)
    return torch.empty_like(value), torch.empty_like(locations), like_weights


def kernel(*args: Any) -> Tensor:
    """Stands in for a compiled kernel."""
    value, shapes, locations, fixed, weights, scale = args
    product: Tensor = value * locations * locations * fixed * (sum(shapes) * scale)
    return product if weights is None else product * weights


def backward_kernel(*args: Any) -> tuple[Tensor, ...]:
    grad_output, value, shapes, locations, fixed, weights, scale, output_mask, _ = args
    grad = grad_output * fixed * (sum(shapes) * scale)
    weighted = grad if weights is None else grad * weights
    grads = (weighted * locations**2, weighted * 2 * locations * value, grad * value * locations**2)
    return tuple(g if wanted else g.new_empty(0) for g, wanted in zip(grads, output_mask))


@pytest.fixture(scope="module")
def toy() -> Iterator[Operator]:
    for schema in SCHEMAS:
        registration._library.define(schema)
    operator = Operator(
        name=NAME,
        attributes=Attributes,
        reference=SimpleNamespace(forward=forward, backward=backward),
        fake=fake,
        fake_backward=fake_backward,
        constants={"fixed": "the fixed"},
        linear=("value",),
    )
    registration._library.impl(NAME, kernel, "CPU")
    registration._library.impl(f"{NAME}_backward", backward_kernel, "CPU")
    yield operator
    del OPERATORS[NAME]


def tensors() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.rand(3, 4, dtype=torch.float64) + 0.5 for _ in range(4)]


def test_derivatives_of_every_kind(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()
    leaves = [t.requires_grad_() for t in (value, locations, weights)]

    def call(v: Tensor, o: Tensor, w: Tensor) -> Tensor:
        return toy(v, [2, 3], o, fixed, w, 0.5)

    expected = forward(value, locations, fixed, weights, Attributes([2, 3], 0.5))
    torch.testing.assert_close(call(*leaves), expected)
    assert call(*leaves).grad_fn.name() == "TestAttentionFunctionBackward"  # type: ignore[union-attr]
    assert torch.autograd.gradcheck(call, leaves, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(call, leaves)
    assert torch.autograd.gradcheck(lambda v, o: toy(v, [4], o, fixed, None, 0.5), leaves[:2], check_forward_ad=True)


def test_a_constant_has_no_derivative(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()
    value.requires_grad_()
    fixed.requires_grad_()
    output = toy(value, [2, 3], locations, fixed, weights, 0.5)
    grads = torch.autograd.grad(output.sum(), (value, fixed), allow_unused=True)
    assert grads[0] is not None and grads[1] is None
    with pytest.raises(NotImplementedError, match=f"{NAME}: the fixed are constants"):
        torch.func.jvp(lambda f: toy(value.detach(), [1], locations, f, weights, 1.0), (fixed,), (fixed,))


def test_vmap_without_a_rule(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()

    def loss(v: Tensor, o: Tensor) -> Tensor:
        return toy(v, [2, 3], o, fixed[0], weights[0], 0.5).square().sum()

    loop = [torch.func.grad(loss, argnums=(0, 1))(v, o) for v, o in zip(value, locations.flip(0))]
    mapped = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), (0, 1))
    for actual, expected in zip(mapped(value, locations.flip(0).T), zip(*loop)):
        torch.testing.assert_close(actual, torch.stack(expected))


@needs("torch.library.opcheck")
def test_opcheck(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()
    leaves = (value.requires_grad_(), [2, 3], locations.requires_grad_(), fixed, weights, 0.5)
    torch.library.opcheck(toy.call.operator.default, leaves)
    options = ([True, False, True], False)
    grad = torch.ones_like(value)
    torch.library.opcheck(toy.backward_call.operator.default, (grad, *leaves, *options))


def test_the_raw_operator_refuses_transforms(toy: Operator) -> None:
    value, locations, fixed, _ = tensors()
    with pytest.raises(NotImplementedError, match="do not go through torch"):
        torch.func.grad(lambda v: toy.call.operator(v, [1], locations, fixed, None, 1.0).sum())(value)


def test_where_nobody_asks_for_a_derivative_no_function_is_called(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()

    def functions() -> set[str]:
        """Of one call."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            assert toy(value, [1], locations, fixed, weights, 1.0).requires_grad == asked
        return {event.key for event in profile.key_averages() if "Function" in event.key}

    asked = False
    assert functions() == set()
    value.requires_grad_()
    with torch.no_grad():
        assert functions() == set()
    asked = True
    assert functions() == {"TestAttentionFunction"}


def test_a_tensor_that_outlived_its_transform(toy: Operator) -> None:
    value, locations, fixed, weights = tensors()
    kept = []
    torch.func.grad(lambda v: (kept.append(v), v.sum())[1])(value)  # type: ignore[func-returns-value]
    expected = toy(value, [1], locations, fixed, weights, 1.0)
    assert torch.equal(toy(kept[0], [1], locations, fixed, weights, 1.0), expected)


def test_autocast_of_a_public_function() -> None:
    @public(positions=("where",))
    def seen(data: Tensor, where: Tensor, *, more: Tensor | None = None, n: int = 1) -> list[object]:
        return [getattr(given, "dtype", given) for given in (data, where, more, n)]

    single = torch.ones(2)
    with torch.autocast("cpu", torch.bfloat16):
        half, wide = torch.bfloat16, torch.float32
        assert seen(single, where=single.half(), n=3) == [half, wide, None, 3]
        assert seen(data=single, where=single.long(), more=single) == [half, torch.long, half, 1]
        assert seen(single, single.double()) == [torch.double, torch.double, None, 1]
        with pytest.raises(TypeError, match="positional"):
            seen(single, single, single)  # type: ignore[misc]
        with pytest.raises(TypeError, match="multiple values"):
            seen(single, data=single, where=single)  # type: ignore[misc]
