"""Registers the operators as soon as torch is there: schema, lazy kernels, fake kernels, autograd."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dcnbuild import native
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.ops import torch_versions
from dcnbuild.ops.onnx import exporting

NAMESPACE = "dcnbuild"

#: Keeps the registrations alive; a Library that is collected takes them with it.
_library = torch_versions.fragment(NAMESPACE)


def schemas() -> list[str]:
    """The schema strings of csrc/schema.h, which is their one home."""
    return re.findall(r'R"schema\((.*?)\)schema"', (csrc_dir() / "schema.h").read_text(), re.DOTALL)


@functools.cache
def load_or_define() -> None:
    """Loads what is compiled already; without a CPU library, defines the operators from the same schemas. Once."""
    native.load_registered()
    if native.status("cpu").library is None:
        for schema in schemas():
            _library.define(schema)
        native.schema_defined_in_python = True


def register(
    name: str,
    *,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    autograd: Callable[..., Any],
    onnx: Callable[..., Any],
) -> torch._ops.OpOverloadPacket:
    """Gives a defined operator everything that is not a compiled kernel, and returns it.

    Args:
        name: the operator's name in csrc/schema.h.
        reference: takes the operator's arguments, for the CPU where nothing can be compiled.
        fake: takes the operator's arguments, returns empty outputs; for tracing.
        autograd: takes the operator's arguments, called above the kernels; differentiable.
        onnx: takes the operator's arguments, called in place of `autograd` by torch.onnx.export.
    """
    operator: torch._ops.OpOverloadPacket = getattr(getattr(torch.ops, NAMESPACE), name)

    def kernel_of_no_library(*args: Any) -> Any:
        # Reached only for a device that no loaded library has a kernel for: this is the first real execution there, and
        # the one moment when compiling is allowed. Afterwards the library's kernel takes precedence over this one.
        device = next(arg.device.type for arg in args if isinstance(arg, Tensor))
        return reference(*args) if native.ensure(device) == "reference" else operator(*args)

    def above_kernels(*args: Any) -> Any:
        return onnx(*args) if exporting() else autograd(*args)

    _library.impl(name, kernel_of_no_library, "CompositeExplicitAutograd")
    _library.impl(name, above_kernels, "Autograd")
    torch_versions.register_fake(_library, name, fake)
    return operator
