"""Every CUDA toolkit on the machine, best first, and the CUDA_HOME that torch would guess."""

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

#: Of a script that a person wrote; the line of data behind a self-extracting one costs more than it can tell.
_LONGEST_LINE = 2048


_SCRIPT_TARGET = re.compile(r"""[^\s"'=]*/nvcc(?:\.bin|\.real)?(?=["'\s]|$)""")


def find_toolkits(
    env: Mapping[str, str], prefix: Path | None = None, root: Path = Path("/")
) -> list[Toolkit]:
    """Every toolkit, in the order in which a build should prefer them.

    The order: CUDA_HOME, CUDA_PATH, PATH, the Python environment's own packages, conda,
    /usr/local/cuda, /usr/local/cuda-* (newest first), Debian's split layout, dcnbuild's own toolkit
    cache. A toolkit that is met twice appears once, with all its `found_by`.

    Args:
        env: the environment variables.
        prefix: the Python environment whose packages count; by default this interpreter's.
        root: where the file system starts (another directory in tests).
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
    """Every place of an nvcc that `find_toolkits` looks at, best first; no program is run.

    A place that nobody named is left out where another user could have put something: see `distrusted`.
    """
    for label, nvcc in _named(env, prefix):
        yield label, nvcc
    for label, nvcc in _unnamed(env, root):
        if files.is_file(nvcc) and _why_distrusted(nvcc, env) is None:
            yield label, nvcc


def distrusted(env: Mapping[str, str], root: Path = Path("/")) -> list[tuple[Path, str]]:
    """The toolkits that are passed over, and why: another user could have put something there.

    Each is (its directory, the reason). CUDA_HOME takes one all the same: then it is the user's choice.
    """
    reasons = (
        (nvcc.parent.parent, _why_distrusted(nvcc, env))
        for _, nvcc in _unnamed(env, root)
        if files.is_file(nvcc)
    )
    return [(directory, reason) for directory, reason in reasons if reason]


def _why_distrusted(nvcc: Path, env: Mapping[str, str]) -> str | None:
    """Why another user could decide what runs when this nvcc is called, or None."""
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
    """Where the variables and the Python environment point: that is the user's choice."""
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
    """Where toolkits usually are."""
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
    """Where dcnbuild keeps toolkits that it laid out itself; None without a home directory."""
    home = cache_home(env)
    return home / "toolkits" if home else None


def _newest_first(directory: Path, pattern: str) -> list[Path]:
    def numbers(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d{1,9}", path.name)]

    return sorted(files.children(directory, pattern), key=numbers, reverse=True)


def torch_cuda_home(env: Mapping[str, str], root: Path = Path("/")) -> CudaHome | None:
    """The CUDA_HOME that `torch.utils.cpp_extension` settles on; None if it finds none.

    It believes CUDA_HOME, then CUDA_PATH, without a look inside; then it goes two directories up
    from the first nvcc on PATH, following neither symlinks nor scripts; then it tries
    /usr/local/cuda. Source: `_find_cuda_home` in torch 2.14.1.
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


def find_package_headers(
    env: Mapping[str, str], prefix: Path | None = None
) -> list[PackageHeaders]:
    """The directories of CUDA headers that the environment's packages brought, torch's needs too.

    CUDA 13's packages share nvidia/cu13/include; those of CUDA 11 and 12 have one directory each,
    and only cuda_runtime's tells the version.
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
    """Those of `WANTED_HEADERS` that are in a directory."""
    return tuple(name for name in WANTED_HEADERS if files.is_file(directory / name))


def real_nvcc(path: Path, env: Mapping[str, str]) -> Path | None:
    """The nvcc binary behind a path: symlinks and scripts that call another nvcc are followed.

    None where there is no such file, or where the chain ends in something else (a compiler cache,
    say) or in nothing. A script that calls an nvcc in a way that is not understood counts as one.
    """
    for _ in range(8):  # a chain that is longer is a loop
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
    """The absolute paths of an nvcc in a script, last line first: it ends in calling it."""
    for line in reversed(script.splitlines()):
        if line.lstrip().startswith("#") or len(line) > _LONGEST_LINE:
            continue
        line = re.sub(r"\$\(dirname[^)]*\)+|`dirname[^`]*`|\$\{0%/\*\}", str(path.parent), line)
        for match in _SCRIPT_TARGET.finditer(line):
            text = re.sub(
                r"\$\{?(\w+)\}?", lambda variable: env.get(variable[1], variable[0]), match[0]
            )
            if text.startswith(os.sep):
                yield files.resolve(Path(text))
