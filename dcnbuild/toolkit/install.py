"""Installs a toolkit into the user's cache, which builds search last."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from dcnbuild.base.versions import numbers
from dcnbuild.doctor.logs import read_log
from dcnbuild.errors import FindingError
from dcnbuild.machine import recipes, trust
from dcnbuild.machine.cache import close_to_others, make_directory
from dcnbuild.machine.elf import cuda_architectures
from dcnbuild.machine.facts import Toolkit
from dcnbuild.machine.locking import locked
from dcnbuild.machine.toolkit_files import read_toolkit
from dcnbuild.machine.toolkits import find_toolkits, toolkit_cache
from dcnbuild.toolkit import debian, pypi
from dcnbuild.toolkit.programs import failed, run

#: A program with a kernel, a launch and a call of the runtime. It needs cicc, ptxas, fatbinary, the headers, the host
#: compiler and the static runtime.
_PROBE = """\
#include <cuda_fp16.h>
__global__ void scale(float* values, float by) { values[threadIdx.x] *= by; }
extern "C" int run(float* values) {
  scale<<<1, 32>>>(values, 2.0f);
  return static_cast<int>(cudaGetLastError());
}
"""

#: A file in a toolkit's directory that lists the files of the installation.
_FILES = "dcnbuild-toolkit.files"
_NUMBER = r"(?:0|[1-9][0-9]{0,3})"

Say = Callable[[str], None]


def find(version: str, env: Mapping[str, str]) -> Toolkit | None:
    """Returns the machine's best toolkit of this version ("13.0", or "13" for any 13.x); None without one."""
    if not re.fullmatch(rf"{_NUMBER}(\.{_NUMBER}){{0,2}}", version):
        raise ValueError(f"not a CUDA version: {version!r} (expected e.g. '13.0' or '12')")
    wanted = numbers(version)
    matching = (toolkit for toolkit in find_toolkits(env) if numbers(toolkit.version)[: len(wanted)] == wanted[:2])
    return next(matching, None)


def install(version: str, env: Mapping[str, str], say: Say = print, *, math_headers: bool = False) -> Toolkit:
    """Installs a toolkit into the cache, or returns the one that is already there.

    It unpacks the toolkit beside its place, compiles a small kernel with it, and then renames it. So a toolkit in the
    cache is always complete. It keeps downloads until then, so that a second try continues an interrupted one.

    Args:
        version: "13.0".
        env: the environment variables; DCNBUILD_CACHE, XDG_CACHE_HOME or HOME gives the cache.
        say: called with a text for each step.
        math_headers: for CUDA 13, see `pypi.fetch`.

    Raises FindingError if it cannot be installed, ValueError for a wrong version, OSError if the cache cannot be
    written.
    """
    if not re.fullmatch(rf"{_NUMBER}\.{_NUMBER}", version):
        raise ValueError(f"not a CUDA version: {version!r} (expected major.minor, e.g. '13.0')")
    cache = toolkit_cache(env)
    if cache is None:
        raise failed(f"installing CUDA {version}", "there is no HOME to keep it under")
    if not recipes.from_pypi(version) and version not in recipes.DEBIAN:
        raise nothing_provides(version)
    place = cache / f"cuda-{version}"
    downloads = cache.parent / "toolkit-downloads"
    for directory in (cache, downloads):
        make_directory(directory)
        _refuse_shared(directory, version)

    def waiting() -> None:
        say(f"waiting for another process that installs CUDA {version}")

    with locked(downloads / f"{place.name}.lock", waiting) as kept_out:
        # if the lock does not keep other machines out, each machine has its own directory
        work = downloads / (place.name if kept_out == "all" else f"{place.name}-{_machine()}")
        make_directory(work)
        _refuse_shared(work, version)
        standing = _read(place, env)
        if standing is not None:
            return standing
        _make_room(place, say)
        _check_writable(cache)
        staging = work / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        make_directory(staging)
        try:
            say(f"downloading the packages of CUDA {version} into {work}")
            if recipes.from_pypi(version):
                made_of = pypi.fetch(version, work, staging, env, math_headers)
            else:
                made_of = debian.fetch(version, recipes.DEBIAN[version], work, staging, env)
            (staging / "dcnbuild-toolkit.txt").write_text(f"{made_of}\n", encoding="utf-8")
            say("compiling a small kernel with it")
            verify(staging, env)
            _list_files(staging)
            close_to_others(staging)
            _put_in_place(staging, place, env)
        finally:  # also after Ctrl-C: keeps the downloads, removes the unpacked files
            shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(work)
    toolkit = _read(place, env)
    if toolkit is None:
        raise failed(f"installing CUDA {version}", f"{place}/bin/nvcc does not tell its version")
    return toolkit


def _refuse_shared(directory: Path, version: str) -> None:
    """Raises FindingError for a directory in which another user could replace the compiler."""
    reason = trust.untrusted(directory)
    if reason:
        raise failed(
            f"installing CUDA {version}",
            f"a toolkit there could be exchanged by others: {reason}",
            ("DCNBUILD_CACHE names another directory for dcnbuild's cache.",),
        )


def _machine() -> str:
    """Returns this machine's name, as a part of a file's name."""
    return re.sub(r"[^\w.-]", "_", platform.node())


def _put_in_place(staging: Path, place: Path, env: Mapping[str, str]) -> None:
    """Renames a toolkit to its place; if another machine has put one there meanwhile, keeps that one."""
    try:
        staging.rename(place)
    except OSError:
        if _read(place, env) is None:
            raise


def _make_room(place: Path, say: Say) -> None:
    """Moves a directory that is not a whole toolkit away from the toolkit's place, before the download."""
    if not os.path.lexists(place):
        return
    aside = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=_aside_of(place)))
    place.rename(aside / place.name)
    say(f"{place} is no whole toolkit; it was moved to {aside / place.name}, which you may delete")


def _aside_of(place: Path) -> Path:
    """Returns the place for a broken toolkit: beside the cache, since every build searches the cache."""
    aside = place.parent.parent / "toolkits-broken"
    make_directory(aside)
    return aside


def _check_writable(cache: Path) -> None:
    """Raises OSError if the cache cannot be written, before the download starts."""
    with tempfile.TemporaryDirectory(prefix=".new-", dir=cache):
        pass


def _list_files(toolkit: Path) -> None:
    """Writes the list of a complete toolkit's files: one line for each, with size and path."""
    files = sorted(path for path in toolkit.rglob("*") if path.is_file())
    listed = ((path.stat().st_size, str(path.relative_to(toolkit))) for path in files)
    lines = (f"{size} {name}\n" for size, name in listed if "\n" not in name)
    (toolkit / _FILES).write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def _is_whole(toolkit: Path) -> bool:
    """Whether all installed files still exist; toolkits without a list count as complete."""
    try:
        text = (toolkit / _FILES).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return True
    for line in text.removesuffix("\n").split("\n"):
        size, _, name = line.partition(" ")
        try:
            if str((toolkit / name).stat().st_size) != size:
                return False
        except OSError:
            return False
    return True


def _read(place: Path, env: Mapping[str, str]) -> Toolkit | None:
    """Returns the complete toolkit at this place, or None."""
    nvcc = place / "bin/nvcc"
    if trust.untrusted(nvcc):
        return None
    if not nvcc.is_file() or not os.access(nvcc, os.X_OK) or not _is_whole(place):
        return None
    toolkit = read_toolkit(nvcc, env)
    return replace(toolkit, found_by=(f"cache: {place}",)) if toolkit else None


def verify(root: Path, env: Mapping[str, str]) -> tuple[str, ...]:
    """Compiles and links a small kernel, and returns the architectures inside the result.

    Raises FindingError with the compiler's output.
    """
    work = root / "verify"
    work.mkdir(exist_ok=True)
    try:
        source = work / "probe.cu"
        source.write_text(_PROBE, encoding="utf-8")
        library = work / "probe.so"
        clean = {
            name: value
            for name, value in env.items()
            if name not in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "CPATH", "CUDA_HOME")
        }
        try:
            run(
                [
                    *(root / "bin/nvcc", "-shared", "-Xcompiler=-fPIC", "-cudart=static"),
                    *("-o", library, source),
                ],
                work,
                clean,
                "compiling a small kernel",
            )
        except FindingError as error:
            causes = read_log("\n".join(error.finding.evidence))
            raise FindingError(causes[0] if causes else error.finding) from error
        found = cuda_architectures(library)
        if not found:
            raise failed("compiling a small kernel", f"nvcc in {root} made a library without code")
        return found
    finally:
        shutil.rmtree(work)


def nothing_provides(version: str) -> FindingError:
    """Returns the error of a version that no known package source has."""
    nearest = [name for name in recipes.DEBIAN if numbers(name)[:1] == numbers(version)[:1]]
    fix = tuple(f"dcnbuild toolkit install {name}" for name in nearest)
    return failed(
        f"installing CUDA {version}",
        f"no packages of it are known; there are {recipes.available()}"
        + ("; any minor version of torch's CUDA major will do" if nearest else ""),
        fix=fix,
    )


def cache_of(env: Mapping[str, str]) -> str:
    """Returns the directory of toolkits, as a text to print."""
    return os.fspath(toolkit_cache(env) or "nowhere: no HOME")
