"""What deform_conv2d computes at a level that multiplies half types, against the reference in float64."""

from __future__ import annotations

from typing import Any

import torch
from ops.cases import Case, assert_close, random_case, run

import dcnbuild

#: The half types that a level multiplies.
DTYPES = {
    "avx512bf16": (torch.bfloat16,),
    "amx": (torch.bfloat16,),
    "amx_fp16": (torch.bfloat16, torch.float16),
    "neon_bf16": (torch.bfloat16,),
}
TOLERANCES = {torch.float16: 2e-3, torch.bfloat16: 0.016}


def case_of(channels: int, outs: int, groups: int = 1, offset_groups: int = 1, **more: Any) -> Case:
    return Case(channels=channels, out_channels=outs, groups=groups, offset_groups=offset_groups, **more)


#: Channels that are odd, that fill a tile's depth and that do not; both kinds of groups, which end at different
#: channels; images of less than 16 positions and of several tiles; taps that are gathered in parts (260 channels).
CASES = [random_case(seed) for seed in range(6)] + [
    case_of(35, 21, offset_groups=5),
    case_of(48, 21, 3, 2, size=(9, 23)),
    case_of(64, 64, 1, 8, size=(12, 17), batch=1),
    case_of(96, 34, 2, 3),
    case_of(260, 20, size=(10, 14), batch=1, mask=False, bias=False),
    case_of(9, 3, size=(3, 3), padding=(0, 0)),
]


def check(level: str) -> None:
    """Raises AssertionError; the library runs this level."""
    for dtype in DTYPES[level]:
        for seed, case in enumerate(CASES):
            check_case(seed, case, dtype)
        check_error(dtype)
        check_not_finite(dtype)


def exactly(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: None if t is None else t.double() for name, t in tensors.items()}


def check_case(seed: int, case: Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(seed, dtype)
    if seed % 2:
        tensors["input"] = tensors["input"].contiguous(memory_format=torch.channels_last)
    actual = run(dcnbuild.deform_conv2d, case, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, case, exactly(tensors), dtype)
    actual = {name: t.to(expected[name]) for name, t in actual.items()}
    assert_close(actual, expected, TOLERANCES[dtype], (seed, case, dtype))


def check_error(dtype: torch.dtype) -> None:
    """It is not above that of torch's own product of the same columns, rounded to the dtype."""
    case = case_of(64, 48, size=(11, 13))
    taps = 9 * case.channels
    tensors = case.tensors(0, dtype)
    exact = exactly(tensors)
    one_hot = {**exact, "weight": torch.eye(taps, dtype=torch.float64).view(taps, case.channels, 3, 3), "bias": None}
    columns = dcnbuild.reference.deform_conv2d(**one_hot, **case.attributes()).to(dtype)
    weight = tensors["weight"].view(case.out_channels, taps, 1, 1)
    theirs = torch.nn.functional.conv2d(columns, weight, tensors["bias"]).double()
    ours = dcnbuild.deform_conv2d(**tensors, **case.attributes()).double()
    expected = dcnbuild.reference.deform_conv2d(**exact, **case.attributes())
    errors = [float((t - expected).square().mean().sqrt()) for t in (ours, theirs)]
    assert errors[0] <= 1.02 * errors[1], (dtype, errors)


def check_not_finite(dtype: torch.dtype) -> None:
    """What is not finite stays where it is: not in another group, and not through a tile's padding."""
    case = case_of(48, 32, 2, 3, size=(5, 7))
    tensors = case.tensors(1, dtype)
    plain = dcnbuild.deform_conv2d(**tensors, **case.attributes())
    tensors["input"][0, 3] = float("nan")
    tensors["input"][1, 30] = float("inf")
    spoiled = dcnbuild.deform_conv2d(**tensors, **case.attributes())
    assert spoiled[0, :16].isnan().any() and not spoiled[1, 16:].isfinite().all()
    assert torch.equal(spoiled[0, 16:], plain[0, 16:]) and torch.equal(spoiled[1, :16], plain[1, :16])
