"""DCNv3 and DCNv4 under their old names: extensions, modules, a repository's own files, and `convert`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.files import write
from ops.point_cases import differentiated
from ops.sample_cases import SampleCase, grid_sampled
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import dcnv3, dcnv3_ext, dcnv4, dcnv4_ext
from dcnbuild.compat.importing import install

CASE = SampleCase(2, (5, 6), 2, 8).but(remove_center=True)
TENSORS = CASE.tensors()
INPUT, UPSTREAM = TENSORS["input"].flatten(3), TENSORS["grad_output"]
OFFSET, MASK = TENSORS["offset"].flatten(3), TENSORS["mask"].flatten(3)
SHAPE = (3, 3, 1, 1, 1, 1, 1, 1, 2, 8, 1.3)
EXPECTED = differentiated(lambda *t: grid_sampled(*t, CASE.attributes), TENSORS)


def packed(offset: Tensor = TENSORS["offset"], mask: Tensor = TENSORS["mask"]) -> Tensor:
    """Packs offsets and masks like DCNv4, padded to a multiple of 8 with values that are not read."""
    each = torch.cat([offset.flatten(4), mask], -1).flatten(3)
    return torch.nn.functional.pad(each, (0, -each.shape[-1] % 8), value=torch.nan)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_functions_and_raw_calls_of_version_3() -> None:
    core = dcnv3.dcnv3_core_pytorch(INPUT, OFFSET, MASK, *SHAPE, True)
    close(core, EXPECTED["output"])
    leaves = [t.detach().requires_grad_() for t in (INPUT, OFFSET, MASK)]
    output = dcnv3.DCNv3Function.apply(*leaves, *SHAPE, 64, 1)
    close(output, EXPECTED["output"])
    raw = dcnv3_ext.dcnv3_forward(*leaves, *SHAPE, 64, 1)
    assert torch.equal(raw, output) and not raw.requires_grad
    grads = torch.autograd.grad(output, leaves, UPSTREAM)
    again = dcnv3_ext.dcnv3_backward(*leaves, *SHAPE, UPSTREAM, 64, 1)
    for name, grad, same in zip(("input", "offset", "mask"), grads, again):
        assert torch.equal(grad, same)
        close(grad, EXPECTED[f"grad_{name}"].reshape(grad.shape))


def test_older_copies_have_no_remove_center() -> None:
    case = CASE.but(remove_center=False)
    tensors = case.tensors()
    offset, mask = tensors["offset"].flatten(3), tensors["mask"].flatten(3)
    output = dcnv3_ext.dcnv3_forward(INPUT, offset, mask, *SHAPE, 64)
    close(output, grid_sampled(*(tensors[n] for n in ("input", "offset", "mask")), case.attributes))


def test_functions_and_raw_calls_of_version_4() -> None:
    leaves = [t.detach().requires_grad_() for t in (INPUT, packed())]
    output = dcnv4.DCNv4Function.apply(*leaves, *SHAPE, 256, 1)
    close(output, EXPECTED["output"])
    grads = torch.autograd.grad(output, leaves, UPSTREAM)
    close(grads[0], EXPECTED["grad_input"].flatten(3))
    close(grads[1], packed(EXPECTED["grad_offset"], EXPECTED["grad_mask"]).nan_to_num())
    launch = (1, 8, 512)
    raw = dcnv4_ext.dcnv4_forward(*leaves, *SHAPE, 256, *launch, False)
    assert torch.equal(raw, output) and not raw.requires_grad
    for grad, same in zip(grads, dcnv4_ext.dcnv4_backward(*leaves, *SHAPE, 256, UPSTREAM, *launch, False)):  # fmt: skip
        assert torch.equal(grad, same)
    shared = dcnv4_ext.dcnv4_forward(*leaves, *SHAPE, 256, *launch, True)
    mask = TENSORS["mask"].softmax(-1)
    close(shared, grid_sampled(TENSORS["input"], TENSORS["offset"], mask, CASE.attributes))


def test_the_attention_of_version_4() -> None:
    levels = [(4, 5), (2, 3)]
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(2, 26, 3, 4, generator=generator)
    at = torch.rand(2, 7, 3, 2, 4, 2, generator=generator)
    scores = torch.randn(2, 7, 3, 8, generator=generator)
    points = torch.cat([at.flatten(3), scores], -1)
    shapes, starts = torch.tensor(levels), torch.tensor([0, 20])
    weights = scores.softmax(-1).unflatten(-1, (2, 4))
    expected = dcnbuild.reference.deform_attn(value, levels, at, weights)
    output = dcnv4.FlashDeformAttnFunction.apply(value, shapes, starts, points, 64, 4)
    torch.testing.assert_close(output, expected)
    raw = dcnv4_ext.flash_deform_attn_forward(value, shapes, starts, points, 64, 4, 8, 256)
    assert torch.equal(raw, output)
    upstream = torch.ones_like(output)
    grads = dcnv4_ext.flash_deform_attn_backward(value, shapes, starts, points, upstream, 64, 4, 2, 256)  # fmt: skip
    assert [grad.shape for grad in grads] == [value.shape, points.shape]
    module = dcnv4.FlashDeformAttn(12, 2, 3, 4)
    query = torch.rand(2, 7, 12)
    assert module(query, torch.rand(2, 7, 2, 2), torch.rand(2, 26, 12), shapes, starts).shape == (2, 7, 12)  # fmt: skip


def test_mixed_precision() -> None:
    """Half inputs beside float32 masks, as softmax gives them under autocast, and half offsets beside a float32
    input.
    """
    exact = EXPECTED["output"].float()
    for dtypes in ((torch.bfloat16, torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16, torch.bfloat16)):  # fmt: skip
        given = [t.to(dtype) for t, dtype in zip((INPUT, OFFSET, MASK), dtypes)]
        output = dcnv3.DCNv3Function.apply(*given, *SHAPE, 64, 1)
        assert output.dtype == dtypes[0]
        assert (output.float() - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dcnv3.DCNv3Function.apply(INPUT, OFFSET, MASK, *SHAPE[:9], 4, 1.0, 64, 1), "input has 16 channels, "
                                                                                            "expected 8: group=2 "
                                                                                            "times group_channels=4"),
        (lambda: dcnv3.DCNv3Function.apply(INPUT, OFFSET, MASK, *SHAPE, 64, 0), "offset has 32 channels, expected "
                                                                                "36: group=2 times 9 taps times "
                                                                                "x and y"),
        (lambda: dcnv4.DCNv4Function.apply(INPUT, OFFSET, *SHAPE, 64, 1), "offset_mask has 32 channels, expected at "
                                                                          "least 48"),
    ],
    ids=["channels", "taps", "packed"],
)  # fmt: skip
def test_what_does_not_fit_is_named_as_the_package_names_it(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


#: The shape of InternImage's ops_dcnv3: a function around the extension, and a module around the function.
FUNCTION = """
import torch
import torch.nn.functional as F
import DCNv3

class DCNv3Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, offset, mask, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
                group, group_channels, offset_scale, im2col_step, remove_center):
        ctx.numbers = (kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, group_channels, offset_scale)
        ctx.rest = (im2col_step, remove_center)
        ctx.save_for_backward(input, offset, mask)
        return DCNv3.dcnv3_forward(input, offset, mask, *ctx.numbers, *ctx.rest)

    @staticmethod
    def backward(ctx, grad_output):
        grads = DCNv3.dcnv3_backward(*ctx.saved_tensors, *ctx.numbers, grad_output.contiguous(), *ctx.rest)
        return (*grads, *[None] * 13)

def helper_of_theirs():
    return "theirs"
"""
MODULE = """
from ..functions import DCNv3Function
from torch import nn

class Layer(nn.Module):
    def forward(self, input, offset, mask, *numbers):
        return DCNv3Function.apply(input, offset, mask, *numbers)
"""


def test_a_repository_with_its_own_files(repository: Path) -> None:
    write(repository / "ops_dcnv3/functions/__init__.py", "from .dcnv3_func import DCNv3Function\n")
    write(repository / "ops_dcnv3/functions/dcnv3_func.py", FUNCTION)
    write(repository / "ops_dcnv3/modules/__init__.py", "from .dcnv3 import Layer\n")
    write(repository / "ops_dcnv3/modules/dcnv3.py", MODULE)
    install()
    modules = importlib.import_module("ops_dcnv3.modules")
    functions = importlib.import_module("ops_dcnv3.functions.dcnv3_func")
    assert functions.helper_of_theirs() == "theirs"
    output = modules.Layer()(INPUT, OFFSET, MASK, *SHAPE, 64, 1)
    close(output, EXPECTED["output"])


def test_names_where_nothing_is_installed(repository: Path) -> None:
    install()
    assert importlib.import_module("DCNv3").dcnv3_forward is dcnv3_ext.dcnv3_forward
    package = importlib.import_module("DCNv4")
    assert package.DCNv4 is dcnbuild.DCNv4
    assert importlib.import_module("DCNv4.modules.dcnv4").DCNv4 is dcnbuild.DCNv4
    assert importlib.import_module("DCNv4.functions").DCNv4Function is dcnv4.DCNv4Function
    assert importlib.import_module("DCNv4.ext").dcnv4_forward is dcnv4_ext.dcnv4_forward
    assert importlib.import_module("ops_dcnv3.modules").DCNv3 is dcnbuild.DCNv3


def theirs(ours: type[nn.Module], name: str, **options: Any) -> nn.Module:
    """What a model of another package holds: a class of that name with the same attributes and parameters."""
    made = ours(16, **options)
    arguments = "self, input, shape=None" if ours is dcnbuild.DCNv4 else "self, input"
    namespace: dict[str, Any] = {}
    exec(f"def forward({arguments}):\n    raise RuntimeError('not compiled')", namespace)
    other = type(name, (nn.Module,), {"forward": namespace["forward"], "__module__": "ops.dcn"})
    copied = other()
    copied.__dict__.update(made.__dict__)
    return copied


@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (dcnbuild.DCNv3, "DCNv3", {}),
        (dcnbuild.DCNv3, "DCNv3_pytorch", {"center_feature_scale": True}),
        (dcnbuild.DCNv4, "DCNv4", {"dw_kernel_size": 3, "center_feature_scale": True}),
        (dcnbuild.DCNv4, "DCNv4", {"without_pointwise": True}),
    ],
)
def test_convert(ours: type[nn.Module], name: str, options: dict[str, Any]) -> None:
    layer = theirs(ours, name, **options)
    layer.center_feature_scale_module = nn.Identity()
    made = ours(16, **options)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    layer.load_state_dict(made.state_dict())
    model = nn.Sequential(layer)
    assert str(dcnbuild.convert(model)).endswith("1 converted, 0 left")
    x = torch.randn(1, 16, 16) if ours is dcnbuild.DCNv4 else torch.randn(1, 4, 4, 16)
    assert torch.equal(model(x), made(x))
