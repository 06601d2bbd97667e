"""All rules, in the order in which they are applied."""

from __future__ import annotations

from pathlib import Path

from dcnbuild.port.rule import Leftover, Rule, entries, rows
from dcnbuild.port.rules import aten, bugs, cuda, errors, guards, headers, tensors, th_tensors, thc

_HERE = Path(__file__).parent

#: family → its rules. Headers come after the names that keep them needed, guards and bugs last.
FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Errors and checks": errors.RULES,
    "Matrix products": entries(_HERE / "blas.yaml"),
    "The THC runtime": (*th_tensors.RULES, *thc.RULES),
    "Tensors": (*tensors.RULES, *aten.RULES),
    "Operators": entries(_HERE / "operators.yaml"),
    "CUDA": cuda.RULES,
    "Headers": headers.RULES,
    "Device guards": guards.RULES,
    "Bugs": bugs.RULES,
}
#: rule → its family. The rules of one are applied together, see `cpp`.
FAMILY_OF = {rule.id: family for family, rules in FAMILIES.items() for rule in rules}
RULES: tuple[Rule, ...] = tuple(rule for rules in FAMILIES.values() for rule in rules)
#: What is found but left to a human, with the reason and what to do.
LEFTOVERS = tuple(Leftover(**row) for row in rows(_HERE / "leftovers.yaml"))

__all__ = ["FAMILIES", "FAMILY_OF", "LEFTOVERS", "RULES", "Leftover", "Rule"]
