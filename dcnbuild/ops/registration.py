"""Registers the operators once torch is imported: schema, kernels that load a library, fake kernels, autograd."""

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

#: Whether this thread is inside `kernel_of_no_library` and calls the operator again.
_calling = threading.local()

#: Keeps the registrations alive: they end when the Library is garbage-collected.
_library = torch_versions.fragment(NAMESPACE)


def schemas() -> list[str]:
    """Returns the schema strings of csrc/schema.h; no other file has them."""
    return re.findall(r'R"schema\((.*?)\)schema"', (csrc_dir() / "schema.h").read_text(), re.DOTALL)


@functools.cache
def load_or_define() -> None:
    """Loads the compiled libraries; without a CPU library, defines the operators from the same schemas. Runs once."""
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
    """Registers everything of a defined operator except its compiled kernels.

    Args:
        call: the operator, with its Function.
        reference: takes the operator's arguments; used on the CPU if nothing can be compiled.
        fake: takes the operator's arguments, returns empty outputs; for tracing.
        onnx: takes the operator's arguments; torch.onnx.export calls it instead of the Function.
    """
    name = call.name

    def check_tensors(args: Sequence[Any]) -> torch.device:
        """Returns the device of all tensors. Raises ArgumentError if they are on several, or no kernel supports one."""
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
        # The dispatcher calls this only for a device without a loaded library. So this is the first execution there,
        # and the only one that may compile. After it, the library's kernel takes precedence over this one.
        device = check_tensors(args).type
        if native.ensure(device) == "reference":
            return reference(*args)
        if getattr(_calling, "again", False):
            raise ArgumentTypeError(f"{name}: no kernel takes these tensors: {[type(arg).__name__ for arg in args]}")
        _calling.again = True
        try:
            return call.operator(*args)
        finally:
            _calling.again = False

    def checked_fake(*args: Any) -> Any:
        # A meta tensor beside real tensors also comes here; an empty output must not look like a result.
        check_tensors(args)
        return fake(*args)

    def above_kernels(*args: Any) -> Any:
        return onnx(*args) if exporting() else call.of_dispatcher(*args)

    _library.impl(name, kernel_of_no_library, "CompositeExplicitAutograd")
    _library.impl(name, above_kernels, "Autograd")
    torch_versions.register_fake(_library, name, checked_fake)
