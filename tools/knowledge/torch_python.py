"""The table of torch's Python API: modules, functions, classes and their members."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.compatibility import table
from tools.knowledge import torch_wheels
from tools.knowledge.lifetimes import Found, Release, Row, rows
from tools.knowledge.python_names import Module, public, read
from tools.knowledge.table import Source, write
from tools.knowledge.wheels import Archive

#: Whose names are listed no further than that the module exists.
_MODULE_ONLY = re.compile(
    r"^torch\.(?:testing|_inductor|_dynamo|_functorch|_refs|_prims\w*|_decomp|_export|_lazy|_subclasses|_numpy|"
    r"onnx\.(?:symbolic\w*|_\w*|operators|verification)|ao|quantization|fx\.\w+|distributed\.\w+\.\w+|"
    r"package|utils\.(?:benchmark|hipify|tensorboard|bottleneck|jit|viz)|backends\._\w+|jit\._\w+|contrib|"
    r"nn\.(?:quantizable|quantized|qat|intrinsic|backends)|csrc|export|monitor|profiler\._\w+|futures)(?:\.|$)"
)
_NO_MEMBERS = re.compile(
    r"^torch\.(?:distributed|fx|jit|package|onnx|distributions|masked|sparse|special)"
)
#: Stubs of what is written in C++, and the Python names that they stand for.
_STUBS = {"torch._C._VariableFunctions": "torch", "torch._C._nn": "torch._C._nn"}
_TENSOR_BASES = ("_TensorBase", "TensorBase")


def generate(cache: Path, target: Path) -> None:
    """Reads every release and writes the table."""
    releases: dict[str, Release] = {}
    sources: list[Source] = []
    for row in table().torch:
        archive = torch_wheels.archive(row, cache)
        sources.append(Source(row.release, "torch", archive.name))
        releases[row.release] = release = Release()
        modules = _modules(archive)
        if any(name.startswith("torch._C") for name in modules):
            sources.append(Source(row.release, "torch stubs", archive.name))
        for path in archive.listing():
            name = module_name(path)
            if name and not re.search(r"\.(?:test|testing\._internal)\b", name):
                _add(release, name, "module", "torch")
        _stubs(release, modules)
        for name in modules:
            if not name.startswith("torch._C") and not _MODULE_ONLY.search(name):
                _names(release, modules, name)
    names = [row.release for row in table().torch]
    write(target, names, sources, [row for row in rows(releases) if _kept(row)])


def module_name(path: str) -> str:
    """torch/nn/__init__.py → torch.nn; "" for what is no module of torch."""
    match = re.fullmatch(r"(torch(?:/\w+)*?)(?:/__init__)?\.pyi?", path)
    return match[1].replace("/", ".") if match else ""


def _modules(archive: Archive) -> dict[str, Module]:
    found: dict[str, Module] = {}
    for path, text in archive.texts(r"^torch/.*\.pyi?$"):
        name = module_name(path)
        module = read(text, name, "/__init__." in path) if name else None
        if module is not None and (name not in found or path.endswith(".py")):
            found[name] = module
    return found


def _add(release: Release, name: str, kind: str, component: str) -> None:
    scope, _, key = name.rpartition(".")
    release.add(scope, key, Found(kind, "", component))


def _names(release: Release, modules: dict[str, Module], name: str) -> None:
    module = modules[name]
    if any(part.startswith("_") for part in name.split(".")):
        listed: Iterable[tuple[str, str]] = module.names.items()
    else:
        listed = public(modules, name).items()
    for key, kind in listed:
        if not key.startswith("__"):
            _add(release, f"{name}.{key}", kind, "torch")
    for owner, members in module.members.items():
        if owner.startswith("_") or _NO_MEMBERS.search(name):
            continue
        where = (
            "torch"
            if (owner, name) in (("Tensor", "torch.tensor"), ("Tensor", "torch._tensor"))
            else name
        )
        for key in members:
            if not key.startswith("_"):
                _add(release, f"{where}.{owner}.{key}", "member", "torch")


def _stubs(release: Release, modules: dict[str, Module]) -> None:
    for stub, name in _STUBS.items():
        for key, kind in (modules[stub].names if stub in modules else {}).items():
            if not key.startswith("__"):
                _add(release, f"{name}.{key}", kind, "torch stubs")
    core = modules.get("torch._C")
    if core is None:
        return
    for owner in _TENSOR_BASES:
        for key in core.members.get(owner, {}):
            if not key.startswith("__"):
                _add(release, f"torch.Tensor.{key}", "member", "torch stubs")
    for key, kind in core.names.items():
        if not key.startswith("__"):
            _add(release, f"torch._C.{key}", kind, "torch stubs")


def _kept(row: Row) -> bool:
    return bool(row.scope or row.key == "torch")
