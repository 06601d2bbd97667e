"""Failures whose cause no rule knows: the root error line, whose it is, and what to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import whose

_FRAME = re.compile(r"File \"([^\"]{1,300})\", line (\d+)")


def _in_traceback(hit: Hit) -> bool:
    if (
        hit["text"]
        and hit["name"].endswith(("Error", "Exception"))
        and hit.text.startswith(hit["name"])
    ):
        return True
    lines = hit.log.near(hit.line, before=30)
    return any(line.startswith(("Traceback (most", 'File "')) for line in lines)


def _place(hit: Hit) -> tuple[str, str]:
    """(file, line) of the last frame above, ("", "") without one."""
    for line in reversed(hit.log.near(hit.line, before=12)):
        found = _FRAME.search(line)
        if found:
            return found[1], found[2]
    return "", ""


def _whose(found: Owner) -> str:
    return {
        "package": f", in the package {found.name}",
        "torch": ", in torch",
        "nvidia": ", in an nvidia package",
        "toolkit": ", in the CUDA toolkit",
        "conda": ", in conda",
        "python": ", in Python itself",
        "system": ", in the system",
    }.get(found.kind, "")


def _exception_cause(hit: Hit) -> str:
    name, text = hit["name"].split(".")[-1], hit["text"]
    place = _whose(owner(_place(hit)[0]))
    return f"Python stopped with {name}{': ' + text if text else ''}{place}."


def _package_fix(found: Owner) -> Iterator[Fix]:
    if found.kind == "package" and found.name:
        yield fixes.say(
            f"a newer release of {found.name}, or one that fits this torch, CUDA and Python:"
        )
        yield fixes.pip("index", "versions", operands=(found.name,))


def _exception_fix(hit: Hit) -> Iterator[Fix]:
    yield from _package_fix(owner(_place(hit)[0]))


_LOUDER = (
    fixes.say("the log ends before the message that says why, to see it:"),
    fixes.set_env("MAX_JOBS", "1"),
    fixes.pip("install", "-v", "--no-build-isolation", "."),
)


def _nothing_above(hit: Hit) -> bool:
    return not any(
        re.search(r"\b(?:error|fatal)\b|Error\b", line)
        for line in hit.log.near(hit.line, before=60)[:-1]
    )


def _last_above(hit: Hit) -> str:
    """The first line above that speaks of an error."""
    for line in hit.log.near(hit.line, before=60)[:-1]:
        if re.search(r"\b(?:error|fatal)\b|Error\b", line):
            return line.strip()[:300]
    return ""


def _compile_error_fix(hit: Hit) -> Iterable[Fix]:
    return _package_fix(whose(hit))


def _cmake_error_cause(hit: Hit) -> str:
    return (
        "CMake stopped"
        + (f" at {hit['path']}:{hit['line']}" if hit["path"] else "")
        + f": {hit['text'] or ' '.join(hit.log.near(hit.line, after=3)[1:]).strip()}"
    )


def _cmake_error_fix(hit: Hit) -> Iterable[Fix]:
    return (
        (fixes.command("sed", "-n", f"1,{hit['line']}p", operands=(hit["path"],)),)
        if hit["path"]
        else ()
    )


def _command_failed_cause(hit: Hit) -> str:
    return f"{hit['tool'] + ': ' if hit['tool'] else 'The line that stops it says: '}{hit['text'] or hit.text}"


def _build_stopped_when(hit: Hit) -> bool:
    return hit.kind != "exit-status" or bool(hit["code"] or hit["text"])


def _build_stopped_cause(hit: Hit) -> str:
    return (
        "The build stopped here, and the message that says why is not in this part of the log."
        if _nothing_above(hit)
        else f"The build stopped here; what failed stands above: {_last_above(hit)}"
    )


def _build_stopped_fix(hit: Hit) -> Iterable[Fix]:
    return _LOUDER if _nothing_above(hit) else ()
