"""Converts the hand-written tables, tools/knowledge/written/*.yaml, to JSON, which dcnbuild reads fifty times
faster.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

WRITTEN = Path(__file__).with_name("written")


def generate(cache: Path, target: Path) -> None:
    """Writes the JSON form of the YAML file of the same name; nothing is downloaded."""
    temporary = target.with_suffix(".new")
    temporary.write_text(text_of(target.stem), encoding="utf-8")
    temporary.replace(target)


def text_of(name: str) -> str:
    """Returns the JSON form of a file of `written`, one row a line."""
    rows = yaml.safe_load((WRITTEN / f"{name}.yaml").read_text(encoding="utf-8"))
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return f"[\n{lines}\n]\n"
