"""Tests files whose classes have the original's name and arguments: ours replaces those that compute the same."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.attention_repositories import DETR_FUNCTIONS
from compat.files import write
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import dcn_v2, ms_deform_attn
from dcnbuild.compat.bodies import may_differ, samples_otherwise
from dcnbuild.compat.importing import install

DCN = """
import torch
from torch import nn
from torch.autograd import Function
import _ext as _backend
class _DCNv2(Function):
    @staticmethod
    def forward(ctx, input, offset, mask, weight, bias, stride, padding, dilation, deformable_groups):
        return _backend.dcn_v2_forward(
            input, weight, bias, offset, mask, 3, 3, *stride, *padding, *dilation, deformable_groups)
dcn_v2_conv = _DCNv2.apply
class DCN(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation=1, deformable_groups=1):
        super().__init__()
        self.sizes = (stride, stride), (padding, padding), (dilation, dilation)
        self.deformable_groups = deformable_groups
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_offset_mask = nn.Conv2d(in_channels, {per_tap} * 9, 3, stride, padding)
        {layer}
    def forward(self, input):
        assert input.dim() * 2 == 8
        out = self.conv_offset_mask(input)
        o1, o2, mask = torch.chunk(out, 3, dim=1)
        offset = {offset}
        return {before}dcn_v2_conv(
            input, offset, torch.sigmoid(mask), self.weight, self.bias, *self.sizes, self.deformable_groups){after}
"""
ORIGINAL = {
    "per_tap": "self.deformable_groups * 3",
    "layer": "pass",
    "offset": "torch.cat((o1, o2), dim=1)",
    "before": "",
    "after": "",
}
FORKS: dict[str, dict[str, str]] = {
    "limits the offsets": {"offset": "torch.tanh(torch.cat((o1, o2), dim=1))"},
    "scales the offsets": {"offset": "2 * torch.cat((o1, o2), dim=1)"},
    "adds the input": {"before": "input + "},
    "normalises": {"layer": "self.bn = nn.BatchNorm2d(out_channels)", "before": "self.bn(", "after": ")"},
    "returns the offsets": {"after": ", offset"},
    "predicts other numbers": {"per_tap": "27 // 9"},
}


def _fork(repository: Path, changes: dict[str, str]) -> Any:
    write(repository / "nets" / "DCNv2" / "dcn_v2.py", DCN.format(**ORIGINAL | changes))
    install()
    return importlib.import_module("nets.DCNv2.dcn_v2").DCN


def test_the_original_is_replaced(repository: Path) -> None:
    assert _fork(repository, {}) is dcn_v2.DCN


@pytest.mark.parametrize("fork", FORKS)
def test_a_fork_is_executed_with_our_functions(fork: str, repository: Path) -> None:
    torch.manual_seed(0)
    kind = _fork(repository, FORKS[fork])
    assert kind.__module__ == "nets.DCNv2.dcn_v2"
    module, x = kind(4, 4, 3, 1, 1), torch.randn(2, 4, 6, 5)
    predicted = module.conv_offset_mask(x)
    offset, mask = predicted[:, :18], predicted[:, 18:].sigmoid()
    if fork == "limits the offsets":
        offset = offset.tanh()
    elif fork == "scales the offsets":
        offset = 2 * offset
    expected: Any = dcnbuild.reference.deform_conv2d(x, offset, module.weight, module.bias, padding=1, mask=mask)
    if fork == "adds the input":
        expected = x + expected
    elif fork == "normalises":
        expected = module.bn(expected)
    elif fork == "returns the offsets":
        expected = (expected, offset)
    torch.testing.assert_close(module(x), expected)


ATTENTION = """
import torch
from torch import nn
from ..functions import MSDeformAttnFunction
def _is_power_of_2(n):
    return n > 0 and n & (n - 1) == 0
class MSDeformAttn(nn.Module):
    def __init__(self, d_model=256, n_levels=4, n_heads=8, n_points=4):
        super().__init__()
        self.im2col_step, self.n_heads = 64, n_heads
        self.sampling_offsets = nn.Linear(d_model, n_heads * n_levels * n_points{dimensions})
        self.attention_weights = nn.Linear(d_model, n_heads * n_levels * n_points)
        self.value_proj = nn.Linear(d_model, d_model)
        self.output_proj = nn.Linear(d_model, d_model)
    def forward(self, query, reference_points, input_flatten, input_spatial_shapes, input_level_start_index,
                input_padding_mask=None):
        value = self.value_proj(input_flatten)
        output = {call}(value, input_spatial_shapes, input_level_start_index, self.sampling_offsets(query), None, 64)
        return self.output_proj(output)
"""


@pytest.mark.parametrize(
    ("dimensions", "call", "replaced"),
    [
        (" * 2", "MSDeformAttnFunction.apply", True),
        ("", "MSDeformAttnFunction.apply", False),  # over time, as in PDVC
        (" * 3", "MSDeformAttnFunction.apply", False),
        (" * 2", "ms_deform_attn_core_pytorch_3D", False),  # in a volume, as in CoTr
    ],
)
def test_attention_in_other_dimensions_is_executed(
    dimensions: str, call: str, replaced: bool, repository: Path
) -> None:
    ops = repository / "models" / "ops"
    write(ops / "functions" / "__init__.py", "from .ms_deform_attn_func import MSDeformAttnFunction\n")
    write(ops / "functions" / "ms_deform_attn_func.py", DETR_FUNCTIONS)
    write(ops / "modules" / "ms_deform_attn.py", ATTENTION.format(dimensions=dimensions, call=call))
    install()
    found: Any = importlib.import_module("models.ops.modules.ms_deform_attn")
    assert (found.MSDeformAttn is ms_deform_attn.MSDeformAttn) is replaced
    # A private helper is there, whether ours replaces the file or not; and nothing else is.
    from models.ops.modules.ms_deform_attn import (  # type: ignore[import-not-found]  # fmt: skip
        _is_power_of_2,
    )

    assert _is_power_of_2(8)
    assert not hasattr(found, "_is_power_of_3")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("def forward(self, x): return dcn_v2_conv(x)", False),
        ("def forward(self, x):\n        if x.size(1) * 2 > 3: raise ValueError(x * 2)", False),
        ("def forward(self, x):\n        if x.dim() == 4:\n            x = x.clamp(0, 1)\n        return x", True),
        ("def forward(self, x): return x.size(0) - 1", False),
        ("def forward(self, x): return x @ x", True),
        ("def forward(self, x):\n        x += 1\n        return x", True),
        ("def flops(self): return 1", True),
        ("levels = 3", True),
        ("_levels = 3", False),
        ("def reset_parameters(self): nn.init.trunc_normal_(self.weight)", False),
        ("def __init__(self): self.register_buffer('grid', None)", True),
        ("def __init__(self): self.bias = nn.Parameter(0) if self.kernel_size else None", False),
    ],
)
def test_what_may_compute_something_else(body: str, expected: bool) -> None:
    node = ast.parse(f"class DCN:\n    {body}").body[0]
    assert isinstance(node, ast.ClassDef)
    assert may_differ(node, set(dir(dcn_v2.DCN))) is expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("mode='bilinear', padding_mode='zeros', align_corners=False", False),
        ("align_corners=True", True),
        ("padding_mode='border', align_corners=False", True),
        ("mode='nearest', align_corners=False", True),
    ],
)
def test_other_sampling(options: str, expected: bool) -> None:
    node = ast.parse(f"def core(value, grid):\n    return F.grid_sample(value, grid, {options})").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert samples_otherwise(node) is expected


@pytest.mark.parametrize("base", ["mmdet.ModulatedDeformConvPack", "mmcv.ModulatedDeformConv2dPack"])
def test_a_subclass_may_replace_the_predicting_layers(base: str) -> None:
    package, _, name = base.partition(".")
    pack: Any = getattr(importlib.import_module(f"dcnbuild.compat.{package}"), name)

    class Alignment(pack):  # like BasicVSR++'s
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.conv_offset = nn.Sequential(nn.Conv2d(6, 4, 3, 1, 1), nn.ReLU(), nn.Conv2d(4, 27, 3, 1, 1))
            self.init_offset()

        def init_offset(self) -> None:
            nn.init.ones_(self.conv_offset[-1].bias)

    module = Alignment(4, 6, 3, padding=1)
    assert module.conv_offset[-1].bias.eq(1).all()
    zeros: Tensor = next(pack(4, 6, 3, padding=1).conv_offset.parameters())
    assert not zeros.any()


def test_offsets_from_other_features() -> None:
    module = dcn_v2.DCN_sep(4, 6, 3, 1, 1, deformable_groups=2)
    nn.init.normal_(module.conv_offset_mask.weight, std=0.3)
    x, features = torch.randn(1, 4, 6, 5), torch.randn(1, 4, 6, 5)
    predicted = module.conv_offset_mask(features)
    expected = dcnbuild.reference.deform_conv2d(
        x, predicted[:, :36], module.weight, module.bias, padding=1, mask=predicted[:, 36:].sigmoid()
    )
    torch.testing.assert_close(module(x, features), expected)
