"""Tests deform_attn against grid_sample, its derivatives and transforms, autocast, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from integration.features import FEATURES, needs, needs_autocast
from ops.attention_cases import AttnCase, gradients
from ops.cases import assert_close
from ops.point_cases import normals
from ops.registered import opcheck
from torch import Tensor

import dcnbuild

CASE = AttnCase(heads=3, channels=4, points=2, shapes=((5, 4), (3, 2), (1, 1)))
ONE_LEVEL = AttnCase(1, 1, 3, 5, 1, ((4, 6),))


@pytest.mark.parametrize("case", [CASE, ONE_LEVEL], ids=["levels", "one level"])
def test_equals_grid_sample(case: AttnCase, device: str) -> None:
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        tensors = case.inputs(0, dtype, device)
        actual, expected = gradients(case.operate, tensors), gradients(case.plain, tensors)
        assert_close(actual, expected, tolerance)
        assert expected["output"].abs().max() > 0.1


@pytest.mark.parametrize(
    "shapes",
    [
        torch.tensor(CASE.shapes),
        torch.tensor(CASE.shapes, dtype=torch.int32),
        [list(shape) for shape in CASE.shapes],
        np.array(CASE.shapes),
        [torch.Size(shape) for shape in CASE.shapes],
    ],
    ids=["tensor", "int32", "lists", "numpy", "sizes"],
)
def test_spatial_shapes_come_in_many_forms(shapes: Any) -> None:
    value, locations, weights = CASE.inputs()
    output = dcnbuild.deform_attn(value, shapes, locations, weights)
    assert torch.equal(output, CASE.operate(value, locations, weights))


@pytest.mark.slow
@needs("torch.library.opcheck")
def test_opcheck(device: str) -> None:
    # one level, since tracing a second derivative takes seconds a level
    case = AttnCase(1, 2, 2, 2, 2, CASE.shapes[:1])
    value, locations, weights = (t.requires_grad_() for t in case.inputs(device=device))
    arguments = (value, case.flat, locations, weights)
    masks = ([True, True, True], [False, True, False], [False, False, False])
    opcheck("deform_attn", arguments, arguments, masks)


def test_derivatives_of_every_kind(device: str) -> None:
    """Reverse, forward, double backward and forward over reverse, for all three tensors."""
    case = AttnCase(1, 2, 2, 2, 2, ((3, 4), (2, 1)))
    tensors = [t.requires_grad_() for t in case.inputs(2, device=device)]
    assert torch.autograd.gradcheck(
        case.operate, tensors, check_forward_ad=True, fast_mode=True, check_undefined_grad=False
    )
    assert torch.autograd.gradgradcheck(case.operate, tensors, fast_mode=True)

    def slopes(*x: Tensor) -> tuple[Tensor, ...]:
        return torch.func.grad(lambda *y: case.operate(*y).square().sum(), argnums=(0, 1, 2))(*x)

    at = tuple(t.detach() for t in tensors)
    along = tuple(torch.randn_like(t) for t in at)
    step = 1e-6
    ahead = slopes(*(x + step * d for x, d in zip(at, along)))
    behind = slopes(*(x - step * d for x, d in zip(at, along)))
    for tangent, up, down in zip(torch.func.jvp(slopes, at, along)[1], ahead, behind):
        torch.testing.assert_close(tangent, (up - down) / (2 * step), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("argument", range(3))
def test_one_gradient_alone(argument: int) -> None:
    tensors = CASE.inputs()
    expected = gradients(CASE.operate, tensors)
    tensors[argument].requires_grad_()
    output = CASE.operate(*tensors)
    output.backward(normals(1)(*output.shape))
    assert torch.equal(tensors[argument].grad, list(expected.values())[argument + 1])  # type: ignore[arg-type]


@pytest.mark.parametrize("in_dims", [(0, 0, 0), (None, 0, 0), (1, None, 0), (0, None, None), (None, None, 1)])
def test_vmap_equals_a_loop(in_dims: tuple[int | None, ...], device: str) -> None:
    slices = [CASE.inputs(s, device=device) for s in range(3)]
    mapped = [
        slices[0][i] if dim is None else torch.stack([s[i] for s in slices], dim) for i, dim in enumerate(in_dims)
    ]
    chosen = [[slices[0][i] if dim is None else s[i] for i, dim in enumerate(in_dims)] for s in slices]
    expected = torch.stack([CASE.operate(*s) for s in chosen])
    torch.testing.assert_close(torch.func.vmap(CASE.operate, in_dims)(*mapped), expected, rtol=0, atol=1e-12)
    for argnums in ((0, 1, 2), (1, 2)):  # without the value's, slices may share a value
        loss = torch.func.grad(lambda *x: CASE.operate(*x).square().sum(), argnums=argnums)
        looped = [torch.stack(grads) for grads in zip(*(loss(*s) for s in chosen))]
        for grad, wanted in zip(torch.func.vmap(loss, in_dims)(*mapped), looped):
            torch.testing.assert_close(grad, wanted, rtol=0, atol=1e-11)


def test_the_raw_operator_refuses_transforms() -> None:
    value, locations, weights = CASE.inputs()
    with pytest.raises(NotImplementedError, match="call the function of the same name"):
        torch.func.jvp(
            lambda v: torch.ops.dcnbuild.deform_attn(v, CASE.flat, locations, weights),
            (value,),
            (value,),
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_autocast_keeps_positions_in_float32(dtype: torch.dtype, device: str) -> None:
    needs_autocast(device, dtype)
    leaves = [t.requires_grad_() for t in CASE.inputs(0, torch.float32, device)]
    exact = CASE.operate(*leaves)
    with torch.autocast(device, dtype):
        output = CASE.operate(*leaves)
        assert CASE.operate(leaves[0].to(dtype), *leaves[1:]).dtype == dtype
        assert CASE.operate(leaves[0].double(), *leaves[1:]).dtype == torch.float64
    assert output.dtype == dtype
    assert (output - exact).abs().max() < 8 * torch.finfo(dtype).eps * exact.abs().max()
    output.float().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.dtype == torch.float32 for leaf in leaves)


def test_a_half_value_beside_half_or_float32_positions(device: str) -> None:
    value, locations, weights = CASE.inputs(0, torch.float32, device)
    half = value.bfloat16()
    wide = CASE.operate(half, locations, weights)
    assert wide.dtype == torch.bfloat16
    torch.testing.assert_close(wide.float(), CASE.operate(half.float(), locations, weights), rtol=1e-2, atol=1e-2)
    narrow = CASE.operate(half, locations.bfloat16(), weights.bfloat16())
    assert narrow.dtype == torch.bfloat16


def refused() -> dict[str, tuple[dict[str, Any], str]]:
    value, locations, weights = CASE.inputs()
    return {
        "no tensor": ({"value": [1.0]}, "value must be a tensor, got list"),
        "three dimensions": ({"value": value[0]}, r"value has 3 dimensions .*, expected 4"),
        "an integer value": ({"value": value.long()}, "value is torch.int64, expected float64"),
        "dtypes": (
            {"sampling_locations": locations.float()},
            "sampling_locations is torch.float32, expected torch.float64 beside a value of",
        ),
        "two dtypes of positions": (
            {"value": value.half(), "sampling_locations": locations.float(), "attention_weights": weights.half()},
            "attention_weights is torch.float16, expected torch.float32, the dtype of sampling_locations",
        ),
        "pixels": (
            {"value": value[:, 1:]},
            r"value has 26 positions, expected 27, the pixels of the levels \[\(5, 4\)",
        ),
        "levels": (
            {"spatial_shapes": CASE.shapes[:2]},
            r"sampling_locations has shape \(2, 7, 3, 3, 2, 2\), expected \(2, 7, 3, 2, 2, 2\)",
        ),
        "no levels": ({"spatial_shapes": []}, "expected 1 to 64 levels"),
        "weights": (
            {"attention_weights": weights[..., :1]},
            r"attention_weights has shape .*, expected \(2, 7, 3, 3, 2\)",
        ),
        "numbers of no pairs": ({"spatial_shapes": CASE.flat}, "spatial_shapes must be a tensor"),
        "triples": ({"spatial_shapes": [(1, 2, 3)]}, "a pair of ints"),
        "a float": ({"spatial_shapes": [(5.0, 4), (3, 2), (1, 1)]}, r"spatial_shapes\[0\]\[0\] must be an int, "
                                                                    r"got 5.0"),
        "an empty level": ({"spatial_shapes": [(5, 4), (3, 0), (1, 1)]}, r"spatial_shapes\[1\] is \(3, 0\)"),
        "a tensor of floats": ({"spatial_shapes": torch.ones(3, 2)}, "spatial_shapes is torch.float32"),
        "a flat tensor": ({"spatial_shapes": torch.ones(6).long()}, r"spatial_shapes has shape \(6,\)"),
        "a sparse value": ({"value": value.to_sparse()}, "value is of layout torch.sparse_coo"),
        "another device": ({"sampling_locations": locations.to("meta")}, "sampling_locations is on meta, expected cpu"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(refused()))
def test_what_does_not_fit_is_named(name: str) -> None:
    value, locations, weights = CASE.inputs()
    changed, message = refused()[name]
    given = {
        "value": value,
        "spatial_shapes": CASE.shapes,
        "sampling_locations": locations,
        "attention_weights": weights,
        **changed,
    }
    with pytest.raises(dcnbuild.ArgumentError, match=f"deform_attn: .*{message}|{message}"):
        dcnbuild.deform_attn(**given)


def test_no_queries_and_no_images() -> None:
    for case in (AttnCase(queries=0), AttnCase(batch=0)):
        leaves = [t.requires_grad_() for t in case.inputs()]
        output = case.operate(*leaves)
        assert output.shape == (case.batch, case.queries, case.heads * case.channels)
        output.sum().backward()
        assert all(leaf.grad is not None and not leaf.grad.any() for leaf in leaves)


@pytest.mark.skipif(not FEATURES["flop formulas"](), reason="torch lacks flop formulas")
def test_flops() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    leaves = [t.requires_grad_() for t in CASE.inputs()]
    product = 2 * leaves[2].numel() * CASE.channels
    with FlopCounterMode(display=False) as counter:
        output = CASE.operate(*leaves)
    assert counter.get_total_flops() == product
    with FlopCounterMode(display=False) as counter:
        output.sum().backward()
    assert counter.get_total_flops() == 2 * product
