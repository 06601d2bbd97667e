"""What deform_conv2d and deform_attn count in `torch.utils.flop_counter.FlopCounterMode`; imported with that module (dcnbuild/__init__.py).

The counter counts products, two operations for a multiplication and an addition, and not what prepares their operands. So a
deformable convolution counts as the convolution of its shape does, and deformable attention as the product of its weights and
samples. Sampling is left out, as that of grid_sample is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import flop_counter


def product(weight: Sequence[int], output: Sequence[int]) -> int:
    """2 · N · O · H' · W' · (C / groups) · kh · kw, for weight [O, C / groups, kh, kw] and output [N, O, H', W']."""
    batch, out_channels, height, width = output
    _, channels, rows, columns = weight
    return 2 * batch * out_channels * height * width * channels * rows * columns


def forward(
    input: Any, offset: Any, mask: Any, weight: Any, *rest: Any, out_shape: Any, **_: Any
) -> int:
    return product(weight, out_shape)


def backward(
    grad_output: Any, input: Any, offset: Any, mask: Any, weight: Any, *rest: Any, **_: Any
) -> int:
    """One product for the columns' gradient, which those of input, offset and mask share, and one for the weight's."""
    for_input, for_offset, for_mask, for_weight, _bias = rest[5]
    products = int(for_input or for_offset or for_mask) + int(for_weight)
    return products * product(weight, grad_output)


def attend(
    value: Sequence[int], shapes: Any, locations: Any, weights: Any, *_: Any, **__: Any
) -> int:
    """2 · N · Q · M · L · P · D, for value [N, S, M, D] and weights [N, Q, M, L, P]."""
    return 2 * math.prod(weights) * value[3]


def attend_backward(grad_output: Any, value: Any, shapes: Any, *rest: Any, **_: Any) -> int:
    """One product for the value's gradient, and one that those of locations and weights share."""
    for_value, for_locations, for_weights = rest[2]
    products = int(for_value) + int(for_locations or for_weights)
    return products * attend(value, shapes, *rest)


if hasattr(flop_counter, "register_flop_formula"):  # torch 2.1 counts, but takes no formulas
    flop_counter.register_flop_formula(torch.ops.dcnbuild.deform_conv2d)(forward)
    flop_counter.register_flop_formula(torch.ops.dcnbuild.deform_conv2d_backward)(backward)
    flop_counter.register_flop_formula(torch.ops.dcnbuild.deform_attn)(attend)
    flop_counter.register_flop_formula(torch.ops.dcnbuild.deform_attn_backward)(attend_backward)
