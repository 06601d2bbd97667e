"""Wrong calls: each raises before memory is touched, and names the argument, what was given and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ops.cases import Case

import dcnbuild

#: A good call to spoil: input [2, 4, 7, 6], 3x3 kernel with padding 1, 2 offset groups, 2 groups.
GOOD = Case(groups=2, offset_groups=2)


def _set(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda call: call.update(changes)


def _to(name: str, function: Callable[[torch.Tensor], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda call: call.update({name: function(call[name])})


#: what is wrong: (how to spoil the good call, exception, words its message must hold)
WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], type[Exception], tuple[str, ...]]] = {
    "input of 3 dimensions": (_to("input", lambda t: t[0]), ValueError, ("input", "3 dimensions", "expected 4")),
    "input of 5 dimensions": (_to("input", lambda t: t[None]), ValueError, ("input", "5 dimensions", "expected 4")),
    "offset of 3 dimensions": (_to("offset", lambda t: t[0]), ValueError, ("offset", "3 dimensions", "expected 4")),
    "weight of 2 dimensions": (_to("weight", lambda t: t[0, 0]), ValueError, ("weight", "2 dimensions", "expected 4")),
    "mask of 2 dimensions": (_to("mask", lambda t: t[0, 0]), ValueError, ("mask", "2 dimensions", "expected 4")),
    "bias of 2 dimensions": (_to("bias", lambda t: t[None]), ValueError, ("bias", "2 dimensions", "expected 1")),
    "input is a list": (_to("input", lambda t: t.tolist()), TypeError, ("input", "list", "tensor")),
    "weight is None": (_set(weight=None), TypeError, ("weight", "NoneType", "tensor")),
    "offset is None": (_set(offset=None), TypeError, ("offset", "NoneType", "tensor")),
    "mask is a number": (_set(mask=1.0), TypeError, ("mask", "float", "tensor")),
    "weight for more channels": (
        _to("weight", lambda t: t.repeat(1, 3, 1, 1)), ValueError, ("weight", "6 channels", "4 channels of input")),
    "channels not divided": (
        _to("weight", lambda t: torch.cat([t, t[:, :1]], 1)), ValueError, ("weight", "3 channels", "4 channels of input")),
    "output channels not divided": (_to("weight", lambda t: t[:5]), ValueError, ("5 output channels", "2 groups")),
    "no output channels": (_to("weight", lambda t: t[:0]), ValueError, ("weight", "(0, 2, 3, 3)", "at least one")),
    "no taps": (_to("weight", lambda t: t[..., :0]), ValueError, ("weight", "(6, 2, 3, 0)", "at least one")),
    "no channels": (_to("input", lambda t: t[:, :0]), ValueError, ("input", "(2, 0, 7, 6)", "at least one")),
    "offset channels odd": (_to("offset", lambda t: t[:, :-1]), ValueError, ("offset", "35 channels", "multiple of 18")),
    "offset without channels": (_to("offset", lambda t: t[:, :0]), ValueError, ("offset", "0 channels", "multiple of 18")),
    "offset groups not dividing": (
        _to("offset", lambda t: torch.cat([t, t[:, :18]], 1)), ValueError, ("offset", "3 offset groups", "4 channels")),
    "offset too small": (_to("offset", lambda t: t[..., :-1]), ValueError, ("offset", "(2, 36, 7, 5)", "(2, 36, 7, 6)")),
    "offset too tall": (
        _to("offset", lambda t: torch.cat([t, t], 2)), ValueError, ("offset", "(2, 36, 14, 6)", "(2, 36, 7, 6)")),
    "offset of another batch": (_to("offset", lambda t: t[:1]), ValueError, ("offset", "(1, 36, 7, 6)", "(2, 36, 7, 6)")),
    "mask too small": (_to("mask", lambda t: t[:, :, 1:]), ValueError, ("mask", "(2, 18, 6, 6)", "(2, 18, 7, 6)")),
    "mask channels": (_to("mask", lambda t: t[:, :9]), ValueError, ("mask", "(2, 9, 7, 6)", "(2, 18, 7, 6)")),
    "mask of another batch": (_to("mask", lambda t: t[:1]), ValueError, ("mask", "(1, 18, 7, 6)", "(2, 18, 7, 6)")),
    "bias too short": (_to("bias", lambda t: t[:-1]), ValueError, ("bias", "(5,)", "(6,)")),
    "integer input": (_to("input", lambda t: t.long()), TypeError, ("input", "torch.int64", "float32")),
    "complex weight": (_to("weight", lambda t: t.cfloat()), TypeError, ("weight", "torch.complex64", "float32")),
    "boolean mask": (_to("mask", lambda t: t > 0), TypeError, ("mask", "torch.bool", "float32")),
    "weight of another dtype": (_to("weight", lambda t: t.double()), TypeError, ("weight", "float64", "float32")),
    "offset of another dtype": (_to("offset", lambda t: t.double()), TypeError, ("offset", "float64", "float32")),
    "half offset, float input": (_to("offset", lambda t: t.half()), TypeError, ("offset", "float16", "float32")),
    "mask differs from offset": (
        lambda call: call.update({n: call[n].half() for n in ("input", "weight", "bias", "mask")}),
        TypeError, ("mask", "float16", "float32", "offset")),
    "bias of another dtype": (_to("bias", lambda t: t.half()), TypeError, ("bias", "float16", "float32")),
    "bfloat16 mixed with float16": (
        lambda call: call.update({n: call[n].half() for n in ("input", "weight", "bias")}, offset=call["offset"].bfloat16()),
        TypeError, ("offset", "bfloat16", "float16")),
    "offset on another device": (_to("offset", lambda t: t.to("meta")), ValueError, ("offset", "meta", "where input is")),
    "weight on another device": (_to("weight", lambda t: t.to("meta")), ValueError, ("weight", "meta", "where input is")),
    "stride zero": (_set(stride=0), ValueError, ("stride", "at least 1", "0")),
    "stride negative on one axis": (_set(stride=(1, -1)), ValueError, ("stride", "at least 1", "(1, -1)")),
    "padding negative": (_set(padding=-1), ValueError, ("padding", "at least 0", "-1")),
    "dilation zero": (_set(dilation=0), ValueError, ("dilation", "at least 1", "0")),
    "three strides": (_set(stride=(1, 1, 1)), TypeError, ("stride", "(1, 1, 1)", "two ints")),
    "fractional padding": (_set(padding=0.5), TypeError, ("padding", "0.5", "two ints")),
    "string padding": (_set(padding="same"), TypeError, ("padding", "same", "two ints")),
    "boolean stride": (_set(stride=True), TypeError, ("stride", "True", "two ints")),
    "output of size zero": (_set(padding=0, dilation=4), ValueError, ("output would be -1x-2", "7x6", "3x3")),
}  # fmt: skip


def _good_call(device: str) -> dict[str, Any]:
    return {**GOOD.tensors(0, torch.float32, device), "padding": 1}


def test_the_unspoilt_call_works(device: str) -> None:
    assert dcnbuild.deform_conv2d(**_good_call(device)).shape == (2, 6, 7, 6)
    assert len(WRONG) >= 30


@pytest.mark.parametrize("function", ["operator", "reference"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_calls_are_explained(wrong: str, function: str, device: str) -> None:
    spoil, exception, words = WRONG[wrong]
    call = _good_call(device)
    spoil(call)
    target = dcnbuild.deform_conv2d if function == "operator" else dcnbuild.reference.deform_conv2d
    with pytest.raises(exception) as caught:
        target(**call)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offset", torch.zeros(2, 36, 6, 6)),
        ("mask", torch.zeros(2, 17, 7, 6)),
        ("weight", torch.zeros(6, 3, 3, 3)),
        ("bias", torch.zeros(5)),
        ("input", torch.zeros(2, 4, 7)),
        ("input", torch.zeros(2, 4, 7, 6, dtype=torch.float64)),
        ("offset", torch.zeros(2, 36, 7, 6, dtype=torch.float16)),
        ("mask", torch.zeros(2, 18, 7, 6, dtype=torch.float64)),
    ],
)
def test_the_raw_operator_guards_its_memory(name: str, value: torch.Tensor) -> None:
    call = _good_call("cpu")
    call[name] = value
    tensors = [call[n] for n in ("input", "offset", "mask", "weight", "bias")]
    with pytest.raises(RuntimeError, match="deform_conv2d"):
        torch.ops.dcnbuild.deform_conv2d(*tensors, [1, 1], [1, 1], [1, 1], 2, 2)


@pytest.mark.parametrize(
    "attributes",
    [
        ([0, 1], [1, 1], [1, 1], 2, 2),
        ([1, 1], [-1, 1], [1, 1], 2, 2),
        ([1, 1], [1, 1], [1, 0], 2, 2),
        ([1, 1], [1, 1], [1, 1], 0, 2),
        ([1, 1], [1, 1], [1, 1], 2, -2),
        ([1, 1], [1, 1], [1, 1], 4, 2),
        ([1, 1], [1, 1], [9, 9], 2, 2),
    ],
)
def test_the_raw_operator_guards_its_attributes(attributes: tuple[Any, ...]) -> None:
    call = _good_call("cpu")
    with pytest.raises(RuntimeError, match="deform_conv2d"):
        torch.ops.dcnbuild.deform_conv2d(
            *(call[n] for n in ("input", "offset", "mask", "weight", "bias")), *attributes
        )
