"""Finds a library that was built just in time before: computes its key and searches the cache.

It is separate from the build, so that an import that finds its library does not load the modules that compile.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.builder import cache, flags
from dcnbuild.builder.flavour import flavour_of
from dcnbuild.builder.sources import Library, csrc_dir, source_hash
from dcnbuild.machine import compilers, files, toolkits
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.files import resolve
from dcnbuild.machine.system import architecture

#: Variables that compilers read by themselves; they are part of the key.
_COMPILER_VARIABLES = (
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "NVCC_PREPEND_FLAGS",
    "NVCC_APPEND_FLAGS",
)


def cache_key(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> tuple[str, str]:
    """Returns the two halves of an entry's name.

    The first is a hash of sources, flags, torch and machine, which decide whether the library may be loaded. The second
    is a hash of the compilers' identity; "none" without a compiler. It runs no program.
    """
    flavour = flavour_of(torch)
    contents = {
        "library": library,
        "sources": source_hash(csrc_dir(), library),
        "flags": [
            *flavour.flags,
            *(flags.NVCC_FLAGS if library == "cuda" else flags.CXX_FLAGS),
            *(flags.NVRTC_FLAGS if library == "nvrtc" else ()),
            *flags.LINK_FLAGS,
        ],
        "torch": [torch.version, torch.cuda, torch.cxx11_abi],
        "machine": [architecture(), _c_library()],
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
    """Yields the programs that would compile, or nothing if one of them is missing."""
    wanted = {"CXX"} if library != "cuda" else {"CXX", "CC", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS"}
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
    """Returns the names of a library's entries, best first: this machine's own, then the shared one.

    A machine has its own entry only if it could not load the shared one.
    """
    ordinary = "-".join(cache_key(library, torch, env))
    return f"{ordinary}-{_hash(_loader())[:8]}", ordinary


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):  # the C library is not GNU's
        return ""


def _loader() -> list[object]:
    """Returns the known facts that decide whether this machine can load a library that another machine built."""
    loaded = {}
    for line in (files.read_text(Path("/proc/self/maps"), 1 << 22) or "").splitlines():
        name = line.rpartition("/")[2]
        if name.startswith(("libstdc++.", "libc.", "libm.")):
            path = Path(line[line.index("/") :])
            loaded[name] = path.stat().st_size if path.exists() else 0
    system = files.read_text(Path("/etc/os-release")) or ""
    return [_c_library(), loaded, system]


def cached_entries(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> Iterator[cache.Entry | str]:
    """Yields the cached libraries for this torch and these compilers, best first, and the reasons against others.

    If the compilers have been removed, it takes a library that they built.
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
    """Returns the first of `cached_entries`, or why there is none; loading it may still fail."""
    reason = ""
    for entry in cached_entries(library, torch, env):
        if isinstance(entry, cache.Entry):
            return entry
        reason = reason or entry  # keeps the reason of the first directory, which is the user's own
    return reason


def running_torch() -> TorchInstall:
    """Returns the imported torch, with the facts that the key needs."""
    import torch

    return TorchInstall(
        root=Path(os.fspath(torch.__path__[0])),
        version=str(torch.__version__),
        cuda=torch.version.cuda,
        cxx11_abi=torch.compiled_with_cxx11_abi(),
        hip=torch.version.hip,
    )
