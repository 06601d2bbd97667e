"""Tests a repository's own files: our module replaces a file if it has all of it; else the file runs with our
functions.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.files import run, write
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


def _arguments() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return torch.randn(1, 4, 6, 5), torch.randn(1, 18, 6, 5), torch.rand(1, 9, 6, 5)


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
    assert module.ModulatedDeformConv(4, 6, 3, padding=1)(*_arguments()).shape == (1, 6, 6, 5)


@pytest.mark.parametrize("more", MORE)
def test_a_file_with_more_is_executed_with_our_functions(more: str, repository: Path) -> None:
    write(repository / "ops" / "dcn" / "deform_conv.py", OPS_DCN + MORE[more])
    install()
    module: Any = importlib.import_module("ops.dcn.deform_conv")
    assert module.ModulatedDeformConv.__module__ == "ops.dcn.deform_conv"
    conv, arguments = module.ModulatedDeformConv(4, 6, 3, padding=1), _arguments()
    expected = dcnbuild.deform_conv2d(arguments[0], arguments[1], conv.weight, conv.bias, padding=1, mask=arguments[2])
    torch.testing.assert_close(conv(*arguments), expected)  # on the CPU, which the file refuses
    assert str(dcnbuild.convert(nn.Sequential(conv))).endswith("1 converted, 0 left")


def test_a_fork_of_dcn_v2_keeps_its_class_and_gets_an_extension(repository: Path) -> None:
    source = """
import _ext as _backend
from torch.autograd import Function
class _DCNv2(Function):
    @staticmethod
    def forward(ctx, input, offset, mask, weight, bias, stride, padding, dilation, deformable_groups):
        return _backend.dcn_v2_forward
dcn_v2_conv = _DCNv2.apply
class DCN_sep:
    uses = staticmethod(lambda *args: dcn_v2_conv(*args))
"""
    write(repository / "nets" / "DCNv2" / "dcn_v2.py", source)
    install()
    found: Any = importlib.import_module("nets.DCNv2.dcn_v2")
    assert found.DCN_sep.__module__ == "nets.DCNv2.dcn_v2"
    assert found.dcn_v2_conv is dcn_v2.dcn_v2_conv
    assert found._backend.dcn_v2_forward.__module__ == "dcnbuild.compat.dcn_v2_ext"
    # A generic name is there for that file alone.
    assert "_ext" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        run("import _ext")


CFFI = """
from torch.autograd import Function
{imported}
class DCNv2Function(Function):
    @staticmethod
    def forward(ctx, input, offset, mask, weight, bias):
        output = input.new()
        _backend.dcn_v2_cuda_forward(
            input, weight, bias, input.new(), offset, mask, output, input.new(), 3, 3, 1, 1, 1, 1, 1, 1, 1
        )
        return output
class DCN_sep:
    uses = staticmethod(DCNv2Function.apply)
"""
#: What torch.utils.ffi wrote beside the library.
WRAPPER = "from torch.utils.ffi import _wrap_function\nfrom ._dcn_v2 import lib as _lib\n"


@pytest.mark.parametrize(
    ("imported", "built"),
    [
        ("from ._ext import dcn_v2 as _backend", False),
        ("from ._ext import dcn_v2 as _backend", True),
        ("from _ext import dcn_v2 as _backend", False),
        ("from .dcn_v2_func import _backend", False),
        ("from ._ext import modulated_dcn as _backend", False),
    ],
)
def test_a_file_of_torch_0_4_gets_its_extension(
    imported: str,
    built: bool,
    repository: Path,
) -> None:
    package = repository / "nets" / "DCNv2"
    write(package / "dcn_v2.py", CFFI.format(imported=imported))
    write(package / "dcn_v2_func.py", "from ._ext import dcn_v2 as _backend\n")
    if built:
        write(package / "_ext" / "__init__.py")
        write(package / "_ext" / "dcn_v2" / "__init__.py", WRAPPER)
    install()
    found: Any = importlib.import_module("nets.DCNv2.dcn_v2")
    assert found.DCN_sep.__module__ == "nets.DCNv2.dcn_v2"
    input, offset, mask = _arguments()
    weight, bias = torch.randn(6, 4, 3, 3), torch.randn(6)
    expected = dcnbuild.deform_conv2d(input, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(found.DCN_sep.uses(input, offset, mask, weight, bias), expected)


def test_the_extension_dcn_of_torch_1(repository: Path) -> None:
    install("DCN")
    module: Any = importlib.import_module("DCN")
    input, offset, mask = _arguments()
    weight, bias = torch.randn(6, 4, 3, 3), torch.randn(6)
    leaves = [t.double().requires_grad_() for t in (input, offset, mask, weight, bias)]
    x, o, m, w, b = (leaf.detach() for leaf in leaves)
    sizes = (3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 64)
    for masked in (True, False):
        out = dcnbuild.reference.deform_conv2d(
            leaves[0], leaves[1], *leaves[3:], padding=1, mask=leaves[2] if masked else None
        )
        kept = [leaf for leaf in leaves if masked or leaf is not leaves[2]]
        grad = torch.randn_like(out)
        given = (x, w, b, o, m) if masked else (x, w, b, o)
        name = "modulated_deform_conv" if masked else "deform_conv"
        forward = getattr(module, f"{name}_forward")(*given, *sizes)
        torch.testing.assert_close(forward, out.detach())
        backward = getattr(module, f"{name}_backward")(*given, grad, *sizes)
        for ours, expected in zip(backward, torch.autograd.grad(out, kept, grad), strict=True):
            torch.testing.assert_close(ours, expected)
    with pytest.raises(ValueError, match="5x5"):
        module.deform_conv_forward(x, w, b, o, 5, 5, *sizes[2:])


@pytest.mark.parametrize(
    ("call", "ours"),
    [
        ("load('deform_conv', sources=['src/deform_conv_ext.cpp', 'src/k.cu'])", "deform_conv_ext"),
        (
            "load(name='MultiScaleDeformableAttention', sources=['vision.cpp'])",
            "ms_deform_attn_ext",
        ),
        ("load('_ext', ['src/vision.cpp'], verbose=True)", "dcn_v2_ext"),
        ("load('x', sources=[pathlib.Path('src/cuda/dcn_v2_cuda.cu')])", "dcn_v2_ext"),
    ],
)
def test_an_extension_that_a_file_compiles_when_it_is_imported(
    call: str,
    ours: str,
    repository: Path,
) -> None:
    source = f"import pathlib\nfrom torch.utils.cpp_extension import load\next = {call}\nclass More:\n    pass\n"
    write(repository / "nets" / "dcn_v2.py", source)
    install()
    assert run("from nets.dcn_v2 import ext")["ext"] is sys.modules[f"dcnbuild.compat.{ours}"]


def test_other_extensions_are_compiled_as_ever(repository: Path) -> None:
    from dcnbuild.compat.jit_load import stand_in

    assert stand_in("deform_conv_ext", ["deform_conv_ext.cpp"]) is None  # nothing is installed
    install(without=["dcn_v2_ext"])
    assert stand_in("fused", ["fused_act_ext.cpp", "fused_act_ext_cuda.cu"]) is None
    assert stand_in("_ext", "vision.cpp") is None and stand_in("dcn_v2_ext", []) is None
    assert stand_in("x", "src/deform_conv_cuda.cpp") == "dcnbuild.compat.deform_conv_ext"


def test_an_extension_of_another_package_is_not_taken_for_the_file_s(repository: Path) -> None:
    write(repository / "other" / "__init__.py", "from . import _ext\n")
    write(repository / "other" / "_ext.py", "VALUE = 3\n")
    write(
        repository / "nets" / "dcn_v2.py",
        "import other\nfrom . import _ext\nclass More:\n    pass\n",
    )
    install()
    found: Any = importlib.import_module("nets.dcn_v2")
    assert found.other._ext.VALUE == 3 and found._ext.dcn_v2_forward
    assert sys.modules["other._ext"] is found.other._ext  # a compiled one must not be loaded twice


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
    x, offset, mask = _arguments()
    assert built.compute(x, offset, mask, torch.ones(2, 4, 3, 3), None, 1, 1).shape == (1, 2, 6, 5)
    nms: Any = run("from mmcv.ops import nms")["nms"]
    with pytest.raises(NotImplementedError, match=r"nms: dcnbuild stands in .* deformable operators only"):
        nms()
