"""Reading a build log: which lines are looked at, which rules match, and what comes first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from dcnbuild.doctor.finding import Finding
from dcnbuild.doctor.logs.registry import RULES
from dcnbuild.doctor.logs.rule import Hit, Level
from dcnbuild.doctor.logs.text import Log, decode
from dcnbuild.environment.facts import Facts

#: A line without any of these can match no rule and is not looked at: every literal part of every
#: pattern contains one of them. A short list keeps the reading of megabytes fast.
WORDS = (
    *("rror", "fatal", "ailed", "illed", "died", "denied", "KILL", "signal", "dumped", "stopped"),
    *("ot found", "o such", "annot ", "nable to", "ould ", "o module", "o version", "must be"),
    *("ndefined", "declared", "defined", "nresolved", "nknown", "nrecognized", "nsufficient"),
    *("is not", "does not", "has no", "required", "requires", "removed", "upported", "match"),
    *("vailable", "ompatib", "compiled with", "too old", "failure", "exhausted", "exceeded"),
    *("No space", "ut of memory", "bad_alloc", "137", "[Errno", "no suitable", "size changed"),
    *("NVIDIA driver", "CUDA-capable", "invalid device", "mplemented", "lock file", "baton"),
    *("pkg_resources", "nvToolsExt", "CUDA_ARCHITECTURES", "_get_cuda_arch_flags", "arch_list["),
    *("not loaded", "Couldn't", "cannot import", "non-zero", "multiple ", "CUDA compiler"),
    *("CMakeCUDACompilerId", "missing and no known"),
)
#: The same for tools that do not speak English (see locales.py): a few stems, and the scripts of
#: Chinese, Japanese and Russian.
FOREIGN_WORDS = ("Fehler", "nicht ", "Berechtigung", "erreur", "Aucun", "No existe", "Get\u00f6tet")
_FOREIGN_SCRIPT = re.compile(r"[\u0400-\u04ff\u3040-\u9fff]")

#: Of one rule so many matches are kept: the first decides, the others are further evidence.
HITS_PER_RULE = 3
#: After so many matches that their surroundings did not bear out, a rule is not asked any more.
REFUSALS = 30
#: So many error lines that match nothing are tried again together with the two lines below them,
#: since terminals and CMake wrap messages.
WRAPPED_LINES = 3000

_QUOTED_CODE = re.compile(r"(?:raise|warnings\.warn|logger\.\w+|return|assert)\b[ (]")

Matches = dict[int, list[Hit]]


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
    found = {index: _spoken(hits) for index, hits in _Reading(log, facts).run().items()}
    return [RULES[index].finding(hits[0], hits[1:]) for index, hits in _ranked(found)]


class _Reading:
    """One pass over a log: what was found, by the rule's place in RULES."""

    def __init__(self, log: Log, facts: Facts | None) -> None:
        self.log = log
        self.facts = facts
        self.found: Matches = {}
        self._refused: Counter[int] = Counter()

    def run(self) -> Matches:
        """Looks at every line that a rule may match."""
        seen: set[str] = set()
        wrapped = 0
        candidates = _candidates(self.log)
        possible = _possible_rules(self.log, candidates)
        for number in candidates:
            raw = self.log.lines[number]
            if raw in seen:
                continue
            index = self._first_match([number], possible)
            unclear = index is None or RULES[index].level is Level.UNKNOWN
            if unclear and "rror" in raw and wrapped < WRAPPED_LINES:
                wrapped += 1
                numbers = [number, number + 1, number + 2]
                self._first_match(numbers, range(len(RULES)), Level.SYMPTOM)
            if index is None:
                seen.add(raw)
        return self.found

    def _first_match(
        self, numbers: list[int], possible: Iterable[int], deepest: Level = Level.UNKNOWN
    ) -> int | None:
        """Notes the first of the possible rules that recognises a line, or some lines joined."""
        texts = [self.log.english(number) for number in numbers]
        joined = " ".join(texts)
        for index in possible:
            rule = RULES[index]
            if rule.level > deepest:
                break
            match = rule.match(joined)
            if match is None or self._refused[index] == REFUSALS:
                continue
            hits = self.found.get(index, [])
            if len(hits) == HITS_PER_RULE:
                return index
            # the line that the match begins on
            starts = [len(" ".join(texts[:count])) + (count > 0) for count in range(len(texts))]
            line = max(n for n, start in zip(numbers, starts) if start <= match.start())
            hit = Hit(self.log, line, match, self.facts)
            if rule.when is None or rule.when(hit):
                self.found[index] = [*hits, hit]
                return index
            self._refused[index] += 1
        return None


def _candidates(log: Log) -> list[int]:
    """The numbers of the lines that a rule may match."""
    # logs repeat themselves: each different line is looked at once, for words that are there at all
    different = set(log.lines)
    everything = "\n".join(different)
    wanted: set[str] = set()
    for word in (*WORDS, *FOREIGN_WORDS):
        if word in everything:
            wanted.update([line for line in different if word in line])
    if not everything.isascii():
        foreign = [line for line in different if not line.isascii()]
        wanted.update([line for line in foreign if _FOREIGN_SCRIPT.search(line)])
    return [number for number, line in enumerate(log.lines) if line in wanted]


def _possible_rules(log: Log, numbers: list[int]) -> list[int]:
    """The places in RULES of those that can match one of these lines, since a literal part of them is there.

    Most rules are ruled out for the whole log at once, which a log of nothing but errors would otherwise
    ask of every line.
    """
    everything = "\n".join({log.english(number) for number in numbers})
    return [index for index, rule in enumerate(RULES) if rule.may_match(everything)]


def _spoken(hits: list[Hit]) -> list[Hit]:
    """The hits without those in code that a traceback quotes, unless there are no others."""
    return [hit for hit in hits if not _QUOTED_CODE.match(hit.log.text(hit.line))] or hits


def _ranked(found: Matches) -> Iterator[tuple[int, list[Hit]]]:
    """The rules to report, root cause first."""
    levels = [RULES[index].level for index in found if RULES[index].severity == "error"]
    deepest = min(levels, default=Level.UNKNOWN)
    explained = {name for index in found for name in RULES[index].explains}
    reported: set[str] = set()
    for index, hits in sorted(found.items(), key=_order):
        rule = RULES[index]
        if rule.severity == "error" and rule.level > deepest:
            continue
        if rule.id in explained or rule.id in reported:
            continue
        if rule.level is not Level.CAUSE and reported:
            continue
        reported.add(rule.id)
        yield index, hits


def _order(item: tuple[int, list[Hit]]) -> tuple[bool, int]:
    """Errors before warnings, then as the log has them; what is unknown as the registry has it."""
    index, hits = item
    said = hits[0].log.english(hits[0].line)
    aside = RULES[index].severity != "error" or "Warning" in said or "warning:" in said
    return aside, index if RULES[index].level is Level.UNKNOWN else hits[0].line
