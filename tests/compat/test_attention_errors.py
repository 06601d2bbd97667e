"""Tests errors of deformable attention's modules and functions under their old names, which name the old arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from compat.attention_callers import SHAPES, STARTS
from torch import Tensor

import dcnbuild
from dcnbuild.compat import ms_deform_attn


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ms_deform_attn.MSDeformAttn(d_model=0), "MSDeformAttn: d_model must be at least 1, got 0"),
        (lambda: ms_deform_attn.MSDeformAttn(10, n_heads=4), "MSDeformAttn: n_heads=4 must divide d_model=10"),
        (lambda: ms_deform_attn.MultiScaleDeformableAttention(8, num_heads=3), "num_heads=3 must divide embed_dim=8"),
        (lambda: detr(input_flatten=torch.zeros(1, 26, 9)), r"MSDeformAttn: input_flatten has shape \(1, 26, 9\)"),
        (lambda: detr(input_flatten=torch.zeros(1, 25, 8)), "input_flatten has 25 positions, expected 26"),
        (lambda: detr(input_spatial_shapes=SHAPES[:1], input_level_start_index=None), "input_spatial_shapes has 1 "
                                                                                      "levels, expected 2"),
        (lambda: detr(input_padding_mask=torch.zeros(1, 3)), "input_padding_mask is torch.bool of shape"),
        (lambda: detr(input_level_start_index=torch.tensor([6, 0])), r"input_level_start_index is \[6, 0\]"),
        (lambda: ms_deform_attn.multi_scale_deformable_attn_pytorch(torch.zeros(1, 25, 2, 4), SHAPES, torch.zeros(1, 3, 2, 2, 1, 2), torch.zeros(1, 3, 2, 2, 1)), r"value has 25 positions"),
        (lambda: ms_deform_attn.multi_scale_deformable_attn_pytorch(torch.zeros(1, 26, 2, 4), SHAPES.float(), torch.zeros(1, 3, 2, 2, 1, 2), torch.zeros(1, 3, 2, 2, 1)), r"value_spatial_shapes is torch.float32"),
    ],
)  # fmt: skip
def test_errors_have_the_old_names_of_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        make()


def detr(**changed: Any) -> Tensor:
    given = {
        "query": torch.zeros(1, 7, 8), "reference_points": torch.zeros(1, 7, 2, 2),
        "input_flatten": torch.zeros(1, 26, 8), "input_spatial_shapes": SHAPES,
        "input_level_start_index": STARTS, **changed,
    }  # fmt: skip
    output: Tensor = ms_deform_attn.MSDeformAttn(8, 2, 2, 2)(**given)
    return output
