"""What logs/messages/*.yaml have of a message: the names of a rule, of which `told` of verbs.yaml makes a fix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dcnbuild.base.message_tables import MessageTables
from dcnbuild.doctor.logs.rule import Hit

TABLES = MessageTables(Path(__file__).parents[1] / "messages")


def common(sections: Iterable[str]) -> dict[str, Any]:
    """What a rule of these sections need not say: its names, its condition, its cause and its fix."""
    let = {"section": " ".join(sections), "words": "do ~ ^(.*?):?$"}
    let |= {field: f"{{messages.row.{field}}}" for field in TABLES.fields(sections)}
    return {"let": let, "when": "means", "cause": "{means}.", "fix": ["told"]}


def row(hit: Hit) -> dict[str, str]:
    """The fields of the message that a hit of such a rule is, or says."""
    return TABLES.row(hit["section"], hit.match, hit["SAID"])
