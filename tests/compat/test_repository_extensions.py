"""Tests the extensions that a repository's own files import or compile: they get ours."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compat.files import convolution, run, write

import dcnbuild
from dcnbuild.compat import dcn_v2
from dcnbuild.compat.importing import install


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
    input, offset, mask = convolution()
    weight, bias = torch.randn(6, 4, 3, 3), torch.randn(6)
    expected = dcnbuild.deform_conv2d(input, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(found.DCN_sep.uses(input, offset, mask, weight, bias), expected)


def test_the_extension_dcn_of_torch_1(repository: Path) -> None:
    install("DCN")
    module: Any = importlib.import_module("DCN")
    input, offset, mask = convolution()
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
