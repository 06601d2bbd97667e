"""Says why one machine, or one torch and CUDA, would refuse a package, by pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.audit import refusals_system as system
from dcnbuild.audit.bounds import Bounds
from dcnbuild.audit.package import Package
from dcnbuild.audit.target import Target
from dcnbuild.base.versions import numbers
from dcnbuild.errors import Finding
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import best_match


def refusals(package: Package, bound: Bounds, target: Target) -> list[Finding]:
    """Returns the findings against a package on a target, errors first."""
    found = [
        *_files(package, bound, target),
        *_python(package, bound, target),
        *_torch(package, bound, target),
        *_cuda(package, bound, target),
        *system.of_system(package, bound, target),
        *system.of_tags(package, bound),
    ]
    order = ("error", "warning", "note")
    return sorted(found, key=lambda item: order.index(item.severity))


def _files(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    if package.unreadable:
        yield Finding(
            "audit-unreadable",
            "error",
            "No shared library",
            "Files are named as libraries and are cut short, or no 64-bit Linux libraries.",
            package.unreadable,
        )
    if not package.binaries and not package.unreadable:
        yield Finding(
            "audit-no-library",
            "note",
            "Nothing compiled",
            "The package has no shared library, so that nothing binds it.",
        )
    others = [item for item in package.binaries if item.machine != target.machine]
    if others:
        yield Finding(
            "audit-machine",
            "error",
            "Libraries for another processor",
            f"They are for {others[0].machine}, and this is {target.machine}.",
            tuple(item.name for item in others),
        )


def _python(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    tags = bound.python.tags
    files = [
        (item.name, f"{match[1]}.{match[2]}")
        for item in package.binaries
        if (match := re.search(r"\.cpython-(\d)(\d+)t?-", item.name))
    ]
    wrong = [name for name, version in files if numbers(version) != numbers(target.python)[:2]]
    right = len(files) - len(wrong)
    evidence: tuple[str, ...] = ()
    if tags and not any(_tag_fits(tag, target.python) for tag in tags):
        evidence = tuple(f"tag: {tag}" for tag in tags)
    elif wrong and not right:
        evidence = tuple(wrong)
    elif package.python and not _allows(package.python, target.python):
        evidence = (f"Requires-Python: {package.python}",)
    elif bound.python.oldest and numbers(bound.python.oldest) > numbers(target.python)[:2]:
        evidence = (f"names of CPython {bound.python.oldest}'s C API",)
    if evidence:
        yield Finding(
            "audit-python",
            "error",
            "Built for another Python",
            f"It does not serve Python {target.python}.",
            evidence,
        )


def _tag_fits(tag: str, python: str) -> bool:
    """Whether a CPython of this version accepts "cp311-cp311", "cp39-abi3" or "py3-none"."""
    built, _, abi = tag.partition("-")
    match = re.fullmatch(r"(cp|py)(\d)(\d*)", built)
    if match is None:
        return False
    wanted = (int(match[2]), int(match[3] or 0))
    here = numbers(python)[:2]
    if abi == "none" or abi == "abi3":
        return wanted[0] == here[0] and (wanted <= here)
    return wanted == here and not abi.endswith("t")


def _allows(specifier: str, version: str) -> bool:
    """Whether a specifier allows a version; "2.11" means every 2.11.x. An unreadable specifier allows all."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(specifier, prereleases=True)
        known = compatibility.torch_release(version)
        several = known.versions if known and len(numbers(version)) == 2 else ()
        return any(item in wanted for item in (*several, version))
    except (InvalidSpecifier, ValueError):
        return True


def _torch(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    needs = bound.torch
    if needs.abi is None:
        return
    if target.torch is None:
        yield _other_torch("It needs torch, and none is installed.", package.external)
        return
    version = target.torch.partition("+")[0]
    release = numbers(version)[:2]
    undefined = [name for item in package.binaries for name in item.undefined]
    abi = _cxx11_abi(target)
    if needs.oldest and release < numbers(needs.oldest):
        yield _other_torch(
            f"It needs names that came with torch {needs.oldest}, and this is {version}.",
            needs.oldest_by,
        )
    elif needs.newest and release > numbers(needs.newest):
        yield _other_torch(
            f"It needs names that torch {needs.newest} was the last to have, and this is {version}.",
            needs.newest_by,
        )
    elif target.here and undefined:
        yield _other_torch(
            "It needs names that the installed torch does not have.",
            tuple(dict.fromkeys(undefined)),
        )
    elif None not in (needs.cxx11_abi, abi) and needs.cxx11_abi != abi:
        yield _other_torch(
            f"Its C++ names have _GLIBCXX_USE_CXX11_ABI={int(bool(needs.cxx11_abi))}, "
            f"and those of torch {version} {int(bool(abi))}.",
            needs.cxx_names,
        )
    elif package.torch and not _allows(package.torch, version):
        yield _other_torch(
            f"Its metadata asks for torch{package.torch}, and this is {version}.",
            (f"Requires-Dist: torch{package.torch}",),
        )
    elif needs.abi == "c++" and not target.here and "==" not in (package.torch or ""):
        yield Finding(
            "audit-torch-unknown",
            "warning",
            "Bound to one release of torch",
            "Its C++ names change with every release, and nothing says for which one it was built.",
            needs.cxx_names,
        )


def _other_torch(cause: str, evidence: tuple[str, ...]) -> Finding:
    return Finding("audit-torch", "error", "Built for another torch", cause, evidence)


def _cxx11_abi(target: Target) -> bool | None:
    row = compatibility.torch_release(target.torch or "")
    if row is None:
        return None
    known = {row.abi(cuda) for cuda in row.variants if _is_meant(cuda, target.cuda)}
    return known.pop() if len(known) == 1 else None


def _is_meant(cuda: str, wanted: str | None) -> bool:
    """Whether "12.6" is one of the CUDAs that "12" or "12.6" means; None means all."""
    return wanted is None or numbers(cuda)[: len(numbers(wanted))] == numbers(wanted)


def _cuda(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    needs, driver = bound.cuda, target.driver
    of_torch = [name for name in package.external if re.match(r"lib(?:torch|c10)_cuda\.so", name)]
    if target.cpu_only and (of_torch or needs.majors):
        yield Finding(
            "audit-cuda",
            "error",
            "Built for a torch with CUDA",
            "This torch has no CUDA, and nothing brings the libraries that it needs.",
            (*of_torch, *needs.libraries),
        )
    elif target.cuda and needs.majors and numbers(target.cuda)[0] not in needs.majors:
        majors = " or ".join(map(str, needs.majors))
        yield Finding(
            "audit-cuda",
            "error",
            "Built for another CUDA",
            f"It needs libraries of CUDA {majors}, and this torch brings those of CUDA {target.cuda}.",
            needs.libraries,
        )
    if driver.version and needs.driver and numbers(driver.version) < numbers(needs.driver):
        yield Finding(
            "audit-driver",
            "error",
            "The driver is too old",
            f"It needs driver {needs.driver} or newer, and this is {driver.version}.",
            (" ".join(needs.architectures) or " ".join(needs.libraries),),
        )
    if needs.driver_library and target.here and driver.version is None:
        yield Finding(
            "audit-driver",
            "error",
            "It needs the NVIDIA driver",
            "Loading it needs libcuda.so.1, which comes with the driver; there is none here.",
            ("libcuda.so.1",),
        )
    for gpu in driver.gpus:
        without = [
            f"{item.name}: {' '.join(item.architectures)}"
            for item in package.binaries
            if gpu.capability and item.architectures
            if best_match(item.architectures, gpu.capability) is None
        ]
        if without:
            yield Finding(
                "audit-gpu",
                "error",
                "No code for the GPU",
                f"Its kernels end in `no kernel image is available` on the {gpu.name}.",
                tuple(without),
            )
