"""One call of each operator, forward and backward, by its schema's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from emulator.attention import small_case
from ops.cases import Case, random_case
from ops.pooling_cases import PSROI, ROI, PoolCase
from torch import Tensor

F64, F32, F16, BF16 = torch.float64, torch.float32, torch.float16, torch.bfloat16
#: The dtypes of the input and of what says where it is sampled, and how far a result may be from float64's.
PAIRS = {
    (F64, F64): 1e-11,
    (F32, F32): 2e-5,
    (F16, F32): 16 * torch.finfo(F16).eps,
    (BF16, BF16): 16 * torch.finfo(BF16).eps,
}
Call = tuple[str, tuple[Any, ...], int]


def convolution(seed: int, dtypes: tuple[torch.dtype, torch.dtype]) -> Call:
    """Every third case has channels for 16-byte vectors."""
    many = Case(batch=2, channels=16, out_channels=8, groups=2, offset_groups=2)
    case = many if seed % 3 == 0 else random_case(seed)
    t = case.tensors(seed)
    image, points = dtypes
    tensors = [
        None if t[name] is None else t[name].to(dtype)  # type: ignore[union-attr]
        for name, dtype in (("input", image), ("offset", points), ("mask", points))
    ]
    tensors += [t[name] if t[name] is None else t[name].to(image) for name in ("weight", "bias")]  # type: ignore[union-attr]
    attributes = (case.stride, case.padding, case.dilation, case.groups, case.offset_groups)
    return "deform_conv2d", (*tensors, *attributes), 5


def attention(seed: int, dtypes: tuple[torch.dtype, torch.dtype]) -> Call:
    case = small_case(seed)
    t = case.tensors(seed, dtypes[0], points_dtype=dtypes[1])
    return "deform_attn", (t["value"], case.flat, t["sampling_locations"], t["attention_weights"]), 3


def pooling(case: PoolCase) -> Callable[[int, tuple[torch.dtype, torch.dtype]], Call]:
    def call(seed: int, dtypes: tuple[torch.dtype, torch.dtype]) -> Call:
        image, *places = case.tensors(seed, torch.float64).values()
        moved = [None if place is None else place.to(dtypes[1]) for place in places]
        return case.operator, (image.to(dtypes[0]), *moved, *case.attributes), 2

    return call


CALLS = {
    "deform_conv2d": convolution,
    "deform_attn": attention,
    "deform_psroi_pool": pooling(PSROI),
    "deform_roi_pool": pooling(ROI),
}


def results(namespace: Any, call: Call, deterministic: bool = False) -> list[Tensor]:
    """The output, and all gradients for a fixed upstream gradient."""
    name, arguments, gradients = call
    output = getattr(namespace, name)(*arguments)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
    if name == "deform_conv2d":
        mask = [True, True, arguments[2] is not None, True, arguments[4] is not None]
        arguments = (*arguments[:4], *arguments[5:])
    else:
        mask = [True] * gradients
    backward = getattr(namespace, f"{name}_backward")
    return [output, *backward(upstream, *arguments, mask, deterministic)]


def widened(call: Call) -> Call:
    """Returns the call with its tensors in float64."""
    name, arguments, gradients = call
    wide = tuple(value.double() if isinstance(value, Tensor) else value for value in arguments)
    return name, wide, gradients


def assert_results(actual: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    for got, wanted in zip(actual, expected, strict=True):
        scale = wanted.abs().max().item() if wanted.numel() else 1.0
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=tolerance * max(scale, 1e-3), equal_nan=True)
