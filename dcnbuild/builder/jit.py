"""Builds a library just in time, into the cache where `lookup` finds it."""

from __future__ import annotations

import contextlib
import errno
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.builder import cache, findings
from dcnbuild.builder.compile import compile_library, describe, plan_here, record_of
from dcnbuild.builder.lookup import cache_key
from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.builder.plan import BuildPlan, cuda_mode
from dcnbuild.builder.progress import ProgressLine
from dcnbuild.builder.sources import Library, library_file
from dcnbuild.doctor.finding import Finding, FindingError
from dcnbuild.environment.facts import TorchInstall
from dcnbuild.environment.torch_install import read_torch

#: Errors of a disk rather than of the sources: another directory may do better.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES}


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
