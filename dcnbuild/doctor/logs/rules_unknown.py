"""What is left when no rule knows why: the first error, or that the reason is not in the log."""

from __future__ import annotations

from dcnbuild.doctor.logs.patterns import ASIDE, START
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule


def _stayed(hit: Hit) -> bool:
    """Whether nothing after the line says that the build came to a good end in spite of it."""
    return hit.log.good_end < hit.line


def _in_traceback(hit: Hit) -> bool:
    lines = hit.log.near(hit.line, before=30)
    return any(line.startswith(("Traceback (most", 'File "')) for line in lines)


_LOUDER = (
    "# the log ends before the message that says why; to see it:",
    "MAX_JOBS=1 pip install -v --no-build-isolation . 2>&1 | tee build.log",
    "dcnbuild doctor --log build.log",
)

RULES = (
    LogRule(
        id="compile-error",
        title="The source does not compile",
        level=Level.UNKNOWN,
        patterns=(
            (
                "error",
                rf"{START}(?P<where>[^\s:()'\"]{{1,200}}?\.(?:cu|cuh|cpp|cc|cxx|c|h|hpp|inl))(?::\d+|\(\d+\))"
                r".{0,12}"
                r"(?:fatal |catastrophic )?error\b.{0,8}: ?(?P<what>.{3,200})",
            ),
        ),
        unless=ASIDE,
        when=_stayed,
        cause="{where} does not compile: {what}",
        fix=(),
        example="src/kernel.cu:31:5: error: expected ';' before '}' token\n"
        "ninja: build stopped: subcommand failed.",
    ),
    LogRule(
        id="python-error",
        title="Python stopped with an exception",
        level=Level.UNKNOWN,
        patterns=(
            ("rror", r"^(?P<what>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit)\b.{0,200})"),
        ),
        unless=r"CalledProcessError|Error (?:compiling|building)|(?:Compile|Link|Distutils\w*)Error"
        r"|InstallationError|SubprocessError",
        when=lambda hit: _stayed(hit) and _in_traceback(hit),
        cause="Python stopped with {what}",
        fix=(),
        example='Traceback (most recent call last):\n  File "setup.py", line 12, in <module>\n'
        "KeyError: 'cxx'",
    ),
    LogRule(
        id="build-stopped",
        title="The reason is not in this part of the log",
        level=Level.UNKNOWN,
        patterns=(
            ("ninja: error", r"ninja: error: .+"),
            ("build stopped", r"ninja: build stopped"),
            ("Error compiling objects", r"RuntimeError: Error compiling objects for extension"),
            ("Error building extension", r"RuntimeError: Error building extension"),
            ("failed with exit", r"error: command .{1,300} failed with exit (?:status|code) \d+"),
            ("Failed building wheel", r"ERROR: Failed building (?:wheel|editable) for \S+"),
            ("legacy-install-failure", r"error: legacy-install-failure"),
            ("subprocess-exited-with-error", r"error: subprocess-exited-with-error"),
        ),
        cause="The build stopped here, and the message that says why is not in this part of the log.",
        fix=_LOUDER,
        example="ninja: build stopped: subcommand failed.",
    ),
)
