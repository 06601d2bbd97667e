"""Questions about versions that fixes have to answer, asked of compatibility.yaml.

Each returns None where the table has no answer; the fix then leaves the version out.
"""

from __future__ import annotations

import re

from dcnbuild.base.versions import numbers
from dcnbuild.machine.compatibility import cuda_release, table


def number(name: str) -> int | None:
    """The number of an architecture: "compute_86", "sm_90a", "8.6+PTX" → 86, 90, 86."""
    found = re.search(r"(?:sm|compute|lto)_(\d{2,3})|^(\d{1,2})\.(\d)", name)
    return int("".join(group for group in found.groups() if group)) if found else None


def listed(architecture: int) -> str:
    """An architecture as TORCH_CUDA_ARCH_LIST has it: 86 → "8.6"."""
    return f"{architecture // 10}.{architecture % 10}"


def first_toolkit(architecture: int) -> str | None:
    """The oldest CUDA release that compiles for an architecture."""
    return next((row.version for row in table().cuda if architecture in row.architectures), None)


def first_toolkit_for(name: str) -> str | None:
    """The same for an architecture by its name; those with a letter came later: "sm_90a" → "12.0"."""
    found = re.search(r"_(\d{2,3})([af])$", name)
    first = first_toolkit(number(name) or 0)
    if found is None or first is None:
        return first
    least = "12.9" if found[2] == "f" else "12.0"
    return max(first, least, key=numbers)


def last_toolkit(architecture: int) -> str | None:
    """The newest CUDA release that compiles for an architecture; None while that is the newest."""
    rows = [row for row in table().cuda if architecture in row.architectures]
    return rows[-1].version if rows and rows[-1] != table().cuda[-1] else None


def last_before(since: str) -> str:
    """The release before one at which a name went: "CUDA 12" → ", the last is CUDA 11.8"."""
    product, _, version = since.partition(" ")
    rows = table().cuda if product == "CUDA" else table().torch
    all_of_it = [getattr(row, "newest", None) or getattr(row, "version", "") for row in rows]
    older = [item for item in all_of_it if numbers(item) < numbers(version)]
    return f", the last is {product} {older[-1]}" if older else ""


def toolkit_for_gcc(gcc: int, above: str) -> str | None:
    """The first CUDA release newer than `above` that accepts a gcc; None if there is none."""
    fitting = (row.version for row in table().cuda if row.gcc >= gcc)
    return next((item for item in fitting if numbers(item) > numbers(above or "0")), None)


def newest_architecture(toolkit: str) -> int | None:
    """The newest architecture that a CUDA release compiles for."""
    row = cuda_release(toolkit)
    return row.architectures[-1] if row else None


def arch_list(toolkit: str | None) -> str:
    """Architectures for TORCH_CUDA_ARCH_LIST that a toolkit compiles for, most in use first.

    One per GPU generation in common use, PTX of the newest; without a known toolkit those that
    every CUDA since 11.1 compiles for.
    """
    row = cuda_release(toolkit) if toolkit else None
    usual = (70, 75, 80, 86, 89, 90, 100, 120) if row else (75, 80, 86)
    names = [listed(item) for item in usual if row is None or item in row.architectures]
    return ";".join(names) + "+PTX"


def torch_for_cuda(cuda: str) -> str | None:
    """The newest torch that has a wheel for a CUDA version."""
    wanted = ".".join(cuda.split(".")[:2])
    rows = [row for row in table().torch if wanted in row.variants]
    return rows[-1].newest if rows else None


def wheel_for_major(major: int) -> tuple[str, str] | None:
    """(CUDA, torch): the newest torch wheel for a CUDA major version."""
    return next(
        (
            (cuda, row.newest)
            for row in reversed(table().torch)
            for cuda in row.variants
            if cuda.split(".")[0] == str(major)
        ),
        None,
    )


def torch_with_kernels_for(architecture: int) -> tuple[str, str] | None:
    """(CUDA, torch): the oldest torch whose wheel runs natively on an architecture."""
    for row in table().torch:
        for cuda, names in row.variants.items():
            same_major = [number(name) or 0 for name in names if name.startswith("sm_")]
            if any(
                item // 10 == architecture // 10 and item <= architecture for item in same_major
            ):
                return cuda, row.release
    return None
