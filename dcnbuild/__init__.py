"""Deformable convolution and attention for modern PyTorch, with tools that build and diagnose CUDA extensions.

Names are imported on first use (PEP 562): the doctor, the command line and the build backend import this package where
torch is absent or broken, so nothing here imports torch. The operators `torch.ops.dcnbuild.*` are registered when torch
is imported, or at once if it already is.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from dcnbuild._version import __version__
from dcnbuild.base.when_imported import when_imported

if TYPE_CHECKING:
    from dcnbuild import export as export
    from dcnbuild import reference as reference
    from dcnbuild.compat.convert import convert
    from dcnbuild.doctor.logs.reader import explain
    from dcnbuild.errors import ArgumentError, ArgumentTypeError, Finding, FindingError
    from dcnbuild.nn import DCN, DCNv3, DCNv4, DeformAttn, DeformConv2d
    from dcnbuild.ops.deform_attn import deform_attn
    from dcnbuild.ops.deform_conv2d import deform_conv2d
    from dcnbuild.ops.deform_psroi_pool import deform_psroi_pool
    from dcnbuild.ops.deform_roi_pool import deform_roi_pool
    from dcnbuild.ops.deform_sample import deform_sample

__all__ = [
    "DCN",
    "ArgumentError",
    "ArgumentTypeError",
    "DCNv3",
    "DCNv4",
    "DeformAttn",
    "DeformConv2d",
    "Finding",
    "FindingError",
    "__version__",
    "convert",
    "deform_attn",
    "deform_conv2d",
    "deform_psroi_pool",
    "deform_roi_pool",
    "deform_sample",
    "explain",
    "export",
    "reference",
]

#: Names that are modules.
_MODULES = ("export", "native", "reference", "reference_pooling")
#: Public name → the module that defines it; for a name in _MODULES, the module itself.
_HOMES = {
    "ArgumentError": "dcnbuild.errors",
    "ArgumentTypeError": "dcnbuild.errors",
    "DCN": "dcnbuild.nn",
    "DCNv3": "dcnbuild.nn",
    "DCNv4": "dcnbuild.nn",
    "Finding": "dcnbuild.errors",
    "FindingError": "dcnbuild.errors",
    "DeformAttn": "dcnbuild.nn",
    "DeformConv2d": "dcnbuild.nn",
    "convert": "dcnbuild.compat.convert",
    "deform_attn": "dcnbuild.ops.deform_attn",
    "deform_conv2d": "dcnbuild.ops.deform_conv2d",
    "deform_psroi_pool": "dcnbuild.ops.deform_psroi_pool",
    "deform_roi_pool": "dcnbuild.ops.deform_roi_pool",
    "deform_sample": "dcnbuild.ops.deform_sample",
    "explain": "dcnbuild.doctor.logs.reader",
    "export": "dcnbuild.export",
    "native": "dcnbuild.builder.native",
    "reference": "dcnbuild.reference",
    "reference_pooling": "dcnbuild.reference_pooling",
}


if not TYPE_CHECKING:  # with it, a type checker would accept every name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            old = {} if name.startswith("_") else importlib.import_module("dcnbuild.compat.names").CLASSES
            where = old.get(name)
            hint = f"; dcnbuild.compat.{where} has it, with that package's arguments" if where else ""
            message = f"module 'dcnbuild' has no attribute {name!r}{hint}"
            raise AttributeError(message, name=name, obj=sys.modules[__name__])  # Python adds "Did you mean"
        module = importlib.import_module(_HOMES[name])
        value = module if name in _MODULES else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)


when_imported("torch", "dcnbuild.ops.operators", complete="library")
when_imported("torch.utils.flop_counter", "dcnbuild.flops.torch", complete="register_flop_formula")
for _awaited, _table in (
    ("fvcore.nn.flop_count", "_DEFAULT_SUPPORTED_OPS"),
    ("mmengine.analysis.complexity_analysis", "_DEFAULT_SUPPORTED_FLOP_OPS"),
    ("ptflops.pytorch_ops", "MODULES_MAPPING"),
    ("thop.profile", "register_hooks"),
):
    when_imported(_awaited, f"dcnbuild.flops.{_awaited.partition('.')[0]}", complete=_table)
