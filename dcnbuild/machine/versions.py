"""Questions about versions of CUDA, torch and compilers that compatibility.yaml answers.

Each returns None where the table has no answer; the fix then leaves the version out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dcnbuild.base.versions import numbers, same_major
from dcnbuild.base.versions import same_minor as same_minor
from dcnbuild.machine.compatibility import CudaRelease, compiles_for, cuda_release, table, torch_release
from dcnbuild.machine.compatibility import minimum_driver as minimum_driver

#: The newest architecture in common use that a release of torch and those after it know.
#: Source: supported_arches in torch/utils/cpp_extension.py.
_KNOWN_TO_TORCH = (((2, 0), 90), ((1, 8), 86), ((1, 7), 80))


def number(name: str) -> int | None:
    """The number of an architecture: "compute_86", "90a", "8.6+PTX" → 86, 90, 86."""
    found = re.search(r"(?:sm|compute|lto)_(\d{2,3})|^(\d{1,2})\.(\d)|^(\d{2,3})(?:[af]?$)", name)
    return int("".join(group for group in found.groups() if group)) if found else None


def too_old(gpus: str, wanted: str) -> str:
    """GPUs by their compute capabilities, "7.0;7.5", where all of them are older than an architecture, else ""."""
    numbers_of, least = [number(one) for one in gpus.split(";")], number(wanted) or 0
    return gpus if all(one is not None and one < least for one in numbers_of) else ""


def listed(name: str) -> str:
    """An architecture as TORCH_CUDA_ARCH_LIST has it: "sm_86" → "8.6"."""
    found = number(name) or 0
    return f"{found // 10}.{found % 10}"


def beside(given: str, name: str) -> str:
    """A list of architectures as it was given, "8.6;8.9", where it has not the one of this name; else ""."""
    return "" if number(name) in [number(item) for item in re.split(r"[; ]+", given)] else given.strip("; ")


def _compiling_for(architecture: int | None) -> list[CudaRelease]:
    return [row for row in table().cuda if architecture in row.architectures]


def first_toolkit_for(name: str) -> str | None:
    """The oldest CUDA release that compiles for an architecture; those with a letter came later: "sm_90a" → "12.0"."""
    found = re.search(r"_(\d{2,3})([af])$", name)
    first = next((row.version for row in _compiling_for(number(name))), None)
    if found is None or first is None:
        return first
    least = "12.9" if found[2] == "f" else "12.0"
    return max(first, least, key=numbers)


def last_toolkit(name: str) -> str | None:
    """The newest CUDA release that compiles for an architecture; None while that is the newest."""
    rows = _compiling_for(number(name))
    return rows[-1].version if rows and rows[-1] != table().cuda[-1] else None


def dropped(name: str, toolkit: str) -> bool:
    """Whether an architecture is one that newer toolkits have dropped (not one they lack yet)."""
    newest, first = newest_architecture(toolkit), first_toolkit_for(name)
    if toolkit and first and numbers(first) > numbers(toolkit):
        return False
    if newest is not None:
        return (number(name) or 0) < newest
    return last_toolkit(name) is not None


def newest_of_major(major: str) -> str:
    """The newest CUDA of a major release: "12" → "12.9"; "" for one that is not known."""
    return next((row.version for row in reversed(table().cuda) if row.version.split(".")[0] == major), "")


def last_before(since: str) -> str:
    """The release before one at which a name went: "CUDA 12" → ", the last is CUDA 11.8"."""
    product, _, version = since.partition(" ")
    rows = table().cuda if product == "CUDA" else table().torch
    all_of_it = [getattr(row, "newest", None) or getattr(row, "version", "") for row in rows]
    older = [item for item in all_of_it if numbers(item) < numbers(version)]
    return f", the last is {product} {older[-1]}" if older else ""


def for_torch(torch_cuda: str, least: str) -> str:
    """The toolkit for a torch: that of its own CUDA, unless it takes a newer one than that."""
    return torch_cuda if numbers(torch_cuda or "0") >= numbers(least) else least


def major_differs(one: str, other: str) -> bool:
    """Whether two versions of CUDA, both known, are of different majors: torch refuses such a toolkit."""
    return bool(one and other) and one.split(".")[0] != other.split(".")[0]


def older_than_torch(newest: str, gcc: str, torch_cuda: str) -> str:
    """The major of torch's CUDA, where every toolkit of it accepts a newer gcc than this one, `newest`, and `gcc`."""
    major = torch_cuda.split(".")[0]
    accepted = [row.gcc for row in table().cuda if row.version.split(".")[0] == major]
    known = newest.isdecimal() and accepted and int(newest) < min(accepted)
    return major if known and int(gcc or 0) <= max(accepted) else ""


def toolkit_for_gcc(gcc: int, above: str) -> str | None:
    """The first CUDA release newer than `above` that accepts a gcc; None if there is none."""
    fitting = (row.version for row in table().cuda if row.gcc >= gcc)
    return next((item for item in fitting if numbers(item) > numbers(above or "0")), None)


def toolkit_for_gcc_of(gcc: str, above: str) -> str:
    """The same of a gcc by its text, "" without one."""
    return (toolkit_for_gcc(int(gcc.partition(".")[0]), above) or "") if gcc[:1].isdigit() else ""


def gcc_of_clang(below: str) -> int | None:
    """The newest gcc of the first CUDA that accepts clang below a release: "18" → 13."""
    return next((row.gcc for row in table().cuda if row.clang == int(below or 0) - 1), None)


def newest_architecture(toolkit: str) -> int | None:
    """The newest architecture that a CUDA release compiles for."""
    row = cuda_release(toolkit) if toolkit else None
    return row.architectures[-1] if row else None


def newest_listed(toolkit: str) -> str:
    """The newest that is not a Jetson's alone, as TORCH_CUDA_ARCH_LIST has it."""
    return usual(toolkit).split(";")[-1] if newest_architecture(toolkit) else ""


def arch_list(toolkit: str) -> str:
    """Architectures for TORCH_CUDA_ARCH_LIST that a toolkit compiles for, most in use first.

    One per GPU generation in common use, PTX of the newest; without a known toolkit those that
    every CUDA since 11.1 compiles for.
    """
    row = cuda_release(toolkit) if toolkit else None
    usual = (70, 75, 80, 86, 89, 90, 100, 120) if row else (75, 80, 86)
    names = [listed(str(item)) for item in usual if row is None or item in row.architectures]
    return ";".join(names) + "+PTX"


def kept(given: str, toolkit: str) -> str:
    """A list of architectures as it was given, "7.0 8.6+PTX", without those that a toolkit does not know; "" if that
    changes nothing, or leaves none.
    """
    names = re.split(r"[; ]+", given.strip("; "))
    known = [name for name in names if number(name) and compiles_for(toolkit, f"sm_{number(name)}") is not False]
    return ";".join(known) if toolkit and known and known != names else ""


def usual(toolkit: str) -> str:
    """The same without the PTX: "7.5;8.0;8.6"."""
    return arch_list(toolkit).removesuffix("+PTX")


def usual_numbers(toolkit: str) -> str:
    """The same as CMake writes them: "75;80;86"."""
    return usual(toolkit).replace(".", "")


def without(given: str, name: str) -> str:
    """A list of architectures without one with a letter, "9.0a", and all others with one; "" if that leaves none."""
    names = re.split(r"[; ]+", given.strip("; "))
    left = [one for one in names if not re.search("[af]", one)]
    return ";".join(left) if name in names and name[-1:] in ("a", "f") else ""


def newest_before(name: str, toolkit: str, torch: str) -> str:
    """The newest architecture before one that torch does not know, which torch and a toolkit do: "8.9" → "8.0"."""
    wanted = number(name) or 0
    usual = 90 if wanted > 99 else 86 if wanted > 86 and toolkit else 80 if wanted > 86 else 75
    limit = next((top for first, top in _KNOWN_TO_TORCH if numbers(torch) >= first), 75) if torch else usual
    fits = [one for one in (75, 80, 86, 90) if one < wanted and one <= limit]
    fits = [one for one in fits if not toolkit or compiles_for(toolkit, f"sm_{one}") is not False]
    return listed(str(fits[-1] if fits else 75))


def newest_usual(toolkit: str) -> str:
    """The newest of them without its point: "90"."""
    return usual_numbers(toolkit).split(";")[-1]


def torch_for_cuda(cuda: str, torch: str = "") -> str | None:
    """The newest torch that has a wheel for a CUDA version; of the release in use where that has one."""
    wanted = ".".join(cuda.split(".")[:2])
    rows = [row for row in table().torch if wanted in row.variants]
    own = [row for row in rows if torch.startswith(f"{row.release}.")]
    return (own or rows)[-1].newest if rows else None


def first_torch_for(cuda: str) -> str:
    """The oldest torch that has a wheel for a CUDA version, "" where none has: "12.8" → "2.7"."""
    return next((row.release for row in table().torch if cuda in row.variants), "")


def tag(cuda: str) -> str:
    """A CUDA as PyTorch's indices call it: "12.8" → "cu128"; the nearest that has an index, "12.5" → "cu124"."""
    there = sorted({one for row in table().torch for one in row.variants if same_major(one, cuda)}, key=numbers)
    older = [one for one in there if numbers(one) <= numbers(cuda)]
    return f"cu{(older[-1:] or there[:1] or [cuda])[0].replace('.', '')}"


def cuda_of_tag(tag: str) -> str:
    """The CUDA of an index's name: "cu131" → "13.1", "cu92" → "9.2"."""
    return f"{tag[2:-1]}.{tag[-1]}" if re.fullmatch(r"cu\d{2,3}", tag) else ""


def index_for(cuda: str, torch: str = "") -> str:
    """The index to use for a CUDA that no index is for, of those that have a torch, "13.1" → "cu130"; else ""."""
    there = sorted({one for row in table().torch for one in row.variants}, key=numbers)
    if not cuda or cuda in there or numbers(cuda) > numbers(there[-1]):  # which may have come after the table
        return ""
    row = torch_release(torch) if torch else None
    offered = [*row.variants] if row else there
    near = [one for one in offered if same_major(one, cuda)] or offered
    found = max((one for one in near if numbers(one) <= numbers(cuda)), key=numbers, default=near[0] if near else "")
    return f"cu{found.replace('.', '')}" if found else ""


def larger(one: str, other: str) -> bool:
    """Whether the first of two numbers, or versions, is the larger one."""
    return bool(one and other) and numbers(one) > numbers(other)


def above(one: str, limit: str) -> str:
    """A number, or a version, where it is above a limit, or no limit is known; else ""."""
    return "" if larger(limit, one) or (limit and one == limit) else one


class Wheel(NamedTuple):
    """A torch wheel by its versions."""

    cuda: str
    torch: str


def wheel_for_major(version: str, torch: str = "") -> Wheel | None:
    """A torch wheel for a major version of CUDA, of 12 for "12.4": of the release in use, else of the newest."""
    own = [row for row in table().torch if torch.startswith(f"{row.release}.")]
    for row in (*own, *reversed(table().torch)):
        same = [cuda for cuda in row.variants if same_major(cuda, version)]
        if same:  # the newest that the driver knows, else the oldest
            known = [cuda for cuda in same if numbers(cuda) <= numbers(version)]
            return Wheel(max(known, key=numbers) if known else same[0], row.newest)
    return None


def within_driver(cuda: str, driver: str, torch: str = "") -> str:
    """The CUDA of the torch to install: the one that is meant, or the newest that a driver for CUDA `driver` can run.

    A driver runs every CUDA of its own major version: one for 12.2 also 12.8, and one for 11.4 no 12. The torch that is
    asked for stays, even where it has no such wheel: it takes a newer driver.
    """
    fits = wheel_for_major(driver, torch) if driver and numbers(cuda)[:1] > numbers(driver)[:1] else None
    return fits.cuda if fits and (not torch or same_minor(torch, fits.torch)) else cuda


def wheel_for(name: str) -> Wheel | None:
    """The oldest torch whose wheel runs natively on an architecture."""
    wanted = number(name) or 0
    for row in table().torch:
        for cuda, names in row.variants.items():
            same_major = [number(item) or 0 for item in names if item.startswith("sm_")]
            if any(item // 10 == wanted // 10 and item <= wanted for item in same_major):
                return Wheel(cuda, row.release)
    return None


def last_wheel_for(name: str) -> Wheel | None:
    """The newest torch that has a wheel with code for an architecture, and its CUDA."""
    for row in reversed(table().torch):
        for cuda, names in row.variants.items():
            if names and _runs_on(number(name) or 0, names):
                return Wheel(cuda, row.newest)
    return None


def wheel_has(torch: str, cuda: str, gpus: str) -> str:
    """Whether the wheel of a torch, "" for any with this CUDA, has code for GPUs, "8.6;12.0": "yes", "no" where it has
    none for any of them, "" where that is not known.
    """
    rows = [row for row in table().torch if not torch or torch.startswith(f"{row.release}.")]
    return _have([row.variants[cuda] for row in rows if row.variants.get(cuda)], gpus)


def listed_has(listed: str, gpus: str) -> str:
    """The same of a torch that has told what it was compiled for, "['sm_80', 'compute_90']"."""
    return _have([names] if (names := re.findall(r"\b(?:sm|compute)_\d{2,3}", listed)) else [], gpus)


def _have(lists: Sequence[Iterable[str]], gpus: str) -> str:
    found = {_runs_on(number(gpu) or 0, names) for gpu in filter(None, gpus.split(";")) for names in lists}
    return "yes" if found == {True} else "no" if found == {False} else ""


def _runs_on(wanted: int, names: Iterable[str]) -> bool:
    """Whether an architecture runs code of these: of its major number up to its own, or what the driver translates."""
    codes = [(item.partition("_")[0], number(item) or 0) for item in names]
    return any(item <= wanted and (kind == "compute" or item // 10 == wanted // 10) for kind, item in codes)


def torch_for_python(python: str) -> str:
    """A torch with wheels for a Python: the second such release, as torchvision follows the first late."""
    found = [row.newest for row in table().torch if python and row.supports_python(python)]
    return found[min(1, len(found) - 1)] if found else ""


def pythons_of(torch: str) -> str:
    """The Pythons that a torch has wheels for: "2.1.2" → "3.8 to 3.11", "" where there is no such torch."""
    row = torch_release(torch)
    return " to ".join(row.python) if row and torch in row.versions else ""


def other_python(torch: str, python: str) -> str:
    """The newest Python that has a wheel of a torch, where the one in use has none, or is not known."""
    row, there = torch_release(torch), bool(pythons_of(torch))
    return "" if row is None or not there or (python and row.supports_python(python)) else row.python[1]


def newest_within(wanted: str) -> str:
    """The newest Python below the bound of a requirement: ">=3.6,<3.11" → "3.10"."""
    found = re.search(r"<\s*3\.(\d{1,2})", wanted)
    return f"3.{int(found[1]) - 1}" if found and int(found[1]) else ""


def of_tag(tag: str) -> str:
    """The Python of a wheel's tag: "cp310" → "3.10", "" for one that names none."""
    found = re.match(r"cp(3)(\d{1,2})", tag)
    return f"{found[1]}.{found[2]}" if found else ""


def beyond(pinned: str) -> str:
    """Newer releases of the same major than one that was asked for: "numpy==1.23.5" → "numpy>1.23.5,<2"."""
    name, _, version = pinned.partition("==")
    return f"{name}>{version},<{(numbers(version) or (0,))[0] + 1}"


def minor_after(release: str) -> str:
    """The minor release after one: "1.24" → "1.25"."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return f"{found[1]}.{int(found[2]) + 1}" if found else ""


def patch_before(release: str) -> str:
    """The patch release before one: "13.1.2" → "13.1.1", "" for a first one."""
    found = numbers(release)
    return ".".join(map(str, (*found[:2], found[2] - 1))) if len(found) == 3 and found[2] else ""


def unspaced(wanted: str) -> str:
    """The bounds of a requirement as pip takes them in one word: ">=2.0, <2.2" → ">=2.0,<2.2"."""
    return re.sub(r"\s", "", wanted)


def of_number(number: str) -> str:
    """The CUDA of cudaDriverGetVersion's number: 11040 → "11.4", "" for none."""
    found = int(number or 0)
    return f"{found // 1000}.{found % 1000 // 10}" if found else ""
