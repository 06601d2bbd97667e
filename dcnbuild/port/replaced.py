"""What the rules replace, by name."""

from __future__ import annotations

import re
from functools import cache

from dcnbuild.port.rules import RULES

_IDENTIFIER = re.compile(r"#include\s*[<\"]([^>\"]+)|((?:\w+::)*[A-Za-z_]\w*)")


@cache
def replaced() -> frozenset[str]:
    """The names and headers that there is a rule to replace."""
    found: set[str] = set()
    for rule in RULES:
        named = (_IDENTIFIER.findall(text) for text in (rule.before, rule.after))
        before, after = ({header or name for header, name in pairs} for pairs in named)
        found |= before - after
    return frozenset(found)
