"""Facts of a machine from JSON, as `dcnbuild doctor --json` writes them."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcnbuild.machine.facts import Facts


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
