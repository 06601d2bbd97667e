"""PATH, LD_LIBRARY_PATH, CPATH and the like: entries that do not exist or do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base.versions import same_major, same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda, describe_toolkit
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, PathEntry
from dcnbuild.machine.paths import INCLUDE_VARIABLES, PRELOAD
from dcnbuild.machine.toolkit_choice import build_toolkit

#: Entries about CUDA matter here; for others a missing directory is common and harmless.
_ABOUT_CUDA = re.compile(r"cuda|cudnn|nvcc|tensorrt", re.IGNORECASE)


@check("path-missing", "A path that does not exist")
def path_missing(facts: Facts) -> Iterator[Verdict]:
    seen = set()
    for entry in facts.paths:
        if entry.exists is not False or (entry.variable, entry.text) in seen or entry.variable == PRELOAD:
            continue
        seen.add((entry.variable, entry.text))
        if entry.meant is None and not _ABOUT_CUDA.search(entry.text):
            continue
        meant = f"; {entry.meant} does" if entry.meant else ""
        yield Verdict(
            "warning",
            f"{entry.variable} names {entry.text}, which does not exist{meant}.",
            (f"{entry.variable}: {entry.text}",),
            (_without(facts, entry.variable, entry.text, entry.meant),),
        )


@check("preload-missing", "LD_PRELOAD names a library that is not there")
def preload_missing(facts: Facts) -> Iterator[Verdict]:
    """The loader complains in the output of every program, and tools that read versions there go wrong."""
    missing = [entry.text for entry in facts.paths if entry.variable == PRELOAD and entry.exists is False]
    if missing:
        kept = [entry.text for entry in facts.paths if entry.variable == PRELOAD and entry.text not in missing]
        yield Verdict(
            "warning",
            "Every program that starts complains that it cannot be preloaded.",
            tuple(f"{PRELOAD}: {text} does not exist" for text in missing),
            (fixes.set_list(PRELOAD, kept),),
        )


@check("paths-mix-toolkits", "PATH and LD_LIBRARY_PATH belong to different CUDA versions")
def paths_mix_toolkits(facts: Facts) -> Iterator[Verdict]:
    """The first CUDA directory of each counts: it is the one that is used."""
    program = _first(facts, "PATH")
    for variable in ("LD_LIBRARY_PATH", "LIBRARY_PATH"):
        library = _first(facts, variable)
        if program is None or library is None or program.cuda is None or library.cuda is None:
            continue
        if same_minor(program.cuda, library.cuda):
            continue
        yield Verdict(
            "warning",
            f"nvcc is of CUDA {program.cuda}, and {variable} brings the libraries of CUDA {library.cuda}.",
            (f"PATH: {program.text}", f"{variable}: {library.text}"),
            (_without(facts, variable, library.text),),
        )


def _without(facts: Facts, name: str, entry: str, instead: Path | None = None) -> Fix:
    """Takes an entry out of a variable like PATH, or puts another in its place."""
    texts = [other.text for other in facts.paths if other.variable == name]
    named = (instead if text == entry else text for text in texts)
    return fixes.set_list(name, tuple(text for text in named if text is not None))


def _first(facts: Facts, variable: str) -> PathEntry | None:
    return next((item for item in facts.paths if item.variable == variable and item.cuda), None)


@check("cpath-other-toolkit", "CPATH brings the headers of another CUDA", builds=True)
def cpath_other_toolkit(facts: Facts) -> Iterator[Verdict]:
    """Measured: nvcc 13.0 with headers of another CUDA on CPATH refuses every file."""
    toolkit = build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts):
        return
    for variable in INCLUDE_VARIABLES:
        entry = _first(facts, variable)
        if entry is None or entry.cuda is None or same_minor(entry.cuda, toolkit.version):
            continue
        yield Verdict(
            "error",
            f"The headers in {variable} come before the toolkit's own, and nvcc {toolkit.version} "
            f"refuses those of CUDA {entry.cuda}.",
            (f"{variable}: {entry.text} (CUDA {entry.cuda})", describe_toolkit(toolkit)),
            (_without(facts, variable, entry.text),),
        )


@check("libraries-older-than-torch", "LD_LIBRARY_PATH brings older CUDA libraries than torch's")
def libraries_older_than_torch(facts: Facts) -> Iterator[Verdict]:
    """Same major, older minor: the same file names, so that torch gets these instead of its own."""
    cuda = facts.torch.cuda if facts.torch else None
    entry = _first(facts, "LD_LIBRARY_PATH")
    if cuda is None or entry is None or entry.cuda is None or not entry.has_nvjitlink:
        return
    if same_major(entry.cuda, cuda) and numbers(entry.cuda)[:2] < numbers(cuda)[:2]:
        yield Verdict(
            "warning",
            f"torch brings the libraries of CUDA {cuda}, but LD_LIBRARY_PATH puts those of "
            f"CUDA {entry.cuda} first: `import torch` can fail with "
            "`undefined symbol: __nvJitLink…`.",
            (f"LD_LIBRARY_PATH: {entry.text}",),
            (_without(facts, "LD_LIBRARY_PATH", entry.text),),
        )
