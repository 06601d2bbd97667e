"""Facts of a machine that this one is not: somebody's JSON report, or a GPU and a driver that are not there yet."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import cuda_of_driver
from dcnbuild.machine.facts import Driver, Facts, Gpu

#: What is part of a GPU's name on a box and not in the table.
_BRANDS = re.compile(r"\b(?:nvidia|geforce|tesla|quadro|laptop gpu|gpu)\b|\b\d+ ?gb\b|-\d+gb\b|\b(?:sxm|pcie|nvl)\d?\b")


def with_gpu(facts: Facts, gpu: str | None, driver: str | None) -> Facts:
    """The facts as if this GPU and this driver were there; what is None stays as it is.

    Args:
        gpu: a name such as "RTX 5090", or a compute capability such as "12.0" or "sm_120".
        driver: a version such as "570" or "535.104.05".

    Raises ValueError for what is neither.
    """
    given, there = facts.driver, facts.driver
    if driver is not None:
        if not re.fullmatch(r"\d{3}(?:\.\d{1,3}){0,2}", driver, re.ASCII):
            raise ValueError(f"--driver {driver}: no driver version (expected e.g. 570 or 535.104.05)")
        there = Driver(driver, cuda_of_driver(driver), ("--driver",), given.gpus, devices=1)
    if gpu is not None:
        version, cuda = (there.version, there.cuda) if driver is not None else (None, None)
        there = Driver(version, cuda, (*there.found_by, "--gpu"), (find_gpu(gpu),), devices=1)
    return dataclasses.replace(facts, driver=there)


@cache
def _names() -> dict[str, tuple[str, str]]:
    """A plain spelling → (name, capability)."""
    rows: dict[str, list[str]] = plain_yaml.shipped(compatibility.TABLE.with_name("gpus.yaml"))
    return {_plain(name): (name, number) for number, names in rows.items() for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", _BRANDS.sub(" ", name.lower()))


def find_gpu(text: str) -> Gpu:
    """The GPU that somebody means: by name or compute capability. Raises ValueError."""
    number = re.fullmatch(r"(?:(?:sm|compute)_?)?(\d{1,2})\.?(\d)[af]?", text.strip(), re.ASCII)
    if number:
        return Gpu(f"GPU of compute capability {number[1]}.{number[2]}", (int(number[1]), int(number[2])))
    plain = _plain(text)
    found = next((_names()[name] for name in (plain, f"rtx{plain}", f"gtx{plain}") if name in _names()), None)
    if found is None:
        near = difflib.get_close_matches(_plain(text), _names(), 3, 0.5)
        hint = f"; near it: {', '.join(_names()[item][0] for item in near)}" if near else ""
        raise ValueError(f"--gpu {text}: not in the table of GPUs{hint}. Its compute capability, e.g. 9.0, will do.")
    major, minor = found[1].split(".")
    return Gpu(f"NVIDIA {found[0]}", (int(major), int(minor)))


def facts_from_json(text: str, name: str) -> Facts:
    """The facts in a report that `dcnbuild doctor --json` wrote, or alone.

    Fields of newer versions are passed over. Raises ValueError that names the first value that cannot be.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: no JSON: {error}") from error
    if isinstance(document, dict) and "facts" in document:
        document = document["facts"]
    try:
        return facts_of(document)
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{name}: no facts of a machine: {error}. Expected is what `dcnbuild doctor --json` prints."
        ) from error


def facts_of(document: Any) -> Facts:
    """The facts in a JSON document; what it leaves out has its default. Raises TypeError."""
    return typing.cast(Facts, _value(Facts, document, "facts"))


def _value(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as what the annotation says. Raises TypeError."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        return _value(next(part for part in parts if part is not type(None)), value, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _instance(kind, value, where)
    if origin is tuple:
        _expect(isinstance(value, list), where, "a list", value)
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        _expect(len(kinds) == len(value), where, f"{len(kinds)} values", value)
        return tuple(_value(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(zip(kinds, value)))
    if origin is Mapping:
        _expect(isinstance(value, dict), where, "an object", value)
        return {str(key): _value(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is Path:
        _expect(isinstance(value, str), where, "a path", value)
        return Path(value)
    number = kind is float and isinstance(value, int)
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _expect(fits or number, where, f"a {kind.__name__}", value)
    return value


_VERSION = re.compile(r"\d[\w.+!-]*", re.ASCII)
#: The names of fields whose text has a form that the checks rely on.
_FORMS = {
    **dict.fromkeys(("version", "cuda", "hip", "headers_version", "python"), _VERSION),
    "architectures": re.compile(r"(?:sm|compute)_\d{2,3}[af]?", re.ASCII),
}


def _instance(kind: type, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object", value)
    hints = typing.get_type_hints(kind)
    fields = {
        field.name: _value(hints[field.name], value[field.name], f"{where}.{field.name}")
        for field in dataclasses.fields(kind)
        if field.name in value
    }
    for name, pattern in _FORMS.items():
        texts = fields.get(name) or ()
        for text in (texts,) if isinstance(texts, str) else texts if isinstance(texts, tuple) else ():
            _expect(pattern.fullmatch(text) is not None, f"{where}.{name}", "a version such as 13.0 or sm_90", text)
    try:
        return kind(**fields)
    except TypeError as error:  # of a field without a default
        raise TypeError(f"{where} is not complete: {error}") from error


def _expect(holds: bool, where: str, expected: str, value: Any) -> None:
    if not holds:
        raise TypeError(f"{where} is {str(value)[:60]!r}, expected {expected}")
