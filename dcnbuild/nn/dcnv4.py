"""`DCNv4`, with the arguments, keys and initialisation of the package DCNv4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.nn.deform_sample import Sampler, depthwise, start_at_zero, start_projection


class DCNv4(Sampler):
    """Deformable convolution v4 (Xiong et al., "Efficient Deformable ConvNets", 2024), with the arguments, keys and
    initialisation of the package DCNv4.

    As `DCNv3`, but one projection predicts offsets and weights together, and the weights stay as predicted.

    Args:
        channels, kernel_size, stride, pad, dilation, group, offset_scale, remove_center: as for `DCNv3`.
        dw_kernel_size: of a depthwise convolution before the prediction; None for none.
        center_feature_scale: mixes each group's output with its input.
        output_bias: whether `output_proj` adds one.
        without_pointwise: leaves `value_proj` and `output_proj` out.
        others: not used, as in the package: `act_layer`, `norm_layer`.

    Attributes:
        offset_mask: Linear C → G·K·3, rounded up to a multiple of 8: for each group the K offsets, then the K weights.
        offset_mask_dw: the depthwise convolution, if there is one.
        value_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: an argument is out of range or does not go with another.

    Examples:
        >>> dcnbuild.DCNv4(32, group=2)(torch.rand(1, 16 * 12, 32), (16, 12)).shape
        torch.Size([1, 192, 32])
    """

    def __init__(
        self,
        channels: int = 64,
        kernel_size: int = 3,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        dw_kernel_size: int | None = None,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        output_bias: bool = True,
        without_pointwise: bool = False,
        **others: Any,
    ) -> None:
        super().__init__()
        for wrong, right in (("groups", "group"), ("padding", "pad")):
            if wrong in others:
                raise ArgumentTypeError(f"DCNv4 has no argument {wrong!r}: it is called {right!r}")
        self.set_up(
            channels=channels, kernel_size=kernel_size, stride=stride, pad=pad, dilation=dilation, group=group,
            dw_kernel_size=dw_kernel_size, offset_scale=offset_scale, center_feature_scale=center_feature_scale,
            remove_center=remove_center, without_pointwise=without_pointwise,
        )  # fmt: skip
        self.K = self.group * self.taps
        if self.dw_kernel_size is not None:
            self.offset_mask_dw = depthwise(self.channels, self.dw_kernel_size)
        self.offset_mask = nn.Linear(self.channels, -(-self.K * 3 // 8) * 8)
        if not without_pointwise:
            self.value_proj = nn.Linear(self.channels, self.channels)
            self.output_proj = nn.Linear(self.channels, self.channels, bias=output_bias)
        self.reset_parameters()
        self.make_center_scale()

    without_pointwise: bool

    def reset_parameters(self) -> None:
        """Initialises prediction and projections anew, as the package does."""
        start_at_zero(self.offset_mask)
        if not self.without_pointwise:
            start_projection(self.value_proj)
            start_projection(self.output_proj)

    def forward(self, input: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Samples an image whose pixels are in one dimension.

        Args:
            input: [N, H · W, C].
            shape: (H, W); a square if None.

        Returns:
            [N, H' · W', C].

        Raises:
            dcnbuild.ArgumentError: an argument does not fit.
        """
        self.check_input(input, 3, "batch, height · width", self.offset_mask)
        height, width = (math.isqrt(input.shape[1]),) * 2 if shape is None else shape
        if height * width != input.shape[1]:
            raise ArgumentError(
                f"DCNv4: input has {input.shape[1]} pixels and shape is {shape}; expected (height, width) of "
                f"{input.shape[1]}"
            )
        image = input.unflatten(1, (height, width))
        values = image if self.without_pointwise else self.value_proj(image)
        features = image
        if self.dw_kernel_size is not None:
            features = self.offset_mask_dw(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        packed = self.offset_mask(features[:, :: self.stride, :: self.stride])
        output = self.sample(values, *unpacked(packed, self.group, self.taps))
        output = self.blended(output, values, output).flatten(1, 2)
        return output if self.without_pointwise else self.output_proj(output)


def unpacked(packed: Tensor, group: int, taps: int) -> tuple[Tensor, Tensor]:
    """DCNv4's offsets [N, H', W', G, K, 2] and mask [N, H', W', G, K], views of what it predicts, [N, H', W', ≥
    3·G·K].
    """
    each = packed[..., : 3 * group * taps].unflatten(-1, (group, 3 * taps))
    return each[..., : 2 * taps].unflatten(-1, (taps, 2)), each[..., 2 * taps :]
