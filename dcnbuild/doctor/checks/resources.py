"""What builds use up: memory, disk space, torch's JIT cache and its locks."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
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


@check("too-many-jobs")
def too_many_jobs(facts: Facts) -> Iterator[Verdict]:
    """Without MAX_JOBS, ninja runs two jobs more than the machine has cores."""
    machine, text = facts.machine, facts.variables.get("MAX_JOBS", "")
    if machine.memory is None or machine.cores is None:
        return
    jobs = int(text) if text.isascii() and text.isdigit() else machine.cores + 2
    swap = machine.swap or 0
    if jobs * _BYTES_PER_JOB > machine.memory + swap:
        yield Verdict(
            fixes.set_env("MAX_JOBS", str(max(1, machine.memory // _BYTES_PER_JOB))),
            jobs=jobs,
            most=f"{jobs * _BYTES_PER_JOB / _GIB:.0f} GiB",
            there=f"{(machine.memory + swap) / _GIB:.0f} GiB",
            memory=f"{machine.memory / _GIB:.1f} GiB",
            swap=f"{swap / _GIB:.1f} GiB",
        )


@check("disk-full")
def disk_full(facts: Facts) -> Iterator[Verdict]:
    free, home = facts.machine.temporary_free, facts.variables.get("HOME")
    if free is not None and free < _LITTLE_SPACE:
        fix = (fixes.make_directory(f"{home}/tmp"), fixes.set_env("TMPDIR", f"{home}/tmp")) if home else ()
        yield Verdict(*fix, free=f"{free / (1 << 20):.0f} MiB", very=free < _LITTLE_SPACE // 16)


@check("jit-lock")
def jit_lock(facts: Facts) -> Iterator[Verdict]:
    """Before torch 2.14, a build that is killed leaves its lock file behind (pytorch/pytorch#189245)."""
    torch = facts.torch
    if torch is None or not numbers(torch.version) or numbers(torch.version) >= (2, 14):
        return
    for cache in facts.jit_caches:
        if cache.lock_idle is not None and cache.lock_idle > _STALE_SECONDS:
            yield Verdict(fixes.remove(cache.path / "lock"), cache=cache, minutes=f"{cache.lock_idle / 60:.0f}")


@check("jit-cache-not-writable")
def jit_cache_not_writable(facts: Facts) -> Iterator[Verdict]:
    home = facts.variables.get("HOME", "/tmp")
    closed = [cache for cache in facts.jit_caches if not cache.writable]
    for cache in closed[:1]:  # one new directory serves them all
        yield Verdict(fixes.set_env("TORCH_EXTENSIONS_DIR", f"{home}/torch_extensions"), cache=cache)
