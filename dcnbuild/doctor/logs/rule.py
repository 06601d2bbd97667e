"""What a log rule is: records that it judges, a cause and a fix; and what it gets to see of the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

from dcnbuild.doctor import templates
from dcnbuild.doctor.fixes.fix import Fix, Target, alternatives_last, render
from dcnbuild.doctor.logs.context import SHOWN, Context
from dcnbuild.doctor.parse import Log, Record, Shape
from dcnbuild.errors import Finding, Severity
from dcnbuild.machine.facts import Facts

LONGEST_EVIDENCE = 400
#: Entities that a title may name, and how long they may be there.
_SUBJECTS = ("symbol", "header", "library", "name", "module", "option")
_LONGEST_SUBJECT = 80
_CODE = re.compile(r"(\w+)\.(\w+)(?:\(([\w, '.-]*)\))?((?:\.\w+)*)")
_NEAR = re.compile(r"NEAR(\d+)\+(\d+)")
_SECOND_STOP = re.compile(r"(?<!\.)([.!?])\.(?= [A-Z]|$)")


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
    """A place in a log that a rule judges.

    Indexing gives an entity of the record, or else a property of the surroundings (`toolkit`,
    `python`, `project`, …; see Context), or "": templates are filled from it. `facts` are those of
    this machine, which fixes may name things of; causes rest on the log alone.
    """

    log: Log
    line: int
    match: re.Match[str]
    facts: Facts | None = None
    kind: str = ""
    let: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[str, ...] = ()

    @cached_property
    def context(self) -> Context:
        """What the log around the line says about the machine; all who ask about the line share it."""
        found: Context = self.log.contexts.setdefault(self.line, Context(self.log, self.line))
        return found

    @cached_property
    def target(self) -> Target:
        """Where a fix is pasted."""
        return self.context.target(self.facts)

    def __getitem__(self, name: str) -> str:
        if name.isdecimal():  # what a verb was given
            return self.given[int(name) - 1] if int(name) <= len(self.given) else ""
        if name in self.let:
            return self._let(self.let[name])
        if name in self.match.re.groupindex:
            said = (self.match.group(name) or "").strip()
            return said.replace(r"\\", "\\") if r"\\" in said[2:] else said  # of a repr of Python
        if name in SPECIAL:
            return SPECIAL[name](self)
        return str(getattr(self.context, name) or "") if name in SHOWN else ""

    def value(self, name: str) -> str:
        """The text that a name of `templates` stands for."""
        if code := _CODE.fullmatch(name):
            module, function, arguments, attributes = code.groups()
            ask = templates.look_up(f"{module}.{function}")
            words = arguments.split(", ") if arguments else ()
            found: Any = ask(*(word[1:-1] if word[0] == "'" else self[word] for word in words)) if words else ask(self)
            for attribute in filter(None, attributes.split(".")):
                found = found.get(attribute) if isinstance(found, dict) else getattr(found, attribute, None)
            return str(found) if found else ""
        near = _NEAR.fullmatch(name)
        return self.around(int(near[1]), int(near[2])) if near else self[name]

    def _let(self, alternatives: str | list[str]) -> str:
        """The value of a `let`: the first template, or `name ~ regex` by what it matches, that is not empty."""
        for text in [alternatives] if isinstance(alternatives, str) else alternatives:
            name, sign, pattern = text.partition(" ~ ")
            if not sign:
                found = templates.filled(text, self)
            else:
                match = self.context.first(re.compile(pattern)) if name == "FIRST" else None
                match = match or re.search(pattern, self.value(name) if name != "FIRST" else "")
                found = ((match[1] if match.re.groups else match[0]) or "").strip() if match else ""
                found = re.sub(r"\s*\n\s*", " ", found)
            if found:
                return found
        return ""

    @property
    def text(self) -> str:
        """The whole line, cleaned and in English."""
        return self.log.english(self.line)

    def around(self, before: int = 0, after: int = 0) -> str:
        """The lines around the hit, as one text."""
        return "\n".join(self.log.near(self.line, before, after))

    def evidence(self) -> str:
        """The line as the log has it, shortened around the match where it is very long."""
        text = self.log.text(self.line).strip()
        if len(text) <= LONGEST_EVIDENCE:
            return text
        middle = text.find(self.match.group()[:40])
        start = max(0, middle - LONGEST_EVIDENCE // 2) if middle >= 0 else 0
        return text[start : start + LONGEST_EVIDENCE].strip()


Fixes = Callable[[Hit], Iterable[Fix]]


#: Names of every hit, beside entities and surroundings.
SPECIAL: dict[str, Callable[[Hit], str]] = {
    "LINE": lambda hit: hit.match.string,
    "MATCH": lambda hit: hit.match.group(),
    "SAID": lambda hit: hit["said"] or hit.match.group(),
    "KIND": lambda hit: hit.kind,
    "ROOT": lambda hit: str(hit.target.root or ""),
    "HOSTED": lambda hit: str(any((hit["notebook"], hit["ci"], hit["container"], hit["rootless"])) or ""),
    "SHELL": lambda hit: hit.target.shell,
    "DISTRIBUTION": lambda hit: hit.target.distribution or "",
    "MANAGER": lambda hit: hit.target.manager or "",
}


@dataclass(frozen=True)
class LogRule:
    """One way a build fails, as logs show it.

    Attributes:
        id: the finding's id; several rules may share one.
        title: a few words; `heading` is the same as a template, which names what the log is about.
        kinds: the kinds of records that the rule judges; see `dcnbuild.doctor.parse`.
        where: what entities of such a record have to be: name of the entity → a regular expression
            for all of it, or for its last part ("c10::Half" also matches as "Half").
        patterns: wordings that belong to this rule alone: (a literal part of each match, a regular expression).
        cause: one sentence: see `templates`; or pairs of a condition and a sentence, and one for the rest.
        let: names of the rule's own; see `Hit._let`.
        fix: what mends it; `steps` is the row that says so.
        example: a log whose first finding this is.
        severity: see Finding.
        level: see Level.
        unless: a line that matches this is not meant.
        when: says whether the surroundings bear it out.
        explains: ids of findings that follow from this one and are not reported beside it.
        context: how many lines after the deciding one belong to the evidence.
        warns: whether it counts in a Python warning of a program that went on, too.
        each: the entity that tells one fault from another of the same rule: each of them is named and mended.
    """

    id: str
    title: str
    heading: str
    cause: str | list[Any]
    fix: Fixes
    example: str
    steps: list[Any] = field(default_factory=list)
    let: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[tuple[str, str], ...] = ()
    severity: Severity = "error"
    level: Level = Level.CAUSE
    unless: str | None = None
    when: Callable[[Hit], bool] | None = None
    explains: tuple[str, ...] = ()
    context: int = 0
    warns: bool = False
    each: str = ""

    @cached_property
    def _patterns(self) -> tuple[Shape, ...]:
        return tuple(Shape("", "", *pair) for pair in self.patterns)

    @cached_property
    def _where(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((name, re.compile(pattern)) for name, pattern in self.where.items())

    def match(self, text: str, records: Iterable[Record]) -> tuple[re.Match[str], str] | None:
        """The match, and the record's kind, if the rule is about a cleaned English line, else None."""
        found = next((record for record in records if record.kind in self.kinds and self._is_about(record)), None)
        worded = (shape.search(text) for shape in self._patterns)
        match = found.match if found else next(filter(None, worded), None)
        if match is None or (self.unless and re.search(self.unless, text)):
            return None
        return match, found.kind if found else ""

    def _is_about(self, record: Record) -> bool:
        asked = ((pattern, record[name]) for name, pattern in self._where)
        return all(pattern.fullmatch(said) or pattern.fullmatch(said.rpartition("::")[2]) for pattern, said in asked)

    def finding(self, hit: Hit, more: Sequence[Hit] = ()) -> Finding:
        """What to report about a hit; `more` are further hits of the same rule."""
        below = range(1, (self.context or hit.text.endswith(":")) + 1)
        evidence = [hit.evidence(), *(hit.log.text(hit.line + step).strip() for step in below)]
        for other in more:
            if other.evidence() not in "\n".join(evidence):
                evidence.append(other.evidence())
        others, target = more if self.each else (), hit.target
        fixes = alternatives_last([list(self.fix(one)) for one in (hit, *others)], target)
        return Finding(
            id=self.id,
            severity=self.severity,
            title=self._titled(hit),
            cause=self._cause(hit, [other[self.each] for other in others]),
            evidence=tuple(dict.fromkeys(filter(None, evidence))),
            fix=render(fixes, target),
        )

    def _titled(self, hit: Hit) -> str:
        """The title with what it is about: "A header is missing: glm/glm.hpp"."""
        if self.heading != self.title:
            return templates.filled(self.heading, hit)
        about = next((hit[name] for name in _SUBJECTS if name in hit.match.re.groupindex and hit[name]), "")
        fits = about.isprintable() and len(about) <= _LONGEST_SUBJECT and about not in self.title
        return f"{self.title}: {about}" if about and fits else self.title

    def _cause(self, hit: Hit, others: list[str]) -> str:
        said = templates.filled(templates.meant(self.cause, hit), hit)
        more = f" The same holds for {' and '.join(others)}." if others else ""
        # what a tool says may bring its own full stop to the end of a sentence, and blanks; a name may begin one
        return _SECOND_STOP.sub(r"\1", re.sub(r"  +", " ", re.sub(r"^the\b", "The", said) + more))
