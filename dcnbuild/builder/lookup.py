"""Finds a library that was built just in time before: its key, and the look-up in the cache.

Kept apart from the build, since an import that finds its library here should not load what compiles.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.builder import cache, flags
from dcnbuild.builder.flavour import flavour_of
from dcnbuild.builder.sources import Library, csrc_dir, source_hash
from dcnbuild.machine import compilers, files, toolkits
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.files import resolve

#: Variables that compilers read by themselves, so that they belong to the key.
_COMPILER_VARIABLES = (
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "NVCC_PREPEND_FLAGS",
    "NVCC_APPEND_FLAGS",
)


def cache_key(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> tuple[str, str]:
    """The two halves of an entry's name: what decides whether it may be loaded, and what compiled it.

    The first holds sources, flags, torch and the machine, the second the identity of the compilers; "none"
    where there is no compiler. No program is run for it.
    """
    flavour = flavour_of(torch)
    contents = {
        "library": library,
        "sources": source_hash(csrc_dir(), library),
        "flags": [
            *flavour.flags,
            *(flags.CXX_FLAGS if library == "cpu" else flags.NVCC_FLAGS),
            *flags.LINK_FLAGS,
        ],
        "torch": [torch.version, torch.cuda, torch.cxx11_abi],
        "machine": [platform.machine(), _c_library()],
        "variables": {name: env[name] for name in _COMPILER_VARIABLES if env.get(name)},
        "architectures": env.get("TORCH_CUDA_ARCH_LIST", "") if library == "cuda" else "",
    }
    tools = [_identity(path) for path in _tools(library, env)]
    return f"{library}-{_hash(contents)}", _hash(tools)[:8] if tools else "none"


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _identity(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def _tools(library: Library, env: Mapping[str, str]) -> Iterator[Path]:
    """The programs that would compile, or nothing if one of them is missing."""
    wanted = {"CXX"} if library == "cpu" else {"CXX", "CC", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS"}
    found = list(compilers.candidates(env))
    chosen = [resolve(path) for label, path in found if label in wanted]
    default = [resolve(path) for label, path in found if label == "PATH" and "++" in path.name]
    nvccs: list[Path] = []
    if library == "cuda":
        for _, path in toolkits.candidates(env):
            real = toolkits.real_nvcc(path, env)
            if real is not None and real not in nvccs:
                nvccs.append(real)
        if not nvccs:
            return
    if chosen or default:
        yield from [*chosen, *default[:1], *nvccs]


def entry_names(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> tuple[str, str]:
    """The names of a library's entries, the one to prefer first: this machine's own, then the ordinary one.

    This machine has one of its own only where it could not load the ordinary one.
    """
    ordinary = "-".join(cache_key(library, torch, env))
    return f"{ordinary}-{_hash(_loader())[:8]}", ordinary


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):  # another C library than GNU's
        return ""


def _loader() -> list[object]:
    """What decides whether this machine can load a library that another one built, as far as can be told."""
    loaded = {}
    for line in (files.read_text(Path("/proc/self/maps"), 1 << 22) or "").splitlines():
        name = line.rpartition("/")[2]
        if name.startswith(("libstdc++.", "libc.", "libm.")):
            path = Path(line[line.index("/") :])
            loaded[name] = path.stat().st_size if path.exists() else 0
    system = files.read_text(Path("/etc/os-release")) or ""
    return [_c_library(), loaded, system]


def cached_entries(
    library: Library, torch: TorchInstall, env: Mapping[str, str]
) -> Iterator[cache.Entry | str]:
    """The cached libraries for this torch and these compilers, best first, and why others are none.

    Where the compilers are gone, one that they left behind serves.
    """
    base, tools = cache_key(library, torch, env)
    names = entry_names(library, torch, env)
    for root in cache.cache_directories(env):
        found = [cache.find_entry(root, name, library) for name in names]
        yield from [entry for entry in found if isinstance(entry, cache.Entry)]
        yield from found[-1:] if isinstance(found[-1], str) else []
        if tools == "none":
            yield from cache.find_all(root, base, library)


def find_cached(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> cache.Entry | str:
    """The first of `cached_entries`, or why there is none; it may turn out that it cannot be loaded."""
    reason = ""
    for entry in cached_entries(library, torch, env):
        if isinstance(entry, cache.Entry):
            return entry
        reason = reason or entry  # of the first place; the others only stand in for it
    return reason


def running_torch() -> TorchInstall:
    """The torch that is imported, with what the key needs of it."""
    import torch

    return TorchInstall(
        root=Path(os.fspath(torch.__path__[0])),
        version=str(torch.__version__),
        cuda=torch.version.cuda,
        cxx11_abi=torch.compiled_with_cxx11_abi(),
        hip=torch.version.hip,
    )
