"""Finds every CUDA toolkit on the machine, best first, and the CUDA_HOME that torch would choose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dcnbuild.machine import files, trust
from dcnbuild.machine.cache import cache_home
from dcnbuild.machine.facts import CudaHome, PackageHeaders, Toolkit
from dcnbuild.machine.near import meant_directory
from dcnbuild.machine.site import site_packages
from dcnbuild.machine.toolkit_files import (
    WANTED_HEADERS,
    headers_version,
    read_toolkit,
    somewhere,
)

#: The longest line of a hand-written script. A self-extracting script has longer lines of data, which are skipped.
_LONGEST_LINE = 2048


_SCRIPT_TARGET = re.compile(r"""[^\s"'=]*/nvcc(?:\.bin|\.real)?(?=["'\s]|$)""")


def find_toolkits(env: Mapping[str, str], prefix: Path | None = None, root: Path = Path("/")) -> list[Toolkit]:
    """Returns every toolkit, in the order in which a build prefers them.

    The order: CUDA_HOME, CUDA_PATH, PATH, the Python environment's own packages, conda, /usr/local/cuda,
    /usr/local/cuda-* (newest first), Debian's split layout, dcnbuild's own toolkit cache. A toolkit that is found twice
    appears once, with all its `found_by`.

    Args:
        env: the environment variables.
        prefix: the Python environment whose packages are searched; by default this interpreter's.
        root: the root of the file system (another directory in tests).
    """
    found: dict[Path, Toolkit] = {}
    for label, nvcc in candidates(env, prefix, root):
        real = real_nvcc(nvcc, env)
        if real is None:
            continue
        if real in found:
            known = found[real]
            if label not in known.found_by:
                found[real] = replace(known, found_by=(*known.found_by, label))
            continue
        toolkit = read_toolkit(real, env)
        if toolkit is not None:
            found[real] = replace(toolkit, found_by=(label,))
    return list(found.values())


def candidates(
    env: Mapping[str, str], prefix: Path | None = None, root: Path = Path("/")
) -> Iterator[tuple[str, Path]]:
    """Yields every place of an nvcc that `find_toolkits` examines, best first; runs no program.

    It leaves out a place that the user did not name and where another user could have put files: see `distrusted`.
    """
    for label, nvcc in _named(env, prefix):
        yield label, nvcc
    for label, nvcc in _unnamed(env, root):
        if files.is_file(nvcc) and _why_distrusted(nvcc, env) is None:
            yield label, nvcc


def distrusted(env: Mapping[str, str], root: Path = Path("/")) -> list[tuple[Path, str]]:
    """Returns the toolkits that are left out because another user could have put files there.

    Each is (its directory, the reason). If CUDA_HOME names such a toolkit, it is used, since that is the user's choice.
    """
    reasons = (
        (nvcc.parent.parent, _why_distrusted(nvcc, env)) for _, nvcc in _unnamed(env, root) if files.is_file(nvcc)
    )
    return [(directory, reason) for directory, reason in reasons if reason]


def _why_distrusted(nvcc: Path, env: Mapping[str, str]) -> str | None:
    """Says how another user could choose the program that runs as this nvcc; None if no other user can."""
    cache = toolkit_cache(env)
    toolkit = nvcc.parent.parent
    called = [
        nvcc,
        *(toolkit / name for name in ("include", "lib", "lib64") if files.is_dir(toolkit / name)),
        *files.children(nvcc.parent),
        *files.children(toolkit / "nvvm/bin"),
    ]
    reasons = (trust.untrusted(path, ours=cache) for path in called)
    return next(filter(None, reasons), None)


def _named(env: Mapping[str, str], prefix: Path | None) -> Iterator[tuple[str, Path]]:
    """Yields the places that variables and the Python environment name, which are the user's choice."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            yield variable, Path(env[variable], "bin/nvcc")
    for nvcc in files.on_path(env, "nvcc"):
        yield f"PATH: {nvcc}", nvcc
    for directory in site_packages(prefix, env):
        for package in [
            *_newest_first(directory / "nvidia", "cu[0-9]*"),
            directory / "nvidia/cuda_nvcc",
        ]:
            yield f"pip: {package}", package / "bin/nvcc"
    if env.get("CONDA_PREFIX"):
        yield "conda", Path(env["CONDA_PREFIX"], "bin/nvcc")


def _unnamed(env: Mapping[str, str], root: Path) -> Iterator[tuple[str, Path]]:
    """Yields the usual places of toolkits."""
    for directory in [
        root / "usr/local/cuda",
        *_newest_first(root / "usr/local", "cuda-*"),
        root / "opt/cuda",
        root / "usr/lib/nvidia-cuda-toolkit",
    ]:
        yield str(directory), directory / "bin/nvcc"
    cache = toolkit_cache(env)
    for directory in _newest_first(cache, "*") if cache else []:
        yield f"cache: {directory}", directory / "bin/nvcc"


def toolkit_cache(env: Mapping[str, str]) -> Path | None:
    """Returns the directory of toolkits that dcnbuild installed; None without a home directory."""
    home = cache_home(env)
    return home / "toolkits" if home else None


def _newest_first(directory: Path, pattern: str) -> list[Path]:
    def numbers(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d{1,9}", path.name)]

    return sorted(files.children(directory, pattern), key=numbers, reverse=True)


def torch_cuda_home(env: Mapping[str, str], root: Path = Path("/")) -> CudaHome | None:
    """Returns the CUDA_HOME that `torch.utils.cpp_extension` chooses; None if it finds none.

    It takes CUDA_HOME, then CUDA_PATH, without checking them. Next it takes the directory two levels above the first
    nvcc on PATH, and follows neither symlinks nor scripts. Then it tries /usr/local/cuda. Source: `_find_cuda_home` in
    torch 2.14.1.
    """
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            return _cuda_home(Path(env[variable]), variable)
    nvcc = next(files.on_path(env, "nvcc"), None)
    if nvcc is not None:
        return _cuda_home(nvcc.parent.parent, f"PATH: {nvcc}")
    default = root / "usr/local/cuda"
    return _cuda_home(default, str(default)) if files.is_dir(default) else None


def _cuda_home(path: Path, taken_from: str) -> CudaHome:
    exists = files.is_dir(path)
    headers = [path / "include", *files.children(path, "targets/*/include")]
    return CudaHome(
        path=path,
        taken_from=taken_from,
        exists=exists,
        has_nvcc=files.is_file(path / "bin/nvcc"),
        has_headers=somewhere(headers, "cuda_runtime.h"),
        meant=None if exists else meant_directory(str(path)),
    )


def find_package_headers(env: Mapping[str, str], prefix: Path | None = None) -> list[PackageHeaders]:
    """Returns the directories of CUDA headers in the environment's packages, including torch's dependencies.

    CUDA 13's packages share nvidia/cu13/include. Those of CUDA 11 and 12 have one directory each, and only
    cuda_runtime's gives the version.
    """
    found = []
    for site in site_packages(prefix, env):
        runtime = headers_version([site / "nvidia/cuda_runtime/include"])
        for directory in files.children(site, "nvidia/*/include"):
            held = held_headers(directory)
            if held:
                version = headers_version([directory]) or runtime
                found.append(PackageHeaders(directory, held, version))
    return found


def held_headers(directory: Path) -> tuple[str, ...]:
    """Returns those of `WANTED_HEADERS` that are in a directory."""
    return tuple(name for name in WANTED_HEADERS if files.is_file(directory / name))


def real_nvcc(path: Path, env: Mapping[str, str]) -> Path | None:
    """Returns the nvcc binary behind a path; follows symlinks, and scripts that call another nvcc.

    Returns None if there is no such file, or if the chain ends in another program (for example a compiler cache) or in
    a missing file. A script that calls nvcc in an unknown way counts as an nvcc itself.
    """
    for _ in range(8):  # a longer chain is a loop
        path = files.resolve(path)
        if not files.is_file(path) or not path.name.startswith("nvcc"):
            return None
        text = files.read_text(path, 1 << 16)
        if text is None or not text.startswith("#!"):
            return path
        targets = [target for target in _script_targets(text, path, env) if target != path]
        if not targets:
            return path
        path = next(filter(files.is_file, targets), targets[0])
    return None


def _script_targets(script: str, path: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """Yields the absolute paths of nvcc in a script, last line first, since a script calls nvcc at its end."""
    for line in reversed(script.splitlines()):
        if line.lstrip().startswith("#") or len(line) > _LONGEST_LINE:
            continue
        line = re.sub(r"\$\(dirname[^)]*\)+|`dirname[^`]*`|\$\{0%/\*\}", str(path.parent), line)
        for match in _SCRIPT_TARGET.finditer(line):
            text = re.sub(r"\$\{?(\w+)\}?", lambda variable: env.get(variable[1], variable[0]), match[0])
            if text.startswith(os.sep):
                yield files.resolve(Path(text))
