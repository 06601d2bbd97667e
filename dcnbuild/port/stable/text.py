"""Ports one C++ or CUDA text to the stable ABI: the rules, family by family, helpers and headers."""

from __future__ import annotations

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText, add_helpers, apply_edits, apply_family
from dcnbuild.port.edits import Revision
from dcnbuild.port.result import Change, Remark
from dcnbuild.port.rule import Rule
from dcnbuild.port.stable import (
    accessors,
    arithmetic,
    checks,
    cuda,
    dispatch,
    factories,
    functions,
    headers,
    leftovers,
    methods,
    registration,
    types,
)
from dcnbuild.port.stable.facts import StableScope
from dcnbuild.port.stable.helpers import CALLED_AS, HELPERS

_NAMESPACES = tuple(rule for rule in types.RULES if rule.id == "stable-using-namespace")
#: family → its rules, in the order in which they are applied.
FAMILIES: dict[str, tuple[Rule, ...]] = {
    "Namespaces": _NAMESPACES,
    "Registration": registration.RULES,
    "Tensors": (*factories.RULES, *methods.RULES, *functions.RULES, *arithmetic.RULES, *accessors.RULES),
    "Dispatch": dispatch.RULES,
    "CUDA": cuda.RULES,
    "Checks": checks.RULES,
    "Types": tuple(rule for rule in types.RULES if rule not in _NAMESPACES),
    "Headers": headers.RULES,
}
RULES = tuple(rule for rules in FAMILIES.values() for rule in rules)
_ROUNDS = 60


def port_stable(source: Code, scope: StableScope) -> PortedText:
    """Ports a text that the ordinary rules have been through."""
    revision = Revision(source.text)
    code = source.with_own(scope.own)
    changes: list[Change] = []
    failed: list[Remark] = []
    for family in FAMILIES.values():
        code, more = apply_family(family, revision, code, scope, changes)
        failed += more
    for _ in range(_ROUNDS):
        edit = headers.missing(code, scope) if changes else None
        if edit is None:
            break
        code = apply_edits(revision, code, {"add-include": [edit]}, changes)
    names = {helper: CALLED_AS.get(helper.name, helper.name) for helper in HELPERS if helper.guard not in revision.text}
    called = {h for h, name in names.items() if code.has(name) and scope.own.isdisjoint(name.split("|"))}
    needed = {name for helper in called for name in helper.needs}
    if called:
        wanted = {h: name for h, name in names.items() if h in called or h.name in needed}
        code = add_helpers(revision, code, wanted, headers.lacking, changes)
    remarks = (*failed, *leftovers.remarks(code, scope))
    return PortedText(revision.text, tuple(changes), remarks)
