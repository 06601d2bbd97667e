"""Which directory holds the project that a log is about: the one to hand to `dcnbuild port`.

Example: a message about "/home/ada/net/ops/src/cuda/a.cu" is of the project in "/home/ada/net/ops".
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from dcnbuild.doctor import wording

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.context import Context

#: So many lines above and below a message name the directory that it is of.
_NEAR = 400
#: Files of torch, the system and other packages.
NOT_OURS = wording.pattern("not_ours")
#: Directories that hold the sources of a project: the nearest other one above them is the project.
_INNER = {"src", "csrc", "source", "cuda", "cpu", "cpp", "lib", "include", "kernels", "gpu"}
#: A directory that the build names: that of its setup.py, of its build directory, or whose src it includes from.
_SHOWN_PROJECT = (
    re.compile(r"(?:^|[\s\"'=])(?P<path>(?:[A-Za-z]:)?[/\\~][^\s'\";:]{1,300})[/\\]setup\.py\b"),
    re.compile(r"(?:^|[\s\"'=])(?P<path>(?:[A-Za-z]:)?[/\\][^\s'\";:]{1,300}?)[/\\]build[/\\](?:temp|lib)\."),
    re.compile(r"-I ?[\"']?(?P<path>(?:[A-Za-z]:)?[/\\][^\s'\";:]{1,300})[/\\](?:src|csrc)(?=[\s\"']|$)"),
)
_PROJECT = re.compile(r"(?:Processing|Obtaining file://|cd) ?((?:[A-Za-z]:)?[/\\~][^\s'\";]{1,200})")
#: pip copies a project here before it builds it, and deletes the copy.
_COPY = wording.pattern("copied")


def directory(context: Context) -> str:
    """The project's directory, "." where the log shows none that lasts; never the root of a file system."""
    found = context.first(_PROJECT)
    if found and not _COPY.search(found.group(1)):
        return found.group(1)
    named = shown(context)
    if named is not None:
        return named
    if context.source is None or _gone_or_installed(context.source):
        return "."
    path = _path(context.source).parent
    if not path.is_absolute():
        return "."
    roots = [parent for parent in path.parents if re.search(r"^_?(?:ext[-_])?csrc$", parent.name)]
    if path.name == "csrc" or roots:  # whatever lies in it: the project is all around the first
        return str((roots[-1] if roots else path).parent)
    if path.parent.name.lower() in _INNER and len(path.parents) > 4:  # src/knnquery/a.cu
        path = path.parent
    while path.name.lower() in _INNER and path.parent.name:
        path = path.parent
    return str(path) if path.name else "."


def of_module(path: str) -> str:
    """The directory of the setup.py that an own compiled module was built from in place: beside what it is imported
    as; "" where the path does not show it.
    """
    module = _path(path)
    if not module.is_absolute() or _gone_or_installed(path):
        return ""
    inside = re.match(r"_|C\b", module.name) is not None  # "net/ops/_C.so" is the package net.ops
    return str(module.parent.parent if inside else module.parent)


def shown(context: Context) -> str | None:
    """The nearest directory that the build names as its own, above the source where that has a full path."""
    source = _path(context.source) if context.source else None
    log, line = context.log, context.line
    above = range(line, max(-1, line - _NEAR), -1)
    below = range(line + 1, min(len(log), line + _NEAR))
    for pattern in _SHOWN_PROJECT:
        for number in (*above, *below):
            for found in pattern.finditer(log.text(number)):
                path = _path(found["path"])
                if _gone_or_installed(found["path"]) or NOT_OURS.search(found["path"] + "/"):
                    continue
                if source is None or not source.is_absolute() or path in source.parents:
                    return found["path"]
    return None


def lasts(source: str | None) -> bool:
    """Whether a source lies in a checkout, by its full path: no copy of pip's, nor an installed package."""
    return (
        bool(source)
        and _path(str(source)).is_absolute()
        and not (_gone_or_installed(str(source)) or NOT_OURS.search(str(source)))
    )


def _path(text: str) -> PurePosixPath | PureWindowsPath:
    return PureWindowsPath(text) if "\\" in text else PurePosixPath(text)


def _gone_or_installed(path: str) -> bool:
    """Whether nobody can port what lies there: pip's copy of a project, or an installed package."""
    return bool(_COPY.search(path)) or "site-packages" in path
