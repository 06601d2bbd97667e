"""What goes along with a torch: packages made for one release of it, its wheels for ARM.

Asks beside_torch.yaml; "" and None stand for what it does not have.
"""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers, same_minor
from dcnbuild.machine.compatibility import companion_release, table


def rows(section: str) -> Any:
    """A section of beside_torch.yaml."""
    return plain_yaml.beside(__file__, "beside_torch.yaml")[section]


def fitting(package: str, torch: str) -> str:
    """The release of a package that is made for a torch, for whichever CUDA that is: "2.5.1+cu124" → "0.0.29.post1"."""
    row, release = rows("made_for_torch").get(package.replace("_", "-"), {}), torch.partition("+")[0]
    return str(row.get(release) or row.get(".".join(release.split(".")[:2]), ""))


def index(package: str, torch: str) -> tuple[str, ...]:
    """The option of pip for the index that has a package for the CUDA of a torch: "2.8.0+cu128" → that of cu128."""
    tag = torch.partition("+")[2]
    known = re.fullmatch(rows("on_index_of_torch").get(package, "(?!)"), tag)
    return ("--index-url", f"https://download.pytorch.org/whl/{tag}") if known else ()


def requirement(package: str, torch: str) -> str:
    """A package that goes along with a torch: ("torchvision", "2.1.0") → "torchvision==0.16.*"."""
    release = companion_release(package, torch) if package in ("torchvision", "torchaudio") else None
    minor = numbers(torch)[:2] if package in rows("follows_torch") else ()
    made = f"{release}.*" if release else f"{minor[0]}.{minor[1]}.*" if minor else fitting(package, torch)
    return f"{package}=={made}" if made else ""


def torch_of(package: str, release: str) -> str:
    """The torch that a torchvision or torchaudio is made for: "0.19.1" → "2.4.1"."""
    rows = (row.newest for row in table().torch if same_minor(companion_release(package, row.newest) or "", release))
    return next(rows, "")


def on_arm(torch: str | None, cuda: str) -> tuple[str | None, str]:
    """The torch, None for the newest, and its CUDA, that has a wheel for a server with an ARM CPU."""
    if torch is not None and numbers(torch) >= (2, 9):
        return torch, cuda
    own = rows("aarch64").get(".".join(map(str, numbers(torch or "")[:2])))
    return (torch, own) if own else (None, "13.0")


def sibling(name: str) -> str:
    """For "spconv-cu128", the newest that there is: "spconv-cu126"."""
    stem, _, ending = name.rpartition("-")
    known = rows("named_after_cuda").get(stem, [])
    if not known or ending in known:
        return ""
    digits = "".join(filter(str.isdigit, ending))
    older = [item for item in known if "".join(filter(str.isdigit, item)) <= digits]
    return f"{stem}-{(older or known)[-1]}"
