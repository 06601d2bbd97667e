"""The environment of a build: Python, variables that list directories, memory, disk space, torch's JIT cache."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base.versions import allows, same_major, same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.checks.evidence import compiling_toolkit
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, PathEntry
from dcnbuild.machine.paths import INCLUDE_VARIABLES, PRELOAD

#: Entries about CUDA matter here; for others a missing directory is common and harmless.
_ABOUT_CUDA = re.compile(r"cuda|cudnn|nvcc|tensorrt", re.IGNORECASE)
_GIB = 1 << 30
#: Memory of one g++ on a file that includes torch/extension.h: 1.6 GB (measured, torch 2.14.1; nvcc
#: takes 3.1 GB there, but few projects have a .cu for each job).
_BYTES_PER_JOB = int(1.6e9)
#: Less than this for temporary files, and nvcc or pip end with "No space left on device".
_LITTLE_SPACE = _GIB
#: A build that changes nothing for so long is not at work any more.
_STALE_SECONDS = 600.0


def ninja_missing(facts: Facts) -> Iterator[Verdict]:
    """torch.utils.cpp_extension runs `ninja` from PATH. Without it, JIT builds fail and other builds are slow."""
    hidden = facts.python.hidden_ninja
    if facts.python.ninja is None and facts.torch is not None:
        yield Verdict(fixes.pip_install("ninja") if hidden is None else fixes.prepend("PATH", hidden.parent))


def python_h_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.python.has_headers is False and facts.torch is not None:
        yield Verdict(fixes.system_install("python-dev", ".".join(facts.python.version.split(".")[:2])))


def venv_mismatch(facts: Facts) -> Iterator[Verdict]:
    active = facts.variables.get("VIRTUAL_ENV")
    if active and facts.python.is_active is False and not facts.machine.sudo_user:
        install = fixes.command(f"{active}/bin/python", "-m", "pip", "install", "-v", ".")
        yield Verdict(fixes.say("In the checkout of dcnbuild:"), install)  # there is no release on PyPI yet


def sudo_python(facts: Facts) -> Iterator[Verdict]:
    """sudo resets PATH, so `sudo python` and `sudo pip` do not use the virtual environment."""
    machine, python = facts.machine, facts.python
    if machine.sudo_user and machine.root and python.prefix == python.base_prefix:
        yield Verdict(fixes.say("Run this without sudo:"), fixes.command("python", "-m", "dcnbuild", "doctor"))


def pip_constraint(facts: Facts) -> Iterator[Verdict]:
    """If the installed torch violates a constraint of pip, builds download another torch."""
    torch = facts.torch
    for source, text in facts.python.constraints if torch else ():
        if torch and allows(text, {"torch": torch.version}) is False:
            fix = (fixes.unset_env("PIP_CONSTRAINT"),) if source.startswith("PIP_CONSTRAINT") else ()
            yield Verdict(*fix, source=source, text=text)


def path_missing(facts: Facts) -> Iterator[Verdict]:
    missing = (entry for entry in facts.paths if entry.exists is False and entry.variable != PRELOAD)
    for entry in {(entry.variable, entry.text): entry for entry in missing}.values():
        if entry.meant is not None or _ABOUT_CUDA.search(entry.text):
            yield Verdict(_without(facts, entry, entry.meant), entry=entry)


def preload_missing(facts: Facts) -> Iterator[Verdict]:
    """The loader writes an error into the output of every program, which confuses tools that read versions there."""
    entries = [entry for entry in facts.paths if entry.variable == PRELOAD]
    missing = [entry.text for entry in entries if entry.exists is False]
    if missing:
        kept = [entry.text for entry in entries if entry.text not in missing]
        yield Verdict(fixes.set_list(PRELOAD, kept), missing=missing)


def paths_mix_toolkits(facts: Facts) -> Iterator[Verdict]:
    """The first CUDA directory of each variable counts, because it is the one that is used."""
    program = _first(facts, "PATH")
    for library in (_first(facts, variable) for variable in ("LD_LIBRARY_PATH", "LIBRARY_PATH")):
        if program and library and not same_minor(program.cuda or "", library.cuda or ""):
            yield Verdict(_without(facts, library), program=program, library=library)


def _without(facts: Facts, entry: PathEntry, instead: Path | None = None) -> Fix:
    """Takes an entry out of a variable like PATH, or puts another in its place."""
    texts = [other.text for other in facts.paths if other.variable == entry.variable]
    named = (instead if text == entry.text else text for text in texts)
    return fixes.set_list(entry.variable, tuple(text for text in named if text is not None))


def _first(facts: Facts, variable: str) -> PathEntry | None:
    return next((item for item in facts.paths if item.variable == variable and item.cuda), None)


def cpath_other_toolkit(facts: Facts) -> Iterator[Verdict]:
    """Measured: nvcc 13.0 rejects every file when CPATH brings the headers of another CUDA."""
    toolkit = compiling_toolkit(facts)
    for entry in (_first(facts, variable) for variable in (INCLUDE_VARIABLES if toolkit else ())):
        if entry and toolkit and not same_minor(entry.cuda or "", toolkit.version):
            yield Verdict(_without(facts, entry), entry=entry, toolkit=toolkit)


def libraries_older_than_torch(facts: Facts) -> Iterator[Verdict]:
    """Libraries of an older minor version have the same file names, so torch loads them instead of its own."""
    cuda, entry = facts.torch.cuda if facts.torch else None, _first(facts, "LD_LIBRARY_PATH")
    if not (cuda and entry and entry.cuda and entry.has_nvjitlink):
        return
    if same_major(entry.cuda, cuda) and numbers(entry.cuda)[:2] < numbers(cuda)[:2]:
        yield Verdict(_without(facts, entry), entry=entry)


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


def disk_full(facts: Facts) -> Iterator[Verdict]:
    free, home = facts.machine.temporary_free, facts.variables.get("HOME")
    if free is not None and free < _LITTLE_SPACE:
        fix = (fixes.make_directory(f"{home}/tmp"), fixes.set_env("TMPDIR", f"{home}/tmp")) if home else ()
        yield Verdict(*fix, free=f"{free / (1 << 20):.0f} MiB", very=free < _LITTLE_SPACE // 16)


def jit_lock(facts: Facts) -> Iterator[Verdict]:
    """Before torch 2.14, a build that is killed leaves its lock file behind (pytorch/pytorch#189245)."""
    torch = facts.torch
    if torch is None or not numbers(torch.version) or numbers(torch.version) >= (2, 14):
        return
    for cache in facts.jit_caches:
        if cache.lock_idle is not None and cache.lock_idle > _STALE_SECONDS:
            yield Verdict(fixes.remove(cache.path / "lock"), cache=cache, minutes=f"{cache.lock_idle / 60:.0f}")


def jit_cache_not_writable(facts: Facts) -> Iterator[Verdict]:
    home = facts.variables.get("HOME", "/tmp")
    closed = [cache for cache in facts.jit_caches if not cache.writable]
    for cache in closed[:1]:  # one new directory serves them all
        yield Verdict(fixes.set_env("TORCH_EXTENSIONS_DIR", f"{home}/torch_extensions"), cache=cache)
