"""Wrong calls of the raw operators and their layouts: a clear exception in the operator's own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ops.spoiling import good_call

import dcnbuild


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


OPERATORS = [(name, index) for name, (_, tensors) in _raw_calls().items() for index in range(len(tensors))]


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
    call = good_call("cpu")
    call[name] = getattr(call[name], layout)()
    for function in (dcnbuild.deform_conv2d, dcnbuild.reference.deform_conv2d):
        with pytest.raises(dcnbuild.ArgumentError, match=f"deform_conv2d: {name} is of layout"):
            function(**call)


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.parametrize("name", ["input", "offset", "mask", "weight", "bias"])
def test_functions_refuse_nested_tensors(name: str, layout: torch.layout) -> None:
    """Nested tensors have no shape that a check could compare."""
    call = good_call("cpu")
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


@pytest.mark.parametrize("name", ["input", "offset", "mask", "weight", "bias"])
def test_functions_refuse_a_meta_tensor_beside_others(name: str) -> None:
    call = good_call("cpu")
    call[name] = call[name].to("meta")
    with pytest.raises(dcnbuild.ArgumentError, match="where input is"):
        dcnbuild.deform_conv2d(**call)


def test_sizes_whose_product_overflows() -> None:
    """Expanded tensors have any size without any memory."""
    x = torch.zeros(1).expand(2**24, 4, 2**20, 2**10)
    weight, offset = torch.zeros(6, 4, 1, 1), torch.zeros(1).expand(2**24, 2, 2**20, 2**10)
    with pytest.raises(RuntimeError, match="deform_conv2d: the input's elements are too many"):
        torch.ops.dcnbuild.deform_conv2d(x, offset, None, weight, None, [1, 1], [0, 0], [1, 1], 1, 1)
    rois = torch.zeros(1).expand(2**40, 5)
    for name, attributes in (
        ("deform_roi_pool", ([2**15, 2**14], 1.0, 1, 0.1)),
        ("deform_psroi_pool", (1.0, 1, 2**14, 1, 1, 0.1)),
    ):
        with pytest.raises(RuntimeError, match=f"{name}: .* too many"):
            getattr(torch.ops.dcnbuild, name)(torch.zeros(1, 1, 3, 3), rois, None, *attributes)
