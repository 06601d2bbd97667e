"""Reads, sorts and matches names of GPU architectures.

dcnbuild uses nvcc's names: `sm_90` is machine code for compute capability 9.0, and `compute_90` is PTX that a driver
can translate for 9.0 and newer. A suffix `a` means only this capability, `f` this family, as in `sm_90a`.
`TORCH_CUDA_ARCH_LIST` writes the same as `9.0`, `9.0+PTX` and `9.0a`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
_LISTED = re.compile(r"(\d+)\.(\d)([af]?)(\+PTX)?", re.IGNORECASE)

#: The GPU generations that `TORCH_CUDA_ARCH_LIST` may name instead of numbers.
#: Source: NAMED_ARCHES in the `torch/utils/cpp_extension.py` of torch 2.14.1 and the releases
#: before it.
GENERATIONS = {
    "Kepler+Tesla": "3.7",
    "Kepler": "3.5+PTX",
    "Maxwell+Tegra": "5.3",
    "Maxwell": "5.0;5.2+PTX",
    "Pascal": "6.0;6.1+PTX",
    "Volta+Tegra": "7.2",
    "Volta": "7.0+PTX",
    "Turing": "7.5+PTX",
    "Ampere+Tegra": "8.7",
    "Ampere": "8.0;8.6+PTX",
    "Ada": "8.9+PTX",
    "Hopper": "9.0+PTX",
    "Blackwell+Tegra": "11.0",
    "Blackwell": "10.0;10.3;12.0;12.1+PTX",
    "Rubin": "10.7+PTX",
}


def capability(name: str) -> tuple[int, int]:
    """`sm_120` or `compute_120` → (12, 0). Raises ValueError for anything else."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"not a GPU architecture: {name!r} (expected e.g. 'sm_90' or 'compute_90')")
    return int(match[2]), int(match[3])


def sort_key(name: str) -> tuple[int, int, bool, str]:
    """Orders names by number (as text, 100 would come before 90), machine code before PTX."""
    return (*capability(name), name.startswith("compute"), name)


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names without duplicates, oldest architecture first, PTX after machine code."""
    return tuple(sorted(set(names), key=sort_key))


def parse_arch_list(text: str) -> tuple[str, ...]:
    """Returns nvcc's names for a `TORCH_CUDA_ARCH_LIST`.

    `"8.6;9.0a+PTX"` (or with spaces or commas) → `("sm_86", "sm_90a", "compute_90a")`. Raises ValueError that names an
    entry that is neither a number nor a generation.
    """
    names = []
    for entry in re.split(r"[;,\s]+", text.strip()):
        for listed in GENERATIONS.get(entry, entry).split(";"):
            match = _LISTED.fullmatch(listed)
            if match is None:
                raise ValueError(f"{entry!r} is no GPU architecture (expected e.g. '8.6', '9.0+PTX' or 'Ampere')")
            number = match[1] + match[2] + match[3].lower()
            names.append(f"sm_{number}")
            if match[4]:
                names.append(f"compute_{number}")
    return sorted_names(names)


def to_arch_list(names: Iterable[str]) -> str:
    """Returns a `TORCH_CUDA_ARCH_LIST` for names: `("sm_86", "sm_90", "compute_90")` → `"8.6;9.0+PTX"`."""
    entries: dict[str, bool] = {}
    for name in sorted_names(names):
        match = _NAME.fullmatch(name)
        assert match is not None  # sorted_names has refused anything else
        number = f"{match[2]}.{match[3]}{match[4]}"
        entries[number] = entries.get(number, False) or match[1] == "compute"
    return ";".join(number + "+PTX" * ptx for number, ptx in entries.items())


def gencode_flags(names: Iterable[str]) -> list[str]:
    """Returns nvcc's `-gencode` flags for exactly these architectures."""
    return [f"-gencode=arch=compute_{name.split('_')[1]},code={name}" for name in sorted_names(names)]


def best_match(names: Iterable[str], gpu: tuple[int, int]) -> str | None:
    """Returns the entry of a binary that a GPU of this capability runs, or None if it can run none.

    Machine code runs on its own major with the same or a higher minor (`sm_80` on 8.6), PTX on its
    own capability and everything newer; `a` code only on its own capability, `f` code within its
    major. Source: CUDA C++ Programming Guide, the sections "Binary compatibility", "PTX
    compatibility" and "Family-specific features".
    """
    candidates = [name for name in names if _runs(name, gpu)]
    return max(
        candidates,
        key=lambda name: (name.startswith("sm"), capability(name)),
        default=None,
    )


def _runs(name: str, gpu: tuple[int, int]) -> bool:
    built = capability(name)
    if name.endswith("a"):
        return built == gpu
    if name.endswith("f") or name.startswith("sm"):
        return built[0] == gpu[0] and built[1] <= gpu[1]
    return built <= gpu
