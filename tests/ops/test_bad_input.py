"""Wrong calls: each raises before memory is touched, and names the argument, what was given and what was expected."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
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
    "padding beyond every integer": (_set(padding=2**63), ValueError, ("padding", "below 2^30", str(2**63))),
    "dilation that overflows": (_set(dilation=(1, 2**62)), ValueError, ("dilation", "below 2^30", str(2**62))),
    "stride that is a boolean of numpy's": (_set(stride=np.bool_(True)), TypeError, ("stride", "two ints")),
    "padding that is a fraction of numpy's": (_set(padding=np.float32(1)), TypeError, ("padding", "two ints")),
    "mask left in the offset": (
        lambda call: call.update(offset=torch.cat([call["offset"], call["mask"]], 1), mask=None),
        ValueError, ("split off the mask", "t[:, :36]", "t[:, 36:].sigmoid()")),
    "mask left in the offset of one group": (
        lambda call: call.update(offset=torch.cat([call["offset"][:, :18], call["mask"][:, :9]], 1), mask=None),
        ValueError, ("27 channels", "split off the mask", "t[:, :18]")),
    "padding forgotten": (_set(padding=0), ValueError, ("offset", "(2, 36, 7, 6)", "would fit padding=(1, 1)", "padding is (0, 0)")),
    "output of size zero": (_set(padding=0, dilation=4), ValueError, ("output would be -1x-2", "7x6", "3x3")),
}  # fmt: skip


#: Integers whose products overflow.
EXTREME = (2**30, 2**31, 2**62, 2**63 - 1, -(2**63))


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
    # Callers of torch's, torchvision's and mmcv's operators catch a RuntimeError.
    assert isinstance(caught.value, dcnbuild.ArgumentError)
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "number", [np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), [1, np.int32(1)], np.array([1, 1])], ids=repr
)  # fmt: skip
def test_whole_numbers_of_every_kind(number: Any, device: str) -> None:
    call = _good_call(device)
    expected = dcnbuild.deform_conv2d(**call)
    call.update(padding=number, stride=number, dilation=number)
    assert torch.equal(dcnbuild.deform_conv2d(**call), expected)


@pytest.mark.parametrize("function", ["operator", "reference"])
@pytest.mark.parametrize(
    ("dtype", "wider"),
    [(torch.float32, torch.float64), (torch.float16, torch.float32), (torch.bfloat16, torch.float32)],
)  # fmt: skip
def test_a_wider_bias_widens_the_output(
    dtype: torch.dtype, wider: torch.dtype, function: str, device: str
) -> None:
    """As in torchvision, which adds the bias at the end."""
    target = dcnbuild.deform_conv2d if function == "operator" else dcnbuild.reference.deform_conv2d
    call = {n: t.to(dtype) if torch.is_tensor(t) else t for n, t in _good_call(device).items()}
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
    call = _good_call(device)
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
    call = _good_call("cpu")
    with pytest.raises(RuntimeError, match="deform_conv2d"):
        torch.ops.dcnbuild.deform_conv2d(
            *(call[n] for n in ("input", "offset", "mask", "weight", "bias")), *attributes
        )


def _raw_calls() -> dict[str, tuple[list[Any], tuple[str, ...]]]:
    """Every raw operator with a good call, and the names of the arguments that are tensors, by position."""
    x, offset, mask = torch.randn(2, 4, 7, 6), torch.randn(2, 36, 7, 6), torch.rand(2, 18, 7, 6)
    weight, bias, grad = torch.randn(6, 2, 3, 3), torch.randn(6), torch.randn(2, 6, 7, 6)
    attributes = ([1, 1], [1, 1], [1, 1], 2, 2)
    rois, shift = torch.tensor([[0, 1.0, 1, 4, 4]]), torch.randn(1, 2, 2, 2)
    pooled, psroi, roi = torch.randn(1, 4, 2, 2), (1.0, 1, 2, 2, 2, 0.1), ([2, 2], 1.0, 2, 0.1)
    conv = ("input", "offset", "mask", "weight")
    return {
        "deform_conv2d": ([x, offset, mask, weight, bias, *attributes], (*conv, "bias")),
        "deform_conv2d_backward": (
            [grad, x, offset, mask, weight, *attributes, [True] * 5, False], ("grad_output", *conv)),
        "deform_psroi_pool": ([x, rois, shift, *psroi], ("input", "rois", "trans")),
        "deform_psroi_pool_backward": (
            [pooled, x, rois, shift, *psroi, [True] * 2, False], ("grad_output", "input", "rois", "trans")),
        "deform_roi_pool": ([x, rois, shift, *roi], ("input", "rois", "offset")),
        "deform_roi_pool_backward": (
            [pooled, x, rois, shift, *roi, [True] * 2, False], ("grad_output", "input", "rois", "offset")),
    }  # fmt: skip


OPERATORS = [
    (name, index) for name, (_, tensors) in _raw_calls().items() for index in range(len(tensors))
]


def _spoilt(operator: str, index: int, spoil: Callable[[torch.Tensor], Any]) -> str:
    """What a raw operator says if one of its tensors is spoilt."""
    arguments, _ = _raw_calls()[operator]
    call = getattr(torch.ops.dcnbuild, operator)
    call(*arguments)
    arguments[index] = spoil(arguments[index])
    with pytest.raises(RuntimeError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(("operator", "index"), OPERATORS)
def test_raw_operators_refuse_other_layouts_and_devices(operator: str, index: int) -> None:
    name = _raw_calls()[operator][1][index]
    for spoil, words in (
        (lambda t: t.to_sparse(), ("torch.sparse_coo", ".to_dense()")),
        (lambda t: t.to_mkldnn(), ("torch._mkldnn", ".to_dense()")),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), ("quantized", ".dequantize()")),
        (lambda t: t.to("meta"), ("meta", "cpu")),
    ):  # fmt: skip
        message = _spoilt(operator, index, spoil)
        for word in (f"{operator}: ", *words):
            assert word in message
        # Of a meta tensor in the first place the others are told that they are elsewhere.
        assert name in message or index == 0


@pytest.mark.parametrize(("operator", "index"), OPERATORS)
def test_raw_operators_speak_in_their_own_name(operator: str, index: int) -> None:
    assert f"{operator}: " in _spoilt(operator, index, lambda t: t.int())
    assert f"{operator}: " in _spoilt(operator, index, lambda t: t[None])


@pytest.mark.parametrize("layout", ["to_sparse", "to_mkldnn"])
@pytest.mark.parametrize("name", ["input", "offset", "mask", "weight", "bias"])
def test_functions_refuse_other_layouts(name: str, layout: str) -> None:
    call = _good_call("cpu")
    call[name] = getattr(call[name], layout)()
    for function in (dcnbuild.deform_conv2d, dcnbuild.reference.deform_conv2d):
        with pytest.raises(dcnbuild.ArgumentError, match=f"deform_conv2d: {name} is of layout"):
            function(**call)


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.parametrize("name", ["input", "offset", "mask", "weight", "bias"])
def test_functions_refuse_nested_tensors(name: str, layout: torch.layout) -> None:
    """They have no shape to be compared with anything."""
    call = _good_call("cpu")
    if layout is torch.jagged and call[name].dim() < 2:
        pytest.skip("a jagged tensor has two dimensions at least")
    call[name] = torch.nested.nested_tensor([call[name][0]], layout=layout)
    for function in (dcnbuild.deform_conv2d, dcnbuild.reference.deform_conv2d):
        with pytest.raises(dcnbuild.ArgumentError, match=f"deform_conv2d: {name} is a nested"):
            function(**call)


@pytest.mark.parametrize("spoil", [
    torch.Tensor.to_sparse, torch.Tensor.to_mkldnn, lambda t: torch.nested.nested_tensor([t[0]]),
])  # fmt: skip
@pytest.mark.parametrize("index", [0, 1, 2])
def test_poolings_refuse_other_layouts(index: int, spoil: Callable[..., torch.Tensor]) -> None:
    tensors = [torch.zeros(1, 4, 6, 6), torch.tensor([[0.0, 0, 0, 5, 5]]), torch.zeros(1, 2, 2, 2)]
    tensors[index] = spoil(tensors[index])
    for call in (
        lambda: dcnbuild.deform_roi_pool(*tensors, output_size=2),
        lambda: dcnbuild.deform_psroi_pool(*tensors, pooled_size=2, spatial_scale=1.0),
    ):
        with pytest.raises(dcnbuild.ArgumentError, match="expected a strided tensor"):
            call()


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
    assert [(type(size), size) for size in sizes] == [
        (int, size) for size in (1, 1, 3, 3, 1, 1, 1, 1)
    ]


@pytest.mark.parametrize("name", ["input", "offset", "mask", "weight", "bias"])
def test_functions_refuse_a_meta_tensor_beside_others(name: str) -> None:
    call = _good_call("cpu")
    call[name] = call[name].to("meta")
    with pytest.raises(dcnbuild.ArgumentError, match="where input is"):
        dcnbuild.deform_conv2d(**call)


def test_sizes_whose_product_overflows() -> None:
    """Expanded tensors have any size without any memory."""
    x = torch.zeros(1).expand(2**24, 4, 2**20, 2**10)
    weight, offset = torch.zeros(6, 4, 1, 1), torch.zeros(1).expand(2**24, 2, 2**20, 2**10)
    with pytest.raises(RuntimeError, match="deform_conv2d: the input's elements are too many"):
        torch.ops.dcnbuild.deform_conv2d(
            x, offset, None, weight, None, [1, 1], [0, 0], [1, 1], 1, 1
        )
    rois = torch.zeros(1).expand(2**40, 5)
    for name, attributes in (
        ("deform_roi_pool", ([2**15, 2**14], 1.0, 1, 0.1)),
        ("deform_psroi_pool", (1.0, 1, 2**14, 1, 1, 0.1)),
    ):
        with pytest.raises(RuntimeError, match=f"{name}: .* too many"):
            getattr(torch.ops.dcnbuild, name)(torch.zeros(1, 1, 3, 3), rois, None, *attributes)
