"""Tests files that are known by the extension that they import, whatever their names: Functions that refuse the CPU."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.files import convolution, write

import dcnbuild
from dcnbuild.compat.contents import functions_for
from dcnbuild.compat.importing import install
from dcnbuild.compat.names import lookup

FUNCTION = """
import torch
from torch.autograd import Function
{imported}
class DeformConvFunction(Function):
    @staticmethod
    def forward(ctx, input, offset, weight, stride=1, padding=0, dilation=1, groups=1, deformable_groups=1,
                im2col_step=64{more}):
        if not input.is_cuda:
            raise NotImplementedError
deform_conv = DeformConvFunction.apply
def nms(*args):
    return args
"""


@pytest.mark.parametrize(
    ("file", "imported", "asked"),
    [
        ("nets/deform_conv/conv.py", "from . import deform_conv_cuda", ()),
        ("nets/layers.py", "import deform_conv_ext as ext", ()),
        ("cvpods/layers/deform_conv.py", "from cvpods import _C", ("cvpods._C",)),
        ("detectron2/layers/deform_conv.py", "from detectron2 import _C", ("detectron2._C",)),
    ],
)
def test_a_function_that_refuses_the_cpu_is_replaced(
    file: str, imported: str, asked: tuple[str, ...], repository: Path
) -> None:
    write(repository / file, FUNCTION.format(imported=imported, more=""))
    install()
    if asked:
        install(*asked)
    found: Any = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    x, offset, _ = convolution()
    weight = torch.randn(6, 4, 3, 3)
    expected = dcnbuild.reference.deform_conv2d(x, offset, weight, padding=1)
    torch.testing.assert_close(found.deform_conv(x, offset, weight, 1, 1), expected)
    torch.testing.assert_close(found.DeformConvFunction.apply(x, offset, weight, 1, 1), expected)
    assert found.nms(1) == (1,)


def test_other_functions_are_left(repository: Path) -> None:
    write(repository / "a.py", FUNCTION.format(imported="import deform_conv_cuda", more=", scale=1"))
    write(repository / "b.py", FUNCTION.format(imported="import math", more=""))
    willing = FUNCTION.replace(
        "if not input.is_cuda:\n            raise NotImplementedError", "return 2 * input  # is_cuda"
    )
    write(repository / "c.py", willing.format(imported="import deform_conv_cuda", more=""))
    install()
    for name in "abc":
        assert importlib.import_module(name).DeformConvFunction.__module__ == name


def test_nothing_is_examined_before_install(repository: Path) -> None:
    write(repository / "nets.py", "import sys\nis_cuda = 'deform_conv_cuda'\n")
    assert importlib.import_module("nets").is_cuda
    assert "dcnbuild.compat.loading" not in str(sys.modules["nets"].__spec__)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from . import deform_conv_cuda", ["mmdet"]),
        ("from .. import deform_conv_cuda", ["mmdet"]),
        ("import deform_conv_cuda", ["mmdet"]),
        ("from a.b.deform_conv_ext import deform_conv_forward", ["mmdet"]),
        ("from a import _C", ["mmdet", "ms_deform_attn"]),
        ("import MDCONV_CUDA", ["mdconv"]),
        ("import MultiScaleDeformableAttention as MSDA", ["ms_deform_attn"]),
        ("name = 'deform_conv_cuda'", []),
        ("print deform_conv_cuda", []),
    ],
)
def test_the_extensions_that_a_file_imports(statement: str, expected: list[str]) -> None:
    source = f"{statement}\ndef f(x): return x.is_cuda\n"
    found = functions_for(source, "a.b.c", False, lookup)
    assert found == [f"dcnbuild.compat.{module}" for module in expected]
    assert functions_for(source.replace("is_cuda", "is_cpu"), "a.b.c", False, lookup) == []


def test_the_module_with_three_dimensions_keeps_them(repository: Path) -> None:
    source = """
import torch
from torch import nn
import MDCONV_CUDA
class ModulatedDeformConv2dFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, offset, mask, weight, bias=None, stride=1, padding=0, dilation=1, groups=1,
                deformable_groups=1, in_step=64):
        if not input.is_cuda:
            raise NotImplementedError
modulated_deform_conv2d = ModulatedDeformConv2dFunction.apply
class DeformConv3d(nn.Module):
    pass
"""
    write(repository / "modulated_deform_conv.py", source)
    install()
    found: Any = importlib.import_module("modulated_deform_conv")
    assert found.DeformConv3d.__module__ == "modulated_deform_conv"
    x, offset, mask = convolution()
    weight, bias = torch.randn(6, 4, 3, 3), torch.randn(6)
    expected = dcnbuild.reference.deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(
        found.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1, 1, 1, 1, 64), expected
    )
