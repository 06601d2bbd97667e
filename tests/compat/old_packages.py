"""Stand-ins for old packages: their classes' names, attributes and calls, computed by torchvision."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn


def _convolve(module: Any, x: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
    import torchvision

    result: Tensor = torchvision.ops.deform_conv2d(
        *(x, offset, module.weight, getattr(module, "bias", None)),
        *(module.stride, module.padding, module.dilation),
        mask=mask,
    )
    return result


def _split(predicted: Tensor) -> tuple[Tensor, Tensor]:
    one, two, mask = predicted.chunk(3, dim=1)
    return torch.cat((one, two), dim=1), mask.sigmoid()


class _Old(nn.Module):
    def _set_up(
        self,
        sizes: tuple[int, int, int],
        stride: int,
        padding: int,
        dilation: int,
        bias: bool,
    ) -> None:
        self.in_channels, self.out_channels, kernel = sizes
        self.kernel_size, self.stride = (kernel, kernel), (stride, stride)
        self.padding, self.dilation = (padding, padding), (dilation, dilation)
        self.weight = nn.Parameter(torch.randn(self.out_channels, self.in_channels, kernel, kernel))
        if bias:
            self.bias = nn.Parameter(torch.randn(self.out_channels))

    def _predictor(self, per_tap: int, groups: int, dilation: int) -> nn.Conv2d:
        return nn.Conv2d(
            *(self.in_channels, per_tap * groups * self.kernel_size[0] * self.kernel_size[1]),
            *(self.kernel_size, self.stride, self.padding, dilation),
        )


class DCNv2(_Old):
    def __init__(self, i: int, o: int, k: int, stride: int, padding: int, dilation: int = 1, groups: int = 1) -> None:
        super().__init__()
        self._set_up((i, o, k), stride, padding, dilation, True)
        self.deformable_groups = groups

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return _convolve(self, input, offset, mask)


class DCN(DCNv2):
    def __init__(self, *args: int) -> None:
        super().__init__(*args)
        self.conv_offset_mask = self._predictor(3, self.deformable_groups, 1)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        return _convolve(self, input, *_split(self.conv_offset_mask(input)))


class _OldMmcv(_Old):
    has_bias = True

    def __init__(self, i: int, o: int, k: int, padding: int = 0, deform_groups: int = 1) -> None:
        super().__init__()
        self._set_up((i, o, k), 1, padding, 1, self.has_bias)
        self.groups, self.deform_groups, self.transposed = 1, deform_groups, False


class ModulatedDeformConv2d(_OldMmcv):
    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return _convolve(self, x, offset, mask)


class ModulatedDeformConv2dPack(ModulatedDeformConv2d):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._predictor(3, self.deform_groups, self.dilation[0])

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return _convolve(self, x, *_split(self.conv_offset(x)))


class DeformConv2dPack(_OldMmcv):
    has_bias = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = self._predictor(2, self.deform_groups, self.dilation[0])

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(self, x, self.conv_offset(x), None)


class ModulatedDeformConv(_Old):
    def __init__(self, i: int, o: int, k: int, padding: int, norm: nn.Module) -> None:
        super().__init__()
        self._set_up((i, o, k), 1, padding, 1, True)
        self.groups, self.deformable_groups, self.with_bias = 1, 1, True
        self.norm, self.activation = norm, torch.relu

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = self.activation(self.norm(_convolve(self, x, offset, mask)))
        return result


def make_packages() -> types.SimpleNamespace:
    """Makes classes whose __module__ names the old packages."""

    def named(kind: type[nn.Module], module: str) -> Any:
        return type(kind.__name__, (kind,), {"__module__": module, "__qualname__": kind.__name__})

    # A subclass must be known as itself, and not as a subclass of the other known class.
    modulated = "mmcv.ops.modulated_deform_conv"
    return types.SimpleNamespace(
        dcn_v2=types.SimpleNamespace(DCN=named(DCN, "old.dcn_v2"), DCNv2=named(DCNv2, "old.dcn_v2")),
        mmcv_modulated=types.SimpleNamespace(
            ModulatedDeformConv2d=named(ModulatedDeformConv2d, modulated),
            ModulatedDeformConv2dPack=named(ModulatedDeformConv2dPack, modulated),
        ),
        mmcv=types.SimpleNamespace(DeformConv2dPack=named(DeformConv2dPack, "mmcv.ops.deform_conv")),
        detectron2=types.SimpleNamespace(
            ModulatedDeformConv=named(ModulatedDeformConv, "detectron2.layers.deform_conv")
        ),
    )
