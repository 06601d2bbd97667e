"""Computes what a package needs, from its libraries and the project's tables, by pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dcnbuild.audit.package import Package
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import manylinux, owners, python, sonames, torch_cpp
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import sorted_names
from dcnbuild.machine.symbols import PYTHON_C, TORCH_CXX, TORCH_SHIM

#: The number of names that a report shows for one statement.
_SHOWN = 5


@dataclass(frozen=True)
class TorchBound:
    """The libraries' needs of torch.

    Attributes:
        abi: "stable" for only torch's C shims; "c++" for names that change with every release; None for neither.
        oldest: the first release that has every name, e.g. "2.10"; None if no name limits it. `oldest_by` are a few
            names that do.
        newest: the last release that has every name, because of `newest_by`; None if the newest known release has them.
        cxx_names: a few of its C++ names.
        cxx11_abi: the C++ ABI of these names; None if no name shows it.
        unknown: the number of names that are in no table.
    """

    abi: str | None = None
    oldest: str | None = None
    oldest_by: tuple[str, ...] = ()
    newest: str | None = None
    newest_by: tuple[str, ...] = ()
    cxx_names: tuple[str, ...] = ()
    cxx11_abi: bool | None = None
    unknown: int = 0


@dataclass(frozen=True)
class PythonBound:
    """The libraries' needs of CPython.

    Attributes:
        abi: "none" if they use no name of its C API, "abi3", or tags such as "cp311".
        oldest: the first CPython that has every name, for abi3; None otherwise.
        tags: the Python and ABI tags of the package, e.g. ("cp311-cp311",).
        names: a few names of the C API that it needs.
    """

    abi: str = "none"
    oldest: str | None = None
    tags: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class CudaBound:
    """The libraries' needs of CUDA.

    Attributes:
        majors: the major versions of CUDA that all needed libraries of CUDA belong to, e.g. (12,); () if they need
            none.
        libraries: the needed libraries of CUDA, by NVIDIA's names.
        driver_library: whether they need libcuda.so.1, which only a machine with a driver has.
        architectures: the GPU code of all libraries.
        toolkits: the oldest and the newest toolkit of the table that can have made it; None without GPU code.
        driver: the oldest driver that runs it; None without GPU code or CUDA libraries.
    """

    majors: tuple[int, ...] = ()
    libraries: tuple[str, ...] = ()
    driver_library: bool = False
    architectures: tuple[str, ...] = ()
    toolkits: tuple[str, str] | None = None
    driver: str | None = None


@dataclass(frozen=True)
class SystemBound:
    """The libraries' needs of the system.

    Attributes:
        machines: "x86_64", "aarch64"; one, unless libraries of two are mixed.
        glibc: the oldest glibc that works, e.g. "2.28"; None if they need no glibc.
        glibcxx: the newest needed symbol version of libstdc++, e.g. "GLIBCXX_3.4.29"; `gcc` is the release that added
            it.
        manylinux: the platform tag that fits the symbol versions; None if no tag of the table has them.
        outside: needed libraries that this tag does not include and that torch does not have.
        executable_stack: the libraries that make the stack executable.
        run_paths: "library: directory" for directories of the machine that built it.
    """

    machines: tuple[str, ...] = ()
    glibc: str | None = None
    glibcxx: str | None = None
    gcc: str | None = None
    manylinux: str | None = None
    outside: tuple[str, ...] = ()
    executable_stack: tuple[str, ...] = ()
    run_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bounds:
    """All needs of a package."""

    torch: TorchBound
    python: PythonBound
    cuda: CudaBound
    system: SystemBound


def bounds(package: Package) -> Bounds:
    """Returns the needs of a package."""
    symbols = sorted({symbol for binary in package.binaries for symbol in binary.symbols})
    return Bounds(
        torch=torch_bound(symbols),
        python=_python(package, [symbol for symbol in symbols if PYTHON_C.match(symbol)]),
        cuda=_cuda(package),
        system=_system(package),
    )


def torch_bound(symbols: Iterable[str]) -> TorchBound:
    """Returns the needs of torch that symbols show: its C shims and its C++ names; ignores others."""
    shims = [name for name in symbols if TORCH_SHIM.match(name)]
    mangled = [name for name in symbols if TORCH_CXX.match(name) or name.startswith("THP")]
    lifetimes = {name: torch_lifetime(name) for name in (*shims, *mangled)}
    known = {name: life for name, life in lifetimes.items() if life is not None}
    firsts = {name: numbers(first) for name, (first, _) in known.items()}
    lasts = {name: numbers(last) for name, (_, last) in known.items() if last is not None}
    oldest, newest = max(firsts.values(), default=()), min(lasts.values(), default=())
    if oldest <= numbers(torch_cpp.TABLE.releases[0]):  # every release of the table has the names
        oldest = ()
    return TorchBound(
        abi="c++" if mangled else "stable" if shims else None,
        oldest=_version(oldest) or None,
        oldest_by=tuple(name for name, first in firsts.items() if first == oldest)[:_SHOWN],
        newest=_version(newest) or None,
        newest_by=tuple(name for name, last in lasts.items() if last == newest)[:_SHOWN],
        cxx_names=tuple(mangled[:_SHOWN]),
        cxx11_abi=_cxx11_abi(mangled),
        unknown=len(lifetimes) - len(known),
    )


def torch_lifetime(symbol: str) -> tuple[str, str | None] | None:
    """Returns the first and the last torch whose headers have a name; the last is None if the newest has it.

    For a mangled name it compares the scopes, not the types of the arguments. Returns None for a name in no table.
    """
    bare = owners.bare(symbol)
    if bare != symbol and "::" not in bare:  # an operator; its namespace alone is not a name
        return None
    found = [item for item in torch_cpp.find(bare) if item.kind != "header" and item.name == bare]
    if not found:
        return None
    last = max(found, key=lambda item: numbers(item.last))
    return (
        min((item.first for item in found), key=numbers),
        last.last if last.removed else None,
    )


def _cxx11_abi(mangled: Sequence[str]) -> bool | None:
    """Returns the C++ ABI: std::string is `Ss` in the old ABI, and in the namespace __cxx11 in the new one."""
    if any("__cxx11" in name or "B5cxx11" in name for name in mangled):
        return True
    return False if any(re.search(r"(?:RK|[EvP])Ss", name) for name in mangled) else None


def _version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _python(package: Package, names: Sequence[str]) -> PythonBound:
    tags = tuple(dict.fromkeys(tag.rpartition("-")[0] for tag in package.tags))
    files = [binary.name for binary in package.binaries if any(map(PYTHON_C.match, binary.symbols))]
    if not names:
        return PythonBound(tags=tags)
    if any(tag.endswith("-abi3") for tag in tags) or all(".abi3." in name for name in files):
        firsts = [numbers(item.added) for name in names for item in python.C_TABLE.find(name) if item.added]
        oldest = _version(max(firsts)) if firsts else None
        return PythonBound("abi3", oldest, tags, tuple(names[:_SHOWN]))
    tagged = {f"cp{m[1]}" for name in files if (m := re.search(r"\.cpython-(\d+t?)-", name))}
    tagged |= {tag.split("-")[1] for tag in tags if tag.split("-")[1].startswith("cp")}
    abi = ", ".join(sorted(tagged)) or "one CPython, which no tag names"
    return PythonBound(abi, None, tags, tuple(names[:_SHOWN]))


def plain_soname(name: str) -> str:
    """Removes the hash that repairing a wheel adds: "libcudart.faf08d9a.so.13" → "libcudart.so.13"."""
    return re.sub(r"[.-][0-9a-f]{8}(?=\.so|\.\d)", "", name)


def cuda_majors(name: str) -> set[int]:
    """Returns the CUDA major versions of a library, by the packages that have it; empty if it belongs to all."""
    majors: set[int] = set()
    for row in sonames.find(name):
        for package in row.pip if row.owner == "cuda" else ():
            tagged = re.search(r"-cu(\d+)$", package)
            majors.add(int(tagged[1]) if tagged else 13)  # from CUDA 13 on, wheels have no suffix
    return majors


def _cuda(package: Package) -> CudaBound:
    needed = {plain_soname(name) for item in package.binaries for name in item.needed}
    libraries = tuple(sorted(name for name in needed if any(_of_cuda(name))))
    majors: set[int] | None = None
    for known in filter(None, map(cuda_majors, libraries)):
        majors = known if majors is None else majors & known
    names = sorted_names(name for item in package.binaries for name in item.architectures)
    able = [
        row.version
        for row in compatibility.table().cuda
        if (not majors or numbers(row.version)[0] in majors)
        and all(compatibility.compiles_for(row.version, name) for name in names)
    ]
    if package.toolkit and compatibility.cuda_release(package.toolkit):
        able = [package.toolkit]
    drivers = [compatibility.minimum_driver(version) for version in able]
    bound = bool(names or majors)
    return CudaBound(
        majors=tuple(sorted(majors or ())),
        libraries=libraries,
        driver_library="libcuda.so.1" in needed,
        architectures=names,
        toolkits=(able[0], able[-1]) if able and names else None,
        driver=min(filter(None, drivers), key=numbers, default=None) if bound else None,
    )


def _of_cuda(name: str) -> Iterable[bool]:
    return (row.owner == "cuda" for row in sonames.find(name) if name != "libcuda.so.1")


def _system(package: Package) -> SystemBound:
    machines = tuple(sorted({binary.machine for binary in package.binaries}))
    versions = sorted({version for _, version in package.versions}, key=_version_key)
    glibc = [version for version in versions if re.fullmatch(r"GLIBC_\d[\d.]*", version)]
    glibcxx = [version for version in versions if version.startswith("GLIBCXX_")]
    brought = owners.of_version(glibcxx[-1]) if glibcxx else None
    policy = manylinux.deserved(machines[0], package.versions) if len(machines) == 1 else None
    allowed = set(policy.libraries) if policy else set()
    return SystemBound(
        machines=machines,
        glibc=_newest_glibc(versions, glibc),
        glibcxx=glibcxx[-1] if glibcxx else None,
        gcc=brought.release if brought else None,
        manylinux=policy.platform if policy else None,
        outside=tuple(name for name in package.external if name not in allowed and not _of_torch(name)),
        executable_stack=tuple(item.name for item in package.binaries if item.executable_stack),
        run_paths=tuple(
            f"{item.name}: {path}"
            for item in package.binaries
            for text in item.run_paths
            for path in text.split(":")
            if path and not path.startswith(("$ORIGIN", "${ORIGIN}"))
        ),
    )


def _newest_glibc(versions: Sequence[str], glibc: Sequence[str]) -> str | None:
    newest = glibc[-1].removeprefix("GLIBC_") if glibc else None
    if "GLIBC_ABI_DT_RELR" in versions:  # glibc 2.36 knows this relocation
        return max(newest or "", "2.36", key=numbers)
    return newest


def _version_key(version: str) -> tuple[int, ...]:
    return numbers(version.rpartition("_")[2])


def _of_torch(name: str) -> bool:
    return any(row.owner == "torch" for row in sonames.find(name))
