"""Random calls of deform_conv2d, and how results are compared."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """The shape of one call; pairs are (y, x)."""

    batch: int = 2
    channels: int = 4
    out_channels: int = 6
    size: tuple[int, int] = (7, 6)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    offset_groups: int = 1
    mask: bool = True
    bias: bool = True

    @property
    def output_size(self) -> tuple[int, int]:
        height, width = (
            (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for size, padding, dilation, kernel, stride in zip(
                self.size, self.padding, self.dilation, self.kernel, self.stride
            )
        )
        return height, width

    def tensors(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        spread: float = 2.0,
    ) -> dict[str, Tensor | None]:
        """Input, offset (of standard deviation `spread`), weight, bias and mask, from one generator."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        taps = self.kernel[0] * self.kernel[1] * self.offset_groups
        tensors = {
            "input": normal(self.batch, self.channels, *self.size),
            "offset": normal(self.batch, 2 * taps, *self.output_size) * spread,
            "weight": normal(self.out_channels, self.channels // self.groups, *self.kernel),
            "bias": normal(self.out_channels) if self.bias else None,
            "mask": normal(self.batch, taps, *self.output_size).sigmoid() if self.mask else None,
        }
        return {name: t if t is None else t.to(device, dtype) for name, t in tensors.items()}

    def attributes(self) -> dict[str, tuple[int, int]]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}


def random_case(seed: int) -> Case:
    """A small call with everything varied, different on each axis."""
    rng = random.Random(seed)
    groups, offset_groups = rng.choice([1, 1, 2, 3]), rng.choice([1, 1, 2, 3])
    unit = groups * offset_groups
    while True:
        case = Case(
            batch=rng.randint(1, 3),
            channels=unit * rng.randint(1, max(1, 12 // unit)),
            out_channels=groups * rng.randint(1, 6),
            size=(rng.randint(1, 12), rng.randint(1, 12)),
            kernel=(rng.randint(1, 4), rng.randint(1, 4)),
            stride=(rng.randint(1, 3), rng.randint(1, 3)),
            padding=(rng.randint(0, 3), rng.randint(0, 3)),
            dilation=(rng.randint(1, 2), rng.randint(1, 2)),
            groups=groups,
            offset_groups=offset_groups,
            mask=rng.random() < 0.7,
            bias=rng.random() < 0.7,
        )
        if min(case.output_size) > 0:
            return case


Call = Callable[..., Tensor]


def run(
    function: Call,
    case: Case,
    tensors: dict[str, Tensor | None],
    upstream_dtype: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """The output of a call and the gradients of everything it was given, for a fixed random upstream gradient.

    The upstream gradient is rounded to `upstream_dtype` (the output's if None), so that calls of two dtypes compare.
    """
    leaves = {name: None if t is None else t.detach().requires_grad_() for name, t in tensors.items()}
    output = function(**leaves, **case.attributes())
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    upstream = upstream.to(upstream_dtype or output.dtype).to(output)
    present = {name: t for name, t in leaves.items() if t is not None}
    gradients = torch.autograd.grad(output, list(present.values()), upstream)
    return {
        "output": output.detach(),
        **{f"grad_{name}": grad for name, grad in zip(present, gradients)},
    }


def worst(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """The largest difference of each tensor relative to the largest magnitude expected there; NaN anywhere is
    infinite.
    """
    errors: dict[str, float] = {}
    assert actual.keys() == expected.keys()
    for name, reference in expected.items():
        assert actual[name].shape == reference.shape, name
        if reference.numel() == 0:
            continue
        scale = reference.double().abs().max().clamp_min(torch.finfo(reference.dtype).tiny)
        error = ((actual[name].to(reference) - reference).abs().max() / scale).item()
        errors[name] = error if error == error else float("inf")
    return errors


def assert_close(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, context: Any = "") -> None:
    errors = worst(actual, expected)
    assert all(error <= tolerance for error in errors.values()), (errors, context)
