"""Reads the tables beside the code, YAML files whose rows make one object each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dcnbuild.base.plain_yaml import shipped


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table; one with `each` stands for as many, with the values of each in place of "{name}"."""
    for row in shipped(path):
        for values in row.get("each", ({},)):
            yield filled({key: value for key, value in row.items() if key != "each"}, values)


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """A value with "{name}" in its texts replaced."""
    if isinstance(value, dict):
        return {key: filled(part, values) for key, part in value.items()}
    if isinstance(value, list):
        return tuple(filled(part, values) for part in value)
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
    return value
