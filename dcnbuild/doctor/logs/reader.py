"""Reading a build log: which lines are looked at, and which rules match."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs.ranking import Matches, accepted, current, passed, ranked, standing
from dcnbuild.doctor.logs.rule import Hit, Level
from dcnbuild.doctor.logs.rule_table import RULES
from dcnbuild.doctor.parse import SHAPES, Log, Reading, Record, decode
from dcnbuild.doctor.parse.locales import PHRASES
from dcnbuild.doctor.parse.quoted import quoted
from dcnbuild.doctor.parse.runs import Runs
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Facts

_STEMS = tuple(wording.rows("stems"))
_PARTS = (*(shape.needle for shape in SHAPES), *(part for rule in RULES for part, _ in rule.patterns))
#: A line without any of these can match no rule and is not looked at: the stems, and the literal parts
#: that contain none of them. A short list keeps the reading of megabytes fast.
WORDS = _STEMS + tuple(dict.fromkeys(part for part in _PARTS if not any(stem in part for stem in _STEMS)))
_FOREIGN_SCRIPT = re.compile(r"[\u0400-\u04ff\u3040-\u9fff\uac00-\ud7af]")
#: The same for tools that do not speak English (see locales.py): a few stems, and the scripts of
#: Chinese, Japanese and Russian.
FOREIGN_WORDS = (
    *wording.rows("foreign_stems"),
    *(word.strip() for word in PHRASES["error: "] if not _FOREIGN_SCRIPT.search(word)),
    *(words for said in wording.rows("not_there") for words in PHRASES[said] if words.isascii()),
)


def _without_digits(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(None, b"0123456789")  # bytes take a tenth of the time


_part = cache(_without_digits)  # of the texts that are looked for in every log
#: Of one rule so many matches are kept: the first decides, the others are further evidence.
HITS_PER_RULE = 3
#: Of one whose matches are faults of their own, so many.
FAULTS_PER_RULE = 12
#: After so many matches that their surroundings did not bear out, a rule is not asked any more.
REFUSALS = 30
#: So many error lines that match nothing are tried again together with the two lines below them,
#: since terminals and CMake wrap messages.
WRAPPED_LINES = 3000
#: No terminal is so wide that it wraps longer lines.
WIDEST = 400
_REST_OF_ROW = wording.pattern("rest_of_row")


def read_log(text: str | bytes, facts: Facts | None = None) -> list[Finding]:
    """What went wrong in a build, from the output of its tools.

    Args:
        text: the log of pip, setup.py, ninja, CMake, nvcc, a compiler, a linker or Python, in
            whatever state: with colours, timestamps and progress bars, cut off, or binary.
        facts: of the machine that the log comes from, where that is this one; fixes then name the
            toolkits that it has.

    Returns:
        The root cause first, then further independent causes; what only follows from them is left
        out. [] when the log shows no failure. Never raises.
    """
    log = Log(text if isinstance(text, str) else decode(text))
    runs = Runs(log)
    read = _Pass(log, facts, runs)
    found = current(standing(log, read.run()), runs, read.latest)
    went_on = all(map(passed, chain.from_iterable(found.values())))
    told = {index: hits for index, hits in found.items() if not (went_on and all(map(accepted, hits)))}
    findings = [RULES[index].finding(hits[0], hits[1:]) for index, hits in ranked(told, runs)]
    return [replace(finding, severity="warning") for finding in findings] if went_on else findings


def explain(log_text: str | bytes) -> list[Finding]:
    """What went wrong in a build or a run, from what its tools printed.

    Example: `dcnbuild.explain(open("build.log").read())[0].fix` are the lines that mend the first fault.

    Args:
        log_text: the log, as text or as the bytes of its file; of any machine, not just this one.

    Returns:
        Findings, the root cause first; [] where the log shows no failure. Each has `id`, `severity`
        ("error", "warning", "note"), `title`, `cause`, `evidence` and `fix`; see docs/findings.md.
        It raises nothing, imports no torch and looks at nothing but the log.
    """
    return read_log(log_text)


class _Pass:
    """One pass over a log: what was found, by the rule's place in RULES."""

    def __init__(self, log: Log, facts: Facts | None, runs: Runs) -> None:
        self.log = log
        self.facts = facts
        self.runs = runs
        self.found: Matches = {}
        #: The last line that a rule matched, by its place.
        self.latest: dict[int, int] = {}
        self._refused: Counter[int] = Counter()
        self._candidates = _candidates(log)
        there = _presence({log.english(number) for number in self._candidates})
        self._reading = Reading(log, there)
        #: (a literal text, the place in RULES of a rule whose pattern has it)
        self._parts = [(part, index) for index, rule in enumerate(RULES) for part, _ in rule.patterns if there(part)]
        self._judging: dict[frozenset[str], frozenset[int]] = {}

    def run(self) -> Matches:
        """Looks at every line that a rule may match."""
        seen: set[str] = set()
        wrapped = 0
        raised = self._reading.raised
        for number in sorted({*self._candidates, *raised}):
            raw = self.log.lines[number]
            if raw in seen:
                continue
            text = self.log.english(number)
            records = self._reading.records(text)
            if number in raised:
                text = self._reading.message(number)
                records = (*self._reading.records(text), raised[number])
            index = self._judge(number, text, records)
            unclear = index is None or RULES[index].level is Level.UNKNOWN
            if unclear and ("rror" in raw or "panicked at" in raw) and len(raw) <= WIDEST and wrapped < WRAPPED_LINES:
                wrapped += 1
                self._unwrap(number, text)
            if index is None:
                seen.add(raw)
        return self.found

    def _unwrap(self, number: int, text: str) -> None:
        """Reads a line anew as a part of a longer one that a terminal or CMake has wrapped."""
        below = [self.log.english(number + 1), self.log.english(number + 2)]
        joined = _REST_OF_ROW.sub("", text)
        for attempt in (joined, " ".join((text, *below)), "".join((text, *below))):
            if attempt != text:
                records = self._reading.records(attempt)
                if self._judge(number, attempt, records, Level.SYMPTOM, below) is not None:
                    return

    def _judge(
        self,
        number: int,
        text: str,
        records: Iterable[Record],
        deepest: Level = Level.UNKNOWN,
        below: Sequence[str] = (),
    ) -> int | None:
        """Notes the first of the rules that a line, or some lines joined, the others `below`, bear out."""
        records = tuple(records)
        kinds = frozenset([record.kind for record in records])
        if kinds not in self._judging:
            asked = (index for index, rule in enumerate(RULES) if not kinds.isdisjoint(rule.kinds))
            self._judging[kinds] = frozenset(asked)
        worded = {index for part, index in self._parts if part in text}
        for index in sorted(worded | self._judging[kinds]):
            rule = RULES[index]
            if rule.level > deepest:
                break
            found = rule.match(text, records)
            if found is None or self._refused[index] == REFUSALS:
                continue
            if rule.level is not Level.UNKNOWN and self.runs.of_others(number):  # that says alike what a rule is about
                continue
            # joined lines: what begins in a lower one that says something itself is left to that line
            begun = [line for line in below if line and 0 <= text.rfind(line) <= found[0].start()]
            told = self._reading.records(begun[-1]) if begun else ()
            known = (rule.match(begun[-1], told) for rule in RULES if begun and rule.level is Level.CAUSE)
            if begun and (found[0].group() in begun[-1] or any(known)):
                continue
            hits = self.found.get(index, [])
            self.latest[index] = number
            if len(hits) == (HITS_PER_RULE if not rule.each else FAULTS_PER_RULE):
                return index
            hit = Hit(self.log, number, found[0], self.facts, found[1], rule.let)
            if rule.when is None or rule.when(hit):
                if not rule.each or all(hit[rule.each] != one[rule.each] for one in hits):
                    self.found[index] = [*hits, hit]
                return index
            self._refused[index] += 1
        return None


def _presence(lines: set[str]) -> Callable[[str], bool]:
    """Whether a literal text may stand in any of the lines: most of them differ in a number only."""
    shapes = b"\n".join(set(_without_digits("\n".join(lines)).split(b"\n")))
    return cache(lambda text: _part(text) in shapes)


def _candidates(log: Log) -> list[int]:
    """The numbers of the lines that a rule may match."""
    # logs repeat themselves: each different line is looked at once, for words that are there at all
    different = set(log.lines)
    alike: dict[bytes, list[str]] = {}
    for line, shape in zip(different, _without_digits("\n".join(different)).split(b"\n")):
        alike.setdefault(shape, []).append(line)
    wanted: set[str] = set()
    for word in filter(_presence(different), (*WORDS, *FOREIGN_WORDS)):
        part = _without_digits(word)
        wanted.update(line for shape in alike if part in shape for line in alike[shape] if word in line)
    wanted.update([line for line in different if not line.isascii() and _FOREIGN_SCRIPT.search(line)])
    found = [number for number, line in enumerate(log.lines) if line in wanted]
    shown = quoted(log, found)
    return [number for number in found if number not in shown]
