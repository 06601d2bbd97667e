"""What DCNv3's and DCNv4's sampling refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ops.sample_cases import (
    CASE,
    KERNELS,
    leaves_of,
)
from torch import Tensor

import dcnbuild


def refused() -> dict[str, tuple[dict[str, Any], str]]:
    input, offset, mask = (t.detach() for t in leaves_of())
    return {
        "no tensor": ({"input": [1.0]}, "input must be a tensor, got list"),
        "channels first": (
            {"input": torch.zeros(2, 12, 6, 5, dtype=torch.float64)},
            r"offset has 3 groups \(dimension 3\), which do not divide the 5 channels .*height, width, channels",
        ),
        "flat offsets": ({"offset": offset.flatten(3)}, r"offset has 4 dimensions .*, expected 6"),
        "dtypes": ({"offset": offset.float()}, "offset is torch.float32, expected torch.float64 for"),
        "two dtypes of positions": (
            {"input": input.half(), "offset": offset.float(), "mask": mask.half()},
            "mask is torch.float16, expected torch.float32, the dtype of offset",
        ),
        "output size": (
            {"padding": 0},
            r"offset has shape \(2, 6, 5, 3, 9, 2\), expected \(2, 4, 3, 3, 9, 2\)",
        ),
        "taps": ({"remove_center": True}, r"expected \(2, 6, 5, 3, 8, 2\)"),
        "mask": ({"mask": mask[..., :8]}, r"mask has shape \(2, 6, 5, 3, 8\), expected"),
        "a kernel without a centre": (
            {"kernel_size": (3, 2), "remove_center": True},
            r"remove_center needs a kernel with odd sides and more than one tap, got kernel_size=\(3, 2\)",
        ),
        "a kernel that is its centre": ({"kernel_size": 1, "remove_center": True}, "more than one tap"),
        "too large a kernel": ({"dilation": 9}, "the output would be -10x-11 pixels"),
        "a scale": ({"offset_scale": math.nan}, "offset_scale must be finite, got nan"),
        "a flag": ({"remove_center": 2}, "remove_center must be True or False, got 2"),
        "a stride": ({"stride": 0}, "stride must be at least 1, got 0"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(refused()))
def test_what_does_not_fit_is_named(name: str) -> None:
    input, offset, mask = (t.detach() for t in leaves_of())
    changed, message = refused()[name]
    given = {"input": input, "offset": offset, "mask": mask, "padding": 1, **changed}
    if isinstance(given["input"], Tensor) and given["input"].dim() == 5:
        given["input"] = given["input"].flatten(3)
    with pytest.raises(dcnbuild.ArgumentError, match=f"deform_sample: {message}|{message}"):
        dcnbuild.deform_sample(**given)


def test_the_raw_operator_guards_its_memory() -> None:
    input, offset, mask = (t.detach() for t in leaves_of())
    good = CASE.attributes
    for changed, message in (
        ({"offset": offset[:, :-1]}, "offset has size 5 in dimension 1, expected 6"),
        ({"mask": mask[..., :-1]}, "mask has size 8 in dimension 4, expected 9"),
        ({"a": good._replace(padding=(-1, 0))}, "padding is -1, expected 0"),
        ({"a": good._replace(dilation=(2**29, 1))}, "the kernel reaches over"),
        ({"a": good._replace(kernel_size=(2, 2), remove_center=True)}, "odd sides"),
        ({"offset": offset.float()}, "must have the dtype of value"),
        ({"input": input.flatten(3)}, "5, 6 and 5 dimensions, got 4"),
    ):
        given = {"input": input, "offset": offset, "mask": mask, "a": good, **changed}
        with pytest.raises(RuntimeError, match=message):
            KERNELS.deform_sample(given["input"], given["offset"], given["mask"], *given["a"])  # type: ignore[misc]
