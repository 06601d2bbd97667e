"""Wheels that are made for the torch, CUDA and Python of a log: the one way to install them, whatever has failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.asked import there
from dcnbuild.machine import prebuilt, wheels

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit

#: What shows a torch that no wheel is made for, a symbol of the old ABI, a project for mmcv 1.
_OWN_TORCH, _OLD_ABI, _MMCV_1 = wording.patterns("own_torch", "old_abi", "mmcv_1")


def wheel_for(hit: Hit, package: str, in_place: bool = False) -> Iterator[Fix]:
    """The wheel of a package, or of a requirement of it, for this torch, CUDA, Python and ABI, as far as the log shows
    them; where to choose one `in_place` of a build, and on Windows. Nothing where there is none.
    """
    seen, torch, cuda, python = hit.context, hit["torch"], hit["torch_cuda"], hit["running"] or hit["python"]
    system = "windows" if seen.windows else "mac" if seen.mac else "aarch64" if seen.aarch64 else "linux"
    package = of_mmcv(hit, package) if prebuilt.of_mmcv(package) else package
    name = prebuilt.name_of(package)
    had, abi = there(seen).get(name, ""), "TRUE" * bool(_OLD_ABI.search(hit.text))
    own = seen.first(_OWN_TORCH) is not None
    words = prebuilt.find(package, "" if own else torch, cuda, python, had, abi, system)
    page = [] if own or words else prebuilt.asked_page(name, torch, cuda, python, system)
    if words:
        yield fixes.say(f"Install the wheel of {name} that was made for this torch, CUDA and Python:")
        yield from (fixes.run(*line) for line in prebuilt.before(name))
        yield fixes.pip("install", *prebuilt.options(name, words[0], had), *words)
    elif page and in_place:
        yield fixes.say(f"Install the wheel of {name} from the page for this torch and CUDA, such as {page[2]}")
    elif page:
        yield fixes.say(f"Install the wheel of {name} that was made for this torch and CUDA:")
        yield fixes.set_env_from("PIP_FIND_LINKS", "python", "-c", page[1])
        yield fixes.pip("install", *prebuilt.options(name, page[0], had), "--only-binary=:all:", page[0])
    elif seen.windows and prebuilt.page(name):
        yield fixes.say(f"Install {wheel_page(hit, name)}")
    elif not in_place:
        yield from (fixes.run(*line) for line in prebuilt.otherwise(package, torch))


def wheel_page(hit: Hit, package: str) -> str:
    """The same of one to be chosen, in words."""
    tags = prebuilt.tags(hit["torch"], hit["torch_cuda"], hit["python"], hit.context.windows)
    return f"the wheel of {package} whose name has {tags}, from {prebuilt.page(package) or 'its releases page'}"


def wheel_or(hit: Hit, package: str, build: Iterable[Fix], compiles: bool = True) -> Iterator[Fix]:
    """The wheel of a package; its build where there is none, or it wants a newer system, and where it `compiles`."""
    taken = "GLIBC_" in hit["version"] or wheels.taken(prebuilt.name_of(package), hit["torch"], hit.around(400, 400))
    made = [] if taken else [*wheel_for(hit, package)]
    yield from made
    if made and (not compiles or prebuilt.only_wheels(package) or prebuilt.of_mmcv(package)):
        return
    yield from [fixes.say("or compile it for this torch, which needs nvcc:")] if made else []
    yield from build


def of_mmcv(hit: Hit, requirement: str = "mmcv") -> str:
    """The mmcv that is asked for, else the one that is there, or was made for the project."""
    named = (hit.context.asked.named(name) for name in ("mmcv-full", "mmcv")) if hit.context.asked else ()
    said = next(filter(None, named), "")
    wanted = said if "==" in said else requirement
    if re.fullmatch(r"mmcv(?:>=2.0.0,<2.2.0)?", wanted):
        listed = (f"{name}=={had}" for name, had in there(hit.context).items() if name in ("mmcv", "mmcv-full"))
        wanted = next(listed, "mmcv<2" if hit.context.first(_MMCV_1) else wanted)
    return wanted
