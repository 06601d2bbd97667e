"""Ports one C++ or CUDA text: applies the rules, adds headers and helpers, lists what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from dcnbuild.port import includes
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, Revision, line_of, newline_of
from dcnbuild.port.helpers import Helper, with_needs
from dcnbuild.port.lifetimes import copied_headers, gone_headers, gone_names, host_headers
from dcnbuild.port.parameters import unfit_types
from dcnbuild.port.result import Change, Remark, remark, remarks
from dcnbuild.port.rule import Leftover, Rule, Scope
from dcnbuild.port.rules import FAMILY_OF, LEFTOVERS, RULES
from dcnbuild.port.rules.guards import host_launches
from dcnbuild.port.rules.headers import is_torch_h
from dcnbuild.port.rules.th_tensors import left_fields

#: An edit can bring a further match with it (one call inside another); more rounds than these mean
#: that a rule matches its own replacement.
_ROUNDS = 50
#: What finds more than names.
_FINDS = (gone_names, gone_headers, copied_headers, host_headers, host_launches, left_fields, unfit_types)
#: From a text, a header and the offset of its first use to the edit that includes it, if the text lacks it.
Include = Callable[[Code, str, int], Edit | None]


@dataclass(frozen=True)
class PortedText:
    """A text after porting, what was changed in it, and what is left for a human."""

    text: str
    changes: tuple[Change, ...]
    remarks: tuple[Remark, ...]


def port_text(
    source: Code, scope: Scope, rules: Sequence[Rule] = RULES, *, deprecated: bool = True, fix_bugs: bool = False
) -> PortedText:
    """Ports a C++ or CUDA source.

    Args:
        source: the text.
        scope: what it needs to know of its project.
        rules: which rules, in order.
        deprecated: whether to rewrite what still compiles, too.
        fix_bugs: whether to repair the bugs that are otherwise reported.
    """
    asked = {"broken": True, "deprecated": deprecated, "bug": fix_bugs}
    active = [rule for rule in rules if asked[rule.need]]
    revision = Revision(source.text)
    code = source.with_own(scope.own)
    of_torch_h = [i.header for i in code.layout.includes if is_torch_h(i.name)]
    changes: list[Change] = []
    failed: list[Remark] = []
    for _, family in groupby(active, key=lambda rule: FAMILY_OF.get(rule.id)):
        code, more = apply_family(list(family), revision, code, scope, changes)
        failed += more
    made = {change.rule for change in changes}
    applied = [rule for rule in active if rule.id in made]
    needed = with_needs([rule.helper for rule in applied if rule.helper])
    helpers = {h: rf"{h.name}\w*" for h in needed if h.guard not in revision.text}
    if helpers:
        code = add_helpers(revision, code, helpers, partial(includes.lacking, seen=scope.headers), changes)
    lost = of_torch_h != [i.header for i in code.layout.includes if is_torch_h(i.name)]
    # getCurrentCUDAStream: a header of ATen that an old source has it from may no longer bring it
    names = {"getCurrentCUDAStream", *(rule.emits for rule in applied)} - {""} if applied else set()
    wanted = "|".join(sorted(names)) or "(?!)"
    for _ in range(_ROUNDS):  # one header after another
        missing = includes.missing(code, wanted, scope.headers, lost)
        if not missing:
            break
        code = apply_edits(revision, code, {"add-include": [includes.add(code, *missing[0])]}, changes)
    else:
        raise RuntimeError(f"the header {missing[0][0]} stays missing")
    left = [*failed, *_leftovers(code, scope)]
    for rule in rules:
        edits = rule.edits(code, scope) if rule.need == "bug" and not fix_bugs else []
        if edits:
            lines = tuple(sorted({line_of(code.text, edit.start) for edit in edits}))
            left.append(Remark(rule.id, lines, rule.pattern, rule.why, f"--fix-bugs writes {rule.replacement}", "bug"))
    return PortedText(revision.text, tuple(changes), tuple(left))


def not_understood(rule: str, reason: str) -> Remark:
    """The remark for a rule that does not understand a file; the others go on."""
    return remark("rule-failed", (1,), rule, reason=reason)


def finds(source: Code, scope: Scope, need: str, rules: Sequence[Rule] = RULES) -> int:
    """How many places rules of one need would change, and leftovers of that need name."""
    code = source.with_own(scope.own)
    found = sum(left.need == need for left in _leftovers(code, scope))
    for rule in (rule for rule in rules if rule.need == need):
        try:
            found += len(rule.edits(code, scope))
        except Exception:  # named when it is applied
            found += need == "broken"
    return found


def apply_family(
    rules: Sequence[Rule], revision: Revision, code: Code, scope: Scope, changes: list[Change]
) -> tuple[Code, list[Remark]]:
    """Applies rules in order, until none applies."""
    waiting, failed = list(rules), []
    for _ in range(_ROUNDS):
        before, last = code, ""
        for rule in tuple(waiting):
            try:
                after = apply_edits(revision, code, {rule.id: rule.edits(code, scope)}, changes)
                last, code = (rule.id, after) if after is not code else (last, code)
            except Exception as error:
                failed.append(not_understood(rule.id, repr(error)))
                waiting.remove(rule)
        if code is before:
            return code, failed
    return code, [*failed, not_understood(last, f"it still applies after {_ROUNDS} rounds")]


def apply_edits(revision: Revision, code: Code, edits: Mapping[str, Iterable[Edit]], changes: list[Change]) -> Code:
    """Makes the edits of rules in a revision, whose text `code` is; the code after."""
    rules = {id(edit): rule for rule, made in edits.items() for edit in made}
    done = revision.apply(edit for made in edits.values() for edit in made)
    changes += [Change(rules[id(e)], line, code.text[e.start : e.end].strip(), e.new.strip()) for e, line in done]
    return code.after(revision.text, [edit for edit, _ in done]) if done else code


def add_helpers(
    revision: Revision, code: Code, helpers: Mapping[Helper, str], include: Include, changes: list[Change]
) -> Code:
    """Writes helpers, given with the names they are called by, behind a text's includes, with the headers they need."""
    names = "|".join(helpers.values())

    def first_use() -> int:
        return min(stream[index].start for stream, index in code.names(names))

    for header in dict.fromkeys(header for helper in helpers for header in helper.headers):
        edit = include(code, header, first_use())
        code = apply_edits(revision, code, {"add-include": [edit]}, changes) if edit else code
    at = includes.behind_includes(code, first_use())
    block = "".join(f"\n{helper.guarded}" for helper in helpers)
    edit = Edit(at, at, block.replace("\n", newline_of(revision.text)))
    return apply_edits(revision, code, {"add-helper": [edit]}, changes)


def _leftovers(code: Code, scope: Scope) -> Iterable[Remark]:
    seen: set[int] = set()
    named: set[str] = set()
    for leftover in LEFTOVERS:
        found = [(name, start) for name, start in _named(code, scope, leftover) if start not in seen]
        seen |= {start for _, start in found}
        named |= {name for name, _ in found}
        made = partial(Remark, leftover.id, reason=leftover.reason, advice=leftover.advice, need=leftover.need)
        yield from remarks(made, code.text, found)
    for find in _FINDS:
        yield from (left for left in find(code, scope) if left.subject.rpartition("::")[2] not in named)


def _named(code: Code, scope: Scope, leftover: Leftover) -> Iterator[tuple[str, int]]:
    """The names that give a leftover away, with their offsets."""
    for stream, index in code.names(leftover.names) if not leftover.where or code.has(leftover.where) else ():
        span, token = stream.around_name(index, leftover.place), stream[index]
        own = token.text in scope.own or stream.follows(index, "(") and stream.preceded(index, "void")
        if span and not own and not code.layout.is_past(token.start):
            yield "".join(stream.words(span[0], span[1] + 1 - span[0])), token.start
