"""Reads rules/*.yaml: every rule is a row, and what takes code names a function.

A row has the fields of LogRule, in the language of `templates`; its `when` is a condition.
`patterns` pairs literal parts, one of which every match holds, with a regular expression; `messages` names a section
of messages/*.yaml, or has for some the frames in which programs print them: the fields of what is found are names, of
which lookups/messages.py makes what the row leaves out.

A fix is a list of steps. A step is the name of a function of `dcnbuild.doctor.fixes`, or of a verb of
`fix_verbs` or verbs.yaml, and its arguments, which are templates: one that comes out empty drops the step; or
"=module.function", a function of a Hit in logs/lookups.
A mapping of conditions to steps takes the first that holds, or `else`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.effects import of_line
from dcnbuild.doctor.fixes.fix import BUILDS, Fix, alternative_at, render, set_once, together
from dcnbuild.doctor.logs.asked import builds, failed, foreign
from dcnbuild.doctor.logs.fix_verbs import VERBS, again, compiled_anew
from dcnbuild.doctor.logs.lookups import messages
from dcnbuild.doctor.logs.project import own_copy
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule
from dcnbuild.doctor.logs.wheel_verbs import wheel_for
from dcnbuild.doctor.parse.shapes import either
from dcnbuild.doctor.templates import ENTITY, chosen, complete, entered, holds, look_up, unfilled

#: Verb → its steps, where those are written as a rule's are.
STEPS: dict[str, list[Any]] = plain_yaml.beside(__file__, "verbs.yaml")
#: Lines that change what is compiled, and with what; that install torch; commands that build.
_CHANGES, _TORCH, _BUILDS, _OF_WHEEL = wording.patterns("line_changes", "line_torch", "builds_by", "line_of_wheel")
#: Where pip has built what it has fetched; a line that fetches the same.
_FETCHED, _CLONES = wording.patterns("fetched_copy", "line_fetches")


def _fixes(steps: list[Any], hit: Hit) -> Iterator[Fix]:
    for step in steps:
        if isinstance(step, dict):
            meant = (inner for key, inner in step.items() if key == "else" or holds(key, hit))
            yield from _fixes(next(meant, []), hit)
            continue
        verb, *arguments = [step] if isinstance(step, str) else step
        if verb.startswith("="):
            yield together(look_up(verb[1:])(hit))
            continue
        targets = hit.context.asked.targets if "{targets}" in arguments and hit.context.asked else ()
        asked = [word for target in targets for word in re.split("(?<=^-r) ", target)]
        arguments = [word for text in arguments for word in (asked if text == "{targets}" else (text,))]
        texts = [chosen(str(argument), hit) for argument in arguments]
        words = [entered(text, hit) for text in texts]
        if not all(complete(text, hit) for text in texts) or any(map(_would_be_an_option, texts, words)):
            continue
        if verb != "say" and any(map(_FETCHED.search, words)) and (own := own_copy(hit)):  # a directory that is gone
            yield from own[1]
            words = [_FETCHED.sub(own[0], word) for word in words]
        if verb in STEPS:
            yield together(_fixes(STEPS[verb], replace(hit, given=tuple(words))))
            continue
        made = VERBS[verb](hit, *words) if verb in VERBS else getattr(fixes, verb)(*words)
        yield made if isinstance(made, Fix) else together(made)


def _whole(steps: list[Any], hit: Hit) -> Iterator[Fix]:
    """The fixes of a row; where a build failed, it is built again, before what may be done instead."""
    made, target = list(_fixes(steps, hit)), hit.target
    if first := [*_fixes(STEPS["in_place_of_build"], hit)]:
        yield together(first)
        made.insert(0, fixes.say("or compile this release:"))
    cut = alternative_at(made, target)
    lines = render(made[:cut], target, whole=False)
    live = [line for line in lines if of_line(line) != "reads"]
    changes = any(map(_CHANGES.search, live)) or (bool(live) and failed(hit))
    rest = [re.sub(r"^(?:#|rem) ", "", line) for line in render(made[cut:], target, whole=False)]
    if torch := next(filter(_TORCH.search, (*lines, *rest)), ""):
        others = together(compiled_anew(hit, torch, " ".join((*lines, *rest))))
        made.insert(cut if torch in lines else len(made), others)
        cut += torch in lines
    own = own_copy(hit) if any(map(_CLONES.search, lines)) else None
    done = _done(hit, lines, live)
    if changes and not done and (own or builds(hit)):
        anew = (fixes.pip("install", "--no-build-isolation", operands=own[2:]),) if own else again(hit)
        made.insert(cut, together(anew))
    elif not ((done or ".whl" in hit.context.ran) and _BUILDS.search(hit.context.ran)) and _runs(hit, live):
        typed = fixes.typed(set_once([*lines, hit.context.ran])[-1])  # here: typed() refuses the $ of a variable
        made.insert(cut, together(_fixes(["rerun"], hit)) if foreign(hit) else typed)
    yield from made
    if failed(hit) and hit["package"] != "." and not any(map(_OF_WHEEL.search, lines)):
        if (wheel := [*wheel_for(hit, hit["package"], in_place=True)]) and not first:
            yield from (fixes.say("or, without compiling it:"), *wheel)
        yield from _fixes([["successor", hit["package"]]], hit)


def _done(hit: Hit, lines: tuple[str, ...], live: list[str]) -> bool:
    """Whether the lines of a fix run anew what failed, build it, or install it or another release in its place."""
    ours = BUILDS, re.compile(rf"\binstall\b.*(?:\s-r\s|[\s'\"]{re.escape(hit['package'] or '.')}[=<>~])")
    had = {word.strip("'") for line in live if " install " in line for word in line.split()}
    again = hit.context.ran in lines or had.issuperset(hit.context.command.split() or "-")
    return again or any(one.search(line) for line in lines for one in ours)


def _runs(hit: Hit, changing: list[str]) -> bool:
    """Whether a program failed at a prompt, and the lines of a fix change something and do not start it anew."""
    program, elsewhere = hit.context.ran.removeprefix("sudo ").partition(" ")[0], hit.target.place or hit.target.form
    started = any(re.search(rf"^(?:sudo |xvfb-run -a )?{re.escape(program)}\b", line) for line in changing)
    shows = re.search(r"--version\b|^(?:pacman -Q|(?:pip|conda|apt) list|dpkg -l)", hit.context.ran)
    return bool(program and changing) and not (started or elsewhere or shows)


def _would_be_an_option(argument: str, word: str) -> bool:
    """Whether a name out of a log would be taken for an option of the program."""
    name = ENTITY.fullmatch(argument)
    return name is not None and name[1] != "option" and word.startswith("-")


def _rule(row: dict[str, Any]) -> LogRule:
    said = {said: None} if isinstance(said := row.pop("messages", {}), str) else said
    common = messages.common(said) if said else {}
    row = {**common, **row, "let": common.get("let", {}) | row.get("let", {})}
    row["when"] = partial(holds, row["when"]) if "when" in row else None
    row["heading"], row["title"] = row["title"], unfilled(row["title"])
    row["steps"] = row.get("fix") or []
    row["fix"] = partial(_whole, row["steps"])
    pairs = pairs.items() if isinstance(pairs := row.get("patterns", {}), dict) else pairs
    worded = ((needle, pattern) for text, pattern in pairs for needle in either(text))
    row["patterns"] = (*messages.TABLES.patterns(said), *worded)
    for name in ("kinds", "explains"):
        row[name] = tuple(row.get(name) or ())
    row["level"] = Level[row.get("level", "CAUSE")]
    return LogRule(**row)


#: Every log rule, in the order of the files' numbers: what tells the cause before what is only a symptom of one. On one
#: line of a log the first that matches counts, so what is special stands before what is general.
_ROWS = [row for path in sorted(Path(__file__).with_name("rules").glob("*.yaml")) for row in plain_yaml.shipped(path)]
RULES = tuple(sorted((_rule(dict(row)) for row in _ROWS), key=lambda rule: rule.level))
