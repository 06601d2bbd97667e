"""Extension libraries, dcnbuild's own and those the user names, against this machine."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import describe_gpu, describe_torch
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.machine.architectures import best_match
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, Library


def _rebuild(library: Library) -> tuple[Fix, ...]:
    """How to build it anew, where that is known: dcnbuild's own."""
    if library.own:
        options = ("--force-reinstall", "--no-deps", "--no-cache-dir")
        return (  # there is no release on PyPI yet
            fixes.say("in the checkout of dcnbuild:"),
            fixes.pip("install", "-v", *options, "."),
        )
    return ()


@check("library-unreadable", "No shared library")
def library_unreadable(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if not library.readable:
            yield Verdict("error", "The file is missing, cut short or no 64-bit shared library.", (str(library.path),))


@check("library-other-python", "A library for another Python")
def library_other_python(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if library.python and numbers(library.python) != numbers(facts.python.version)[:2]:
            yield Verdict(
                "error",
                f"The library was built for Python {library.python}, and this is "
                f"{facts.python.version}: importing it fails.",
                (str(library.path), f"Python: {facts.python.executable}"),
                _rebuild(library),
            )


@check("library-other-torch", "A library for another torch")
def library_other_torch(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    for library in facts.libraries if torch else ():
        assert torch is not None
        noted = library.torch is not None and library.torch != torch.version
        if not noted and not library.undefined:
            continue
        built_for = f"was built for torch {library.torch}" if noted else "needs names of another torch"
        yield Verdict(
            "error",
            f"The library {built_for}: importing it ends in an undefined symbol.",
            (str(library.path), *(f"not in this torch: {name}" for name in library.undefined), describe_torch(facts)),
            _rebuild(library),
        )


@check("library-needs-missing", "A library whose own libraries are missing")
def library_needs_missing(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries:
        if not library.missing or not library.readable:
            continue
        cuda = [name for name in library.missing if name.startswith("libcudart.so.")]
        because = ""
        if cuda and facts.torch:
            runtime = cuda[0].split(".")[2]
            because = f", the runtime of CUDA {runtime}.x; torch has CUDA {facts.torch.cuda}"
        yield Verdict(
            "error",
            f"The library needs {', '.join(library.missing)}{because}: importing it fails.",
            (str(library.path), "looked in its run path, LD_LIBRARY_PATH, torch's directories and the system's"),
            _rebuild(library),
        )


@check("gpu-not-in-library", "A library without code for the GPU")
def gpu_not_in_library(facts: Facts) -> Iterator[Verdict]:
    for library in facts.libraries if facts.driver.gpus else ():
        if not library.architectures:
            continue
        for gpu in facts.driver.gpus:
            if gpu.capability and best_match(library.architectures, gpu.capability) is None:
                yield Verdict(
                    "error",
                    f"The library was not compiled for the {gpu.name}: its kernels end in `no "
                    "kernel image is available`.",
                    (f"{library.path}: {' '.join(library.architectures)}", describe_gpu(gpu)),
                    (fixes.set_env("TORCH_CUDA_ARCH_LIST", gpu.number), *_rebuild(library)),
                )
                break


@check("dcnbuild-cpu-only", "dcnbuild was built without its CUDA kernels")
def dcnbuild_cpu_only(facts: Facts) -> Iterator[Verdict]:
    """Where there is a GPU and a CUDA torch, but only a library without GPU code."""
    own = [item for item in facts.libraries if item.own and item.readable]
    if not own or not facts.driver.gpus or facts.torch is None or facts.torch.cuda is None:
        return
    if any(library.architectures for library in own):
        return
    yield Verdict(
        "warning",
        "dcnbuild's libraries hold no GPU code: for CUDA tensors its kernels are compiled on first "
        "use, or plain torch stands in for them.",
        tuple(str(library.path) for library in own),
        (fixes.set_env("DCNBUILD_CUDA", "on"), *_rebuild(own[0])),
    )
