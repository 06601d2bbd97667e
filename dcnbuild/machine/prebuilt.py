"""Wheels that are made for one torch, CUDA and Python, and what pip is given for them.

Asks prebuilt.yaml; () and "" stand for what it does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers


def rows(section: str) -> Any:
    """A section of prebuilt.yaml."""
    return plain_yaml.beside(__file__, "prebuilt.yaml")[section]


def name_of(package: str) -> str:
    """Its name as the tables have it: "flash_attn" → "flash-attn"."""
    return re.sub(r"[-_.]+", "-", package).lower()


def page(package: str) -> str:
    """Where its wheels for other systems and torches are, to choose from."""
    return str(rows("pages").get(name_of(package), ""))


def only_wheels(package: str) -> bool:
    """Whether there is nothing of it that pip could compile."""
    return name_of(package) in rows("only_wheels")


def abi_of(torch: str) -> str:
    """Whether a torch of PyPI or of download.pytorch.org has the C++11 ABI, as wheels are named after it.

    Those before 2.7 have not, but for 2.6.0 for CUDA 12.6 (the release notes of torch 2.6).
    """
    release, _, tag = torch.partition("+")
    return "TRUE" if numbers(release) >= (2, 7) or (numbers(release) >= (2, 6) and tag >= "cu126") else "FALSE"


def cuda_of(torch: str, cuda: str) -> str:
    """The CUDA of a torch, where only its release is known that of PyPI's for Linux: "2.6.0" → "12.4"."""
    return cuda or str(rows("cuda_of_pypi").get(".".join(map(str, numbers(torch)[:2])), ""))


def find(package: str, torch: str, cuda: str, python: str, had: str = "", abi: str = "", on: str = "") -> list[str]:
    """What pip installs for a torch: words that end in options, such as an index.

    Args:
        package: its name on PyPI, or its module.
        torch: such as "2.6.0+cu124".
        cuda: of that torch: "12.4", or "12".
        python: such as "3.12".
        had: the release of the package that is installed.
        abi: TRUE or FALSE, where it is known otherwise than by the release.
        on: windows, mac or aarch64, "" for Linux on Intel and AMD.
    """
    minor, used = ".".join(map(str, numbers(torch)[:2])), cuda_of(torch, cuda)
    words = {"torch": minor, "three": minor.replace(".", "") + "0", "major": used.partition(".")[0], "had": had}
    words |= {"cu": used.replace(".", ""), "python": python.replace(".", ""), "abi": abi or abi_of(torch)}
    for row in rows("wheels").get(name_of(package), ()):
        fits = _fits(row, "torch", [minor]) and _fits(row, "cuda", [used, words["major"]])
        there = on in {"any": ("", "aarch64", "windows"), "linux": ("", "aarch64")}.get(row.get("systems"), ("",))
        taken = [*map(str, row["take"])]
        if fits and there and _fits(row, "python", [python]) and ("{had}" not in "".join(taken) or had):
            words["release"] = str(row.get("release", ""))
            return [word.format(**words) for word in taken]
    return []


def known(package: str, torch: str, cuda: str, python: str) -> bool:
    """Whether it has one for Linux on Intel and AMD."""
    return bool(find(package, torch, cuda, python))


def has(package: str, torch: str, cuda: str, python: str, tag: str) -> bool:
    """Whether it has one like a wheel whose name ends in a tag of a system, "linux_x86_64", for another Python."""
    return tag.startswith(("linux", "manylinux")) and bool(find(package, torch, cuda, python))


def _fits(row: Any, name: str, known: Iterable[str]) -> bool:
    return name not in row or any(one in row[name] for one in known)


def tags(torch: str, cuda: str, python: str, windows: bool) -> str:
    """What a wheel for these has in its name, in words: "cu128, torch2.7, cp312 and win_amd64"."""
    minor = ".".join(map(str, numbers(torch)[:2]))
    words = [f"cu{cuda.replace('.', '')}" * bool(cuda), f"torch{minor}" * bool(minor)]
    words += [f"cp{python.replace('.', '')}" * bool(python), "win_amd64" if windows else "linux_x86_64"]
    return " and ".join(", ".join(filter(None, words)).rsplit(", ", 1))
