"""Ports one C++ or CUDA text to the stable ABI: the rules, family by family, helpers and headers."""

from __future__ import annotations

from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText, apply_edits, apply_family
from dcnbuild.port.edits import Edit, Revision, newline_of
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
    code = _add_helpers(revision, code, scope, changes)
    remarks = (*failed, *leftovers.remarks(code, scope))
    return PortedText(revision.text, tuple(changes), remarks)


def _add_helpers(revision: Revision, code: Code, scope: StableScope, changes: list[Change]) -> Code:
    """Writes the helpers that a text calls behind its includes, with the headers they need."""
    called = {}
    for helper in HELPERS:
        names = CALLED_AS.get(helper.name, helper.name).split("|")
        uses = [s[i].start for s, i in code.names("|".join(names))]
        own = any(name in scope.own for name in names)
        if uses and not own and helper.guard not in revision.text:
            called[helper] = min(uses)
    if not called:
        return code
    needed = {name for helper in called for name in helper.needs}
    called = {h: called.get(h, min(called.values())) for h in HELPERS if h in called or h.name in needed}
    first = min(called.values())
    there = {i.name for i in code.layout.includes}
    for header in dict.fromkeys(h for helper in called for h in helper.headers if h not in there):
        edit = headers.include(code, header)
        code = apply_edits(revision, code, {"add-include": [edit]}, changes)
    at = includes.behind_includes(code, first)
    block = "".join(f"\n{helper.guarded}" for helper in called)
    edit = Edit(at, at, block.replace("\n", newline_of(revision.text)))
    return apply_edits(revision, code, {"add-helper": [edit]}, changes)
