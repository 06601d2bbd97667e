"""Wrong calls of the poolings: a clear exception before any memory is touched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ops.pooling_cases import (
    KINDS,
    ROI,
    PoolCase,
)
from ops.spoiling import Spoil, Wrong, change, put
from torch import Tensor

import dcnbuild


def _image(number: float) -> Spoil:
    def spoil(call: dict[str, Any]) -> None:
        call["rois"][3, 0] = number

    return spoil


#: what is wrong: (how to spoil the good call, exception, words its message must hold); for both poolings
WRONG: Wrong = {
    "input of 3 dimensions": (change("input", lambda t: t[0]), ValueError, ("input", "3 dimensions", "expected 4")),
    "rois of 1 dimension": (change("rois", lambda t: t[0]), ValueError, ("rois", "1 dimensions", "expected 2")),
    "offset of 3 dimensions": (change("offset", lambda t: t[0]), ValueError, ("3 dimensions", "expected 4")),
    "rois without images": (change("rois", lambda t: t[:, 1:]), ValueError, ("rois", "(5, 4)", "(RoIs, 5)")),
    "input is a list": (put(input=[1.0]), TypeError, ("input", "list", "tensor")),
    "rois is None": (put(rois=None), TypeError, ("rois", "NoneType", "tensor")),
    "offset is a number": (put(offset=1.0), TypeError, ("float", "tensor")),
    "integer input": (change("input", lambda t: t.long()), TypeError, ("input", "torch.int64", "float32")),
    "integer rois": (change("rois", lambda t: t.long()), TypeError, ("rois", "torch.int64", "float32")),
    "rois of another dtype": (change("rois", lambda t: t.double()), TypeError, ("rois", "float64", "float32")),
    "half rois, float input": (change("rois", lambda t: t.half()), TypeError, ("rois", "float16", "float32")),
    "offset differs from rois": (change("offset", lambda t: t.half()), TypeError, ("float16", "float32", "rois")),
    "rois on another device": (change("rois", lambda t: t.to("meta")), ValueError, ("rois", "meta", "where input is")),
    "offset on another device": (change("offset", lambda t: t.to("meta")), ValueError, ("meta", "where input is")),
    "no channels": (change("input", lambda t: t[:, :0]), ValueError, ("input", "0 channels", "multiple")),
    "offset for fewer RoIs": (change("offset", lambda t: t[:4]), ValueError, ("(4, 2, 3, ", "(5, 2, 3, ")),
    "offset of too many cells": (change("offset", lambda t: torch.cat([t, t], 2)), ValueError, ("(5, 2, 6, ", "(5, 2, 3, ")),
    "offset of one channel": (change("offset", lambda t: t[:, :1]), ValueError, ("1 channels", "expected 2")),
    "offset without channels": (change("offset", lambda t: t[:, :0]), ValueError, ("0 channels", "expected 2")),
    "an image that is not there": (_image(2), ValueError, ("RoI 3", "image 2", "0 to 1")),
    "no image at all": (change("input", lambda t: t[:0]), ValueError, ("RoI 0", "image 0", "input has none")),
    "a negative image": (_image(-1), ValueError, ("RoI 3", "image -1", "0 to 1")),
    "an image that is not a number": (_image(math.nan), ValueError, ("RoI 3", "image nan", "0 to 1")),
    "scale zero": (put(spatial_scale=0.0), ValueError, ("spatial_scale", "positive", "0.0")),
    "scale infinite": (put(spatial_scale=math.inf), ValueError, ("spatial_scale", "finite", "inf")),
    "scale a string": (put(spatial_scale="1"), TypeError, ("spatial_scale", "float", "'1'")),
}  # fmt: skip


WRONG_PSROI: Wrong = {
    "channels of no group": (put(group_size=3), ValueError, ("16 channels", "multiple of 9", "group_size=3")),
    "classes not dividing": (change("offset", lambda t: t.repeat(1, 3, 1, 1)), ValueError, ("trans has 6 channels", "4 output")),
    "pooled size zero": (put(pooled_size=0), ValueError, ("pooled_size", "from 1", "got 0")),
    "part size huge": (put(part_size=10**6), ValueError, ("part_size", "32768", "1000000")),
    "no samples": (put(sample_per_part=0), ValueError, ("sample_per_part", "from 1", "got 0")),
    "pooled size a float": (put(pooled_size=3.0), TypeError, ("pooled_size", "int", "3.0")),
    "trans_std not a number": (put(trans_std=math.nan), ValueError, ("trans_std", "finite", "nan")),
}  # fmt: skip


WRONG_ROI: Wrong = {
    "offset of four channels": (change("offset", lambda t: t.repeat(1, 2, 1, 1)), ValueError, ("offset has 4 channels", "expected 2")),
    "three sizes": (put(output_size=(1, 2, 3)), TypeError, ("output_size", "(1, 2, 3)", "two ints")),
    "size zero": (put(output_size=(0, 2)), ValueError, ("output_size", "from 1", "got 0")),
    "sampling ratio a float": (put(sampling_ratio=1.5), TypeError, ("sampling_ratio", "int", "1.5")),
    "gamma None": (put(gamma=None), TypeError, ("gamma", "float", "None")),
}  # fmt: skip


def _good_call(kind: str, device: str) -> tuple[Any, dict[str, Any]]:
    if kind == "psroi":
        case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
        keywords: dict[str, Any] = {
            "spatial_scale": 0.5, "group_size": 2, "pooled_size": 3, "part_size": 3,
            "sample_per_part": 2, "trans_std": 0.2,
        }  # fmt: skip
    else:
        case = ROI
        keywords = {"output_size": (3, 2), "spatial_scale": 0.5, "sampling_ratio": 2, "gamma": 0.3}
    function = getattr(dcnbuild, case.operator)

    def call(*, offset: Any, **rest: Any) -> Tensor:
        result: Tensor = function(**rest, **{"trans" if kind == "psroi" else "offset": offset})
        return result

    return call, {**case.tensors(0, torch.float32, device), **keywords}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("psroi", name) for name in [*WRONG, *WRONG_PSROI]] + [("roi", name) for name in [*WRONG, *WRONG_ROI]],
)
def test_wrong_calls_are_explained(kind: str, wrong: str, device: str) -> None:
    if device != "cpu" and "image" in wrong:
        pytest.skip("looked at on the CPU only")
    function, call = _good_call(kind, device)
    function(**call)
    spoil, exception, words = {**WRONG, **WRONG_PSROI, **WRONG_ROI}[wrong]
    spoil(call)
    with pytest.raises(exception) as caught:
        function(**call)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input", torch.zeros(2, 15, 9, 7)),
        ("input", torch.zeros(2, 16, 9)),
        ("input", torch.zeros(2, 16, 9, 7, dtype=torch.float64)),
        ("rois", torch.zeros(5, 4)),
        ("rois", torch.zeros(5, 5, dtype=torch.float16)),
        ("offset", torch.zeros(4, 2, 3, 3)),
        ("offset", torch.zeros(5, 2, 3, 2)),
        ("offset", torch.zeros(5, 6, 3, 3)),
        ("offset", torch.zeros(5, 2, 3, 3, dtype=torch.float64)),
    ],
)
def test_the_raw_operators_guard_their_memory(name: str, value: Tensor) -> None:
    case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
    tensors = {**case.tensors(0, torch.float32), name: value}
    with pytest.raises(RuntimeError, match="deform_psroi_pool"):
        torch.ops.dcnbuild.deform_psroi_pool(*tensors.values(), *case.attributes)


@pytest.mark.parametrize("attributes", [
    (0.0, 2, 3, 3, 2, 0.2), (0.5, 0, 3, 3, 2, 0.2), (0.5, 2, 0, 3, 2, 0.2), (0.5, 2, 3, -1, 2, 0.2), (0.5, 2, 3, 3, 0, 0.2),
    (0.5, 2, 3, 3, 2, math.nan), (0.5, 2, 3, 3, 10**9, 0.2), (0.5, 10**9, 3, 3, 2, 0.2),
])  # fmt: skip
def test_the_raw_operators_guard_their_attributes(attributes: tuple[Any, ...]) -> None:
    case = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2))
    with pytest.raises(RuntimeError, match="deform_psroi_pool"):
        torch.ops.dcnbuild.deform_psroi_pool(*case.tensors(0, torch.float32).values(), *attributes)


@pytest.mark.parametrize("number", [2.0, -1.0, math.nan, 1e30])
@pytest.mark.parametrize("case", KINDS.values(), ids=KINDS)
def test_the_raw_operators_read_no_image_that_is_not_there(case: PoolCase, number: float, device: str) -> None:
    """On a GPU no check reads the image numbers before the kernel runs."""
    t = case.tensors(0, torch.float32, device)
    assert t["rois"] is not None
    t["rois"][3, 0] = number
    operator = getattr(torch.ops.dcnbuild, case.operator)
    output = operator(*t.values(), *case.attributes)
    assert output[3].isnan().all() and output[:3].isfinite().all()
    backward = getattr(torch.ops.dcnbuild, f"{case.operator}_backward")
    for deterministic in (False, True):
        grads = backward(torch.ones_like(output), *t.values(), *case.attributes, [True, True], deterministic)
        assert grads[0].isfinite().all() and grads[1][3].isnan().all()


@pytest.mark.parametrize("kind", ["psroi", "roi"])
def test_whole_numbers_of_every_kind(kind: str) -> None:
    call, good = _good_call(kind, "cpu")
    expected = call(**good)
    for make in (np.int64, np.int32, torch.tensor):
        wrapped = {n: make(v) if type(v) is int else v for n, v in good.items()}
        wrapped["spatial_scale"] = np.float32(good["spatial_scale"])
        assert torch.equal(call(**wrapped), expected)
