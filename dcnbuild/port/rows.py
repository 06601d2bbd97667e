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
            yield {key: _filled(value, values) for key, value in row.items() if key != "each"}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return tuple(_filled(part, values) for part in value)
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
    return value
