"""Tests the raw calls of deformable attention's old extensions."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from compat.attention_modules import (
    CASE,
    SHAPES,
    tensors,
)
from ops.attention_cases import NAMES, AttnCase, gradients
from ops.cases import assert_close
from ops.point_cases import normals

import dcnbuild
from dcnbuild.compat import larger_ext, ms_deform_attn, ms_deform_attn_ext


@pytest.mark.parametrize("extension", [ms_deform_attn_ext, larger_ext])
def test_the_raw_calls(extension: types.ModuleType) -> None:
    value, locations, weights = tensors()
    expected = gradients(CASE.plain, [value, locations, weights])
    arguments = (value, SHAPES, CASE.starts, locations, weights)
    output = extension.ms_deform_attn_forward(*arguments, 64)
    assert not output.requires_grad
    torch.testing.assert_close(output, expected["output"])
    upstream = normals(1)(*output.shape).float()
    grads = extension.ms_deform_attn_backward(*arguments, upstream, 64)
    assert_close({"output": output, **{f"grad_{name}": grad for name, grad in zip(NAMES, grads)}}, expected, 1e-5)
    # mmcv adds to tensors of its own.
    sums = [torch.ones_like(t) for t in (value, locations, weights)]
    assert (
        extension.ms_deform_attn_backward(*arguments, upstream, *sums, im2col_step=64)  # type: ignore[func-returns-value]
        is None
    )
    for total, grad in zip(sums, grads):
        torch.testing.assert_close(total, grad + 1)


def test_levels_out_of_order_are_refused() -> None:
    value, locations, weights = tensors()
    with pytest.raises(dcnbuild.ArgumentError, match=r"level_start_index is \[6, 0\], expected \[0, 20\]"):  # fmt: skip
        ms_deform_attn_ext.ms_deform_attn_forward(value, SHAPES, torch.tensor([6, 0]), locations, weights, 64)


def test_raw_calls_without_queries_and_of_mixed_dtypes() -> None:
    case = AttnCase()
    value, locations, weights = case.inputs(dtype=torch.float32)
    shapes = torch.tensor(case.shapes)
    extension = ms_deform_attn_ext
    for queries in (0, case.queries):
        given = (
            value.half(),
            shapes,
            case.starts,
            locations[:, :queries],
            weights.half()[:, :queries],
        )
        output = extension.ms_deform_attn_forward(*given, 64)
        assert output.shape == (case.batch, queries, case.heads * case.channels)
        grads = extension.ms_deform_attn_backward(*given, torch.ones_like(output).float(), 64)
        assert grads is not None
        tensors = [given[0], *given[3:]]
        assert [(g.dtype, g.shape) for g in grads] == [(t.dtype, t.shape) for t in tensors]


@pytest.mark.parametrize(
    ("shapes", "starts", "message"),
    [
        (torch.tensor([[4, 5, 2], [3, 1, 1]]), torch.tensor([0, 20, 26]), r"shape \(2, 3\)"),
        (torch.tensor([[4, 5, 2, 3]]), torch.tensor([0, 20]), r"shape \(1, 4\)"),
        ([(4, 5, 1), (2, 3, 1)], [0, 20], "spatial_shapes must be"),
        (None, [0, 20], "spatial_shapes must be"),
        ([(4, 5), (2, 3)], 0, "level_start_index must be one int for each level, got int"),
        ([(4, 5), (2, 3)], [0.4, 20.9], r"level_start_index\[0\] must be an int"),
        ([(4, 5), (2, 3)], torch.tensor([0.4, 20.9]), "level_start_index is torch.float32"),
    ],
)  # fmt: skip
def test_sizes_and_starts_that_are_none(shapes: Any, starts: Any, message: str) -> None:
    value, locations, weights = (
        torch.ones(1, 26, 1, 2),
        torch.rand(1, 1, 1, 2, 1, 2),
        torch.ones(1, 1, 1, 2, 1),
    )
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        ms_deform_attn_ext.ms_deform_attn_forward(value, shapes, starts, locations, weights, 64)


def test_narrow_and_consumable_sizes() -> None:
    value, locations, weights = (
        torch.ones(1, 406, 1, 2),
        torch.rand(1, 1, 1, 2, 1, 2),
        torch.ones(1, 1, 1, 2, 1),
    )
    expected = dcnbuild.deform_attn(value, [(20, 20), (2, 3)], locations, weights)
    narrow = torch.tensor([[20, 20], [2, 3]], dtype=torch.uint8)
    for shapes in (narrow, zip((20, 2), (20, 3))):
        output = ms_deform_attn_ext.ms_deform_attn_forward(
            value, shapes, torch.tensor([0, 400]), locations, weights, 64
        )
        torch.testing.assert_close(output, expected)


def test_half_models_have_float32_positions() -> None:
    value, locations, weights = tensors()
    output = ms_deform_attn.multi_scale_deformable_attn_pytorch(value.bfloat16(), SHAPES, locations, weights.bfloat16())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), CASE.plain(value, locations, weights), rtol=0.02, atol=0.02)
