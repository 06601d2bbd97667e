"""Makes the table of torch's Python API: modules, functions, classes and their members."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dcnbuild.machine.compatibility import table
from tools.knowledge import torch_wheels
from tools.knowledge.lifetimes import Release, Row, rows
from tools.knowledge.python_names import Module
from tools.knowledge.python_table import add, add_names, module_name, modules_of
from tools.knowledge.table import Source, write

#: Modules that are listed without their names.
_MODULE_ONLY = re.compile(
    r"^torch\.(?:testing|_inductor|_dynamo|_functorch|_refs|_prims\w*|_decomp|_export|_lazy|_subclasses|_numpy|"
    r"onnx\.(?:symbolic\w*|_\w*|operators|verification)|ao|quantization|fx\.\w+|distributed\.\w+\.\w+|"
    r"package|utils\.(?:benchmark|hipify|tensorboard|bottleneck|jit|viz)|backends\._\w+|jit\._\w+|contrib|"
    r"nn\.(?:quantizable|quantized|qat|intrinsic|backends)|csrc|export|monitor|profiler\._\w+|futures)(?:\.|$)"
)
_NO_MEMBERS = re.compile(r"^torch\.(?:distributed|fx|jit|package|onnx|distributions|masked|sparse|special)")
#: Stub of a C++ module → the Python module that has its names.
_STUBS = {"torch._C._VariableFunctions": "torch", "torch._C._nn": "torch._C._nn"}
#: Private modules from which old code imports.
_PRIVATE_BUT_USED = (
    "torch._six",
    "torch._utils",
    "torch._tensor",
    "torch._tensor_str",
    "torch._ops",
)
_TENSOR_BASES = ("_TensorBase", "TensorBase")


def generate(cache: Path, target: Path) -> None:
    """Reads every release and writes the table."""
    releases: dict[str, Release] = {}
    sources: list[Source] = []
    for row in table().torch:
        archive = torch_wheels.archive(row, cache)
        sources.append(Source(row.release, "torch", archive.name))
        releases[row.release] = release = Release()
        modules = _as_public(modules_of(archive.texts(r"^torch/.*\.pyi?$")))
        if any(name.startswith("torch._C") for name in modules):
            sources.append(Source(row.release, "torch stubs", archive.name))
        for path in archive.listing():
            name = module_name(path)
            if name and not re.search(r"\.(?:test|testing\._internal)\b", name):
                add(release, name, "module", "torch")
        _stubs(release, modules)
        add_names(release, modules, "torch", _with_names, lambda name: not _NO_MEMBERS.search(name))
    names = [row.release for row in table().torch]
    found = [_read_from(releases, row) for row in rows(releases) if _kept(row)]
    write(target, names, sources, found)


def _read_from(releases: dict[str, Release], row: Row) -> Row:
    """Assigns a name that a stub listed first to "torch stubs": releases without stubs could not list it."""
    first = releases[row.first].names[row.scope, row.key].component
    return replace(row, component="torch stubs") if first == "torch stubs" else row


def _as_public(modules: dict[str, Module]) -> dict[str, Module]:
    """Adds Tensor's members to module torch; their source is torch/tensor.py, since 1.8 torch/_tensor.py."""
    top = modules.get("torch")
    for name in ("torch.tensor", "torch._tensor"):
        if top is not None and name in modules and "Tensor" in modules[name].members:
            top.members["Tensor"] = modules[name].members["Tensor"]
    return modules


def _stubs(release: Release, modules: dict[str, Module]) -> None:
    for stub, name in _STUBS.items():
        for key, kind in (modules[stub].names if stub in modules else {}).items():
            if not key.startswith("__"):
                add(release, f"{name}.{key}", kind, "torch stubs")
    core = modules.get("torch._C")
    if core is None:
        return
    for owner in _TENSOR_BASES:
        for key in core.members.get(owner, {}):
            if not key.startswith("__"):
                add(release, f"torch.Tensor.{key}", "member", "torch stubs")
    for key, kind in core.names.items():
        if not key.startswith("__"):
            add(release, f"torch._C.{key}", kind, "torch stubs")


def _with_names(name: str) -> bool:
    if name.startswith("torch._C") or _MODULE_ONLY.search(name):
        return False
    return "._" not in name or name in _PRIVATE_BUT_USED


def _kept(row: Row) -> bool:
    return not re.match(r"torch\._(?:vendor|native|inductor|dynamo|numpy)\.", f"{row.scope}.")
