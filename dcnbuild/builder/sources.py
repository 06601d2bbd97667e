"""What there is to compile: csrc/ in an installed package or beside a checkout, and its libraries."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

#: The two libraries. "cpu" carries the operators' schemas, "cuda" only implementations, so that either
#: can come from another route.
Library = Literal["cpu", "cuda"]
LIBRARIES: tuple[Library, ...] = ("cpu", "cuda")

PACKAGE = Path(__file__).resolve().parents[1]

_GLOBS: dict[Library, tuple[str, ...]] = {
    "cpu": ("*.cpp", "**/cpu/*.cpp"),
    "cuda": ("**/cuda/*.cu",),
}


def csrc_dir() -> Path:
    """The directory of the C++ and CUDA sources.

    Raises FileNotFoundError that names both places if they are neither in the package (where a wheel
    puts them) nor beside it (where a checkout has them).
    """
    places = (PACKAGE / "csrc", PACKAGE.parent / "csrc")
    for place in places:
        if (place / "schema.h").is_file():
            return place
    raise FileNotFoundError(
        f"dcnbuild's sources are in none of {', '.join(map(str, places))}: install dcnbuild again"
    )


def library_file(library: Library) -> str:
    """The file name of a library, the same on every route."""
    return f"dcnbuild_{library}.so"


def library_sources(csrc: Path, library: Library) -> tuple[Path, ...]:
    """The files that are compiled into a library, sorted."""
    return tuple(sorted(path for pattern in _GLOBS[library] for path in csrc.glob(pattern)))


def source_hash(csrc: Path, library: Library) -> str:
    """A hash over every file that a library can include: all of csrc/ but the other device's directories."""
    digest = hashlib.blake2b(digest_size=16)
    others = {other for other in LIBRARIES if other != library}
    for path in sorted(csrc.rglob("*")):
        name = path.relative_to(csrc)
        if others.intersection(name.parts) or not path.is_file():
            continue
        content = path.read_bytes()
        digest.update(f"{name.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
