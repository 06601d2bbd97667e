"""Modules that a build imports and does not find, in pip's own environment or in the user's."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.rule import Hit, LogRule

#: A traceback that runs in pip's, uv's or build's own environment holds one of these.
_ISOLATED = re.compile(
    r"pip-build-env-|build_meta|builds-v0|get_requires_for_build|Getting requirements to build"
    r"|prepare_metadata_for_build|Preparing (?:editable )?metadata \(pyproject|build_wheel"
    r"|Building (?:wheel|editable) for .{1,80}\(pyproject|Installing build dependencies"
    r"|build backend|build-env|pyproject_hooks|pep517|\.tmp\w{6}[/\\]|build isolation|build_editable"
)

_DIRECT = re.compile(
    r"File \"setup\.py\"|python3? setup\.py|setup\.py egg_info|Preparing metadata \(setup\.py\)|pip-setuptools-caller"
)

_SETUP = re.compile(r"setup\.py|<string>\", line|egg_info|pip|subprocess-exited-with-error")


def _isolated(hit: Hit) -> bool:
    """Whether a module was missing in a build environment and not in the user's own."""
    lines = hit.log.near(hit.line, before=80, after=25)
    around = "\n".join(lines)
    if _ISOLATED.search(around):
        return True
    for start, line in enumerate(lines[:-1]):
        # Python runs setup.py itself: its frame is the first of the traceback
        if line.startswith("Traceback (most") and re.match(
            r'File "[^"]*setup\.py"', lines[start + 1]
        ):
            return False
    return not _DIRECT.search(around) and bool(_SETUP.search(around))


_BUILT = re.compile(
    r"Failed to build [`']([\w.-]+)|Building (?:wheel|editable) for ([\w.-]+)"
    r"|╰─> ([A-Za-z][\w.-]+)$|^Collecting ([\w.-]+)|`([\w.-]+)@"
)

_LOCAL = re.compile(r"^(?:Processing|Obtaining) (?:file://)?(?:\.|/|[A-Za-z]:)")


def _package(hit: Hit) -> str:
    """What was being built: its name, "." for a directory and where the log does not show it."""
    for number in (*range(hit.line, max(-1, hit.line - 200), -1), *range(hit.line, hit.line + 40)):
        line = hit.log.text(number)
        if _LOCAL.match(line):
            return "."
        found = _BUILT.search(line)
        # pip -v indents what it collects for the build environment itself
        if found and not hit.log.lines[number].startswith("  Collecting"):
            return next(group for group in found.groups() if group)
    return "."


def _isolation_fix(hit: Hit) -> tuple[str, ...]:
    text = "\n".join(hit.log.near(hit.line, before=60, after=25))
    tool = "uv pip" if re.search(r"\buv\b|builds-v0|build backend returned", text) else "pip"
    package = _package(hit)
    editable = "-e " if re.search(r"editable|pip install -e|pip install -v -e", text) else ""
    target = f"{editable}." if package == "." or editable else package
    return (
        'python -c "import torch; print(torch.__version__)"  # has to be there first',
        f"{tool} install setuptools wheel ninja",
        f"{tool} install --no-build-isolation {target}",
    )


def _module_fix(hit: Hit) -> tuple[str, ...]:
    package = {"cv2": "opencv-python", "yaml": "pyyaml", "Cython": "cython"}.get(
        hit["name"].split(".")[0], hit["name"].split(".")[0]
    )
    if _isolated(hit):
        return (f"pip install {package}", f"pip install --no-build-isolation {_package(hit)}")
    return (f"pip install {package}",)


_NO_TORCH = (
    (
        "No module named",
        r"No module named ['\"]?torch(?:\.utils(?:\.cpp_extension)?)?['\"]?(?![\w.])",
    ),
)


RULES = (
    LogRule(
        id="build-isolation",
        title="torch is not visible in the build environment",
        patterns=_NO_TORCH,
        unless=r"[Ww]arning|Error caught was|Skipping|skipping",
        when=_isolated,
        cause="pip builds in an environment of its own, which has no torch: the project's setup.py "
        "imports torch without asking for it.",
        fix=_isolation_fix,
        example="× Getting requirements to build wheel did not run successfully.\n"
        "ModuleNotFoundError: No module named 'torch'",
    ),
    LogRule(
        id="torch-missing",
        title="This Python has no torch",
        patterns=_NO_TORCH,
        unless=r"[Ww]arning|Error caught was|Skipping|skipping",
        when=lambda hit: not _isolated(hit),
        cause="The Python that runs the build has no torch: it is another one than meant (sudo, cron "
        "and IDEs choose their own), or torch is not installed.",
        fix=(
            'python -c "import sys; print(sys.executable)"',
            "python -m pip install torch",
            "python -m pip install --no-build-isolation .",
        ),
        example="ModuleNotFoundError: No module named 'torch'",
    ),
    LogRule(
        id="build-dependency-missing",
        title="A module that the build needs is missing",
        patterns=(
            (
                "No module named",
                r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<name>(?!torch\b|distutils"
                r"|setuptools|pkg_resources)[\w.]+)",
            ),
        ),
        unless=r"[Ww]arning|Error caught was|Skipping|torch\.utils\.ffi|torch\._six",
        when=lambda hit: bool(
            _SETUP.search("\n".join(hit.log.near(hit.line, before=40, after=15)))
        ),
        cause=lambda hit: (
            f"The build imports {hit['name']}, which "
            + (
                "is not in the environment that pip builds in."
                if _isolated(hit)
                else "is not installed."
            )
        ),
        fix=_module_fix,
        example='  File "setup.py", line 5, in <module>\n'
        "ModuleNotFoundError: No module named 'Cython'",
    ),
)
