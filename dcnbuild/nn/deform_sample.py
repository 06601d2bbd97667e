"""What `DCNv3` and `DCNv4` share."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import integer
from dcnbuild.ops.autocast import check_dtype
from dcnbuild.ops.deform_sample import deform_sample
from dcnbuild.ops.deform_sample_arguments import attributes
from dcnbuild.ops.torch_versions import has_torch_function_unary

#: What errors call the kernel's size and the rest, as these modules do.
_NAMES = ("kernel_size", "stride", "pad", "dilation", "offset_scale", "remove_center")


class Sampler(nn.Module):
    """What DCNv3 and DCNv4 share: their arguments, the projections around the sampling, and the blend with the
    input.
    """

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
        """Checks the constructor's arguments and keeps them under their names; `group_channels` beside them."""
        name = type(self).__name__
        for key in ("channels", "group", "kernel_size", "stride", "pad", "dilation", "dw_kernel_size"):  # fmt: skip
            if given[key] is None and key == "dw_kernel_size":
                continue
            given[key] = integer(name, key, given[key])
            least = 0 if key == "pad" else 1
            if given[key] < least:
                raise ArgumentError(f"{name}: {key} must be at least {least}, got {given[key]}")
        if given["channels"] % given["group"]:
            raise ArgumentError(f"{name}: group={given['group']} must divide channels={given['channels']}")
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
        """Parameters of the blend, which start at zero: half input, half output."""
        if self.center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(self.group, self.channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(self.group))

    def check_input(self, input: Tensor, rank: int, meaning: str, predictor: nn.Module) -> None:
        """Raises ArgumentError for what a projection, such as `predictor`, would refuse in its own name."""
        name = type(self).__name__
        if not isinstance(input, Tensor):
            raise ArgumentTypeError(f"{name}: input must be a tensor, got {type(input).__name__}")
        if has_torch_function_unary(input):
            return  # torch.fx traces
        if input.dim() != rank or input.shape[-1] != self.channels:
            raise ArgumentError(f"{name}: input has shape {tuple(input.shape)}, expected ({meaning}, {self.channels})")
        check_dtype(name, "input", input, getattr(predictor, "weight", None))

    def sample(self, values: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """[N, H, W, C] sampled by offset [N, H', W', G, K, 2] and mask [N, H', W', G, K].

        Raises ArgumentError if there is not one prediction for each position.
        """
        sizes = (self.kernel_size, self.stride, self.pad, self.dilation)
        if not has_torch_function_unary(values):
            places, predicted = [
                (size + 2 * self.pad - self.dilation * (self.kernel_size - 1) - 1) // self.stride + 1
                for size in values.shape[1:3]
            ], list(offset.shape[1:3])  # fmt: skip
            if places != predicted:
                raise ArgumentError(
                    f"{type(self).__name__}: offsets are predicted for {predicted[0]}x{predicted[1]} positions, and "
                    f"there "
                    f"are {places[0]}x{places[1]}: pad must be half of dilation * (kernel_size - 1), and "
                    f"dw_kernel_size odd; "
                    f"(kernel_size, stride, pad, dilation) is {sizes}"
                )
        return deform_sample(values, offset, mask, *sizes, self.offset_scale, bool(self.remove_center))

    @property
    def taps(self) -> int:
        """K."""
        return self.kernel_size**2 - self.remove_center

    def blended(self, output: Tensor, values: Tensor, features: Tensor) -> Tensor:
        """Output and input, mixed in shares that are predicted from `features` for each group."""
        if not self.center_feature_scale:
            return output
        weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
        share = F.linear(features, weight, bias).sigmoid()
        share = share.repeat_interleave(self.channels // self.group, dim=-1)
        return output * (1 - share) + values * share

    def __prepare_scriptable__(self) -> NoReturn:
        """What `torch.jit.script` calls first; it would name an annotation."""
        raise NotImplementedError(
            f"TorchScript cannot compile {type(self).__name__}: take torch.jit.trace or torch.export"
        )

    def extra_repr(self) -> str:
        parts = (f"{name}={getattr(self, name)}" for name in ("group", *_NAMES))
        return f"{self.channels}, {', '.join(parts)}"


def start_projection(projection: nn.Linear) -> None:
    """Xavier-uniform, with a bias of zero."""
    nn.init.xavier_uniform_(projection.weight)
    if projection.bias is not None:
        nn.init.zeros_(projection.bias)


def start_at_zero(*predictions: nn.Linear) -> None:
    """Predicts zeros at first: samples on the grid."""
    for prediction in predictions:
        nn.init.zeros_(prediction.weight)
        nn.init.zeros_(prediction.bias)


def depthwise(channels: int, kernel_size: int | None, stride: int = 1) -> nn.Conv2d:
    assert kernel_size is not None
    padding = (kernel_size - 1) // 2
    return nn.Conv2d(channels, channels, kernel_size, stride, padding, groups=channels)
