"""What reports say, as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def json_text(document: Any) -> str:
    """JSON that people can read, and whose values no output's encoding changes; base/printable.py says why."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.replace("\u2018", "\\u2018").replace("\u2019", "\\u2019")


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
