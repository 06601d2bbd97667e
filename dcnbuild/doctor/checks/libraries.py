"""Extension libraries, dcnbuild's own and those the user names, against this machine."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, Library
from dcnbuild.machine.gpus import unserved


def _rebuild(library: Library) -> tuple[Fix, ...]:
    """How to build it anew, where that is known: dcnbuild's own."""
    if not library.own:
        return ()
    options = ("--force-reinstall", "--no-deps", "--no-cache-dir")  # there is no release on PyPI yet
    return fixes.say("In the checkout of dcnbuild:"), fixes.pip("install", "-v", *options, ".")


def library_unreadable(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if not library.readable:
            yield Verdict(library=library)


def library_other_python(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if library.python and numbers(library.python) != numbers(facts.python.version)[:2]:
            yield Verdict(*_rebuild(library), library=library)


def library_other_torch(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    for library in facts.libraries if torch else ():
        noted = library.torch if torch and library.torch != torch.version else None
        if noted is not None or library.undefined:
            yield Verdict(*_rebuild(library), library=library, noted=noted)


def library_needs_missing(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if library.missing and library.readable:
            cuda = [name for name in library.missing if name.startswith("libcudart.so.")]
            runtime = cuda[0].split(".")[2] if cuda and facts.torch else ""
            yield Verdict(*_rebuild(library), library=library, runtime=runtime)


def gpu_not_in_library(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        names = library.architectures
        if gpu := unserved(names, facts.driver.gpus) if names else None:
            listed = fixes.set_env("TORCH_CUDA_ARCH_LIST", gpu.number)
            yield Verdict(listed, *_rebuild(library), library=library, gpu=gpu, names=" ".join(names))


def dcnbuild_cpu_only(facts: Facts) -> Iterator[Verdict]:
    """There is a GPU and a torch with CUDA, but the library of dcnbuild has no GPU code."""
    own = [item for item in facts.libraries if item.own and item.readable]
    if not own or not facts.driver.gpus or facts.torch is None or facts.torch.cuda is None:
        return
    if not any(library.architectures for library in own):
        yield Verdict(fixes.set_env("DCNBUILD_CUDA", "on"), *_rebuild(own[0]), paths=[item.path for item in own])
