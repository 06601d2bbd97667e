"""Tests a repository's own files: our module replaces a file if it has all of it; else the file runs with our
functions.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.files import convolution, run, write
from torch import nn

import dcnbuild
from dcnbuild.compat import dcn_v2, mmdet
from dcnbuild.compat.importing import install
from dcnbuild.compat.source import can_replace

#: Written like the file ops/dcn/deform_conv.py of old projects: a Function that knows no CPU, its `apply`, and modules.
OPS_DCN = """
import math
import torch
import torch.utils.cpp_extension  # here, or what it imports would be forgotten after a test and imported twice
from torch import nn
from torch.autograd import Function
from torch.nn.modules.utils import _pair
from . import deform_conv_cuda

class ModulatedDeformConvFunction(Function):
    @staticmethod
    def forward(ctx, input, offset, mask, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, deformable_groups=1):
        if not input.is_cuda:
            raise NotImplementedError
        deform_conv_cuda.modulated_deform_conv_cuda_forward()

modulated_deform_conv = ModulatedDeformConvFunction.apply

class ModulatedDeformConv(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1,
                 deformable_groups=1, bias=True):
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, _pair(kernel_size)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups, self.deformable_groups, self.with_bias = groups, deformable_groups, bias
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x, offset, mask):
        return modulated_deform_conv(x, offset, mask, self.weight, self.bias, self.stride, self.padding, self.dilation,
                                     self.groups, self.deformable_groups)
"""
MORE = {
    "one class more": "class ModulatedDeformConvAlign(ModulatedDeformConv):\n    pass\n",
    "registered": "@(lambda kind: kind)\nclass ModulatedDeformConvPack(ModulatedDeformConv):\n    pass\n",
    "one argument more": (
        "class ModulatedDeformConvPack(ModulatedDeformConv):\n"
        "    def __init__(self, *args, extra_offset_mask=False, **kwargs):\n        super().__init__(*args, **kwargs)\n"
    ),
    "another forward": (
        "class ModulatedDeformConvPack(ModulatedDeformConv):\n    def forward(self, x, fea):\n        return x\n"
    ),
    "a function more": "def initialise(module):\n    pass\n",
    "another name": "DCNv2Pack = ModulatedDeformConv\n",
}


@pytest.mark.parametrize("package", ["ops.dcn", "mmdet.ops.dcn", "a.b.models.ops.dcn"])
def test_ours_stands_in_for_a_file_that_it_covers(package: str, repository: Path) -> None:
    directory = repository / Path(*package.split("."))
    write(
        directory / "__init__.py",
        "from .deform_conv import ModulatedDeformConv\nfrom . import deform_pool_cuda\n",
    )
    write(directory / "deform_conv.py", OPS_DCN)
    install()
    module: Any = importlib.import_module(package)
    assert module.ModulatedDeformConv is mmdet.ModulatedDeformConv
    assert module.deform_pool_cuda.deform_psroi_pooling_cuda_forward
    assert module.ModulatedDeformConv(4, 6, 3, padding=1)(*convolution()).shape == (1, 6, 6, 5)


@pytest.mark.parametrize("more", MORE)
def test_a_file_with_more_is_executed_with_our_functions(more: str, repository: Path) -> None:
    write(repository / "ops" / "dcn" / "deform_conv.py", OPS_DCN + MORE[more])
    install()
    module: Any = importlib.import_module("ops.dcn.deform_conv")
    assert module.ModulatedDeformConv.__module__ == "ops.dcn.deform_conv"
    conv, arguments = module.ModulatedDeformConv(4, 6, 3, padding=1), convolution()
    expected = dcnbuild.deform_conv2d(arguments[0], arguments[1], conv.weight, conv.bias, padding=1, mask=arguments[2])
    torch.testing.assert_close(conv(*arguments), expected)  # on the CPU, which the file refuses
    assert str(dcnbuild.convert(nn.Sequential(conv))).endswith("1 converted, 0 left")


def test_names_can_be_left_to_the_repository(repository: Path) -> None:
    write(repository / "nets" / "DCNv2" / "dcn_v2.py", "DCN = 'its own'\n")
    write(repository / "mine" / "dcn_v2.py", "DCN = 'another'\n")
    install(without=["DCNv2.dcn_v2"])
    assert run("from nets.DCNv2.dcn_v2 import DCN")["DCN"] == "its own"
    assert run("from dcn_v2 import DCN")["DCN"] is dcn_v2.DCN
    install(without=["dcn_v2"])
    assert run("from mine.dcn_v2 import DCN")["DCN"] == "another"
    assert run("import deform_conv_cuda")["deform_conv_cuda"]


def test_a_file_that_hands_on_is_executed(repository: Path) -> None:
    write(repository / "m" / "modulated_deform_conv.py", "import _ext\n")
    write(
        repository / "m" / "dcn_v2.py",
        "from .modulated_deform_conv import ModulatedDeformConv2dPack as DCN\n",
    )
    install()
    # DCNv2's own DCN has no default for stride and padding.
    assert run("from m.dcn_v2 import DCN\nmodule = DCN(2, 2, 3)")["module"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", True),
        ("print 'python 2'", True),
        (
            "class DCN:\n    def __init__(self, in_channels, out_channels, kernel_size, stride, padding): pass",
            True,
        ),
        (
            "class DCN:\n    def __init__(self, in_channels, out_channels, size, stride, padding): pass",
            False,
        ),
        ("class DCN:\n    def forward(self, input): pass\nclass _Private: pass", True),
        ("class DCN:\n    def forward(self, input, feature): pass", False),
        ("class DCNv2Function(Function): pass", True),
        ("class Other(nn.Module): pass", False),
        ("if __name__ == '__main__':\n    class Other: pass", True),
        ("import math\nlogger = math.log(2)\nepsilon = 1e-6", True),
        ("from .other import DCN", False),
        # A class that the file gives to something must be there when that is asked.
        ("class DCN: pass\nLAYERS.register_module('DCN', module=DCN)", False),
        ("class DCN: pass\nLAYERS['DCN'] = DCN", False),
        ("class DCN: pass\nLAYERS.update(DCN=DCN)", False),
        ("class DCN: pass\nprint('DCN')\nsizes['a'] = 1", True),
    ],
)
def test_what_can_be_replaced(source: str, expected: bool) -> None:
    assert can_replace(dcn_v2, source) is expected


#: Like mmcv without its extension: Python that loads its operators by name, and registers its classes.
MMCV = {
    "__init__.py": "",
    "registry.py": "REGISTRY = {}\n",
    "utils.py": (
        "import importlib\n"
        "def load_ext(name, functions):\n"
        "    module = importlib.import_module('mmcv.' + name)\n"
        "    assert all(hasattr(module, each) for each in functions)\n"
        "    return module\n"
    ),
    "cnn/__init__.py": (
        "from ..registry import REGISTRY\ndef build_conv_layer(kind, *args):\n    return REGISTRY[kind](*args)\n"
    ),
    "ops/__init__.py": "from .nms import nms\nfrom .modulated_deform_conv import ModulatedDeformConv2dPack\n",
    "ops/nms.py": (
        "from ..utils import load_ext\next = load_ext('_ext', ['nms'])\ndef nms(*args):\n    return ext.nms(*args)\n"
    ),
    "ops/modulated_deform_conv.py": (
        "from torch.autograd import Function\nfrom ..utils import load_ext\nfrom ..registry import REGISTRY\n"
        "ext = load_ext('_ext', ['modulated_deform_conv_forward', 'modulated_deform_conv_backward'])\n"
        "class ModulatedDeformConv2dFunction(Function):\n    @staticmethod\n"
        "    def forward(ctx, x, offset, mask, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, "
        "deform_groups=1):\n"
        "        pass\n"
        "modulated_deform_conv2d = ModulatedDeformConv2dFunction.apply\n"
        "class ModulatedDeformConv2dPack:\n    compute = staticmethod(lambda *args: modulated_deform_conv2d(*args))\n"
        "    def __init__(self, *args):\n        self.args = args\n    def forward(self, x, more):\n        pass\n"
        "REGISTRY['DCNv2'] = ModulatedDeformConv2dPack\n"
    ),
}


def test_mmcv_without_its_extension_keeps_its_python(repository: Path) -> None:
    for name, text in MMCV.items():
        write(repository / "mmcv" / name, text)
    install("mmcv.ops")
    # Importing mmcv.cnn is enough for its registry.
    built: Any = run("from mmcv.cnn import build_conv_layer\nbuilt = build_conv_layer('DCNv2', 4)")["built"]
    assert type(built).__module__ == "mmcv.ops.modulated_deform_conv" and built.args == (4,)
    x, offset, mask = convolution()
    assert built.compute(x, offset, mask, torch.ones(2, 4, 3, 3), None, 1, 1).shape == (1, 2, 6, 5)
    nms: Any = run("from mmcv.ops import nms")["nms"]
    with pytest.raises(NotImplementedError, match=r"nms: dcnbuild stands in .* deformable operators only"):
        nms()
