"""The deformable operators of mmcv.ops."""

from __future__ import annotations

import warnings
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from dcnbuild.compat.mmcv_roi_pool import (
    DeformRoIPool,
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    deform_roi_pool,
)
from dcnbuild.compat.shared import (
    OldConvolution,
    Size,
    deform_conv,
    kaiming,
    uniform_by_fan_in,
    with_one_dtype,
)
from dcnbuild.nn import PredictsOffsets

__all__ = [
    "DeformConv2d",
    "DeformConv2dPack",
    "DeformRoIPool",
    "DeformRoIPoolPack",
    "ModulatedDeformConv2d",
    "ModulatedDeformConv2dPack",
    "ModulatedDeformRoIPoolPack",
    "deform_conv2d",
    "deform_roi_pool",
    "modulated_deform_conv2d",
]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """Deformable convolution v1, in the dtype of `offset`.

    `bias` can only be False; `im2col_step` changes nothing here, and need not divide the batch. Raises ValueError.
    """
    if bias:
        raise ValueError("deform_conv2d has no bias: bias must be False, as in mmcv")
    cast_input, cast_weight = with_one_dtype(input, offset, weight)
    assert cast_input is not None and cast_weight is not None
    return deform_conv(
        cast_input,
        offset,
        None,
        cast_weight,
        None,
        stride,
        padding,
        dilation,
        groups,
        deform_groups,
    )


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Deformable convolution v2, in the dtype of `offset`."""
    cast_input, cast_mask, cast_weight, cast_bias = with_one_dtype(
        input, offset, mask, weight, bias
    )
    assert cast_input is not None and cast_weight is not None
    return deform_conv(
        cast_input,
        offset,
        cast_mask,
        cast_weight,
        cast_bias,
        stride,
        padding,
        dilation,
        groups,
        deform_groups,
    )


def _renamed(deform_groups: int, others: dict[str, Any]) -> int:
    """`deform_groups`, which was called `deformable_groups` before mmcv 1.0."""
    if "deformable_groups" in others:
        warnings.warn("deformable_groups is called deform_groups", DeprecationWarning, stacklevel=3)
        deform_groups = others.pop("deformable_groups")
    if others:
        raise TypeError(f"unexpected keyword arguments {', '.join(sorted(others))}")
    return deform_groups


class _Convolution(OldConvolution):
    """What mmcv's modules share."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size,
        groups: int,
        deform_groups: int,
        bias: bool,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self.deform_groups = deform_groups
        # mmcv and mmdetection treat it as a Conv2d, and look at these.
        self.transposed = False
        self.output_padding = (0,)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, deform_groups={self.deform_groups}"


class DeformConv2d(_Convolution):
    """Deformable convolution v1 that is given its offset.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as for `dcnbuild.DeformConv2d`.
        deform_groups: sets of offsets, each for its share of the input channels.
        bias: only False.
        im2col_step: changes nothing here.

    Raises ValueError for a bias, or groups that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = False,
        im2col_step: int = 32,
        **renamed: Any,
    ) -> None:
        if bias:
            raise ValueError("DeformConv2d has no bias: bias must be False, as in mmcv")
        deform_groups = _renamed(deform_groups, renamed)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            deform_groups,
            False,
        )
        self.im2col_step = im2col_step

    def reset_parameters(self) -> None:
        kaiming(self)

    def _convolve(self, x: Tensor, offset: Tensor) -> Tensor:
        return deform_conv2d(
            x,
            offset,
            self.weight,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] → [N, O, H', W'].

        An image smaller than the kernel is padded with zeros below and to the right, and the output cut, as in mmcv.
        """
        down = max(self.kernel_size[0] - x.shape[2], 0)
        right = max(self.kernel_size[1] - x.shape[3], 0)
        if not down and not right:
            return self._convolve(x, offset)
        out = self._convolve(F.pad(x, (0, right, 0, down)), F.pad(offset, (0, right, 0, down)))
        return out[:, :, : out.shape[2] - down, : out.shape[3] - right]


class DeformConv2dPack(PredictsOffsets, DeformConv2d):
    """Deformable convolution v1 that predicts its offset with `conv_offset`; arguments as for `DeformConv2d`."""

    _version = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        DeformConv2d.__init__(self, *args, **kwargs)
        self.add_offset_conv(self.deform_groups, modulated=False)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        return self._convolve(x, self.predict(x, modulated=False)[0])


class ModulatedDeformConv2d(_Convolution):
    """Deformable convolution v2 that is given its offset and mask; arguments as for `DeformConv2d`, with a bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        deform_groups: int = 1,
        bias: bool = True,
        **renamed: Any,
    ) -> None:
        deform_groups = _renamed(deform_groups, renamed)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            deform_groups,
            bias,
        )

    def reset_parameters(self) -> None:
        self.init_weights()

    def init_weights(self) -> None:
        """Initialises weight and bias anew."""
        uniform_by_fan_in(self)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] and mask [N, G'·kh·kw, H', W'] → [N, O, H', W']."""
        return modulated_deform_conv2d(
            x,
            offset,
            mask,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.deform_groups,
        )


class ModulatedDeformConv2dPack(PredictsOffsets, ModulatedDeformConv2d):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset`; arguments as for `DeformConv2d`."""

    _version = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        ModulatedDeformConv2d.__init__(self, *args, **kwargs)
        self.add_offset_conv(self.deform_groups, modulated=True)
        # mmcv draws the weights a second time: a seed gives the same ones.
        self.init_weights()

    def init_weights(self) -> None:
        super().init_weights()
        if self.offset_name in self._modules:
            self.init_offset()

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        offset, mask = self.predict(x, modulated=True)
        assert mask is not None
        return ModulatedDeformConv2d.forward(self, x, offset, mask)
