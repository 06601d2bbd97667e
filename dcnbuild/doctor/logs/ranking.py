"""Which of the rules that matched a log are reported, and in which order: by what each hit's surroundings say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import wording
from dcnbuild.doctor.logs.rule import Hit, Level
from dcnbuild.doctor.logs.rule_table import RULES
from dcnbuild.doctor.parse import Log
from dcnbuild.doctor.parse.runs import Runs
from dcnbuild.doctor.parse.success import Outcome, later, marked, raised_in, survived

_QUOTED_CODE, _WARNING, _NOTED, _RAN, _BUILDS = wording.patterns("quoted_code", "warning", "noted", "ran", "builds")
#: What tells of a failure, and not only of what is not there; what a warning says of itself; what is not there.
_FAILS, _IGNORABLE, _LACKS = wording.patterns("fails", "ignorable", "lacks")
_GOES_ON = re.compile(f"{_IGNORABLE.pattern}|{wording.pattern('retried').pattern}")
#: A warning of torch that CUDA does not start; what shows that a program has no GPU then.
_STARTS, _ON_CPU = wording.patterns("cuda_starts", "on_cpu")
#: What programs try out by a compiler or a shell, and go on without; by which file or library a trial is told.
_PROBED, _TRIAL = wording.rows("probed"), wording.pattern("trial")

#: By the rule's place in RULES.
Matches = dict[int, list[Hit]]


def standing(log: Log, found: Matches) -> Matches:
    """The hits that nothing takes back: no later success, and a warning only where something failed."""
    outcome = Outcome(log)
    kept: Matches = {}
    for index, hits in found.items():
        raised = [hit for hit in hits if not marked(log, hit.line, "calm")]
        spoken = [hit for hit in raised if not _QUOTED_CODE.match(log.text(hit.line))] or raised
        left = [hit for hit in spoken if not outcome.moot(hit.line, _ran(hit))]
        if left:
            kept[index] = left
    stopped = {index: [hit for hit in hits if not _logged_aside(hit)] for index, hits in kept.items()}
    if any(stopped.values()):  # what a logger only warned of is not why the other failed
        kept = {index: hits for index, hits in stopped.items() if hits}
    failed = any(not (_warned(hit) or _noted(hit)) for hits in kept.values() for hit in hits)
    return {index: hits for index, hits in kept.items() if failed or RULES[index].warns}


def current(found: Matches, runs: Runs, latest: dict[int, int]) -> Matches:
    """The hits without those of a run that was tried again, with other steps before it, and then failed otherwise."""
    failed = {runs.of(hit.line) for hits in found.values() for hit in hits if not (_warned(hit) or _noted(hit))}
    round_it = {run for run in failed if any(runs.tried_again(run, later) for later in failed) or runs.mended(run)}
    last = max((hit.line for hits in found.values() for hit in hits), default=0)
    left: Matches = {}
    for index, hits in found.items():
        kept = [hit for hit in hits if runs.of(hit.line) not in round_it and not _there_since(hit, last)]
        again = latest[index] > hits[-1].line and runs.of(latest[index]) not in round_it
        left |= {index: kept or hits} if kept or again else {}
    return left


def _there_since(hit: Hit, last: int) -> bool:
    """Whether the module or the command that is missing was installed, or called, before what the log tells of last."""
    if (lacks := _LACKS.search(hit.text)) is None:
        return False
    name = re.sub(r"[-_.]", "[-_.]", lacks["module"] or lacks["command"])
    installed, called = rf"^Successfully installed(?: \S+)* {name}-\d", rf"/{name}(?=['\" ]|$)(?!.*not found)"
    there = installed if lacks["module"] else called
    return any(re.search(there, line, re.IGNORECASE) for line in hit.log.near(hit.line, after=last - hit.line)[1:])


def _warned(hit: Hit) -> bool:
    told = bool(_WARNING.search(hit.text)) or hit.text.startswith(("warn(", "warnings.warn("))
    return told and not _no_gpu(hit)


def _no_gpu(hit: Hit) -> bool:
    """Whether a library warns that CUDA does not start, and the log shows that the GPU was wanted: False, or CPU."""
    return bool(_STARTS.search(hit.text)) and any(map(_ON_CPU.search, hit.log.near(hit.line, after=30)))


def _noted(hit: Hit) -> bool:
    """Whether pip only says of other packages that they do not go together, and the program did its work."""
    return bool(_NOTED.search(hit.text)) and later(hit.log, hit.line, "works")


def _only_told(hit: Hit) -> bool:
    """Whether a line need not have stopped the program: a warning, or an exception spoken of outside of a traceback."""
    told = (hit.kind.startswith("missing-") and "odule" in hit.text) or not _FAILS.search(hit.text)
    return _warned(hit) or marked(hit.log, hit.line, "warned") or (told and not _RAN.search(hit.around(before=25)))


def passed(hit: Hit) -> bool:
    """Whether the program did its work after what a line tells of."""
    works = later(hit.log, hit.line, "works") and (_only_told(hit) or accepted(hit)) and not _no_gpu(hit)
    return works or (_ran(hit) and later(hit.log, hit.line, "serves"))


def accepted(hit: Hit) -> bool:
    """Whether a program says at a line or a traceback, or right beside it, that it goes on without what is missing."""
    start = raised_in(hit.log, hit.line)
    above = [] if start is None else hit.log.near(start, before=2)
    tries = any(map(_TRIAL.search, hit.log.near(hit.line, before=1)))
    return tries or any(map(_GOES_ON.search, (*above, *hit.log.near(hit.line, after=2))))


def _logged_aside(hit: Hit) -> bool:
    """Whether a logger warned, and the program went on; or began to serve after what was raised; or survived it."""
    log, line, ran = hit.log, hit.line, _ran(hit)
    marks = marked(log, line, "warned")
    aside = passed(hit) and (marks or ran or accepted(hit))
    warned = marks or _warned(hit)
    tried = raised_in(log, line) is not None or (hit.kind in _PROBED and not warned)
    return (
        aside or (warned and survived(log, line, needs_work=False)) or (tried and survived(log, line, needs_work=True))
    )


def _ran(hit: Hit) -> bool:
    """Whether the line comes from a program that ran, not from a build."""
    return bool(_RAN.search(above := hit.around(before=25))) and not _BUILDS.search(above)


def ranked(found: Matches, runs: Runs) -> Iterator[tuple[int, list[Hit]]]:
    """The rules to report, root cause first."""
    # of other steps than the one that ended the job, or to be ignored, as it says itself
    beside = {n for n, hits in found.items() if all(_ignorable(hit) or not runs.ended(hit.line) for hit in hits)}
    errors = [index for index in found if RULES[index].severity == "error"]
    telling = [RULES[index].level for index in errors if index not in beside or beside.issuperset(errors)]
    deepest = min(telling, default=Level.UNKNOWN)
    explained: dict[str, set[str]] = {}  # by what: of two that explain each other the special one, which comes first
    for rule in map(RULES.__getitem__, sorted(found)):
        for name in {*rule.explains} - {rule.id} - explained.get(rule.id, set()):
            explained.setdefault(name, set()).add(rule.id)
    reported: set[str] = set()
    failed = False
    for index, hits in sorted(found.items(), key=lambda item: (item[0] in beside, *_order(item))):
        rule = RULES[index]
        follows = rule.severity == "error" and rule.level > deepest
        follows = follows or (failed and (rule.level is not Level.CAUSE or all(map(_ignorable, hits))))
        if follows or rule.id in explained or rule.id in reported:
            continue
        failed |= rule.severity == "error"
        reported.add(rule.id)
        yield index, hits


def _ignorable(hit: Hit) -> bool:
    said = hit.around(after=4 if _warned(hit) else 0)
    return bool(_NOTED.search(hit.text) or (_only_told(hit) and _IGNORABLE.search(said)))


def _order(item: tuple[int, list[Hit]]) -> tuple[bool, bool, int]:
    """Errors before warnings, what was not built after why, then as the log has them; the unknown as RULES has it."""
    index, hits = item
    log, line, said, rule = hits[0].log, hits[0].line, hits[0].text, RULES[index]
    if rule.id == "build-stopped":  # it says less than any warning
        return True, True, len(log)
    aside = rule.severity != "error" or "Warning" in said or "warning:" in said or _warned(hits[0])
    aside = aside or marked(log, line, "warned")
    return aside, rule.id == "extension-not-built", index if rule.level is Level.UNKNOWN else line
