"""Lists what releases of torch lack, for the operators, their tests and docs/torch-versions.md; and replaces missing
functions.

A function here with a name of torch's is torch's own if the running torch has it; otherwise it does the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from dcnbuild.base.versions import numbers
from dcnbuild.builder.flavour import OLDEST, OLDEST_REQUIREMENT

RELEASE = numbers(str(torch.__version__))[:2]
if RELEASE < OLDEST:
    raise ImportError(f"dcnbuild needs {OLDEST_REQUIREMENT}, and this is torch {torch.__version__}")


@dataclass(frozen=True)
class Feature:
    """A feature that works from one release of torch on.

    Attributes:
        name: its name in the table and in the reasons of skipped tests.
        since: the first release with it.
        before: the behaviour of older releases.
    """

    name: str
    since: tuple[int, int]
    before: str


FEATURES = (
    Feature(
        "torch.compile(fullgraph=True)",
        (2, 1),
        "the graph breaks where a function of dcnbuild is called",
    ),
    Feature("torch.compile(dynamic=True)", (2, 1), "static shapes only, one graph for each"),
    Feature("torch.compile(dynamic=True) of sizes", (2, 4), "deform_roi_pool and DeformAttn take constant sizes only"),
    Feature(
        "torch.compile under autocast on the CPU", (2, 4), "the graph breaks where a function of dcnbuild is called"
    ),
    Feature("torch.jit.script", (2, 4), "TorchScript refuses the functions and modules"),
    Feature("torch.library.opcheck", (2, 4), "the operators are tested without it"),
    Feature("torch.onnx.export(dynamo=True)", (2, 8), "the export raises and says so"),
)


def has(name: str) -> bool:
    """Whether the running torch has a feature of the table. Raises KeyError for an unknown feature."""
    return {feature.name: feature.since <= RELEASE for feature in FEATURES}[name]


def fragment(namespace: str) -> torch.library.Library:
    """Returns a library for operators in a namespace to which other libraries may add too."""
    # torch 2.0 has no fragments. A namespace can have only one "DEF", and this is ours.
    return torch.library.Library(namespace, "FRAGMENT" if RELEASE >= (2, 1) else "DEF")


def register_fake(library: torch.library.Library, name: str, fake: Callable[..., Any]) -> None:
    """Registers the fake kernel of an operator of the library: it gives shapes and dtypes without data."""
    if RELEASE >= (2, 4):
        torch.library.register_fake(f"{library.ns}::{name}", fake, lib=library)
    else:
        library.impl(name, fake, "Meta")


@contextlib.contextmanager
def _dispatch_below_autograd() -> Iterator[None]:
    guard = torch._C._AutoDispatchBelowAutograd()  # works as long as the object exists
    try:
        yield
    finally:
        del guard


def _is_autocast_enabled(device_type: str) -> bool:
    if device_type == "cpu":
        return torch.is_autocast_cpu_enabled()
    return device_type == "cuda" and torch.is_autocast_enabled()


def _get_autocast_dtype(device_type: str) -> torch.dtype:
    cpu = device_type == "cpu"
    return torch.get_autocast_cpu_dtype() if cpu else torch.get_autocast_gpu_dtype()


def _no_override_in_graphs(has_torch_function: Callable[..., bool]) -> Callable[..., bool]:
    """Returns has_torch_function for torch 2.0 and 2.1, where Dynamo cannot trace it: the graph would break there."""

    def has_override(*arguments: Any) -> bool:
        return not is_compiling() and has_torch_function(*arguments)

    return has_override


# Dynamo recognises torch's functions by identity, so these are aliases, not wrappers.
is_autocast_enabled = torch.is_autocast_enabled if RELEASE >= (2, 4) else _is_autocast_enabled
get_autocast_dtype = torch.get_autocast_dtype if RELEASE >= (2, 4) else _get_autocast_dtype
dispatch_below_autograd: Callable[[], AbstractContextManager[Any]] = (
    torch._C._AutoDispatchBelowAutograd if RELEASE >= (2, 1) else _dispatch_below_autograd
)
is_compiling = torch.compiler.is_compiling if RELEASE >= (2, 3) else torch._utils.is_compiling
if RELEASE >= (2, 2):
    has_torch_function_unary = torch.overrides.has_torch_function_unary
    has_torch_function_variadic = torch.overrides.has_torch_function_variadic
else:
    has_torch_function_unary = _no_override_in_graphs(torch.overrides.has_torch_function_unary)
    has_torch_function_variadic = _no_override_in_graphs(torch.overrides.has_torch_function_variadic)
