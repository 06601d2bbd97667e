"""Built just in time: the key of a cached library, the look-up, and the build into the cache."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.builder import cache, commands, findings
from dcnbuild.builder.compile import compile_library, describe, plan_here, record_of
from dcnbuild.builder.flavour import flavour_of
from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.builder.plan import BuildPlan, cuda_mode
from dcnbuild.builder.progress import ProgressLine
from dcnbuild.builder.sources import Library, csrc_dir, library_file, source_hash
from dcnbuild.doctor.finding import Finding, FindingError
from dcnbuild.environment import compilers, toolkits
from dcnbuild.environment.facts import TorchInstall
from dcnbuild.environment.files import resolve
from dcnbuild.environment.torch_install import read_torch

#: Variables that compilers read by themselves, so that they belong to the key.
_COMPILER_VARIABLES = (
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "LIBRARY_PATH",
    "NVCC_PREPEND_FLAGS",
    "NVCC_APPEND_FLAGS",
)
#: Errors of a disk rather than of the sources: another directory may do better.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES}


def cache_key(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> tuple[str, str]:
    """The two halves of an entry's name: what decides whether it may be loaded, and what compiled it.

    The first holds sources, flags, torch and the machine, the second the identity of the compilers; "none"
    where there is no compiler. No program is run for it.
    """
    flavour = flavour_of(torch.version)
    contents = {
        "library": library,
        "sources": source_hash(csrc_dir(), library),
        "flags": [
            *flavour.flags,
            *(commands.CXX_FLAGS if library == "cpu" else commands.NVCC_FLAGS),
            *commands.LINK_FLAGS,
        ],
        "torch": [torch.version, torch.cuda, torch.cxx11_abi],
        "machine": platform.machine(),
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


def find_cached(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> cache.Entry | str:
    """The cached library for this torch and these compilers, or why there is none.

    Where the compilers are gone, one that they left behind serves.
    """
    base, tools = cache_key(library, torch, env)
    reason = ""
    for root in cache.cache_directories(env):
        entry = cache.find_entry(root, f"{base}-{tools}", library)
        if isinstance(entry, str) and tools == "none":
            entry = cache.find_any(root, base, library) or entry
        if isinstance(entry, cache.Entry):
            return entry
        reason = reason or entry  # of the first place; the others only stand in for it
    return reason


def build_cached(
    library: Library, torch: TorchInstall, env: Mapping[str, str], *, force: bool = False
) -> cache.Entry:
    """Builds a library into the cache and returns it; another process's build of the same serves too.

    Args:
        library: which one.
        torch: the torch that will load it.
        env: the environment variables.
        force: build it even if it is there.

    Raises FindingError that says what is missing, or the compiler's first error and where the log is.
    """
    plan = make_plan(library, torch, env)
    key = "-".join(cache_key(library, torch, env))
    log = failure = None
    try:
        for root in cache.writable_caches(env):
            log = root / f"{key}.log"
            try:
                return _build_in(root, key, library, plan, env, log, force)
            except (OSError, CompileError) as error:
                if not _is_disk_error(error):
                    raise
                failure = error
            warnings.warn(
                f"dcnbuild cannot build in {root}: {failure}. It tries another directory.",
                RuntimeWarning,
                stacklevel=2,
            )
    except (OSError, CompileError) as error:
        failure = error
    assert failure is not None  # the loop ends with a return or an error
    raise FindingError(_failed(library, plan, failure, log)) from failure


def make_plan(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> BuildPlan:
    """The plan for one library. Raises FindingError if it cannot be built here."""
    mode = cuda_mode(env)
    if library == "cpu":
        return plan_here(torch, env, "off")
    installed = read_torch(torch.root.parent) or torch  # its architectures too
    plan = plan_here(installed, env, "off" if mode == "off" else "on")
    if plan.cuda_left_out is not None:
        raise FindingError(plan.cuda_left_out)
    return plan


def _build_in(
    root: Path,
    key: str,
    library: Library,
    plan: BuildPlan,
    env: Mapping[str, str],
    log: Path,
    force: bool,
) -> cache.Entry:
    with ProgressLine(describe(library, plan)) as progress:

        def build(directory: Path) -> None:
            objects = directory / "objects"
            objects.mkdir()
            try:
                record, output = compile_library(library, plan, objects, env, progress.update)
            except CompileError as error:
                with contextlib.suppress(OSError):  # a full disk; the compiler's error says more
                    log.write_text(error.output, encoding="utf-8")
                raise
            log.write_text(output, encoding="utf-8")
            (objects / library_file(library)).rename(directory / library_file(library))
            shutil.rmtree(objects)
            record_of(plan, {library: record}).write(directory)

        return cache.build_entry(root, key, library, build, force=force, waiting=progress.waiting)


def _is_disk_error(error: OSError | CompileError) -> bool:
    if isinstance(error, CompileError):
        return "No space left on device" in error.output or "Disk quota" in error.output
    return error.errno in _DISK_ERRORS


def _failed(
    library: Library, plan: BuildPlan, error: OSError | CompileError, log: Path | None
) -> Finding:
    written = log if log and log.is_file() and isinstance(error, CompileError) else None
    return findings.build_failed(describe(library, plan), str(error), written)


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
