"""Tests the YAML tables that come with dcnbuild."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLES = sorted((ROOT / "dcnbuild").rglob("*.yaml"))


def repeated_keys(node: yaml.Node | None) -> list[str]:
    """The keys that a mapping has twice, with their lines; a loader would keep the last one and say nothing."""
    found = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = yaml.serialize(key)
            if name in seen and key.value != "<<":
                found.append(f"{key.value}, line {key.start_mark.line + 1}")
            seen.add(name)
            found += repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found += repeated_keys(value)
    return found


def test_a_repeated_key_is_found() -> None:
    assert repeated_keys(yaml.compose("a: {b: 1, c: 2, b: 3}\nd: [{e: 1, e: 2}]")) == ["b, line 1", "e, line 2"]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_table_has_a_key_twice(path: Path) -> None:
    assert repeated_keys(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)) == []
