"""Finds the manylinux tag that fits the symbol versions of a wheel's libraries, from manylinux.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dcnbuild.base.versions import numbers
from dcnbuild.knowledge.rows import read


@dataclass(frozen=True)
class Policy:
    """One row; the fields are described at the head of tools/knowledge/written/manylinux.yaml."""

    tag: str
    machine: str
    versions: Mapping[str, str]
    libraries: tuple[str, ...]
    source: str

    @property
    def platform(self) -> str:
        """The whole tag: "manylinux_2_28_x86_64"."""
        return f"{self.tag}_{self.machine}"

    @property
    def glibc(self) -> tuple[int, ...]:
        """The oldest glibc that it runs on, as its name says: (2, 28)."""
        return tuple(map(int, self.tag.split("_")[1:]))

    def allows(self, version: str) -> bool:
        """Whether a system of this tag has a symbol version, e.g. "GLIBCXX_3.4.29"."""
        prefix, _, number = version.partition("_")
        newest = self.versions.get(prefix)
        if version == "GLIBC_ABI_DT_RELR":  # no number: the loader's promise to know this relocation
            return self.glibc >= (2, 36)
        if not numbers(number) or newest is None:
            return False
        return numbers(number) <= numbers(newest)


def rows() -> tuple[Policy, ...]:
    """Every row, a machine's oldest first."""
    return read("manylinux.json", Policy)


def system_libraries(machine: str) -> frozenset[str]:
    """The libraries that some tag of this machine counts on."""
    return frozenset(name for row in rows() if row.machine == machine for name in row.libraries)


def deserved(machine: str, versions: Iterable[tuple[str, str]]) -> Policy | None:
    """The oldest tag whose systems have what is needed; None if no tag of the table has, or the machine has none.

    Args:
        machine: "x86_64" or "aarch64".
        versions: (library, symbol version); those of libraries that are not the system's do not count.
    """
    wanted = {version for library, version in versions if library in system_libraries(machine)}
    return next((row for row in rows() if row.machine == machine and all(map(row.allows, wanted))), None)


def refused(glibc: tuple[int, ...], machine: str, versions: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What the newest tag that runs on this glibc does not allow, as (library, symbol version); all of it without a
    tag.
    """
    fitting = [row for row in rows() if row.machine == machine and row.glibc <= glibc]
    system = system_libraries(machine)
    return tuple(
        (library, version)
        for library, version in versions
        if library in system and not (fitting and fitting[-1].allows(version))
    )


def claimed(platform: str) -> tuple[int, ...] | None:
    """The glibc that a wheel's platform tag promises to run on: "manylinux2014_x86_64" → (2, 17); None for others."""
    old = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}  # PEP 600
    name = platform.split("_")
    if name[0] in old:
        return old[name[0]]
    return numbers(".".join(name[1:3])) or None if name[0] == "manylinux" else None
