"""Libraries that the loader does not find, or that are made for another machine or system."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import symbols, tables
from dcnbuild.doctor.logs.lookups.traceback import frames
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import libraries


def library(hit: Hit) -> libraries.Library:
    """What is known of the library, with the packages for the CUDA of this log."""
    return libraries.library(hit["name"], symbols.cuda_of_log(hit))


def place(hit: Hit) -> str:
    """The library by its whole path: torch's own lies in lib beside the file that imports it; "" if not shown."""
    name = hit["library"] or hit["name"]
    if "/" in name:
        return name
    files = (frame.file for frame in frames(hit) if frame.owner.kind == "torch")
    inside = next((found[0] for file in files if (found := re.match(r".*-packages/torch/", file))), "")
    return f"{inside}lib/{name}" if inside and re.match(r"lib(?:torch|c10|shm|caffe2)", name) else ""


def built_for(hit: Hit) -> str:
    """The package that is built for one CUDA and that the log shows, "" without one."""
    around, rows = hit.around(before=14, after=4), tables.rows("built_for").items()
    return next((package for package, row in rows if re.search(row["shows"], around)), "")


def installed(hit: Hit) -> bool:
    """Whether the log shows the package that brings the library to be installed: the loader does not look there."""
    name = re.escape(library(hit).pip)
    return bool(name) and hit.context.first(re.compile(rf"(?:^|satisfied: ){name}(?:==| {{1,40}})\d")) is not None


def listed(hit: Hit) -> str:
    """The directory in which the log lists the library, by `ls` or `find`, "" where it lists none."""
    line = re.compile(rf"(?P<path>/\S{{1,200}})/{re.escape(re.split(r'[/]', hit['name'])[-1])}[\w.]*")
    found = (line.fullmatch(hit.log.text(number).strip()) for number in range(len(hit.log)))
    return next((one["path"] for one in found if one), "")


def releases(hit: Hit) -> Iterator[Fix]:
    """Its releases for each CUDA."""
    package, used = built_for(hit), symbols.cuda_of_log(hit)
    row = tables.rows("built_for").get(package, {})
    for cuda, requirement in row.items():
        if cuda == used or (used not in row and cuda != "shows"):
            yield fixes.say(f"Install the release of {package} for CUDA {cuda}:")
            yield fixes.pip_install(requirement)


def who(hit: Hit) -> str:
    """Who asked for the library."""
    loader = symbols.loader(hit)
    named = built_for(hit) if loader.kind == "unknown" else loader.package
    return "torch" if loader.kind == "torch" else named or "The imported module"
