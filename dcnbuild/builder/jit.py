"""Builds a library just in time, into the cache where `lookup` finds it."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from dcnbuild.builder import cache, findings, lookup
from dcnbuild.builder.compile import compile_library, describe, plan_here, record_of
from dcnbuild.builder.failure import leave_findings, remove_findings
from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.builder.plan import BuildPlan, cuda_mode
from dcnbuild.builder.progress import ProgressLine
from dcnbuild.builder.sources import Library, library_file
from dcnbuild.errors import Finding, FindingError
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.torch_install import read_torch

#: Errors of a disk rather than of the sources; another directory may work.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EACCES}


#: The loader's messages if a mount option that statvfs hides, or a policy, forbids executing files.
_FORBIDDEN = ("failed to map segment", "Operation not permitted", "Permission denied")

#: Loads a library; returns the loader's message if that fails, else None.
Load = Callable[[cache.Entry], str | None]


class _DoesNotLoad(Exception):
    """The loader refuses a library that was just built; the text says why."""


def build_cached(
    library: Library,
    torch: TorchInstall,
    env: Mapping[str, str],
    *,
    force: bool = False,
    load: Load = lambda entry: None,
) -> cache.Entry:
    """Builds a library into the cache and returns its entry, or the entry that another process has built.

    If `load` refuses a valid entry, perhaps because another machine that shares the cache built it, the entry stays,
    and another is built beside it.

    Args:
        library: the library to build.
        torch: the torch that will load it.
        env: the environment variables.
        force: build it even if the cache has it.
        load: loads the library, or returns the reason why it cannot. By default nothing is loaded.

    Raises FindingError that names what is missing, the compiler's first error and the log file, or the loader's
    message. The user's cache gets the findings as JSON too: cpu.findings.json.
    """
    left = cache.cache_directories(env)[0] / f"{library}.findings.json"
    try:
        entry = _build_somewhere(library, torch, env, force, load)
    except FindingError as error:
        with contextlib.suppress(OSError):  # raised for a directory that other users can write
            cache.make_private(left.parent)
            leave_findings(left, error)
        raise
    remove_findings(left)
    return entry


def _build_somewhere(
    library: Library, torch: TorchInstall, env: Mapping[str, str], force: bool, load: Load
) -> cache.Entry:
    plan = make_plan(library, torch, env)
    keys = lookup.entry_names(library, torch, env)
    log = failure = None
    try:
        for root in cache.writable_caches(env):
            log = root / f"{keys[-1]}.log"
            try:
                return _build_in(root, keys, library, plan, env, log, force, load)
            except (OSError, CompileError, _DoesNotLoad) as error:
                if not _another_place_may_do(error):
                    raise
                failure = error
            warnings.warn(
                f"dcnbuild cannot build in {root}: {failure}. It tries another directory.",
                RuntimeWarning,
                stacklevel=2,
            )
    except (OSError, CompileError, _DoesNotLoad) as error:
        failure = failure if failure and isinstance(error, cache.UnusableCacheError) else error
    assert failure is not None  # the loop ends with a return or an error
    raise FindingError(_failed(library, plan, failure, log)) from failure


def import_the_rest() -> None:
    """Imports a build's modules now, so that no other thread can fork in the middle of such an import."""
    with contextlib.suppress(ImportError):
        import ninja  # noqa: F401
    if sys.stderr.isatty():
        import rich.progress  # noqa: F401


def make_plan(library: Library, torch: TorchInstall, env: Mapping[str, str]) -> BuildPlan:
    """Returns the plan for one library. Raises FindingError if it cannot be built here."""
    mode = cuda_mode(env)
    if library != "cuda":
        plan = plan_here(torch, env, "off")
        if library == "nvrtc" and mode == "off":
            raise FindingError(findings.cuda_off())
        return plan
    installed = read_torch(torch.root.parent) or torch  # its architectures too
    plan = plan_here(installed, env, "off" if mode == "off" else "on")
    if plan.cuda_left_out is not None:
        raise FindingError(plan.cuda_left_out)
    return plan


def _build_in(
    root: Path,
    keys: tuple[str, ...],
    library: Library,
    plan: BuildPlan,
    env: Mapping[str, str],
    log: Path,
    force: bool,
    load: Load,
) -> cache.Entry:
    """Finds or builds an entry in one cache directory that loads here: the shared one, or this machine's own."""
    said = ""
    with ProgressLine(describe(library, plan)) as progress:
        built = False

        def build(directory: Path) -> None:
            nonlocal built
            _compile_into(directory, library, plan, env, log, progress)
            built = True

        own, ordinary = keys
        # the shared entry; if it exists and does not load, this machine's own; if that does not load, a new one
        for key, anew in ((ordinary, force), (own, force), (own, True)):
            entry = cache.build_entry(root, key, library, build, force=anew, waiting=progress.waiting)
            said = load(entry) or ""
            if not said:
                return entry
            if built:
                break
        raise _DoesNotLoad(said, entry.path)


def _compile_into(
    directory: Path,
    library: Library,
    plan: BuildPlan,
    env: Mapping[str, str],
    log: Path,
    progress: ProgressLine,
) -> None:
    for note in plan.notes:
        print(f"dcnbuild: {note}", file=sys.stderr, flush=True)
    objects = directory / "objects"
    objects.mkdir()
    try:
        record, output = compile_library(library, plan, objects, env, progress.update)
    except CompileError as error:
        with contextlib.suppress(OSError):  # the disk may be full; the compiler's error says more
            log.write_text(error.output, encoding="utf-8")
        raise
    log.write_text(output, encoding="utf-8")
    (objects / library_file(library)).rename(directory / library_file(library))
    shutil.rmtree(objects)
    record_of(plan, {library: record}).write(directory)


def _another_place_may_do(error: OSError | CompileError | _DoesNotLoad) -> bool:
    if isinstance(error, CompileError):
        return "No space left on device" in error.output or "Disk quota" in error.output
    if isinstance(error, _DoesNotLoad):
        return any(text in error.args[0] for text in _FORBIDDEN)
    return error.errno in _DISK_ERRORS


def _failed(
    library: Library,
    plan: BuildPlan,
    error: OSError | CompileError | _DoesNotLoad,
    log: Path | None,
) -> Finding:
    what = describe(library, plan)
    if isinstance(error, cache.UnusableCacheError):
        return findings.no_place(what, str(error))
    if isinstance(error, _DoesNotLoad):
        from dcnbuild.doctor.logs import (
            read_log,
        )  # reads all rules, which a successful build does not need

        said, path = error.args
        return next(iter(read_log(said)), findings.does_not_load(what, path, said))
    written = log if log and log.is_file() and isinstance(error, CompileError) else None
    return findings.build_failed(what, str(error), written)
