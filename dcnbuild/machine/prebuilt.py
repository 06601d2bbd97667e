"""Wheels that are made for one torch, CUDA and Python, and what pip is given for them.

Asks prebuilt.yaml, and beside_torch.yaml for packages each of whose releases is made for one torch; () and "" stand for
what they do not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import allows, numbers
from dcnbuild.machine import beside_torch
from dcnbuild.machine.compatibility import torch_release

#: A release of torch that wheels are made for: none of NVIDIA's own, and no nightly one.
_RELEASED = re.compile(r"(?P<full>(?P<torch>\d+\.\d+)(?P<patch>\.\d+)?)(?:\+(?P<tag>\w+))?")
#: What Python code calls the parts of torch's version that are in the name of a page.
_ASKED = {"torch": "m", "full": "r", "tag": "t"}


def rows(section: str) -> Any:
    """A section of prebuilt.yaml."""
    return plain_yaml.beside(__file__, "prebuilt.yaml")[section]


def name_of(package: str) -> str:
    """Its name as the tables have it: "flash_attn" → "flash-attn", and of a requirement its package."""
    return re.sub(r"[-_.]+", "-", re.split(r"[ \[<>=!~]", package)[0]).lower()


def page(package: str) -> str:
    """Where its wheels for other systems and torches are, to choose from."""
    return str(rows("pages").get(name_of(package), ""))


def only_wheels(package: str) -> bool:
    """Whether there is nothing of it that pip could compile."""
    return name_of(package) in (*rows("only_wheels"), *beside_torch.rows("follows_torch"))


def listed(package: str) -> bool:
    """Whether the tables have wheels of it, be it for another torch."""
    return name_of(package) in rows("wheels") or asks_for_torch(package)


def asks_for_torch(package: str) -> bool:
    """Whether each of its releases is made for one torch, and says so to pip."""
    name = name_of(package)
    made = name in beside_torch.rows("made_for_torch") and name not in rows("only_wheels")
    return made or name in beside_torch.rows("follows_torch")


def of_mmcv(package: str) -> bool:
    """Whether it is mmcv with its operators, of which each torch has wheels of other releases."""
    return name_of(package) in ("mmcv", "mmcv-full")


def abi_of(torch: str) -> str:
    """Whether a torch of PyPI or of download.pytorch.org has the C++11 ABI, as wheels are named after it.

    Those before 2.7 have not, but for 2.6.0 for CUDA 12.6 (the release notes of torch 2.6).
    """
    release, _, tag = torch.partition("+")
    return "TRUE" if numbers(release) >= (2, 7) or (numbers(release) >= (2, 6) and tag >= "cu126") else "FALSE"


def cuda_of(torch: str, cuda: str) -> str:
    """The CUDA of a torch: of its tag, else as known, else that of PyPI's for Linux: "2.6.0" → "12.4"; "" of none."""
    release, _, tag = torch.partition("+")
    if tag:
        found = re.fullmatch(r"cu(\d+)(\d)", tag)
        return f"{found[1]}.{found[2]}" if found else ""
    known = torch_release(release) if release and not cuda else None
    return known.default if known else cuda


def find(
    package: str,
    torch: str,
    cuda: str,
    python: str,
    had: str = "",
    abi: str = "",
    on: str = "linux",
) -> list[str]:
    """What pip installs for a torch: a requirement or a URL, and options that find it, such as an index.

    Args:
        package: its name on PyPI, or its module, or, of mmcv, a requirement.
        torch: such as "2.6.0+cu124".
        cuda: of that torch: "12.4", or "12".
        python: such as "3.12".
        had: the release of the package that is installed.
        abi: TRUE or FALSE, where it is known otherwise than by the release.
        on: linux, on Intel and AMD, aarch64, windows or mac.
    """
    name, found, used = name_of(package), _RELEASED.fullmatch(torch), cuda_of(torch, cuda)
    tag = "cpu" if on == "mac" else (found and found["tag"]) or (f"cu{cuda.replace('.', '')}" if "." in cuda else "")
    if of_mmcv(name):
        known = of_openmmlab(package, torch, cuda, python, on)
        return [known["requirement"], "-f", known["links"]] if known["links"] else []
    words = {"major": used.partition(".")[0], "cu": used.replace(".", ""), "tag": tag, "had": had}
    words |= {"python": python.replace(".", "")}
    if found:
        two = found["torch"].replace(".", "")
        words |= {
            "torch": found["torch"],
            "full": found["full"] if found["patch"] else "",
            "two": two,
            "three": f"{two}0",
        }
        words |= {"abi": abi or abi_of(torch)}
    for row in _there(name, torch, python, on):
        for_cuda = "cuda" not in row or not {used, words["major"]}.isdisjoint(row["cuda"])
        fits = row.get("cpu") if tag == "cpu" else for_cuda and (not tag or tag.startswith("cu"))
        said = words | {"release": str(row.get("release", ""))}
        taken = [*map(str, row["take"])]
        if fits and all(said.get(one) for one in re.findall(r"{(\w+)}", " ".join(taken))):
            return [word.format(**said) for word in taken]
    there = found and on in rows("made_for_systems").get(name, (on,))
    made = beside_torch.requirement(name, torch) if there else ""
    return [made, *beside_torch.index(name, torch)] if made else []


def options(package: str, requirement: str, had: str) -> list[str]:
    """The options with which pip takes a wheel: in place of what is there, and of nothing else.

    What asks for this very torch brings what else it needs. pip keeps the wheel of mmcv that it has compiled.
    """
    asks = asks_for_torch(package) and not allows(requirement, {name_of(package): had})
    return ["--no-cache-dir"] if of_mmcv(package) else [] if asks else ["--force-reinstall", "--no-deps"]


def before(package: str) -> list[list[str]]:
    """What is run before its wheel is installed."""
    return [[*map(str, words)] for words in rows("before").get(name_of(package), ())]


def otherwise(package: str, torch: str) -> list[list[str]]:
    """What installs it where there is no wheel of it, or where torch is not known."""
    known = of_openmmlab(package, torch)["requirement"] if of_mmcv(package) else package
    return [[word.format(requirement=known) for word in words] for words in rows("otherwise").get(name_of(package), ())]


def asked_page(package: str, torch: str, cuda: str, python: str, on: str) -> list[str]:
    """Where the CUDA of torch is not known: what pip is asked for, Python code that prints the page, such a page."""
    row = next(_there(name_of(package), torch, python, on), {"take": [""]})
    known = "+" in torch or (torch and cuda) or on != "linux"
    if known or row["take"][1:2] != ["-f"] or "{tag}" not in row["take"][2]:
        return []
    at = re.sub(r"{(\w+)}", lambda word: f'" + {_ASKED[word[1]]} + "', row["take"][2])
    code = 'import torch; r, _, t = torch.__version__.partition("+"); m = r[:r.rindex(".")]; print("AT")'
    such = find(package, f"{row.get('until', '2.8')}.0", row.get("cuda", ["12.6"])[-1], python)
    return [row["take"][0], code.replace("AT", at), such[2]]


def _there(name: str, torch: str, python: str, on: str) -> Iterator[Any]:
    """The rows that fit a torch, Python and system, as far as these are known."""
    found = _RELEASED.fullmatch(torch)
    for row in rows("wheels").get(name, ()) if found or not torch else ():
        first, last = row.get("since", "0"), row.get("until", "99")
        within = not found or numbers(first) <= numbers(found["torch"]) <= numbers(last)
        fits = (not found or _fits(row, "torch", found["torch"])) and (not python or _fits(row, "python", python))
        if within and fits and on in row.get("systems", ("linux",)):
            yield row


def last_torch(package: str, torch: str) -> str:
    """The newest torch that PyG has a wheel of a package for, where another is newer, "2.12.0"; else ""."""
    pages = [row for row in rows("wheels").get(name_of(package), ()) if "data.pyg.org" in str(row["take"]) and torch]
    last = pages[-1].get("until", "99") if pages else "99"
    return f"{last}.0" if numbers(torch)[:2] > numbers(last) else ""


def known(package: str, torch: str, cuda: str, python: str) -> bool:
    """Whether it has one for Linux on Intel and AMD."""
    return bool(find(package, torch, cuda, python))


def has(package: str, torch: str, cuda: str, python: str, tag: str) -> bool:
    """Whether it has one like a wheel whose name ends in a tag of a system, "linux_x86_64", for another Python."""
    return tag.startswith(("linux", "manylinux")) and bool(find(package, torch, cuda, python))


def _fits(row: Any, name: str, known: str) -> bool:
    return name not in row or known in row[name]


def tags(torch: str, cuda: str, python: str, windows: bool) -> str:
    """What a wheel for these has in its name, in words: "cu128, torch2.7, cp312 and win_amd64"."""
    minor = ".".join(map(str, numbers(torch)[:2]))
    words = [f"cu{cuda.replace('.', '')}" * bool(cuda), f"torch{minor}" * bool(minor)]
    words += [f"cp{python.replace('.', '')}" * bool(python), "win_amd64" if windows else "linux_x86_64"]
    return " and ".join(", ".join(filter(None, words)).rsplit(", ", 1))


def of_openmmlab(requirement: str, torch: str, cuda: str = "", python: str = "", on: str = "linux") -> dict[str, str]:
    """What installs mmcv with its operators: the `requirement`, and the page `links` with its wheel, "" without one.

    Of an exact release that has no wheel for this torch, the next that has one stands for it; 1.x is mmcv-full.

    Example: ("mmcv>=2.0.0,<2.2.0", "2.1.2+cu118") → mmcv==2.1.0, ".../mmcv/dist/cu118/torch2.1.0/index.html".
    """
    spec = re.sub(r"^mmcv(?:-full|-lite)?", "", requirement) or ("<2" if "full" in requirement else "")
    release, _, tag = torch.partition("+")
    minor, cuda = ".".join(map(str, numbers(release)[:2])), cuda_of(release, cuda)
    tag = "cpu" if on == "mac" else tag or f"cu{cuda.replace('.', '')}"
    row = rows("mmcv_wheels").get(minor, {"cuda": ()})
    served = tag in row["cuda"] and on != "aarch64" and numbers(python) < (3, 12)
    every = [str(one) for one in rows("mmcv_releases")]
    there = [one for one in every if served and _within(one, str(row["first"]), str(row["last"]))]
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
