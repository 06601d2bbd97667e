"""What releases of C and C++ libraries have removed, and whose a header is. Reads cxx_libraries.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers

#: Where a project keeps a copy of a library: what stands before its directory.
_COPIES = re.compile(
    r"(?i)(?:^|/)(?:third_?party|3rd_?party|extern(?:al)?s?|_?deps|dependencies|vendor|submodules?|libs?|subprojects)(?:/[^/]+)?$"
)
_INSTALLED = re.compile(r"^/(?:usr|opt|lib)/|/(?:site|dist)-packages/|/envs/|/python3[./]|/torch/include/")


def _rows(section: str) -> Any:
    return plain_yaml.beside(__file__, "cxx_libraries.yaml")[section]


@cache
def _removed(section: str) -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    """Each pattern of names, with the library, the release that removed them, and what stands for them."""
    libraries = _rows(section).items()
    rows = ((library, str(release), names) for library, releases in libraries for release, names in releases.items())
    found = ((one, library, release, today) for library, release, names in rows for one, today in names.items())
    return tuple((re.compile(one), *rest) for one, *rest in found)


def _gone(section: str, name: str) -> dict[str, str]:
    for pattern, library, release, today in _removed(section):
        if found := pattern.fullmatch(name):
            today = found.expand(today) if "\\" in today else today
            plain = today if re.fullmatch(r"[\w:]+", today) and today != "none" else ""
            last = name.rpartition(":")[2]
            return {"library": library, "release": release, "today": today, "plain": plain, "last": last}
    return {}


def gone(full: str) -> dict[str, str]:
    """The `library` and the `release` that lacks a name; what stands for it `today`, `plain` if that is a name.

    Example: `gone("AVStream::codec")["library"]` is "FFmpeg".
    """
    return _gone("gone", full.strip(":"))


def header_gone(header: str) -> dict[str, str]:
    """The same of a header: "ceres/local_parameterization.h"."""
    return _gone("headers", header)


def refused(found: str, wanted: str) -> dict[str, str]:
    """The same of a conversion from one type to another: "const AVCodec*" to "AVCodec*"."""
    for like, (library, release, today) in _rows("types").items():
        if re.fullmatch(like, found) and found.replace("const ", "", 1) == wanted:
            return {"library": library, "release": str(release), "today": today}
    return {}


def _parts(path: str) -> Iterator[tuple[str, str]]:
    """The directories of a path, the innermost first, each with what stands before it."""
    parts = path.split("/")[:-1]
    for end in range(len(parts), 0, -1):
        yield re.sub(r"-(?:src|\d[\w.]*|main|master)$", "", parts[end - 1]), "/".join(parts[:end])


def of_path(path: str) -> dict[str, str]:
    """The library whose header a path is: its `name`, `repository`, `address`, `conda`, `pip`, `header_only`.

    `copy` is the directory of the copy that the project keeps, "" without one.
    """
    plain = path.replace("\\", "/")
    for part, place in _parts(plain):
        for like, row in _rows("of_path").items():
            if re.fullmatch(like, part):
                known = {key: str(value) for key, value in row.items() if key != "least"}
                address = known.get("address") or f"https://github.com/{row['repository']}"
                outer = next(at for one, at in reversed([*_parts(plain)]) if re.fullmatch(like, one))
                inside = outer != place and bool(known.get("header_only") or known.get("pip"))  # a checkout of it
                copied = (inside or _COPIES.search(outer.rpartition("/")[0])) and not _INSTALLED.search(plain)
                if not copied and not _INSTALLED.search(plain) and ("/include/" not in plain or outer != place):
                    return {}  # the library itself is built
                return {**known, "address": address, "copy": outer if copied else ""}
    return {}


def least(library: str, tool: str, version: str) -> str:
    """The first release of a library that works with a version of a tool: "pybind11", "python", "3.13" → "2.13"."""
    row: dict[str, Any] = next((row for row in _rows("of_path").values() if row["name"] == library), {})
    known = row.get("least", {}).get(tool, {}).items()
    fitting = [release for since, release in known if version and numbers(version) >= numbers(str(since))]
    return str(fitting[-1]) if fitting else ""
