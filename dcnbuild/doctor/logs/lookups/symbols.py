"""Symbols that the loader does not find: who was loaded, and which library hides the right one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base.versions import same_minor
from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import asked
from dcnbuild.doctor.logs.fix_verbs import rebuild, rebuild_of
from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.lookups.traceback import frames
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.wheel_verbs import wheel_for, wheel_page
from dcnbuild.knowledge import libraries, modules
from dcnbuild.machine import prebuilt, versions

_LOADS_FOR_OTHERS, _SOURCE = wording.patterns("loads_for_others", "named_source")


def function(symbol: str) -> str:
    """The bare name of a function, to look for in sources."""
    return re.sub(r"^_Z\d+|\W.*", "", libraries.demangle(symbol))


def left_out(hit: Hit) -> dict[str, str]:
    """The source that the log lists, called like the function, and not compiled; `beside` one that setup.py names."""
    name = function(hit["symbol"])
    if libraries.of_torch(hit["symbol"]) or provider(hit):
        return {}
    found = [(path, one.string) for one in hit.log.found(_SOURCE).values() for path in _SOURCE.findall(one.string)]
    quoted = [path for path, line in found if f"'{path}'" in line or f'"{path}"' in line]
    made = [path for path, line in found if re.search(r"[\s']-c[\s']", line)]
    used = {path.rpartition("/")[2] for path in (*made, *quoted)}
    for path in (path for path, _ in found if made and path.rpartition("/")[2] not in used):
        stem, _, ending = path.rpartition("/")[2].rpartition(".")
        if len(stem) > 3 and stem.lower() in name.lower():
            beside = next((one for one in (*quoted, *made) if one.endswith(ending)), made[0])
            folder = "" if "/" in path else "".join(beside.rpartition("/")[:2])
            return {"source": folder + path, "beside": beside if beside in quoted else ""}
    return {}


def loader(hit: Hit) -> Owner:
    """Whose library was being loaded: the one that the message names, else what the traceback runs through."""
    if hit["maker"]:
        return Owner("package", hit["maker"])
    if hit["library"]:
        found = owner(hit["library"], hit.around(60, 60))
        # one of NVIDIA's is NVIDIA's in /usr, too: nobody builds it, and it stands in for that of torch
        of_cuda = found.kind in ("toolkit", "system", "conda") and libraries.library(hit["library"]).owner == "cuda"
        return Owner("nvidia", "nvidia") if of_cuda else found
    outside = ("python", "system", "unknown")
    owners = (frame.owner for frame in frames(hit, before=30) if not _LOADS_FOR_OTHERS.search(frame.file))
    return next((found for found in owners if found.kind not in outside), Owner("unknown"))


def release(hit: Hit) -> str:
    """The release of what was being loaded, as pip lists it."""
    return hit.context.group(re.compile(rf"^(?:\S+ )?{re.escape(loader(hit).package)}(?:==| {{2,}})(\d\S*)")) or ""


def made_for(hit: Hit) -> str:
    """The torch that the wheel of what was loaded is named after, "+cu128torch2.8" → "2.8", where another is there."""
    name = re.sub(r"[-_]", "[-_]", loader(hit).package)
    like = re.compile(rf"(?i)\b{name}\b\S{{0,20}} {{0,40}}\S{{0,30}}?\+\S{{0,8}}?torch(\d)(?:\.(\d+)|(\d+?)0(?=c))")
    found = hit.context.first(like) if name and hit["torch"] else None
    made = f"{found[1]}.{found[2] or found[3]}" if found else ""
    return made if made and not same_minor(made, hit["torch"]) else ""


def provider(hit: Hit) -> str:
    """The library that has the symbol; what only looks like a function of the CUDA runtime is left out."""
    found = libraries.maker(hit["symbol"]).library
    return "" if found == "libcudart" and not re.match(r"cuda[A-Z]", hit["symbol"]) else found


def cuda_of_log(hit: Hit) -> str:
    """The major version of the CUDA of the log's torch, else of its toolkit, else of the libraries that pip lists."""
    listed = {name[-2:] for name in asked.there(hit.context) if re.fullmatch(r"nvidia-\w+-cu\d\d", name)}
    return (hit["torch_cuda"] or hit["toolkit"]).partition(".")[0] or (listed.pop() if len(listed) == 1 else "")


def wheel(hit: Hit) -> str:
    """The package on PyPI for the CUDA of this log: "nvidia-nccl-cu13" → "nvidia-nccl-cu12"."""
    package, cuda = libraries.maker(hit["symbol"]).package, cuda_of_log(hit) or "12"
    return f"{re.sub(r'-cu[0-9]+$', '', package)}-cu{cuda}" if cuda in ("11", "12") else package


def reinstall(hit: Hit) -> Iterator[Fix]:
    """What was built for another torch, built for this one."""
    package = loader(hit).package
    path = hit["library"] or (f"site-packages/{package.replace('-', '_')}/" if package else "")
    if package in ("torchvision", "torchaudio", "torchtext"):  # each release is made for one torch
        both = ("--upgrade", "--force-reinstall")
        yield from [*wheel_for(hit, package)] or [fixes.pip_install("torch", package, options=both)]
        return
    backend = tables.rows("for_one_cuda").get(package, {}).get(hit.context.installer, ())
    wheel = versions.wheel_for_major(f"{hit['cuda']}.99", hit["torch"].partition("+")[0])
    if backend and hit["cuda"] and wheel:
        words = (word.replace("{cuda}", versions.tag(wheel.cuda)) for word in backend)
        yield fixes.say(f"Install a torch for the same CUDA as {package}:")
        yield fixes.pip("install", f"{package}=={had}" if (had := release(hit)) else package, *words)
        return
    for other in asked.beside(hit.context, package):
        yield from [*wheel_for(hit, other)] or rebuild_of(hit, other)
    yield from rebuild(hit, path)
    somewhere = prebuilt.page(package) or not prebuilt.listed(package) and modules.of_file(path) is None
    if package and somewhere and not any(wheel_for(hit, package)):
        yield fixes.say(f"or install {wheel_page(hit, package)}")
