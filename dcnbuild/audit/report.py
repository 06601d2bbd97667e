"""Writes the audit as JSON and as text."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Sequence
from typing import Any

from dcnbuild.audit.bounds import Bounds
from dcnbuild.audit.package import Package
from dcnbuild.audit.target import Target
from dcnbuild.base.as_json import plain
from dcnbuild.errors import Finding

SCHEMA = 1


def to_json(package: Package, bound: Bounds, target: Target, found: Sequence[Finding]) -> str:
    """Returns the whole audit as JSON; `schema` describes it."""
    document = {
        "schema": SCHEMA,
        "package": plain(package),
        "bounds": plain(bound),
        "target": plain(target),
        "findings": [finding.to_json() for finding in found],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of `to_json`, made from the dataclasses."""
    parts = {"package": Package, "bounds": Bounds, "target": Target}
    properties = {
        "schema": {"const": SCHEMA},
        **{name: _schema_of(kind) for name, kind in parts.items()},
        "findings": {"type": "array", "items": _schema_of(Finding)},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dcnbuild audit",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    type(None): {"type": "null"},
}


def _schema_of(kind: Any) -> dict[str, Any]:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema_of(part) for part in parts]}
    if origin is typing.Literal:
        return {"enum": list(parts)}
    if origin is tuple and parts[-1] is Ellipsis:
        return {"type": "array", "items": _schema_of(parts[0])}
    if origin is tuple:
        items = [_schema_of(part) for part in parts]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {field.name: _schema_of(hints[field.name]) for field in dataclasses.fields(kind)}
        return {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
    return _PLAIN[kind]


def rows(package: Package, bound: Bounds) -> list[tuple[str, str]]:
    """Returns the needs of the package as (name, text) of each line."""
    torch, cuda, system = bound.torch, bound.cuda, bound.system
    lines = [(package.kind, f"{package.name}, {_count(len(package.binaries), 'library', 'libraries')}")]
    if torch.abi is None:
        lines.append(("torch", "no name of it is needed"))
    elif torch.abi == "stable":
        lines.append(("torch", f"stable ABI: {torch.oldest or 'any'} and newer"))
    else:
        ends = f"{torch.oldest or 'the oldest'} to {torch.newest or 'the newest'}"
        abi = "" if torch.cxx11_abi is None else f", cxx11 ABI {int(torch.cxx11_abi)}"
        lines.append(("torch", f"C++ ABI, so one release; its names are in {ends}{abi}"))
        lines.append(("", f"C++ names such as {', '.join(torch.cxx_names[:2])}"))
    if torch.oldest_by:
        lines.append(("", f"since {torch.oldest}: {', '.join(torch.oldest_by)}"))
    if torch.newest_by:
        lines.append(("", f"up to {torch.newest}: {', '.join(torch.newest_by)}"))
    if package.torch is not None:
        lines.append(("", f"its metadata asks for torch{package.torch}"))
    lines.append(("Python", _python(package, bound)))
    if cuda.majors or cuda.architectures:
        majors = " or ".join(map(str, cuda.majors))
        static = "no library of CUDA is needed, so that every major serves"
        lines.append(("CUDA", f"{majors} ({' '.join(cuda.libraries)})" if majors else static))
        lines.append(("GPU code", " ".join(cuda.architectures) or "none"))
        if cuda.toolkits:
            oldest, newest = cuda.toolkits
            lines.append(("", f"made by CUDA {oldest}" + f" to {newest}" * (oldest != newest)))
        lines.append(("driver", f"{cuda.driver} or newer" if cuda.driver else "not known"))
    if cuda.driver_library:
        lines.append(("", "libcuda.so.1 is needed: it loads only where a driver is"))
    libraries = [f"glibc {system.glibc}"] if system.glibc else []
    if system.glibcxx:
        libraries.append(system.glibcxx + f" (gcc {system.gcc})" * (system.gcc is not None))
    lines.append(("system", ", ".join([*system.machines, *libraries]) or "any"))
    lines.append(("platform tag", _platform(bound)))
    lines.append(("stack", "executable" if system.executable_stack else "not executable"))
    lines.append(
        ("run path", ", ".join(system.run_paths) or "none outside of the package"),
    )
    return lines


def _python(package: Package, bound: Bounds) -> str:
    python = bound.python
    tags = f"; tags {', '.join(python.tags)}" if python.tags else ""
    if python.abi == "none":
        return f"no name of its C API is needed{tags}"
    oldest = f" {python.oldest} and newer" if python.oldest else ""
    return f"{python.abi}{oldest}{tags}"


def _platform(bound: Bounds) -> str:
    system = bound.system
    if system.manylinux is None:
        return "none that is known"
    outside = f", but for {', '.join(system.outside)}" if system.outside else ""
    return system.manylinux + outside


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
