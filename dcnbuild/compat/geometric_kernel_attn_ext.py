"""The raw calls of MapTR's extension `GeometricKernelAttention`. Autograd records none of them.

It is deformable attention at whole pixels: the locations are integers, and those outside a map are moved to its border.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcnbuild.compat.attention import attend
from dcnbuild.compat.shared import gradients_of

__all__ = ["geometric_kernel_attn_cuda_backward", "geometric_kernel_attn_cuda_forward"]


def _centres(value: Tensor, spatial_shapes: Tensor, sampling_loc: Tensor) -> Tensor:
    """The locations of pixels (x, y), as fractions of the maps, in which 0 and 1 are the maps' edges."""
    sizes = spatial_shapes.flip(1).to(sampling_loc.device)[:, None]  # [L, 1, 2] as (width, height)
    pixels = torch.minimum(sampling_loc.long().clamp(min=0), sizes - 1)
    dtype = value.dtype if value.dtype == torch.float64 else torch.float32
    return (pixels.to(dtype) + 0.5) / sizes.to(dtype)


@torch.no_grad()
def geometric_kernel_attn_cuda_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    im2col_step: int,
) -> Tensor:
    """Returns [N, Q, M · D]; `sampling_loc` [N, Q, M, L, P, 2] has pixels as (x, y), and `im2col_step` is ignored."""
    centres = _centres(value, spatial_shapes, sampling_loc)
    return attend(value, spatial_shapes, level_start_index, centres, attn_weight)


def geometric_kernel_attn_cuda_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    grad_output: Tensor,
    im2col_step: int,
) -> list[Tensor]:
    """Returns the gradients of value and weights."""
    centres = _centres(value, spatial_shapes, sampling_loc)

    def forward(value: Tensor, weights: Tensor) -> Tensor:
        return attend(value, spatial_shapes, level_start_index, centres, weights)

    return gradients_of(forward, (value, attn_weight), grad_output)
