"""Says why one machine, or one torch and CUDA, would refuse a package, by pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.audit.bounds import Bounds
from dcnbuild.audit.package import Package
from dcnbuild.audit.target import Target
from dcnbuild.base.versions import numbers
from dcnbuild.errors import Finding
from dcnbuild.knowledge import manylinux
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import best_match

#: From this glibc on, `dlopen` refuses a library that needs an executable stack. Source: NEWS of glibc 2.41.
_STRICT_GLIBC = "2.41"


def refusals(package: Package, bound: Bounds, target: Target) -> list[Finding]:
    """Returns the findings against a package on a target, errors first."""
    found = [
        *_files(package, bound, target),
        *_python(package, bound, target),
        *_torch(package, bound, target),
        *_cuda(package, bound, target),
        *_system(package, bound, target),
        *_wheel(package, bound),
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


def _system(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    needs = bound.system
    lacking = tuple(dict.fromkeys(text for item in package.binaries for text in item.lacking))
    if needs.glibc and target.glibc and numbers(needs.glibc) > numbers(target.glibc):
        yield Finding(
            "audit-glibc",
            "error",
            "The C library is too old",
            f"It needs glibc {needs.glibc}, and this is {target.glibc}.",
            tuple(f"{library}: {v}" for library, v in package.versions if v.startswith("GLIBC_2"))[
                -3:
            ],
        )
    elif lacking:
        yield Finding(
            "audit-symbol-version",
            "error",
            "A system library is too old",
            "It needs symbol versions that the libraries here do not have.",
            lacking,
        )
    own = set(package.external)
    missing = sorted({name for item in package.binaries for name in item.missing} & own)
    if target.here and missing:
        yield Finding(
            "audit-missing",
            "error",
            "Libraries are missing",
            "It needs libraries that are nowhere on this machine.",
            tuple(missing),
        )
    if needs.executable_stack:
        strict = target.glibc is not None and numbers(target.glibc) >= numbers(_STRICT_GLIBC)
        yield Finding(
            "audit-executable-stack",
            "error" if strict else "warning",
            "It asks for an executable stack",
            f"glibc {_STRICT_GLIBC} and newer refuse to load it; link it with -Wl,-z,noexecstack.",
            needs.executable_stack,
        )
    if needs.run_paths:
        yield Finding(
            "audit-run-path",
            "warning",
            "Run paths of another machine",
            "The loader looks for libraries where they lay when it was built; "
            "who can write that directory can put others there.",
            needs.run_paths,
        )


def _wheel(package: Package, bound: Bounds) -> Iterator[Finding]:
    """Compares the platform tags with the needs: "any" promises every system, manylinux those from one glibc on."""
    if package.kind == "library" or not package.binaries:
        return
    needs = bound.system
    for platform in dict.fromkeys(tag.rpartition("-")[2] for tag in package.tags):
        oldest = (0,) if platform == "any" else manylinux.claimed(platform)
        if oldest is None:
            continue
        refused = manylinux.refused(oldest, needs.machines[0], package.versions)
        if refused or platform == "any":
            yield Finding(
                "audit-tag",
                "error",
                "The wheel's tag promises too much",
                f"pip installs it wherever {platform} serves, and its libraries need "
                f"{needs.manylinux or 'a system that no tag of the table has'}.",
                tuple(f"{library}: {version}" for library, version in refused),
            )
    if needs.outside:
        yield Finding(
            "audit-outside",
            "note",
            "Libraries that somebody else must bring",
            "No manylinux tag counts on them, the wheel does not hold them, and they are not torch's.",
            needs.outside,
        )
