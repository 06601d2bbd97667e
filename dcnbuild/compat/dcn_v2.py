"""The module `dcn_v2` of CharlesShang/DCNv2 and its forks."""

from __future__ import annotations

from torch import Tensor

from dcnbuild.compat.shared import OldConvolution, Size, deform_conv, uniform_by_fan_in
from dcnbuild.nn import PredictsOffsets

__all__ = ["DCN", "DCNv2", "dcn_v2_conv"]


def dcn_v2_conv(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Size,
    padding: Size,
    dilation: Size,
    deformable_groups: int,
) -> Tensor:
    """Deformable convolution v2; tensors as for `dcnbuild.deform_conv2d`."""
    return deform_conv(
        input, offset, mask, weight, bias, stride, padding, dilation, 1, deformable_groups
    )


class DCNv2(OldConvolution):
    """Deformable convolution v2 that is given its offset and mask.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation: as for `dcnbuild.DeformConv2d`; stride and
            padding have no default.
        deformable_groups: sets of offsets, each for its share of the input channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size = 1,
        deformable_groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation)
        self.deformable_groups = deformable_groups

    def reset_parameters(self) -> None:
        uniform_by_fan_in(self)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] and mask [N, G'·kh·kw, H', W'] → [N, O, H', W']."""
        return dcn_v2_conv(
            input,
            offset,
            mask,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.deformable_groups,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, deformable_groups={self.deformable_groups}"


class DCN(PredictsOffsets, DCNv2):
    """Deformable convolution v2 that predicts offset and mask with `conv_offset_mask`; arguments as for `DCNv2`.

    `conv_offset_mask` has the module's dilation, which the original forgot; its weights have the same shape with it.
    """

    offset_name = "conv_offset_mask"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size,
        dilation: Size = 1,
        deformable_groups: int = 1,
    ) -> None:
        DCNv2.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            deformable_groups,
        )
        self.add_offset_conv(deformable_groups, modulated=True)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        offset, mask = self.predict(input, modulated=True)
        assert mask is not None
        return DCNv2.forward(self, input, offset, mask)
