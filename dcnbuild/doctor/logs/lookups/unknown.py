"""Failures whose cause no rule knows: the root error line, and whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.lookups.traceback import last, own
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.parse.success import raised_in

_LED_TO, _RAISED, _NEXT = wording.patterns("tied", "raised", "advice_stops")
#: What tools advise; left out is what stands in every log of its kind.
_ADVICE, _NO_ADVICE, _PROMPT = wording.patterns("advice", "no_advice", "prompt")
_VARIABLE, _PACKAGE, _RELEASE = wording.patterns("advised_variable", "advised_package", "advised_release")
_MARK, _ENDS = wording.patterns("advice_mark", "sentence_end")
_ADVICES = 2
_LONGEST_CHAIN = 600


def in_traceback(hit: Hit) -> bool:
    """Whether an exception ended the program, rather than being spoken of."""
    named = hit["name"].endswith(("Error", "Exception")) and hit.text.startswith(hit["name"])
    above = hit.log.near(hit.line, before=30)
    return bool(hit["text"] and named) or any(line.startswith(("Traceback (most", 'File "')) for line in above)


def stopped(hit: Hit) -> str:
    """What ended the program, where an exception led to another: the last of the chain, "" where there is none."""
    said, led = "", False
    for line in hit.log.near(hit.line, after=_LONGEST_CHAIN)[1:]:
        if _LED_TO.match(line):
            led = True
        elif not led and line.startswith("Traceback (most"):
            break
        elif led and _RAISED.match(line):
            said, led = line.strip().rstrip(".")[:300], False
    return said


def place(hit: Hit) -> str:
    """A sentence: where it was raised, whose that is, and which line of the project's own led there."""
    raised, mine = last(hit), own(hit)
    made = raised.owner
    of = f"in the package {made.name}" if made.package else str(tables.rows("places").get(made.kind, ""))
    if mine.file and (raised == mine or not of):
        return f" The line is in the project's own code: {mine.place}."
    called = f", called from the project's own code: {mine.place}" if mine.file else f": {raised.place}"
    return of and f" It was raised {of}{called}."


def advice(hit: Hit) -> Iterator[Fix]:
    """What the log itself advises near a message that no rule knows, the nearest first."""
    near = [hit.line + step for far in range(60) for step in ((far, -far) if far < 12 else (-far,))]
    first = 0 if raised_in(hit.log, hit.line) is None else hit.line  # above a traceback stands something else
    advised = (_advised(hit, number) for number in near if number >= first)
    for said in list(dict.fromkeys(filter(None, advised)))[:_ADVICES]:
        package, variable, release = _PACKAGE.search(said), _VARIABLE.search(said), _RELEASE.search(said)
        plain = re.sub(r"[`'\"\[\]()]+", " ", said)  # a comment has none of these
        yield fixes.say(f"The log itself says: {plain[:300]}")
        if release:
            yield fixes.pip("install", "--upgrade", operands=(release["name"],))
        if package and not hit.context.windows:
            yield fixes.package_install(package["name"])
        if variable:
            yield fixes.set_env(variable["name"], variable["value"])


def _advised(hit: Hit, number: int) -> str:
    """The sentence of a line that advises, to its end on the lines below; "" where there is none."""
    line, *below = (*(text.strip() for text in hit.log.near(number, after=2)), "")
    found = _ADVICE.search(line)
    known = number == hit.line and len(line) >= 200  # the cause quotes a long one
    if not found or known or _NO_ADVICE.search(line) or _PROMPT.match(line):
        return ""
    before = re.match(r".*[.!?] ", line[: found.start()])
    text = line[before.end() if before else 0 :]
    for more in takewhile(lambda text: text and not (_ADVICE.search(text) or _NEXT.match(text)), below):
        text = text if _ENDS.search(text) else f"{text} {more}"
    return "" if text.endswith(":") else _MARK.sub("", text)
