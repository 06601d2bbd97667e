"""Builds both libraries ahead of time, for a wheel or an editable install."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.builder.compile import compile_library, describe, plan_here, record_of
from dcnbuild.builder.findings import build_failed
from dcnbuild.builder.ninjafile import CompileError
from dcnbuild.builder.plan import BuildPlan, cuda_mode
from dcnbuild.builder.record import BuildRecord, LibraryRecord
from dcnbuild.builder.sources import LIBRARIES, Artifact, Library, library_file
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.locking import locked

_WATCH_SECONDS = 1.0


def build_prebuilt(target: Path, work: Path, torch: TorchInstall | None, env: Mapping[str, str]) -> BuildRecord:
    """Builds the libraries into a directory, replaces older ones, and prints its progress on stdout.

    Args:
        target: the directory for the libraries and build.json.
        work: the directory for objects, so that the next build compiles only changed sources.
        torch: the torch to build with; None raises FindingError.
        env: the environment variables; DCNBUILD_CUDA decides whether to build the CUDA library.

    Raises FindingError that names what is missing, or the compiler's first error and the log file.
    """
    plan = plan_here(torch, env, cuda_mode(env))
    print(f"dcnbuild: building for torch {plan.torch.version} in {plan.torch.root}", flush=True)
    for note in plan.notes:
        print(f"dcnbuild: {note}", flush=True)
    objects = work / _work_key(plan)
    objects.mkdir(parents=True, exist_ok=True)
    with locked(objects / "lock"), ending_with_the_parent():
        built: dict[Artifact, LibraryRecord] = {}
        for library in LIBRARIES:
            if library in plan.libraries:
                built[library] = _compile(library, plan, objects, env)
        record = record_of(plan, built)
        _install(objects, target, record)
    print(f"dcnbuild: built {' and '.join(describe(library, plan) for library in plan.libraries)}")
    if plan.cuda_left_out and "nvrtc" in built and plan.torch.cuda:
        print(
            "dcnbuild: torch's NVRTC compiles the CUDA kernels on first use, and needs no toolkit. "
            f"By nvcc now: none. {plan.cuda_left_out.title}."
        )
    elif plan.cuda_left_out:  # in the last lines, where it is seen
        print(f"dcnbuild: WITHOUT the CUDA kernels. {FindingError(plan.cuda_left_out)}")
    sys.stdout.flush()
    return record


@contextlib.contextmanager
def ending_with_the_parent() -> Iterator[None]:
    """Ends this build backend's process when the front end that started it is killed."""
    parent, done = os.getppid(), threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _work_key(plan: BuildPlan) -> str:
    """Returns a key for the object directory that changes with the compilers behind the paths, which ninja does not
    see.
    """
    toolkit = plan.cuda.toolkit.version if plan.cuda else None
    facts = (plan.torch.version, plan.torch.root, plan.compiler, toolkit)
    return hashlib.blake2b(repr(facts).encode(), digest_size=6).hexdigest()


def _compile(library: Library, plan: BuildPlan, objects: Path, env: Mapping[str, str]) -> LibraryRecord:
    what = describe(library, plan)
    directory = objects / library
    directory.mkdir(exist_ok=True)
    log = directory / "build.log"

    def progress(finished: int, total: int) -> None:
        print(f"dcnbuild: compiling {what} [{finished}/{total}]", flush=True)

    try:
        record, output = compile_library(library, plan, directory, env, progress)
    except CompileError as error:
        log.write_text(error.output, encoding="utf-8")
        raise FindingError(build_failed(what, error.first_error, log)) from error
    log.write_text(output, encoding="utf-8")
    return record


def _install(objects: Path, target: Path, record: BuildRecord) -> None:
    """Puts the libraries in place by renaming, since a running process may have loaded the old ones."""
    target.mkdir(parents=True, exist_ok=True)
    for library in LIBRARIES:
        name = library_file(library)
        if library in record.libraries:
            copy = target / f"{name}.new"
            shutil.copy2(objects / library / name, copy)
            copy.replace(target / name)
        else:
            (target / name).unlink(missing_ok=True)
    record.write(target)
