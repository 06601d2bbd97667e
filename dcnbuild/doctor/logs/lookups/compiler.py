"""The compilers: nvcc where none is, how new a gcc may be for CUDA, which C++ standard the errors ask for."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import names
from dcnbuild.machine import versions
from dcnbuild.machine.compatibility import cxx_standard, newest_compiler

_FLAG = re.compile(r"[-/]std[=:](?:c|gnu)\+\+(\d\w)\b")


def newest(hit: Hit) -> str:
    """The newest gcc that goes: what the message says, else what the toolkit in the log takes."""
    if hit["newest"]:
        return hit["newest"]
    if hit["below"]:
        return str(int(hit["below"]) - 1)
    toolkit = hit["cuda"] or hit["toolkit"]
    accepted = newest_compiler(toolkit, "gcc") if toolkit else None
    have = hit["version"] or hit["gcc"]
    if have and _unparsed(hit):  # where nvcc accepts a gcc by its number it may still not parse its headers
        return str(min(accepted or 99, int(have) - 1))
    return str(accepted or "")


def _unparsed(hit: Hit) -> bool:
    """Whether nvcc failed on a header of gcc, and not on its version number."""
    return "GNU version" not in hit.text and "by CUDA" not in hit.text


def newer_toolkit(hit: Hit) -> str | None:
    """The first newer CUDA that accepts the gcc."""
    have = int(hit["version"] or hit["gcc"] or 0)
    return versions.toolkit_for_gcc(have + _unparsed(hit), hit["cuda"] or hit["toolkit"])


def least(hit: Hit) -> str:
    """The oldest gcc that does: gcc 9 knows C++17 in full, gcc 11 what torch uses of C++20."""
    standard = cxx_standard(hit["torch"]) if hit["torch"] else None
    return hit["wanted"] or ("11" if standard == 20 or "2" in hit["standard"][3:4] else "9")


def _all_names() -> str:
    return "|".join(reversed(tables.rows("standards").values()))


def standard(hit: Hit) -> int | None:
    """The newest standard that the errors from the line on ask for."""
    text = hit.around(after=3000)
    found = {int(number) for number in re.findall(r"only available (?:from|with) C\+\+(\d\d)", text)}
    if hit["standard"]:
        found.add(int(hit["standard"][-2:]))
    missing = re.findall(rf"\W({_all_names()})\W.{{0,40}}(?:\Wstd\W|has no member)", text)
    for name in {*missing, names.split(hit["name"])[1]}:
        # the newest standard first: remove_cvref_t would pass for one of C++14's as well
        fitting = [n for n, like in reversed(tables.rows("standards").items()) if re.fullmatch(like, name)]
        found.update(fitting[:1])
    return max(found, default=None)


def other_flag(hit: Hit) -> str:
    """The flag that the compiler was given on one of the lines above, where it asks for another standard."""
    found = next(filter(None, map(_FLAG.search, reversed(hit.log.near(hit.line, before=80)))), None)
    return found[0] if found and found[1] != str(standard(hit)) else ""


def of_standard(hit: Hit) -> bool:
    """A name of `std` that a newer standard has; not one whose header is not included."""
    scope, name = names.split(hit["name"], hit["owner"])
    known = scope == "std" and re.fullmatch(_all_names(), name) is not None
    return known and names.header_of(name, "std") is None


def nvcc(hit: Hit) -> str:
    """nvcc as it was called."""
    name = hit["name"] or "nvcc"
    return hit["path"] + name if hit["path"].endswith(("/", "\\")) else name


def home(hit: Hit) -> str:
    """The CUDA_HOME that was meant by a broken one, as far as it can be told."""
    path = nvcc(hit).replace("\\\\", "\\")
    whole = re.sub(r"[/\\]bin[/\\]nvcc(?:\.exe)?$", "", path)
    parts = [whole] if hit.context.windows else re.split(r":(?![\\/]{1,2}\w+ Files)|;", whole)
    for part in parts:
        part = part.strip("\"' " if hit.context.windows else "\"' =")
        part = re.sub(r"[/\\](?:bin[/\\]nvcc|bin|lib64|include|nvcc)[/\\]?$", "", part)
        if re.match(r"/\w|[A-Za-z]:", part):
            return part
    return ""
