"""Modules: `DeformConv2d` takes offsets as an argument, `DCN` predicts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import integer, pair, refuse_keywords
from dcnbuild.ops.autocast import check_dtype
from dcnbuild.ops.deform_conv2d import deform_conv2d
from dcnbuild.ops.torch_versions import has_torch_function_unary


class DeformConv2d(nn.Module):
    """Deformable convolution v2 (v1 without a mask), with torchvision's arguments, defaults, initialisation and keys.

    Args:
        in_channels, out_channels: C and O; `groups` must divide both.
        kernel_size, stride, padding, dilation: an int or (y, x), in pixels.
        groups: number of blocks of channels; each block of outputs reads only its block of inputs.
        bias: whether to add a learned bias.

    Attributes:
        weight: [O, C / groups, kh, kw], Kaiming-uniform with a = √5.
        bias: [O], uniform in ±1/√fan_in, or None.

    Raises:
        dcnbuild.ArgumentError: groups do not divide the channels, or a size is not an int or a pair of ints.

    Examples:
        >>> layer = dcnbuild.DeformConv2d(16, 8, kernel_size=3, padding=1)
        >>> layer(torch.rand(1, 16, 32, 32), torch.zeros(1, 2 * 9, 32, 32)).shape
        torch.Size([1, 8, 32, 32])
    """

    if TYPE_CHECKING:  # hides the annotation from TorchScript
        bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        **unknown: NoReturn,
    ) -> None:
        super().__init__()
        refuse_keywords(
            type(self).__name__,
            unknown,
            "the number of offset groups follows from the offset's channels",
        )
        in_channels = integer(type(self).__name__, "in_channels", in_channels)
        out_channels = integer(type(self).__name__, "out_channels", out_channels)
        groups = integer(type(self).__name__, "groups", groups)
        if groups < 1 or in_channels < 1 or out_channels < 0:
            raise ArgumentError(
                f"{type(self).__name__}: in_channels={in_channels} and groups={groups} must be at least 1, "
                f"out_channels={out_channels} not negative"
            )
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair("kernel_size", kernel_size, 1)
        self.stride = pair("stride", stride, 1)
        self.padding = pair("padding", padding, 0)
        self.dilation = pair("dilation", dilation, 1)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialises weight and bias again, like torch's and torchvision's convolutions."""
        if self.weight.numel() == 0:
            return
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Calls `dcnbuild.deform_conv2d`: input [N, C, H, W], offset [N, 2·G'·kh·kw, H', W'], mask [N, G'·kh·kw, H',
        W'].
        """
        return deform_conv2d(
            input,
            offset,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            mask=mask,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        defaults = {"padding": (0, 0), "dilation": (1, 1), "groups": 1}
        parts += [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)


def split_prediction(predicted: Tensor, modulated: bool) -> tuple[Tensor, Tensor | None]:
    """Splits a prediction [N, 3·K·G', H', W'] (2·K·G' unless modulated) into offset and mask."""
    if not modulated:
        return predicted, None
    split = 2 * predicted.shape[1] // 3
    return predicted[:, :split], predicted[:, split:].sigmoid()


class PredictsOffsets(DeformConv2d):
    """A `DeformConv2d` with a convolution that predicts its offsets and mask; the base of `DCN` and of compat's
    modules.

    The predicting convolution has the module's kernel size, stride, padding and dilation. It makes 3·K·G' channels from
    the input (2·K·G' for v1): the first two thirds are offsets, and the sigmoid of the last third is the mask. Its
    parameters start at zero. Its keys load from checkpoints under any of `OFFSET_NAMES`, the names in old packages.
    They also load under mmdetection's name before 1.0, beside the module: `conv2_offset.weight` for a module `conv2`.
    """

    OFFSET_NAMES = ("conv_offset", "conv_offset_mask")

    #: The attribute that holds the predicting convolution, one of OFFSET_NAMES.
    offset_name = "conv_offset"

    def add_offset_conv(self, offset_groups: int, modulated: bool) -> None:
        """Adds the predicting convolution, set to zero. Raises ArgumentError if the groups do not divide the
        channels.
        """
        offset_groups = integer(type(self).__name__, "offset_groups", offset_groups)
        if offset_groups < 1 or self.in_channels % offset_groups:
            raise ArgumentError(f"offset_groups={offset_groups} must divide in_channels={self.in_channels}")
        taps = self.kernel_size[0] * self.kernel_size[1]
        conv = nn.Conv2d(
            self.in_channels,
            (3 if modulated else 2) * offset_groups * taps,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
        )
        self.add_module(self.offset_name, conv)
        self.start_offset()

    def start_offset(self) -> None:
        """Initialises a new predicting convolution: calls `init_offset`."""
        self.init_offset()

    def init_offset(self) -> None:
        """Sets the predicting convolution to zero. The module is then an ordinary convolution, times 1/2 with a
        mask.
        """
        for parameter in getattr(self, self.offset_name).parameters():
            nn.init.zeros_(parameter)

    def predict(self, input: Tensor, modulated: bool) -> tuple[Tensor, Tensor | None]:
        """Predicts offset [N, 2·K·G', H', W'] and mask [N, K·G', H', W'] (None unless modulated) from input [N, C, H,
        W].
        """
        self.check_input(input)
        return split_prediction(getattr(self, self.offset_name)(input), modulated)

    def check_input(self, input: Any) -> None:
        """Raises ArgumentError in this module's name for a wrong input.

        The predicting convolution would name itself in its error, or take a tensor of three dimensions for one image.
        """
        name = type(self).__name__
        if not isinstance(input, Tensor):
            if has_torch_function_unary(input):  # torch.fx traces
                return
            raise ArgumentTypeError(f"{name}: input must be a tensor, got {type(input).__name__}")
        if input.dim() != 4 or input.shape[1] != self.in_channels:
            raise ArgumentError(
                f"{name}: input has shape {tuple(input.shape)}, expected (batch, {self.in_channels}, height, width)"
            )
        check_dtype(name, "input", input, getattr(getattr(self, self.offset_name), "weight", None))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        beside = [f"{prefix[:-1]}_offset."] if prefix else []
        for start in (*(f"{prefix}{name}." for name in self.OFFSET_NAMES), *beside):
            for key in [start + kind for kind in ("weight", "bias") if start + kind in state_dict]:
                own = f"{prefix}{self.offset_name}.{key.rpartition('.')[2]}"
                if own not in state_dict:
                    state_dict[own] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


class DCN(PredictsOffsets):
    """A deformable convolution that predicts its own offsets and mask, like the `DCN` of CharlesShang/DCNv2.

    `conv_offset` predicts them (see `PredictsOffsets`). It has the module's dilation; DCNv2's ignores it. A new DCN
    computes an ordinary convolution (times 1/2 with a mask).

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: as for `DeformConv2d`.
        offset_groups: G', the number of sets of offsets, each for its share of the input channels; must divide
            `in_channels`.
        modulated: whether to predict a mask too (v2).

    Examples:
        >>> layer = dcnbuild.DCN(16, 8, kernel_size=3, padding=1, offset_groups=4)
        >>> layer(torch.rand(1, 16, 32, 32)).shape
        torch.Size([1, 8, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
        modulated: bool = True,
        **unknown: NoReturn,
    ) -> None:
        refuse_keywords(type(self).__name__, unknown, "it is offset_groups here")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.offset_groups = integer(type(self).__name__, "offset_groups", offset_groups)
        self.modulated = modulated
        self.add_offset_conv(offset_groups, modulated)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        if not torch.jit.is_scripting():
            self.check_input(input)
        # Repeats super().forward: TorchScript supports neither super() nor getattr with a computed name.
        offset, mask = split_prediction(self.conv_offset(input), self.modulated)  # type: ignore[operator]
        return deform_conv2d(
            input,
            offset,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            mask=mask,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, offset_groups={self.offset_groups}, modulated={self.modulated}"
