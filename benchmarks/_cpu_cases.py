"""Holds the cases of benchmarks/cpu.py, the functions that it compares, and the clock."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import dcnbuild

Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A 3×3 deformable convolution with mask, padding 1, and random offsets of standard deviation 2 pixels."""

    name: str
    batch: int
    channels: int
    height: int
    width: int
    out_channels: int
    stride: int = 1
    offset_groups: int = 1
    dtype: torch.dtype = torch.float32
    channels_last: bool = False

    def but(self, **changes: Any) -> Case:
        return replace(self, **changes)

    @property
    def out_size(self) -> tuple[int, int]:
        return (self.height - 1) // self.stride + 1, (self.width - 1) // self.stride + 1

    @property
    def positions(self) -> int:
        return self.batch * self.out_size[0] * self.out_size[1]

    def __str__(self) -> str:
        text = f"{self.batch}×{self.channels}×{self.height}×{self.width}→{self.out_channels}"
        if self.stride > 1:
            text += f", stride {self.stride}"
        if self.offset_groups > 1:
            text += f", {self.offset_groups} offset groups"
        return text


CASES = {
    case.name: case
    for case in (
        Case("A", 1, 64, 64, 64, 64),
        Case("B", 2, 64, 128, 128, 64),
        Case("C", 1, 256, 64, 64, 256),
        Case("D", 1, 64, 180, 320, 64, offset_groups=8),
        Case("E", 4, 128, 100, 152, 128, stride=2),
        Case("F", 1, 16, 8, 8, 16),
        Case("G", 1, 512, 14, 14, 512),
    )
}


class Operands:
    """The tensors of a case, which all functions share."""

    def __init__(self, case: Case, device: str = "cpu") -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*sizes: int, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
            values = torch.randn(*sizes, generator=generator).to(device, case.dtype)
            return values.contiguous(memory_format=layout)

        self.case = case
        layout = torch.channels_last if case.channels_last else torch.contiguous_format
        taps = 9 * case.offset_groups
        self.input = normal(case.batch, case.channels, case.height, case.width, layout=layout)
        self.offset = 2 * normal(case.batch, 2 * taps, *case.out_size)
        self.mask = normal(case.batch, taps, *case.out_size).sigmoid()
        self.weight = normal(case.out_channels, case.channels, 3, 3) / (3 * case.channels**0.5)
        self.bias = normal(case.out_channels)
        self.upstream = normal(case.batch, case.out_channels, *case.out_size, layout=layout)
        self.convolved = [self.input, self.weight, self.bias]
        self.leaves = [*self.convolved, self.offset, self.mask]
        for leaf in self.leaves:
            leaf.requires_grad_()

    def double(self) -> Operands:
        """Returns the same values in float64."""
        wide = object.__new__(Operands)
        wide.case = self.case.but(dtype=torch.float64)
        for name in ("input", "weight", "bias", "offset", "mask"):
            setattr(wide, name, getattr(self, name).detach().double().requires_grad_())
        wide.upstream = self.upstream.double()
        wide.convolved = [wide.input, wide.weight, wide.bias]
        wide.leaves = [*wide.convolved, wide.offset, wide.mask]
        return wide


Function = Callable[[Operands], Tensor]


def ours(o: Operands) -> Tensor:
    return dcnbuild.deform_conv2d(o.input, o.offset, o.weight, o.bias, o.case.stride, 1, mask=o.mask)


def plain(o: Operands) -> Tensor:
    return functional.conv2d(o.input, o.weight, o.bias, o.case.stride, 1)


FUNCTIONS: dict[str, Function] = {"dcnbuild": ours, "conv2d": plain}

if importlib.util.find_spec("torchvision"):
    from torchvision.ops import deform_conv2d

    def theirs(o: Operands) -> Tensor:
        output: Tensor = deform_conv2d(o.input, o.offset, o.weight, o.bias, o.case.stride, 1, mask=o.mask)
        return output

    FUNCTIONS = {"dcnbuild": ours, "torchvision": theirs, "conv2d": plain}

if importlib.util.find_spec("mmcv") and importlib.util.find_spec("mmcv.ops"):
    from mmcv.ops import modulated_deform_conv2d

    def older(o: Operands) -> Tensor:
        output: Tensor = modulated_deform_conv2d(
            *(o.input, o.offset, o.mask, o.weight, o.bias, o.case.stride),
            *(1, 1, 1, o.case.offset_groups),
        )
        return output

    FUNCTIONS["mmcv"] = older


def forward(function: Function, operands: Operands) -> Work:
    def work() -> None:
        with torch.no_grad():
            function(operands)

    return work


def training_step(function: Function, operands: Operands) -> Work:
    """Returns forward and backward, with the gradients of all that the function was given."""
    leaves = operands.convolved if function is plain else operands.leaves
    return lambda: torch.autograd.grad(function(operands), leaves, operands.upstream)


PASSES = {"forward": forward, "forward+backward": training_step}


def best_times(
    works: Mapping[str, Work],
    seconds: float = 1.0,
    least: int = 3,
    clock: Callable[[], float] = time.perf_counter,
    pause: float = 0,
) -> dict[str, float]:
    """Returns milliseconds of the fastest call of each, called in turn so that a disturbance meets them all.

    Programs with threads of their own want a pause of so many seconds before a call: threads of the one before may
    still wait busily for more work.

    The fastest and not the mean, since what else the machine does can only add. Each gets `seconds`, and
    at least so many calls after a first that does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    while True:
        waiting = [
            name for name, spent in times.items() if len(spent) < least or sum(spent) + pause * len(spent) < seconds
        ]
        if not waiting:
            return {name: 1000 * min(spent) for name, spent in times.items()}
        for name in waiting:
            time.sleep(pause)
            start = clock()
            works[name]()
            times[name].append(clock() - start)


def measure(
    case: Case,
    which: str,
    names: list[str],
    threads: int,
    seconds: float = 1.0,
    least: int = 3,
) -> dict[str, float]:
    """Returns milliseconds of the named FUNCTIONS in one of PASSES, on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        operands = Operands(case)
        works = {name: PASSES[which](FUNCTIONS[name], operands) for name in names}
        return best_times(works, seconds, least)
    finally:
        torch.set_num_threads(before)
