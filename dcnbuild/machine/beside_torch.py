"""What goes along with a torch: packages made for one release of it, its wheels for ARM.

Asks beside_torch.yaml; "" and None stand for what it does not have.
"""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import allows, numbers, same_minor
from dcnbuild.machine.compatibility import companion_release, table, torch_release


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
    known = package in rows("on_index_of_torch") and tag.startswith("cu")
    return ("--index-url", f"https://download.pytorch.org/whl/{tag}") if known else ()


def requirement(package: str, torch: str) -> str:
    """A package that goes along with a torch: ("torchvision", "2.1.0") → "torchvision==0.16.*"."""
    release = companion_release(package, torch) if package in ("torchvision", "torchaudio") else None
    made = f"{release}.*" if release else fitting(package, torch)
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


def wheel_options(package: str, torch: str, python: str = "", system: str = "Linux") -> tuple[str, ...]:
    """What pip is asked for to get a package's wheel for a torch, and the options that find it, () where there is none.

    Example: ("torch-scatter", "2.5.1+cu124") → ("torch-scatter", "-f", "https://data.pyg.org/whl/torch-2.5.0+cu124.html").
    """
    row = rows("wheel_pages").get(package)
    found = re.fullmatch(r"(?P<release>(?P<minor>\d+\.\d+)\.\d+)(?:\+(?P<tag>\w+))?", torch)
    if not (row and found and row.get(system.lower(), True)) or (system == "Darwin" and not row.get("mac")):
        return ()
    tag, (first, last) = "cpu" if system == "Darwin" else found["tag"] or "", row["torch"]
    within = numbers(first) <= numbers(found["minor"]) and (not last or numbers(found["minor"]) <= numbers(last))
    fits = re.fullmatch(row["tags"], tag) and (not python or re.fullmatch(row.get("python", ".*"), python))
    words = {**found.groupdict(), "tag": tag, "digits": found["minor"].replace(".", "")}
    return (row.get("name", package), row["by"], row["at"].format(**words)) if within and fits else ()


def sibling(name: str) -> str:
    """For "spconv-cu128", the newest that there is: "spconv-cu126"."""
    stem, _, ending = name.rpartition("-")
    known = rows("named_after_cuda").get(stem, [])
    if not known or ending in known:
        return ""
    digits = "".join(filter(str.isdigit, ending))
    older = [item for item in known if "".join(filter(str.isdigit, item)) <= digits]
    return f"{stem}-{(older or known)[-1]}"


def of_openmmlab(requirement: str, torch: str, cuda: str = "") -> dict[str, str]:
    """What installs mmcv with its operators: the `requirement`, and the page `links` with its wheel, "" without one.

    Of an exact release that has no wheel for this torch, the next that has one stands for it; 1.x is mmcv-full.

    Example: ("mmcv>=2.0.0,<2.2.0", "2.1.2+cu118") → mmcv==2.1.0, ".../mmcv/dist/cu118/torch2.1.0/index.html".
    """
    spec = re.sub(r"^mmcv(?:-full|-lite)?", "", requirement) or ("<2" if "full" in requirement else "")
    release, _, tag = torch.partition("+")
    known = torch_release(release) if release else None  # of which PyPI has the wheel for its usual CUDA
    minor, cuda = ".".join(map(str, numbers(release)[:2])), cuda or (known.default if known else "")
    tag = tag or f"cu{cuda.replace('.', '')}"
    row = rows("mmcv_wheels").get(minor, {"cuda": ()})
    every = [str(one) for one in rows("mmcv_releases")]
    there = [one for one in every if tag in row["cuda"] and _within(one, str(row["first"]), str(row["last"]))]
    fits = [one for one in every if allows(f"mmcv{spec}", {"mmcv": one})]
    exact = spec[2:] if re.fullmatch(r"==\d[\d.]*", spec) else ""
    major = numbers(exact)[:1]
    later = [one for one in there if exact and numbers(one)[:1] == major and numbers(one) >= numbers(exact)]
    usual = [one for one in there if one in fits and one != "2.2.0"]  # which mmdet 3 and its like refuse
    found = next(iter(usual[-1:] or [one for one in there if one in fits] or later[:1]), "")
    old = numbers(found or exact or next(iter(fits[-1:]), "2")) < (2,)
    name = "mmcv-full" if old else "mmcv"
    links = f"https://download.openmmlab.com/mmcv/dist/{tag}/torch{minor}.0/index.html"
    return {"requirement": f"{name}=={found}" if found else f"{name}{spec}", "links": links if found else ""}


def _within(release: str, first: str, last: str) -> bool:
    return numbers(first) <= numbers(release) <= numbers(last)
