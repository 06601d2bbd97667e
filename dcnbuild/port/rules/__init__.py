"""All rules, in the order in which they are applied."""

from __future__ import annotations

from dcnbuild.port.rule import Leftover, Rule
from dcnbuild.port.rules import (
    at_types,
    aten,
    blas,
    bugs,
    cccl,
    conversions,
    cuda,
    errors,
    guards,
    headers,
    numerics,
    shuffles,
    tensors,
    th_pointers,
    th_tensors,
    thc,
    thc_state,
)
from dcnbuild.port.rules.leftovers import LEFTOVERS

#: family → its rules. Headers come after the names that keep them needed, guards and bugs last.
FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Errors and checks": errors.RULES,
    "Matrix products": blas.RULES,
    "The THC runtime": (*th_tensors.RULES, *th_pointers.RULES, *thc.RULES, *thc_state.RULES, *numerics.RULES),
    "Tensors": (*tensors.RULES, *at_types.RULES, *aten.RULES, *conversions.RULES),
    "CUDA": (*cuda.RULES, *cccl.RULES, *shuffles.RULES),
    "Headers": headers.RULES,
    "Device guards": guards.RULES,
    "Bugs": bugs.RULES,
}
#: rule → its family. The rules of one are applied together, see `cpp`.
FAMILY_OF = {rule.id: family for family, rules in FAMILIES.items() for rule in rules}
RULES: tuple[Rule, ...] = tuple(rule for rules in FAMILIES.values() for rule in rules)

__all__ = ["FAMILIES", "FAMILY_OF", "LEFTOVERS", "RULES", "Leftover", "Rule"]
