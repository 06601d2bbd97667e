"""Finds the sources: csrc/ in an installed package or in a checkout, and the files of each library."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

#: The libraries. "cpu" carries the operators' schemas, the others only implementations for CUDA tensors, so that each
#: can come from another route: "cuda" is compiled by nvcc, "nvrtc" is plain C++ and has its kernels compiled on first
#: use.
Library = Literal["cpu", "cuda", "nvrtc"]
LIBRARIES: tuple[Library, ...] = ("cpu", "cuda", "nvrtc")
#: What can be kept in the cache: a library, or one kernel of the route "nvrtc".
Artifact = Literal[Library, "kernel"]
#: The devices whose tensors libraries serve.
Device = Literal["cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("cpu", "cuda")

PACKAGE = Path(__file__).resolve().parents[1]

_GLOBS: dict[Library, tuple[str, ...]] = {
    "cpu": ("*.cpp", "**/cpu/*.cpp"),
    "cuda": ("**/cuda/*.cu",),
    "nvrtc": ("**/cuda/*.cu", "common/nvrtc/*.cpp"),
}


def csrc_dir() -> Path:
    """Returns the directory of the C++ and CUDA sources.

    Raises FileNotFoundError that names both places if they are neither in the package (as in a wheel) nor beside it (as
    in a checkout).
    """
    places = (PACKAGE / "csrc", PACKAGE.parent / "csrc")
    for place in places:
        if (place / "schema.h").is_file():
            return place
    raise FileNotFoundError(f"dcnbuild's sources are in none of {', '.join(map(str, places))}: install dcnbuild again")


def library_file(library: Artifact) -> str:
    """Returns the file name of a library, which is the same on every route."""
    if library == "kernel":
        return "kernel.cubin"
    return f"dcnbuild_{library}.so"


def library_sources(csrc: Path, library: Library) -> tuple[Path, ...]:
    """Returns the files that are compiled into a library, sorted."""
    return tuple(sorted(path for pattern in _GLOBS[library] for path in csrc.glob(pattern)))


def source_hash(csrc: Path, library: Library) -> str:
    """A hash over every file that a library can include: all of csrc/ but directories that are others' alone."""
    digest = hashlib.blake2b(digest_size=16)
    others = {other for other in LIBRARIES if other != library}
    if library == "nvrtc":
        others.discard("cuda")  # the same sources
    for path in sorted(csrc.rglob("*")):
        name = path.relative_to(csrc)
        if others.intersection(name.parts) or not path.is_file():
            continue
        content = path.read_bytes()
        digest.update(f"{name.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
