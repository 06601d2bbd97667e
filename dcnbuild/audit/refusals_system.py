"""Says which systems would refuse a package: its C library, other libraries, and what its platform tags promise."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.audit.bounds import Bounds
from dcnbuild.audit.package import Package
from dcnbuild.audit.target import Target
from dcnbuild.base.versions import numbers
from dcnbuild.errors import Finding
from dcnbuild.knowledge import manylinux

#: From this glibc on, `dlopen` refuses a library that needs an executable stack. Source: NEWS of glibc 2.41.
_STRICT_GLIBC = "2.41"


def of_system(package: Package, bound: Bounds, target: Target) -> Iterator[Finding]:
    """Yields what a system lacks: symbol versions, libraries, and the leave to make a stack executable."""
    needs = bound.system
    lacking = tuple(dict.fromkeys(text for item in package.binaries for text in item.lacking))
    if needs.glibc and target.glibc and numbers(needs.glibc) > numbers(target.glibc):
        yield Finding(
            "audit-glibc",
            "error",
            "The C library is too old",
            f"It needs glibc {needs.glibc}, and this is {target.glibc}.",
            tuple(f"{library}: {v}" for library, v in package.versions if v.startswith("GLIBC_2"))[-3:],
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


def of_tags(package: Package, bound: Bounds) -> Iterator[Finding]:
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
