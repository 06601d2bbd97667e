"""Libraries that the loader does not find, or that are made for another machine or system."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes, wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import asked
from dcnbuild.doctor.logs.lookups import symbols, tables
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import libraries

_GONE, _LISTED = wording.patterns("file_gone", "only_listed")


def library(hit: Hit) -> libraries.Library:
    """What is known of the library, with the packages for the CUDA of this log."""
    return libraries.library(hit["name"], symbols.cuda_of_log(hit))


def built_for(hit: Hit) -> str:
    """The package that is built for one CUDA and that the log shows, "" without one."""
    around, rows = _LISTED.sub("", hit.around(before=14, after=4)), tables.rows("built_for").items()
    return next((package for package, row in rows if re.search(row["shows"], around)), "")


def installed(hit: Hit) -> bool:
    """Whether the log shows the package that brings the library to be installed: the loader does not look there."""
    return library(hit).pip in asked.there(hit.context)


def listed(hit: Hit) -> str:
    """The directory in which the log lists the library, "" where it lists none."""
    number = r"(?:\.[\d.]+)?" if re.search(r"\.so\.\d", hit["name"]) else ""
    return shown(hit, re.escape(hit["name"].rpartition("/")[2]) + number).rpartition("/")[0]


def numbered(hit: Hit) -> str:
    """The path of a library with a number, where one without is asked for, as the log lists it."""
    return shown(hit, re.escape(hit["name"].rpartition("/")[2]) + r"\.\d[\d.]*")


def hashed(hit: Hit) -> str:
    """The path of the library as a wheel or libtorch has packed it, with a hash in its name, as the log lists it."""
    name, so, number = hit["name"].rpartition("/")[2].partition(".so")
    return shown(hit, rf"{re.escape(name)}-[0-9a-f]{{8}}{re.escape(so + number)}", "[/.~]") if number else ""


def other(hit: Hit) -> str:
    """The same library with another number, as the log shows it."""
    name, _, number = hit["name"].rpartition("/")[2].partition(".so.")
    found = re.compile(rf"\b{re.escape(name)}\.so\.(?!{re.escape(number)}\b)\d+\b")
    return next((one[0] for one in hit.context.all(found)), "") if number else ""


def shown(hit: Hit, name: str, begins: str = "/") -> str:
    """The path of a file, its name a regular expression, that `ls`, `find`, `which` or `ldconfig -p` has printed."""
    whole, alone = re.compile(rf"(?:^|\s)(/\S*/{name})(?: ->.*)?$"), re.compile(rf"(?:^|\s)({name})(?:\s|$)")
    directory, typed = "", hit.context.typed
    for number in range(len(hit.log) if hit["name"] or name else 0):
        text = hit.log.text(number).strip()
        if number in typed:
            said = re.search(rf"\bls (?:-\S+ )*({begins}[^\s*]*/)", typed[number].replace(" |", "/ |", 1) + "/")
            directory = said[1].replace("//", "/") if said else ""
        elif _GONE.search(text) is None and (found := whole.search(text) or (directory and alone.search(text))):
            return found[1] if found.re is whole else directory + found[1]
    return ""


def releases(hit: Hit) -> Iterator[Fix]:
    """Its release for the CUDA of the log; else the newest, or the others, where no package brings what it lacks."""
    package, used = built_for(hit), symbols.cuda_of_log(hit)
    row = tables.rows("built_for").get(package, {})
    known = [used] if used in row else [] if library(hit).pip else sorted(row.keys() - {"shows"}, reverse=True)
    named = dict.fromkeys((package, *(re.split(r"[\[<>=]", row[key])[0] for key in sorted(row.keys() - {"shows"}))))
    if used in row and len(named) > 1:  # of the same files
        yield fixes.pip("uninstall", "-y", operands=[*named])
    for number, cuda in enumerate(known):
        yield fixes.say(f"{'or install' if number else 'Install'} the release of {package} for CUDA {cuda}:")
        yield fixes.pip_install(row[cuda])


def who(hit: Hit) -> str:
    """Who asked for the library."""
    loader, program = symbols.loader(hit), re.search(r"(\S+): error while loading shared", hit.text)
    named = built_for(hit) if loader.kind == "unknown" else loader.package
    return "torch" if loader.kind == "torch" else named or (program[1] if program else "The imported module")
