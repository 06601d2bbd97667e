"""Tests wrong calls: each raises before memory is touched, and names the argument, the given and the expected value."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest
import torch
from ops.spoiling import Wrong, change, good_call, put

import dcnbuild

#: what is wrong: (how to spoil the good call, exception, words its message must hold)
WRONG: Wrong = {
    "input of 3 dimensions": (change("input", lambda t: t[0]), ValueError, ("input", "3 dimensions", "expected 4")),
    "input of 5 dimensions": (change("input", lambda t: t[None]), ValueError, ("input", "5 dimensions", "expected 4")),
    "offset of 3 dimensions": (change("offset", lambda t: t[0]), ValueError, ("offset", "3 dimensions", "expected 4")),
    "weight of 2 dimensions": (change("weight", lambda t: t[0, 0]), ValueError, ("weight", "2 dimensions", "expected 4")),
    "mask of 2 dimensions": (change("mask", lambda t: t[0, 0]), ValueError, ("mask", "2 dimensions", "expected 4")),
    "bias of 2 dimensions": (change("bias", lambda t: t[None]), ValueError, ("bias", "2 dimensions", "expected 1")),
    "input is a list": (change("input", lambda t: t.tolist()), TypeError, ("input", "list", "tensor")),
    "weight is None": (put(weight=None), TypeError, ("weight", "NoneType", "tensor")),
    "offset is None": (put(offset=None), TypeError, ("offset", "NoneType", "tensor")),
    "mask is a number": (put(mask=1.0), TypeError, ("mask", "float", "tensor")),
    "weight for more channels": (
        change("weight", lambda t: t.repeat(1, 3, 1, 1)), ValueError, ("weight", "6 channels", "4 channels of input")),
    "channels not divided": (
        change("weight", lambda t: torch.cat([t, t[:, :1]], 1)), ValueError, ("weight", "3 channels", "4 channels of input")),
    "output channels not divided": (change("weight", lambda t: t[:5]), ValueError, ("5 output channels", "2 groups")),
    "no taps": (change("weight", lambda t: t[..., :0]), ValueError, ("weight", "(6, 2, 3, 0)", "at least one")),
    "no channels": (change("input", lambda t: t[:, :0]), ValueError, ("input", "(2, 0, 7, 6)", "at least one")),
    "offset channels odd": (change("offset", lambda t: t[:, :-1]), ValueError, ("offset", "35 channels", "multiple of 18")),
    "offset without channels": (change("offset", lambda t: t[:, :0]), ValueError, ("offset", "0 channels", "multiple of 18")),
    "offset groups not dividing": (
        change("offset", lambda t: torch.cat([t, t[:, :18]], 1)), ValueError, ("offset", "3 offset groups", "4 channels")),
    "offset too small": (change("offset", lambda t: t[..., :-1]), ValueError, ("offset", "(2, 36, 7, 5)", "(2, 36, 7, 6)")),
    "offset too tall": (
        change("offset", lambda t: torch.cat([t, t], 2)), ValueError, ("offset", "(2, 36, 14, 6)", "(2, 36, 7, 6)")),
    "offset of another batch": (change("offset", lambda t: t[:1]), ValueError, ("offset", "(1, 36, 7, 6)", "(2, 36, 7, 6)")),
    "mask too small": (change("mask", lambda t: t[:, :, 1:]), ValueError, ("mask", "(2, 18, 6, 6)", "(2, 18, 7, 6)")),
    "mask channels": (change("mask", lambda t: t[:, :9]), ValueError, ("mask", "(2, 9, 7, 6)", "(2, 18, 7, 6)")),
    "mask of another batch": (change("mask", lambda t: t[:1]), ValueError, ("mask", "(1, 18, 7, 6)", "(2, 18, 7, 6)")),
    "bias too short": (change("bias", lambda t: t[:-1]), ValueError, ("bias", "(5,)", "(6,)")),
    "integer input": (change("input", lambda t: t.long()), TypeError, ("input", "torch.int64", "float32")),
    "complex weight": (change("weight", lambda t: t.to(torch.cfloat)), TypeError, ("weight", "torch.complex64", "float32")),
    "boolean mask": (change("mask", lambda t: t > 0), TypeError, ("mask", "torch.bool", "float32")),
    "weight of another dtype": (change("weight", lambda t: t.double()), TypeError, ("weight", "float64", "float32")),
    "offset of another dtype": (change("offset", lambda t: t.double()), TypeError, ("offset", "float64", "float32")),
    "half offset, float input": (change("offset", lambda t: t.half()), TypeError, ("offset", "float16", "float32")),
    "mask differs from offset": (
        lambda call: call.update({n: call[n].half() for n in ("input", "weight", "bias", "mask")}),
        TypeError, ("mask", "float16", "float32", "offset")),
    "bias of another dtype": (change("bias", lambda t: t.half()), TypeError, ("bias", "float16", "float32")),
    "bfloat16 mixed with float16": (
        lambda call: call.update({n: call[n].half() for n in ("input", "weight", "bias")}, offset=call["offset"].bfloat16()),
        TypeError, ("offset", "bfloat16", "float16")),
    "offset on another device": (change("offset", lambda t: t.to("meta")), ValueError, ("offset", "meta", "where input is")),
    "weight on another device": (change("weight", lambda t: t.to("meta")), ValueError, ("weight", "meta", "where input is")),
    "stride zero": (put(stride=0), ValueError, ("stride", "at least 1", "0")),
    "stride negative on one axis": (put(stride=(1, -1)), ValueError, ("stride", "at least 1", "(1, -1)")),
    "padding negative": (put(padding=-1), ValueError, ("padding", "at least 0", "-1")),
    "dilation zero": (put(dilation=0), ValueError, ("dilation", "at least 1", "0")),
    "three strides": (put(stride=(1, 1, 1)), TypeError, ("stride", "(1, 1, 1)", "two ints")),
    "fractional padding": (put(padding=0.5), TypeError, ("padding", "0.5", "two ints")),
    "string padding": (put(padding="same"), TypeError, ("padding", "same", "two ints")),
    "boolean stride": (put(stride=True), TypeError, ("stride", "True", "two ints")),
    "padding beyond every integer": (put(padding=2**63), ValueError, ("padding", "below 2^30", str(2**63))),
    "dilation that overflows": (put(dilation=(1, 2**62)), ValueError, ("dilation", "below 2^30", str(2**62))),
    "stride that is a boolean of numpy's": (put(stride=np.bool_(True)), TypeError, ("stride", "two ints")),
    "padding that is a fraction of numpy's": (put(padding=np.float32(1)), TypeError, ("padding", "two ints")),
    "mask left in the offset": (
        lambda call: call.update(offset=torch.cat([call["offset"], call["mask"]], 1), mask=None),
        ValueError, ("split off the mask", "t[:, :36]", "t[:, 36:].sigmoid()")),
    "mask left in the offset of one group": (
        lambda call: call.update(offset=torch.cat([call["offset"][:, :18], call["mask"][:, :9]], 1), mask=None),
        ValueError, ("27 channels", "split off the mask", "t[:, :18]")),
    "padding forgotten": (put(padding=0), ValueError, ("offset", "(2, 36, 7, 6)", "would fit padding=(1, 1)", "padding is (0, 0)")),
    "output of size zero": (put(padding=0, dilation=4), ValueError, ("output would be -1x-2", "7x6", "3x3")),
}  # fmt: skip


#: Integers whose products overflow.
EXTREME = (2**30, 2**31, 2**62, 2**63 - 1, -(2**63))


def test_the_unspoilt_call_works(device: str) -> None:
    assert dcnbuild.deform_conv2d(**good_call(device)).shape == (2, 6, 7, 6)
    assert len(WRONG) >= 30


@pytest.mark.parametrize("function", ["operator", "reference"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_calls_are_explained(wrong: str, function: str, device: str) -> None:
    spoil, exception, words = WRONG[wrong]
    call = good_call(device)
    spoil(call)
    target = dcnbuild.deform_conv2d if function == "operator" else dcnbuild.reference.deform_conv2d
    with pytest.raises(exception) as caught:
        target(**call)
    for word in words:
        assert word in str(caught.value)
    # Callers of torch's, torchvision's and mmcv's operators catch a RuntimeError.
    assert isinstance(caught.value, dcnbuild.ArgumentError)
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "number", [np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), [1, np.int32(1)], np.array([1, 1])], ids=repr
)  # fmt: skip
def test_whole_numbers_of_every_kind(number: Any, device: str) -> None:
    call = good_call(device)
    expected = dcnbuild.deform_conv2d(**call)
    call.update(padding=number, stride=number, dilation=number)
    assert torch.equal(dcnbuild.deform_conv2d(**call), expected)


@pytest.mark.parametrize("function", ["operator", "reference"])
@pytest.mark.parametrize(
    ("dtype", "wider"),
    [(torch.float32, torch.float64), (torch.float16, torch.float32), (torch.bfloat16, torch.float32)],
)  # fmt: skip
def test_a_wider_bias_widens_the_output(dtype: torch.dtype, wider: torch.dtype, function: str, device: str) -> None:
    """A bias with more channels widens the output, because torchvision adds the bias at the end."""
    target = dcnbuild.deform_conv2d if function == "operator" else dcnbuild.reference.deform_conv2d
    call = {n: t.to(dtype) if torch.is_tensor(t) else t for n, t in good_call(device).items()}
    bias = call.pop("bias").to(wider) / 3
    without = target(**call)
    bias.requires_grad_()
    output = target(**call, bias=bias)
    assert output.dtype == wider
    assert torch.equal(output, without + bias[:, None, None])
    output.sum().backward()
    assert bias.grad is not None and bias.grad.dtype == wider


@pytest.mark.parametrize("function", ["operator", "reference"])
def test_no_output_channels(function: str, device: str) -> None:
    target = dcnbuild.deform_conv2d if function == "operator" else dcnbuild.reference.deform_conv2d
    call = good_call(device)
    call.update(weight=call["weight"][:0], bias=call["bias"][:0])
    leaves = [call[n].requires_grad_() for n in ("input", "offset", "mask", "weight", "bias")]
    output = target(**call)
    assert output.shape == (2, 0, 7, 6)
    for leaf, grad in zip(leaves, torch.autograd.grad(output.sum(), leaves)):
        assert grad.shape == leaf.shape and (grad == 0).all()


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
    call = good_call("cpu")
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
        *(([1, 1], [n, 1], [1, 1], 2, 2) for n in EXTREME),
        *(([1, 1], [1, n], [1, 1], 2, 2) for n in EXTREME),
        *(([1, 1], [1, 1], [n, 1], 2, 2) for n in EXTREME),
        *(([n, 1], [1, 1], [1, 1], 2, 2) for n in EXTREME),
        *(([1, 1], [1, 1], [1, 1], n, 2) for n in EXTREME),
        *(([1, 1], [1, 1], [1, 1], 2, n) for n in EXTREME),
        ([1, 1], [2**30 - 1, 1], [2**30 - 1, 1], 2, 2),
    ],
)
def test_the_raw_operator_guards_its_attributes(attributes: tuple[Any, ...]) -> None:
    call = good_call("cpu")
    with pytest.raises(RuntimeError, match="deform_conv2d"):
        torch.ops.dcnbuild.deform_conv2d(*(call[n] for n in ("input", "offset", "mask", "weight", "bias")), *attributes)


@pytest.mark.parametrize("number", [
    {1, 2}, {1: 1, 2: 2}, b"12", "12", True, torch.tensor(True), np.bool_(True),
    torch.tensor(1, device="meta"), np.array([1.0, 1.0]), (1, 1, 1),
])  # fmt: skip
def test_what_is_no_pair_of_ints(number: Any) -> None:
    for name in ("kernel_size", "stride", "padding", "dilation"):
        with pytest.raises(dcnbuild.ArgumentTypeError, match=name):
            dcnbuild.DCN(4, 4, **{"kernel_size": 3, name: number})


@pytest.mark.parametrize("number", [
    np.array([1.0]), np.array([1.0, 1.0]), torch.ones(2), torch.tensor(1.0, device="meta"), True,
    torch.tensor(True), np.bool_(True), "1", None, 1j, 10**400, float("nan"),
])  # fmt: skip
def test_what_is_no_float(number: Any) -> None:
    x, rois = torch.zeros(1, 4, 6, 6), torch.tensor([[0.0, 0, 0, 5, 5]])
    for name in ("spatial_scale", "gamma"):
        with pytest.raises(dcnbuild.ArgumentError, match=name):
            dcnbuild.deform_roi_pool(x, rois, output_size=1, **{name: number})


def test_integers_of_other_kinds_become_ints() -> None:
    class Size(enum.IntEnum):
        ONE = 1

    layer = dcnbuild.DCN(Size.ONE, np.int8(1), torch.tensor(3), Size.ONE, np.array([1, 1]))
    sizes = (
        layer.in_channels,
        layer.out_channels,
        *layer.kernel_size,
        *layer.stride,
        *layer.padding,
    )
    assert [(type(size), size) for size in sizes] == [(int, size) for size in (1, 1, 3, 3, 1, 1, 1, 1)]
