"""What builds use up: memory, disk space, torch's JIT cache and its locks."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import describe_torch
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts

_GIB = 1 << 30
#: Memory of one g++ on a file that includes torch/extension.h: 1.6 GB (measured, torch 2.14.1; nvcc
#: takes 3.1 GB there, but few projects have a .cu for each job).
_BYTES_PER_JOB = int(1.6e9)
#: Less than this for temporary files, and nvcc or pip end with "No space left on device".
_LITTLE_SPACE = _GIB
#: A build that changes nothing for so long is not at work any more.
_STALE_SECONDS = 600.0


@check("too-many-jobs", "More compiler jobs than the memory holds")
def too_many_jobs(facts: Facts) -> Iterator[Verdict]:
    """ninja runs two jobs more than there are cores, unless MAX_JOBS says otherwise."""
    machine, text = facts.machine, facts.variables.get("MAX_JOBS", "")
    if machine.memory is None or machine.cores is None:
        return
    jobs = int(text) if text.isascii() and text.isdigit() else machine.cores + 2
    memory = machine.memory + (machine.swap or 0)
    if jobs * _BYTES_PER_JOB <= memory:
        return
    fitting = max(1, machine.memory // _BYTES_PER_JOB)
    yield Verdict(
        "warning",
        f"{jobs} compilers at once take up to {jobs * _BYTES_PER_JOB / _GIB:.0f} GiB when they "
        f"compile files that include torch/extension.h, and there are {memory / _GIB:.0f} GiB.",
        (
            f"MAX_JOBS={text}" if text else f"MAX_JOBS is not set: {machine.cores} cores + 2",
            f"memory: {machine.memory / _GIB:.1f} GiB, swap: {(machine.swap or 0) / _GIB:.1f} GiB",
        ),
        (fixes.set_env("MAX_JOBS", str(fitting)),),
    )


@check("disk-full", "Hardly any space for temporary files", builds=True)
def disk_full(facts: Facts) -> Iterator[Verdict]:
    machine = facts.machine
    if machine.temporary_free is None or machine.temporary_free >= _LITTLE_SPACE:
        return
    home = facts.variables.get("HOME")
    yield Verdict(
        "error" if machine.temporary_free < _LITTLE_SPACE // 16 else "warning",
        f"Compilers and pip write to {machine.temporary}, where {machine.temporary_free / (1 << 20):.0f} MiB are free.",
        (f"{machine.temporary}: {machine.temporary_free / (1 << 20):.0f} MiB free",),
        (fixes.make_directory(f"{home}/tmp"), fixes.set_env("TMPDIR", f"{home}/tmp")) if home else (),
    )


@check("jit-lock", "A stale lock makes JIT builds wait for ever")
def jit_lock(facts: Facts) -> Iterator[Verdict]:
    """Before torch 2.14 a build that is killed leaves its lock file (pytorch/pytorch#189245)."""
    torch = facts.torch
    if torch is None or not numbers(torch.version) or numbers(torch.version) >= (2, 14):
        return
    for cache in facts.jit_caches:
        if cache.lock_idle is not None and cache.lock_idle > _STALE_SECONDS:
            yield Verdict(
                "error",
                "torch waits until this lock file disappears, and nobody holds it any more.",
                (f"{cache.path}/lock: idle for {cache.lock_idle / 60:.0f} minutes", describe_torch(facts)),
                (fixes.remove(cache.path / "lock"),),
            )


@check("jit-cache-not-writable", "torch's JIT cache belongs to somebody else")
def jit_cache_not_writable(facts: Facts) -> Iterator[Verdict]:
    home = facts.variables.get("HOME", "/tmp")
    for cache in facts.jit_caches:
        if not cache.writable:
            yield Verdict(
                "warning",
                "Extensions that torch compiles at run time cannot be built in this directory.",
                (f"not writable: {cache.path}",),
                (fixes.set_env("TORCH_EXTENSIONS_DIR", f"{home}/torch_extensions"),),
            )
            return  # one new directory serves them all
