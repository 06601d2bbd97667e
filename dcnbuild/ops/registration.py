"""Registers the operators as soon as torch is there: schema, lazy kernels, fake kernels, autograd."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dcnbuild.builder import native
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops import torch_versions
from dcnbuild.ops.arguments import check_dense
from dcnbuild.ops.calls import NAMESPACE, Call
from dcnbuild.ops.onnx import exporting

#: Whether this thread has come through `kernel_of_no_library` and calls the operator again.
_calling = threading.local()

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
    call: Call,
    *,
    reference: Callable[..., Any],
    fake: Callable[..., Any],
    onnx: Callable[..., Any],
) -> None:
    """Gives a defined operator everything that is not a compiled kernel.

    Args:
        call: the operator, with its Function.
        reference: takes the operator's arguments, for the CPU where nothing can be compiled.
        fake: takes the operator's arguments, returns empty outputs; for tracing.
        onnx: takes the operator's arguments, called in place of the Function by torch.onnx.export.
    """
    name = call.name

    def check_tensors(args: Sequence[Any]) -> torch.device:
        """The device that all tensors are on. Raises ArgumentError where they are not, or no kernel could serve one."""
        tensors = {name: arg for name, arg in zip(call.arguments, args) if isinstance(arg, Tensor)}
        first = next(iter(tensors.values())).device
        for argument, tensor in tensors.items():
            check_dense(name, argument, tensor)
            if tensor.device != first:
                raise ArgumentError(
                    f"{name}: {argument} is on {tensor.device}, expected {first}, where {next(iter(tensors))} is"
                )
        return first

    def kernel_of_no_library(*args: Any) -> Any:
        # Reached only for a device that no loaded library has a kernel for: this is the first real execution there, and
        # the one moment when compiling is allowed. Afterwards the library's kernel takes precedence over this one.
        device = check_tensors(args).type
        if native.ensure(device) == "reference":
            return reference(*args)
        if getattr(_calling, "again", False):
            raise ArgumentTypeError(
                f"{name}: no kernel takes these tensors: {[type(arg).__name__ for arg in args]}"
            )
        _calling.again = True
        try:
            return call.operator(*args)
        finally:
            _calling.again = False

    def checked_fake(*args: Any) -> Any:
        # A meta tensor beside others comes here too: what is returned must not pass for a result.
        check_tensors(args)
        return fake(*args)

    def above_kernels(*args: Any) -> Any:
        return onnx(*args) if exporting() else call.of_dispatcher(*args)

    _library.impl(name, kernel_of_no_library, "CompositeExplicitAutograd")
    _library.impl(name, above_kernels, "Autograd")
    torch_versions.register_fake(_library, name, checked_fake)
