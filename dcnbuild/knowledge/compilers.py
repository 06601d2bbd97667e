"""Which host systems a toolkit's headers are written for; gcc and clang are dcnbuild.machine.compatibility's."""

from __future__ import annotations

from dataclasses import dataclass

from dcnbuild.base.versions import numbers
from dcnbuild.knowledge.rows import read

#: The first glibc that declares functions of the C23 mathematics which CUDA's headers declare as well
#: (sinpi, cospi …), and the first that declares rsqrt. Source: NEWS of glibc 2.41 and 2.42.
_CONFLICTS = ("2.41", "2.42")


@dataclass(frozen=True)
class Host:
    """What crt/host_config.h and crt/math_functions.h of one toolkit say.

    Attributes:
        cuda: the release.
        msvc_from: the oldest _MSC_VER that it accepts; None if it does not say.
        msvc_below: the first _MSC_VER that it refuses, without -allow-unsupported-compiler.
        glibc: the newest glibc whose new functions it takes into account; None for none.
        source: the wheel that was read.
    """

    cuda: str
    msvc_from: int | None
    msvc_below: int | None
    glibc: str | None
    source: str


def rows() -> tuple[Host, ...]:
    """Every toolkit release that was read, oldest first."""
    return read("compilers.json", Host)


def find(cuda: str) -> Host | None:
    """The row of a toolkit, e.g. "12.4" or "12.4.131"."""
    return next((row for row in rows() if numbers(row.cuda) == numbers(cuda)[:2]), None)


def accepts_msvc(cuda: str, msc_ver: int | str) -> bool | None:
    """Whether a toolkit accepts a Microsoft compiler by its _MSC_VER, e.g. 1944; None: not known."""
    row = find(cuda)
    if row is None or row.msvc_from is None or row.msvc_below is None:
        return None
    return row.msvc_from <= int(msc_ver) < row.msvc_below


def newest_glibc(cuda: str) -> str | None:
    """The first glibc that clashes with a toolkit's headers is newer than this one; None: not known.

    "2.40" for a toolkit that knows of no C23 functions: glibc 2.41 declares sinpi, cospi and others as
    noexcept, CUDA's own declarations are not, and g++ refuses ("exception specification").
    """
    row = find(cuda)
    if row is None:
        return None
    known = numbers(row.glibc or "2.40")
    clash = next((version for version in _CONFLICTS if numbers(version) > known), None)
    return f"2.{numbers(clash)[1] - 1}" if clash else row.glibc


def first_cuda_for_glibc(glibc: str) -> str | None:
    """The oldest toolkit whose headers go with a glibc, e.g. "2.42"; None if none that was read does."""
    wanted = [version for version in _CONFLICTS if numbers(version) <= numbers(glibc)[:2]]
    if not wanted:
        return rows()[0].cuda
    return next((row.cuda for row in rows() if numbers(row.glibc or "0") >= numbers(wanted[-1])), None)
