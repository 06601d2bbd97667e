"""What a log rule is: patterns, a cause and a fix; and what it gets to see of the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from dcnbuild.doctor.finding import Finding, Severity
from dcnbuild.doctor.logs.context import SHOWN, Context
from dcnbuild.doctor.logs.patterns import Pattern
from dcnbuild.doctor.logs.text import Log
from dcnbuild.environment.facts import Facts

LONGEST_EVIDENCE = 400


class Level(IntEnum):
    """How much a match says about why the build failed."""

    #: It is why. Several can stand in one log; the first comes first.
    CAUSE = 0
    #: It follows from a cause that is usually in the log too; reported only where none is.
    SYMPTOM = 1
    #: Something failed here, and no rule knows why; reported only where nothing else is.
    UNKNOWN = 2


@dataclass(frozen=True)
class Hit:
    """A place in a log where a pattern of a rule matched.

    Indexing gives a named group of the match, or else a property of the surroundings (`toolkit`,
    `python`, `project`, …; see Context), or "": templates are filled from it. `facts` are those of
    this machine, which fixes may name things of; causes rest on the log alone.
    """

    log: Log
    line: int
    match: re.Match[str]
    facts: Facts | None = None

    @cached_property
    def context(self) -> Context:
        """What the log around the line says about the machine."""
        return Context(self.log, self.line)

    def __getitem__(self, name: str) -> str:
        if name in self.match.re.groupindex:
            return self.match.group(name) or ""
        return str(getattr(self.context, name) or "") if name in SHOWN else ""

    def get(self, name: str) -> str | None:
        """Like indexing, with None for what is not there or empty."""
        return self[name] or None

    def evidence(self) -> str:
        """The line as the log has it, shortened around the match where it is very long."""
        text = self.log.text(self.line).strip()
        if len(text) <= LONGEST_EVIDENCE:
            return text
        middle = text.find(self.match.group()[:40])
        start = max(0, middle - LONGEST_EVIDENCE // 2) if middle >= 0 else 0
        return text[start : start + LONGEST_EVIDENCE].strip()


Text = str | Callable[[Hit], str]
Lines = tuple[str, ...] | Callable[[Hit], Iterable[str]]


@dataclass(frozen=True)
class LogRule:
    """One way a build fails, as logs show it.

    Attributes:
        id: the finding's id; several rules may share one.
        title: a few words.
        patterns: any of them makes the rule match; see Pattern.
        cause: one sentence, a template over the Hit or a function of it.
        fix: commands in order, templates over the Hit or a function of it.
        example: a line or two that this rule recognises, for docs/findings.md and the tests.
        severity: see Finding.
        level: see Level.
        unless: a line that matches this is not meant.
        when: says whether the surroundings of a match bear it out.
        explains: ids of findings that follow from this one and are not reported beside it.
        context: how many lines after the deciding one belong to the evidence.
    """

    id: str
    title: str
    patterns: tuple[Pattern, ...]
    cause: Text
    fix: Lines
    example: str
    severity: Severity = "error"
    level: Level = Level.CAUSE
    unless: str | None = None
    when: Callable[[Hit], bool] | None = None
    explains: tuple[str, ...] = ()
    context: int = 0
    _compiled: tuple[tuple[str, re.Pattern[str]], ...] = field(init=False, repr=False, default=())
    _unless: re.Pattern[str] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        compiled = tuple((needle, re.compile(pattern)) for needle, pattern in self.patterns)
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_unless", re.compile(self.unless) if self.unless else None)

    def may_match(self, text: str) -> bool:
        """Whether any line of `text` can match: False if no pattern's literal part is in it."""
        return any(needle in text for needle, _ in self._compiled)

    def match(self, text: str) -> re.Match[str] | None:
        """The match of the first pattern that recognises a cleaned English line, else None."""
        for needle, pattern in self._compiled:
            if needle in text:
                found = pattern.search(text)
                if found and not (self._unless and self._unless.search(text)):
                    return found
        return None

    def finding(self, hit: Hit, more: Iterable[Hit] = ()) -> Finding:
        """What to report about a hit; `more` are further hits of the same rule."""
        cause = self.cause(hit) if callable(self.cause) else self.cause.format_map(hit)
        fix = self.fix(hit) if callable(self.fix) else (line.format_map(hit) for line in self.fix)
        evidence = [hit.evidence()]
        evidence += [hit.log.text(hit.line + step).strip() for step in range(1, self.context + 1)]
        for other in more:
            if other.evidence() not in "\n".join(evidence):
                evidence.append(other.evidence())
        return Finding(
            id=self.id,
            severity=self.severity,
            title=self.title,
            cause=cause,
            evidence=tuple(dict.fromkeys(filter(None, evidence))),
            fix=tuple(filter(None, fix)),
        )
