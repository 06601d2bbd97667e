"""What is read of a package: the dataclasses that `read` fills and `bounds` and `refusals` judge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Binary:
    """One shared library of a package.

    Attributes:
        name: its path in the package.
        machine: "x86_64", "aarch64".
        soname: what others need it as; None if it says nothing.
        needed: the libraries that it needs.
        versions: the symbol versions that it needs of them, as (library, version).
        run_paths: the directories in which the loader looks for them, as the file has them.
        executable_stack: whether loading it makes the stack executable.
        architectures: its GPU code, e.g. ("sm_90", "compute_90").
        symbols: the names that it needs from torch and CPython.
        missing: those of `needed` that are not on this machine; () where nobody looked, as for another machine's
            library. So are the next two.
        undefined: those of `symbols` that the installed torch does not define, a few of them.
        lacking: "library: version" of those `versions` that this machine's libraries do not have.
    """

    name: str
    machine: str
    soname: str | None = None
    needed: tuple[str, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    run_paths: tuple[str, ...] = ()
    executable_stack: bool = False
    architectures: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """A wheel, a library, or an installed package.

    Attributes:
        name: the file's or the package's name.
        kind: "wheel", "library" or "installed".
        tags: the compatibility tags that its name or metadata has, e.g. ("cp311-cp311-manylinux_2_28_x86_64",).
        torch: what its metadata asks of torch, e.g. ">=2.10"; None if it asks nothing.
        python: the Pythons that its metadata allows, e.g. ">=3.10"; None if it says nothing.
        toolkit: the CUDA toolkit that its builder noted, e.g. "12.9"; None where nothing says so.
        binaries: its libraries.
        unreadable: files that are named as libraries and are none, or are damaged.
    """

    name: str
    kind: str
    tags: tuple[str, ...] = ()
    torch: str | None = None
    python: str | None = None
    toolkit: str | None = None
    binaries: tuple[Binary, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def external(self) -> tuple[str, ...]:
        """The libraries that are needed and not in the package, sorted."""
        own = {binary.soname for binary in self.binaries}
        own |= {binary.name.rpartition("/")[2] for binary in self.binaries}
        return tuple(sorted({name for item in self.binaries for name in item.needed} - own))

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """The symbol versions that are needed of libraries outside of it, as (library, version), sorted."""
        outside = set(self.external)
        needed = {pair for item in self.binaries for pair in item.versions if pair[0] in outside}
        return tuple(sorted(needed))
