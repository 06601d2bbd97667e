"""The deformable part of larger extensions: `mmcv._ext`, `detectron2._C`, `maskrcnn_benchmark._C`, `groundingdino._C`.

With it, those packages' own Python can be imported, and their registries are filled. Every other name is a function
that raises NotImplementedError when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from dcnbuild.compat.deform_conv_ext import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from dcnbuild.compat.deform_pool_ext import (
    deform_psroi_pooling_backward,
    deform_psroi_pooling_forward,
)
from dcnbuild.compat.deform_unfold_ext import deform_unfold_backward_input, deform_unfold_forward
from dcnbuild.compat.ms_deform_attn_ext import ms_deform_attn_backward, ms_deform_attn_forward
from dcnbuild.compat.surplus import back_to_all, first_of_all

__all__ = [
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "deform_psroi_pooling_backward",
    "deform_psroi_pooling_forward",
    "deform_roi_pool_backward",
    "deform_roi_pool_forward",
    "deform_unfold_backward_input",
    "deform_unfold_forward",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
    "ms_deform_attn_backward",
    "ms_deform_attn_forward",
]


def _offset(rois: Tensor, offset: Tensor, cells: tuple[int, int]) -> Tensor | None:
    """Returns the operator's offset: None for the empty tensor by which mmcv means no offset."""
    return first_of_all("offset", offset, rois, cells) if offset.numel() else None


@torch.no_grad()
def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Writes mmcv's deformable RoI pooling to `output`."""
    cells = (pooled_height, pooled_width)
    result = torch.ops.dcnbuild.deform_roi_pool(
        *(input, rois, _offset(rois, offset, cells), cells, spatial_scale, sampling_ratio, gamma)
    )
    output.resize_(result.shape).copy_(result)


@torch.no_grad()
def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Adds the gradients to `grad_input` and, with an offset, to `grad_offset`."""
    cells = (pooled_height, pooled_width)
    moved = _offset(rois, offset, cells)
    grads = torch.ops.dcnbuild.deform_roi_pool_backward(
        *(grad_output, input, rois, moved, cells, spatial_scale, sampling_ratio, gamma),
        *([True, moved is not None], torch.are_deterministic_algorithms_enabled()),
    )
    grad_input.add_(grads[0])
    if moved is not None:
        grad_offset.add_(back_to_all(grads[1], offset))


def __getattr__(name: str) -> Callable[..., NoReturn]:
    if name.startswith("_"):
        raise AttributeError(name)

    def absent(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name}: dcnbuild stands in for the compiled extension of this package, which is not installed, and "
            f"has its "
            f"deformable operators only. For {name}, install the package with its extension (mmcv: the `mmcv` "
            f"wheel for "
            "your torch, not `mmcv-lite`)."
        )

    absent.__name__ = absent.__qualname__ = name
    return absent
