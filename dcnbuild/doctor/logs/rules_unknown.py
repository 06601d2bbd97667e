"""Failures whose cause no rule knows: the root error line, whose it is, and what to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule
from dcnbuild.doctor.logs.rules_source import whose
from dcnbuild.doctor.parse.patterns import ASIDE

_FRAME = re.compile(r"File \"([^\"]{1,300})\", line (\d+)")
#: Exceptions that tell of another failure, which stands above them.
_CARRIERS = re.compile(
    r"CalledProcessError|(?:Compile|Link|Distutils\w*|Build\w*|Installation|Subprocess)Error|SystemExit"
    r"|Error (?:compiling|building)|ChildFailedError|KeyboardInterrupt|BrokenPipeError|MetadataGenerationFailed"
)


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


RULES = (
    LogRule(
        id="compile-error",
        title="The source does not compile",
        level=Level.UNKNOWN,
        kinds=("compile-error",),
        unless=ASIDE + r"|[:)] ?//",
        cause=lambda hit: f"{hit['path']} does not compile: {hit['text']}",
        fix=lambda hit: _package_fix(whose(hit)),
        example="src/kernel.cu:31:5: error: expected ';' before '}' token\n"
        "ninja: build stopped: subcommand failed.",
    ),
    LogRule(
        id="crash",
        title="A program crashed",
        level=Level.UNKNOWN,
        kinds=("crash",),
        unless=ASIDE,
        cause="A program crashed: {text}{name}. A compiled module that was built for another torch, Python or CPU is "
        "the most frequent reason.",
        fix=lambda hit: (
            fixes.command("python", "-X", "faulthandler", "YOUR_SCRIPT.py"),
            fixes.rebuild(),
        ),
        example="Segmentation fault (core dumped)",
    ),
    LogRule(
        id="python-error",
        title="Python stopped with an exception",
        level=Level.UNKNOWN,
        kinds=("exception",),
        where={"name": r"(?!.*Warning$).*"},
        unless=_CARRIERS.pattern,
        when=_in_traceback,
        cause=_exception_cause,
        fix=_exception_fix,
        example='Traceback (most recent call last):\n  File "setup.py", line 12, in <module>\n'
        "KeyError: 'cxx'",
    ),
    LogRule(
        id="cmake-error",
        title="CMake stopped",
        level=Level.UNKNOWN,
        kinds=("cmake-error",),
        context=2,
        cause=lambda hit: (
            "CMake stopped"
            + (f" at {hit['path']}:{hit['line']}" if hit["path"] else "")
            + f": {hit['text'] or ' '.join(hit.log.near(hit.line, after=3)[1:]).strip()}"
        ),
        fix=lambda hit: (
            (fixes.command("sed", "-n", f"1,{hit['line']}p", operands=(hit["path"],)),)
            if hit["path"]
            else ()
        ),
        example="CMake Error at CMakeLists.txt:31 (message):\n  Unsupported platform",
    ),
    LogRule(
        id="command-failed",
        title="A tool stopped with an error",
        level=Level.UNKNOWN,
        kinds=("docker-error", "ninja-error", "failed-command"),
        unless=ASIDE
        + r"|subprocess-exited-with-error|legacy-install-failure|metadata-generation-failed"
        r"|failed with exit (?:code|status)|Failed building|not a git repository|ninja: (?:error: )?build stopped"
        r"|ld returned \d|dependency resolver does not currently|did not run successfully"
        r"|Failed to build installable|Command errored out|Error (?:compiling|building) |Command '\[",
        cause=lambda hit: (
            f"{hit['tool'] + ': ' if hit['tool'] else 'The line that stops it says: '}{hit['text'] or hit.text}"
        ),
        fix=(),
        example="error: package directory 'ops' is empty",
    ),
    LogRule(
        id="build-stopped",
        title="The build stopped",
        level=Level.UNKNOWN,
        patterns=(
            ("ninja: error", r"ninja: error: .+"),
            ("build stopped", r"ninja: build stopped"),
            ("Error compiling objects", r"RuntimeError: Error compiling objects for extension"),
            ("Error building extension", r"RuntimeError: Error building extension"),
            ("failed with exit", r"error: command .{1,300} failed with exit (?:status|code) \d+"),
            ("Failed building", r"Failed building (?:wheel|editable) for \S+"),
            ("legacy-install-failure", r"error: legacy-install-failure"),
            ("subprocess-exited-with-error", r"error: subprocess-exited-with-error"),
            ("metadata-generation-failed", r"error: metadata-generation-failed"),
            ("ld returned", r"ld returned \d+ exit status"),
            ("not successfully", r"did not run successfully"),
            ("did not complete", r"did not complete successfully: exit code: [1-9]"),
            ("non-zero", r"returned (?:a )?non-zero (?:exit status|code) ?[1-9]"),
            ("***", r"^(?:g?make|ninja)(?:\[\d+\])?: \*\*\* .+"),
            ("errors occurred", r"Configuring incomplete, errors occurred"),
            ("errors detected", r"(?<!\d)\d{1,9} errors? detected in the compilation of"),
        ),
        kinds=("exit-status", "exception"),
        unless=ASIDE + r"|[Ww]arning: ",
        when=lambda hit: hit.kind != "exit-status" or bool(hit["code"] or hit["text"]),
        cause=lambda hit: (
            "The build stopped here, and the message that says why is not in this part of the log."
            if _nothing_above(hit)
            else f"The build stopped here; what failed stands above: {_last_above(hit)}"
        ),
        fix=lambda hit: _LOUDER if _nothing_above(hit) else (),
        example="ninja: build stopped: subcommand failed.",
    ),
)


def _last_above(hit: Hit) -> str:
    """The first line above that speaks of an error."""
    for line in hit.log.near(hit.line, before=60)[:-1]:
        if re.search(r"\b(?:error|fatal)\b|Error\b", line):
            return line.strip()[:300]
    return ""
