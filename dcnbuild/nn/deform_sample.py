"""Modules `DCNv3` and `DCNv4`, with the arguments, keys and initialisation of InternImage and of the package DCNv4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import has_torch_function_unary

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import integer
from dcnbuild.ops.deform_sample import deform_sample
from dcnbuild.ops.deform_sample_arguments import attributes

#: The names in errors of the kernel's size and the other numbers: those of these modules' arguments.
_NAMES = ("kernel_size", "stride", "pad", "dilation", "offset_scale", "remove_center")


class Sampler(nn.Module):
    """Base of DCNv3 and DCNv4: their arguments, the projections around the sampling, and the blend with the input."""

    channels: int
    kernel_size: int
    stride: int
    pad: int
    dilation: int
    group: int
    offset_scale: float
    remove_center: int
    dw_kernel_size: int | None
    center_feature_scale: bool

    def set_up(self, **given: Any) -> None:
        """Checks the constructor's arguments, and stores them under their names, together with `group_channels`."""
        name = type(self).__name__
        for key in ("channels", "group", "kernel_size", "stride", "pad", "dilation", "dw_kernel_size"):  # fmt: skip
            if given[key] is None and key == "dw_kernel_size":
                continue
            given[key] = integer(name, key, given[key])
            least = 0 if key == "pad" else 1
            if given[key] < least:
                raise ArgumentError(f"{name}: {key} must be at least {least}, got {given[key]}")
        if given["channels"] % given["group"]:
            raise ArgumentError(
                f"{name}: group={given['group']} must divide channels={given['channels']}"
            )
        size, stride, pad, dilation, scale, removes = (given[key] for key in _NAMES)
        a = attributes(size, stride, pad, dilation, scale, removes, function=name, names=_NAMES)
        if given["center_feature_scale"] and given["stride"] != 1:
            raise ArgumentError(
                f"{name}: center_feature_scale adds the input to the output, so stride must be 1, got {given['stride']}"
            )
        for key, value in given.items():
            setattr(self, key, value)
        self.offset_scale, self.remove_center = a.offset_scale, int(a.remove_center)
        self.group_channels = self.channels // self.group

    def make_center_scale(self) -> None:
        """Makes the parameters of the blend. They start at zero, which means half input, half output."""
        if self.center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(
                torch.zeros(self.group, self.channels)
            )
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(self.group))

    def check_input(self, input: Tensor, rank: int, meaning: str) -> None:
        """Raises ArgumentError in this module's name, where a projection would name itself."""
        name = type(self).__name__
        if not isinstance(input, Tensor):
            raise ArgumentTypeError(f"{name}: input must be a tensor, got {type(input).__name__}")
        if has_torch_function_unary(input):
            return  # torch.fx traces
        if input.dim() != rank or input.shape[-1] != self.channels:
            raise ArgumentError(
                f"{name}: input has shape {tuple(input.shape)}, expected ({meaning}, {self.channels})"
            )

    def sample(self, values: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Samples [N, H, W, C] by offset [N, H', W', G, K, 2] and mask [N, H', W', G, K].

        Raises ArgumentError unless there is one prediction for each position.
        """
        sizes = (self.kernel_size, self.stride, self.pad, self.dilation)
        if not has_torch_function_unary(values):
            places, predicted = [
                (size + 2 * self.pad - self.dilation * (self.kernel_size - 1) - 1) // self.stride + 1
                for size in values.shape[1:3]
            ], list(offset.shape[1:3])  # fmt: skip
            if places != predicted:
                raise ArgumentError(
                    f"{type(self).__name__}: offsets are predicted for {predicted[0]}x{predicted[1]} positions, and there "
                    f"are {places[0]}x{places[1]}: pad must be half of dilation * (kernel_size - 1), and dw_kernel_size odd; "
                    f"(kernel_size, stride, pad, dilation) is {sizes}"
                )
        return deform_sample(
            values, offset, mask, *sizes, self.offset_scale, bool(self.remove_center)
        )

    @property
    def taps(self) -> int:
        """Returns K, the number of taps."""
        return self.kernel_size**2 - self.remove_center

    def blended(self, output: Tensor, values: Tensor, features: Tensor) -> Tensor:
        """Mixes output and input; `features` predict each group's fractions."""
        if not self.center_feature_scale:
            return output
        weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
        share = F.linear(features, weight, bias).sigmoid()
        share = share.repeat_interleave(self.channels // self.group, dim=-1)
        return output * (1 - share) + values * share

    def __prepare_scriptable__(self) -> NoReturn:
        """Raises for `torch.jit.script`, which calls this first; torch's own error would complain about an annotation."""
        raise NotImplementedError(
            f"TorchScript cannot compile {type(self).__name__}: take torch.jit.trace or torch.export"
        )

    def extra_repr(self) -> str:
        parts = (f"{name}={getattr(self, name)}" for name in ("group", *_NAMES))
        return f"{self.channels}, {', '.join(parts)}"


def start_projection(projection: nn.Linear) -> None:
    """Initialises a projection: weight Xavier-uniform, bias zero."""
    nn.init.xavier_uniform_(projection.weight)
    if projection.bias is not None:
        nn.init.zeros_(projection.bias)


def start_at_zero(*predictions: nn.Linear) -> None:
    """Sets predictions to zero, which puts samples on the grid."""
    for prediction in predictions:
        nn.init.zeros_(prediction.weight)
        nn.init.zeros_(prediction.bias)


class _Permute(nn.Module):
    """Moves channels from first to last. It is a layer so that the layers around it keep their numbers in keys."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


_ACTIVATIONS = {"GELU": nn.GELU, "SiLU": nn.SiLU, "ReLU": nn.ReLU}


class DCNv3(Sampler):
    """Deformable convolution v3 (Wang et al., "InternImage", 2023), with InternImage's arguments, keys and initialisation.

    Each group of channels samples K positions around every pixel. A depthwise convolution predicts their offsets and weights;
    the weights of a group's samples add up to one.

    Args:
        channels: C, the width of input and output; `group` must divide it.
        kernel_size, stride, pad, dilation: of the sampling grid, in pixels. `pad` must be half of
            dilation · (kernel_size − 1), so that there is one prediction for each output position.
        dw_kernel_size: kernel size of the depthwise convolution; `kernel_size` if None.
        group: G, the number of groups.
        offset_scale: factor of grid and offsets.
        act_layer: "GELU", "SiLU" or "ReLU", and norm_layer: "LN" or "BN", after the depthwise convolution.
        center_feature_scale: mixes each group's output with its input.
        remove_center: leaves out the sample in the middle.

    Attributes:
        dw_conv: depthwise convolution, norm and activation.
        offset, mask: Linear C → G·K·2 and C → G·K, which start at zero.
        input_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: an argument is out of range or does not go with another.
    """

    def __init__(
        self,
        channels: int = 64,
        kernel_size: int = 3,
        dw_kernel_size: int | None = None,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        act_layer: str = "GELU",
        norm_layer: str = "LN",
        center_feature_scale: bool = False,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        self.set_up(
            channels=channels, kernel_size=kernel_size, stride=stride, pad=pad, dilation=dilation, group=group,
            dw_kernel_size=kernel_size if dw_kernel_size is None else dw_kernel_size, offset_scale=offset_scale,
            center_feature_scale=center_feature_scale, remove_center=remove_center,
        )  # fmt: skip
        for argument, value, known in (
            ("act_layer", act_layer, tuple(_ACTIVATIONS)),
            ("norm_layer", norm_layer, ("LN", "BN")),
        ):
            if value not in known:
                raise ArgumentError(f"DCNv3: {argument} must be one of {known}, got {value!r}")
        if norm_layer == "LN":
            norm = nn.Sequential(_Permute(), nn.LayerNorm(self.channels, eps=1e-6))
        else:
            norm = nn.Sequential(nn.BatchNorm2d(self.channels), _Permute())
        self.dw_conv = nn.Sequential(
            depthwise(self.channels, self.dw_kernel_size, self.stride),
            norm,
            _ACTIVATIONS[act_layer](),
        )
        self.offset = nn.Linear(self.channels, self.group * self.taps * 2)
        self.mask = nn.Linear(self.channels, self.group * self.taps)
        self.input_proj = nn.Linear(self.channels, self.channels)
        self.output_proj = nn.Linear(self.channels, self.channels)
        self.reset_parameters()
        self.make_center_scale()

    def reset_parameters(self) -> None:
        """Initialises predictions and projections again, like InternImage."""
        start_at_zero(self.offset, self.mask)
        start_projection(self.input_proj)
        start_projection(self.output_proj)

    def forward(self, input: Tensor) -> Tensor:
        """[N, H, W, C] → [N, H', W', C]. Raises ArgumentError if an argument does not fit."""
        self.check_input(input, 4, "batch, height, width")
        values = self.input_proj(input)
        features = self.dw_conv(input.permute(0, 3, 1, 2))
        offset = self.offset(features).unflatten(-1, (self.group, self.taps, 2))
        mask = self.mask(features).unflatten(-1, (self.group, self.taps)).softmax(-1)
        output = self.sample(values, offset, mask.to(offset.dtype))
        projected: Tensor = self.output_proj(self.blended(output, values, features))
        return projected


class DCNv4(Sampler):
    """Deformable convolution v4 (Xiong et al., "Efficient Deformable ConvNets", 2024), with the arguments, keys and
    initialisation of the package DCNv4.

    It differs from `DCNv3` in two ways: one projection predicts offsets and weights together, and the weights are used as
    predicted.

    Args:
        channels, kernel_size, stride, pad, dilation, group, offset_scale, remove_center: as for `DCNv3`.
        dw_kernel_size: kernel size of a depthwise convolution before the prediction; None leaves it out.
        center_feature_scale: mixes each group's output with its input.
        output_bias: whether `output_proj` has a bias.
        without_pointwise: leaves out `value_proj` and `output_proj`.
        others: `act_layer` and `norm_layer`, which are ignored, as in the package.

    Attributes:
        offset_mask: Linear C → G·K·3, rounded up to a multiple of 8: for each group the K offsets, then the K weights.
        offset_mask_dw: the depthwise convolution, if there is one.
        value_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: an argument is out of range or does not go with another.
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
        """Initialises prediction and projections again, like the package."""
        start_at_zero(self.offset_mask)
        if not self.without_pointwise:
            start_projection(self.value_proj)
            start_projection(self.output_proj)

    def forward(self, input: Tensor, shape: Sequence[int] | None = None) -> Tensor:
        """Samples an image, given with its pixels in one dimension.

        Args:
            input: [N, H · W, C].
            shape: (H, W); if None, the image is a square.

        Returns:
            [N, H' · W', C].

        Raises:
            dcnbuild.ArgumentError: an argument does not fit.
        """
        self.check_input(input, 3, "batch, height · width")
        height, width = (math.isqrt(input.shape[1]),) * 2 if shape is None else shape
        if height * width != input.shape[1]:
            raise ArgumentError(
                f"DCNv4: input has {input.shape[1]} pixels and shape is {shape}; expected (height, width) of {input.shape[1]}"
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
    """Splits DCNv4's prediction [N, H', W', ≥ 3·G·K] into offsets [N, H', W', G, K, 2] and mask [N, H', W', G, K], as views."""
    each = packed[..., : 3 * group * taps].unflatten(-1, (group, 3 * taps))
    return each[..., : 2 * taps].unflatten(-1, (taps, 2)), each[..., 2 * taps :]


def depthwise(channels: int, kernel_size: int | None, stride: int = 1) -> nn.Conv2d:
    assert kernel_size is not None
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(channels, channels, kernel_size, stride, padding, groups=channels)
