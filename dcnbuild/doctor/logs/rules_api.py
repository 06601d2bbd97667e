"""Python names of torch, numpy and the standard library that the installed release has not, or no longer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base.versions import numbers
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.advice import ASK_TORCH, build, install
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import Entry, numpy, python, setuptools, torch_python

#: Other rules know more of these.
_LEFT_OUT = re.compile(r"torch\._six|torch\.utils\.ffi|distutils|setuptools$|pkg_resources|torch$")
_TABLES = {"torch": torch_python, "numpy": numpy, "setuptools": setuptools}
_FRAME = re.compile(r"File \"([^\"]{1,300})\", line \d+")


def _name(hit: Hit) -> str:
    """The full name that is missing: "torch.library.register_fake"."""
    module, name = hit["module"], hit["name"]
    return f"{module}.{name}" if module and name else module or ""


def _entry(hit: Hit) -> Entry | None:
    name = _name(hit)
    if not name or _LEFT_OUT.match(name) or hit["partial"] or "circular import" in hit.text:
        return None
    top = name.split(".")[0]
    table = _TABLES.get(top, python)
    found = [entry for entry in table.find(name) if entry.name == name]
    return next((entry for entry in found if entry.removed or entry.added), None)


def _product(hit: Hit) -> str:
    top = _name(hit).split(".")[0]
    return top if top in _TABLES else "Python"


def _gone(hit: Hit, entry: Entry) -> bool:
    """Whether the name is gone; else it is not there yet."""
    if not (entry.removed and entry.added):
        return bool(entry.removed)
    version = (
        hit["torch"]
        if _product(hit) == "torch"
        else hit["python"]
        if _product(hit) == "Python"
        else ""
    )
    return not version or numbers(version) >= numbers(entry.removed)


def _asker(hit: Hit) -> str:
    """The package whose file asks for the name, "" for a file of the user's own."""
    for line in reversed(hit.log.near(hit.line, before=14)):
        found = _FRAME.search(line)
        if found:
            maker = owner(found[1])
            return maker.name if maker.kind == "package" else ""
    return ""


def _cause(hit: Hit) -> str:
    entry, product = _entry(hit), _product(hit)
    assert entry is not None
    who = _asker(hit) or "The source"
    if _gone(hit, entry):
        today = f": today it is {entry.replacement}" if entry.replacement else ""
        return f"{who} uses {entry.name}, which {product} {entry.removed} removed{today}."
    return f"{who} uses {entry.name}, which {product} has since {entry.added} only: the installed one is older."


def _fix(hit: Hit) -> Iterator[Fix]:
    entry, product, asker = _entry(hit), _product(hit), _asker(hit)
    assert entry is not None
    gone = _gone(hit, entry)
    if gone and asker:
        yield fixes.say(f"a newer release of {asker} no longer asks for it:")
        yield fixes.pip_install(asker, options=("--upgrade",))
    elif gone:
        yield fixes.command("grep", "-rn", entry.name.rpartition(".")[2], operands=(".",))
    if product in ("numpy", "setuptools"):
        yield fixes.say(f"or the other {product}:")
        yield install(hit, f"{product}<{entry.removed}" if gone else f"{product}>={entry.added}")
        if product == "setuptools":
            yield build(hit)
    elif product == "torch":
        yield ASK_TORCH
        if gone:
            yield fixes.say(f"or a torch before {entry.removed}")
        else:
            yield fixes.install_torch()
            if asker:
                yield fixes.say(f"or an older {asker}, made for this torch:")
                yield fixes.pip("index", "versions", operands=(asker,))
    else:
        yield fixes.command("python", "--version")
        yield fixes.say(
            f"or a Python {'before ' + str(entry.removed) if gone else 'of ' + str(entry.added) + ' or newer'}"
        )
