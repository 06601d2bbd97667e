"""All rules, in the order in which they are applied."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from dcnbuild.port.rule import Leftover, Rule, entries, rows
from dcnbuild.port.rules import aten, bugs, cuda, errors, guards, headers, standard, tensors, th_tensors, thc

_HERE = Path(__file__).parent

#: family → its rules. Headers come after the names that keep them needed, guards and bugs last.
FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Errors and checks": errors.RULES,
    "Matrix products": entries(_HERE / "blas.yaml"),
    "The THC runtime": (*th_tensors.RULES, *thc.RULES),
    "Tensors": (*tensors.RULES, *aten.RULES),
    "Operators": entries(_HERE / "operators.yaml"),
    "CUDA": cuda.RULES,
    "The C++ standard": standard.RULES,
    "Headers": headers.RULES,
    "Device guards": guards.RULES,
    "Bugs": bugs.RULES,
}
#: rule → its family. The rules of one are applied together, see `cpp`.
FAMILY_OF = {rule.id: family for family, rules in FAMILIES.items() for rule in rules}
RULES: tuple[Rule, ...] = tuple(rule for rules in FAMILIES.values() for rule in rules)
#: What is found but left to a human, with the reason and what to do.
LEFTOVERS = tuple(Leftover(**row) for row in rows(_HERE / "leftovers.yaml"))

_IDENTIFIER = re.compile(r"#include\s*[<\"]([^>\"]+)|((?:\w+::)*[A-Za-z_]\w*)")

__all__ = ["FAMILIES", "FAMILY_OF", "LEFTOVERS", "RULES", "Leftover", "Rule", "replaced_names"]


@cache
def replaced_names() -> frozenset[str]:
    """The names and headers that a rule replaces."""
    found: set[str] = set()
    for rule in RULES:
        named = (_IDENTIFIER.findall(text) for text in (rule.before, rule.after))
        before, after = ({header or name for header, name in pairs} for pairs in named)
        found |= before - after
    return frozenset(found)
