"""PATH, LD_LIBRARY_PATH, CPATH and the like: entries that do not exist or do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base.versions import same_major, same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, PathEntry
from dcnbuild.machine.paths import INCLUDE_VARIABLES, PRELOAD
from dcnbuild.machine.toolkit_choice import build_toolkit

#: Entries about CUDA matter here; for others a missing directory is common and harmless.
_ABOUT_CUDA = re.compile(r"cuda|cudnn|nvcc|tensorrt", re.IGNORECASE)


@check("path-missing")
def path_missing(facts: Facts) -> Iterator[Verdict]:
    seen = set()
    for entry in facts.paths:
        if entry.exists is not False or (entry.variable, entry.text) in seen or entry.variable == PRELOAD:
            continue
        seen.add((entry.variable, entry.text))
        if entry.meant is not None or _ABOUT_CUDA.search(entry.text):
            yield Verdict(_without(facts, entry, entry.meant), entry=entry)


@check("preload-missing")
def preload_missing(facts: Facts) -> Iterator[Verdict]:
    """The loader writes an error into the output of every program, which confuses tools that read versions there."""
    missing = [entry.text for entry in facts.paths if entry.variable == PRELOAD and entry.exists is False]
    if missing:
        kept = [entry.text for entry in facts.paths if entry.variable == PRELOAD and entry.text not in missing]
        yield Verdict(fixes.set_list(PRELOAD, kept), missing=missing)


@check("paths-mix-toolkits")
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


@check("cpath-other-toolkit")
def cpath_other_toolkit(facts: Facts) -> Iterator[Verdict]:
    """Measured: nvcc 13.0 rejects every file when CPATH brings the headers of another CUDA."""
    toolkit = build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts):
        return
    for entry in (_first(facts, variable) for variable in INCLUDE_VARIABLES):
        if entry and not same_minor(entry.cuda or "", toolkit.version):
            yield Verdict(_without(facts, entry), entry=entry, toolkit=toolkit)


@check("libraries-older-than-torch")
def libraries_older_than_torch(facts: Facts) -> Iterator[Verdict]:
    """Libraries of an older minor version have the same file names, so torch loads them instead of its own."""
    cuda = facts.torch.cuda if facts.torch else None
    entry = _first(facts, "LD_LIBRARY_PATH")
    if cuda is None or entry is None or entry.cuda is None or not entry.has_nvjitlink:
        return
    if same_major(entry.cuda, cuda) and numbers(entry.cuda)[:2] < numbers(cuda)[:2]:
        yield Verdict(_without(facts, entry), entry=entry)
