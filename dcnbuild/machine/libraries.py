"""Reads extension libraries, dcnbuild's own and others: GPU code, needed libraries, missing symbols."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.elf import cuda_architectures, needed_libraries, open_elf, run_paths
from dcnbuild.machine.facts import Library, TorchInstall
from dcnbuild.machine.symbols import (
    TORCH_CXX,
    TORCH_SHIM,
    defined_among,
    lacks_version,
    needed_versions,
    undefined_symbols,
)

_TORCH_LIBRARIES = (
    "libc10.so",
    "libc10_cuda.so",
    "libtorch_cpu.so",
    "libtorch_cuda.so",
    "libtorch_cuda_linalg.so",
    "libtorch_python.so",
)
_MOST_UNDEFINED = 5


def own_libraries(package: Path) -> list[Path]:
    """Returns the built libraries of an installed dcnbuild."""
    return files.children(package / "lib", "*.so")


def read_library(
    path: Path,
    env: Mapping[str, str],
    torch: TorchInstall | None,
    own: bool = False,
    root: Path = Path("/"),
) -> Library:
    """Reads one library, and compares it with the installed torch.

    Args:
        path: the file.
        env: the environment variables.
        torch: the installed torch; without it, no undefined names are reported.
        own: whether the library is dcnbuild's.
        root: the directory of /lib and /etc.
    """
    with open_elf(path) as elf:
        if elf is None:
            return Library(path, own, readable=False)
    needed = needed_libraries(path)
    searched = _searched(path, env, torch, root)
    tag = re.search(r"\.cpython-(\d)(\d+)t?-", path.name)
    return Library(
        path=path,
        own=own,
        needed=needed,
        missing=tuple(name for name in needed if not _is_found(name, searched)),
        architectures=cuda_architectures(path),
        python=f"{tag[1]}.{tag[2]}" if tag else None,
        undefined=_undefined(path, torch),
        torch=_noted_torch(path),
    )


def lacking_versions(
    path: Path, env: Mapping[str, str], torch: TorchInstall | None, root: Path = Path("/")
) -> tuple[str, ...]:
    """The symbol versions that a library needs and this machine's libraries do not define.

    E.g. `("libstdc++.so.6: GLIBCXX_3.4.32",)`; of a library that is nowhere nothing is said. The arguments are those of
    `read_library`.
    """
    searched = _searched(path, env, torch, root)
    lacking = []
    for name, version in needed_versions(path):
        found = next((folder / name for folder in searched if files.is_file(folder / name)), None)
        if found is not None and lacks_version(found, version):
            lacking.append(f"{name}: {version}")
    return tuple(lacking)


def _noted_torch(path: Path) -> str | None:
    """Returns the torch in dcnbuild's build.json beside the library, unless the library works with any torch."""
    try:
        note = json.loads(files.read_text(path.with_name("build.json")) or "")
        return None if note["flavour"] == "stable" else str(note["torch"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _undefined(path: Path, torch: TorchInstall | None) -> tuple[str, ...]:
    """Returns the names that it needs from torch and this torch does not define; () without a torch."""
    if torch is None:
        return ()
    open_names = {name for name in undefined_symbols(path) if TORCH_CXX.match(name) or TORCH_SHIM.match(name)}
    libraries = [torch.root / "lib" / name for name in _TORCH_LIBRARIES]
    present = [library for library in libraries if files.is_file(library)]
    for library in present:
        defined = defined_among(library, tuple(open_names))
        if defined is None:
            return ()  # one of torch's libraries cannot be read, so the other names may be defined there
        open_names -= defined
    return tuple(sorted(open_names)[:_MOST_UNDEFINED]) if present else ()


def _searched(path: Path, env: Mapping[str, str], torch: TorchInstall | None, root: Path) -> tuple[Path, ...]:
    """Returns the directories in which the loader searches a library's needed libraries."""
    directories = [*run_paths(path), *files.split_paths(env.get("LD_LIBRARY_PATH", ""))]
    if torch is not None:  # `import torch` has already loaded the libraries in these
        packages = torch.root.parent
        directories += [torch.root / "lib", *files.children(packages, "nvidia/*/lib")]
        directories += [packages.parent.parent]  # conda: <prefix>/lib
    return files.existing([*directories, *_system(root)])


def _is_found(name: str, directories: tuple[Path, ...]) -> bool:
    return any(files.is_file(directory / name) for directory in directories)


def _system(root: Path) -> list[Path]:
    listed = []
    for config in [root / "etc/ld.so.conf", *files.children(root / "etc/ld.so.conf.d", "*.conf")]:
        for line in (files.read_text(config) or "").splitlines():
            if line.strip().startswith("/"):
                listed.append(root / line.strip().lstrip("/"))
    usual = ("lib", "lib64", "usr/lib", "usr/lib64")
    multiarch = [*files.children(root / "lib", "*-linux-gnu")]
    return [*listed, *(root / name for name in usual), *multiarch]
