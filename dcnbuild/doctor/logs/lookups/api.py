"""Python names of torch, numpy and the standard library that the installed release has not, or no longer."""

from __future__ import annotations

import re

from dcnbuild.base.versions import numbers
from dcnbuild.doctor.logs.lookups.traceback import last as last_frame
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import Entry, numpy, python, setuptools, torch_python

#: Other rules know more of these.
_LEFT_OUT = re.compile(r"torch\._six|torch\.utils\.ffi|distutils|setuptools$|pkg_resources|torch$")
_TABLES = {"torch": torch_python, "numpy": numpy, "setuptools": setuptools}


def _name(hit: Hit) -> str:
    """The full name that is missing: "torch.library.register_fake"."""
    module, name = hit["module"], hit["name"]
    return f"{module}.{name}" if module and name else module


def entry(hit: Hit) -> Entry | None:
    """What the tables have of the name, where it came or went."""
    name = _name(hit)
    if not name or _LEFT_OUT.match(name) or hit["partial"] or "circular import" in hit.text:
        return None
    found = _TABLES.get(name.split(".")[0], python).find(name)
    return next((row for row in found if row.name == name and (row.removed or row.added)), None)


def last(hit: Hit) -> str:
    """The last part of the name, to look for in sources."""
    found = entry(hit)
    return found.name.rpartition(".")[2] if found else ""


def product(hit: Hit) -> str:
    """Whose name it is."""
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
    """The package whose file asks for the name, "" for a file of the user's own."""
    return last_frame(hit).owner.package
