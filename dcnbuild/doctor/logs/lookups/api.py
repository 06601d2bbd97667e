"""Python names of torch, numpy and the standard library that the installed release has not, or no longer."""

from __future__ import annotations

import re
from functools import cache

from dcnbuild.base.versions import numbers
from dcnbuild.doctor.logs.lookups.tables import rows
from dcnbuild.doctor.logs.lookups.traceback import frames
from dcnbuild.doctor.logs.lookups.traceback import last as last_frame
from dcnbuild.doctor.logs.owner import package_of
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import Entry, numpy, python, setuptools, torch_python

#: Other rules know more of these.
_LEFT_OUT = re.compile(r"torch\._six|torch\.utils\.ffi|distutils|setuptools$|pkg_resources|torch$")
_TABLES = {"torch": torch_python, "numpy": numpy, "setuptools": setuptools}


def _name(hit: Hit) -> str:
    """The full name that is missing: "torch.library.register_fake", "FreeTypeFont.getsize"."""
    module, name = hit["module"] or hit["owner"], hit["name"]
    return f"{module}.{name}" if module and name else module


@cache
def _packages() -> dict[str, tuple[str, Entry]]:
    """Full name → the package that removed or brought it, and when."""
    found: dict[str, tuple[str, Entry]] = {}
    for package, releases in rows("python_packages").items():
        for release, names in releases.items():
            for name, today in names.items() if release != "pin" else ():
                entry = Entry(name, "", "", "", "", None, release, "", today or None)
                found.setdefault(name, (package, entry))
    for package, releases in rows("python_packages_since").items():
        for release, listed in releases.items():
            for name in (f"{package}.{item}" for item in listed):
                found[name] = (package, Entry(name, "", "", release, "", release, None, ""))
    return found


def _of_package(hit: Hit) -> tuple[str, Entry] | None:
    """By its name, or what that lies in, "triton.ops" of "triton.ops.jit"; what a name is imported from is there."""
    parts = _name(hit).split(".")
    asked = (".".join(parts[:end]) for end in range(len(parts), len(parts) - 1 if hit["name"] else 0, -1))
    return next((_packages()[name] for name in asked if name in _packages()), None)


def pin(hit: Hit) -> str:
    """The requirement that has the name, e.g. "pillow<10", "" where there is none to install."""
    package, found = product(hit), entry(hit)
    if found is None or package in ("torch", "Python"):
        return ""
    if not found.removed:
        return f"{package}>={found.added}"
    return str(rows("python_packages").get(package, {}).get("pin", f"{package}<{found.removed}"))


def takes(hit: Hit) -> str:
    """The requirement whose function takes the keyword argument, "" where that is not known."""
    function = hit["function"].rpartition(".")[2]
    return str(rows("python_arguments").get(function, {}).get(hit["name"], ""))


def entry(hit: Hit) -> Entry | None:
    """What the tables have of the name, where it came or went."""
    name = _name(hit)
    if not name or _LEFT_OUT.match(name) or hit["partial"] or "circular import" in hit.text:
        return None
    if of_package := _of_package(hit):
        return of_package[1]
    found = _TABLES.get(name.split(".")[0], python).find(name) if hit["module"] else ()
    return next((row for row in found if row.name == name and (row.removed or row.added)), None)


def product(hit: Hit) -> str:
    """Whose name it is."""
    if of_package := _of_package(hit):
        return of_package[0]
    top = _name(hit).split(".")[0]
    return top if top in _TABLES else "Python"


def gone(hit: Hit) -> bool:
    """Whether the name is gone; else it is not there yet."""
    found = entry(hit)
    if found is None or not (found.removed and found.added):
        return found is not None and bool(found.removed)
    version = {"torch": hit["torch"], "Python": hit["python"]}.get(product(hit), "")
    return not version or numbers(version) >= numbers(found.removed)


def asker(hit: Hit) -> str:
    """The package whose file asks for the name, "" for a file of the user's own.

    A module that lacks the name may have a __getattr__ of its own, in which the traceback ends.
    """
    lacks = package_of(hit["module"] or hit["owner"])
    owners = (frame.owner for frame in frames(hit, before=30))
    return next((found.package for found in owners if found.package != lacks), "")


def within(hit: Hit) -> str:
    """The package one of whose files asks another of it for the name, "" where two packages meet."""
    asks, lacks = last_frame(hit).owner.package, package_of(hit["module"])
    return asks if asks and asks == lacks and not hit["partial"] else ""
