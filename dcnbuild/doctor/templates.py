"""The small language of rules/*.yaml and checks.yaml: names for what is known, conditions, texts that are filled in.

A *name* stands for a text, "" where there is none. Of a log that is: an entity of the record (`symbol`), a property of
the surroundings (`toolkit`, `conda`; see Context), a row's own `let`, `LINE`, `MATCH` or `KIND` of the
record, `MANAGER` of packages, `DISTRIBUTION`, `NEAR6+2` for the lines from 6 above to 2 below, and what code says:
`source.gone.since` is an attribute of what `gone(hit)` of lookups/source.py returns, and
`versions.torch_for_cuda(toolkit)` calls a function with the texts of other names, or with 'one' as it is.
Of a machine it is a fact, or a part of one: `torch.version`, or what the check hands over.

A *condition* is `name`, `not name`, `name ~ regex` or `name !~ regex`, joined by `and`, and those by `or`.

A *template* has `{name}`, `{name|otherwise}`, and `[… {name} …|otherwise]`, which is left out, or is the
other text, where the name is empty.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from typing import Any, Protocol


class Names(Protocol):
    """What gives names their texts: a place in a log, or the facts of a machine."""

    def value(self, name: str) -> str:
        """The text that a name stands for."""


_NAME = r"[\w.]+(?:\([\w, '.-]*\))?[\w.]*"
ENTITY = re.compile(rf"\{{({_NAME})(?:\|([^{{}}]*))?\}}")
_OPTIONAL = re.compile(r"\[((?:[^\[\]{}|]*\{[^{}|]*\})+[^\[\]{}|]*)(?:\|([^\[\]]*))?\]")
_CONDITION = re.compile(rf"(not )?({_NAME}(?:\+\d+)?)(?: (!?~) (.+))?")


@cache
def look_up(name: str) -> Any:
    """The function that `module.function` names: of logs/lookups, else of logs, of knowledge, of machine."""
    module, _, function = name.partition(".")
    packages = ("dcnbuild.doctor.logs.lookups", "dcnbuild.doctor.logs", "dcnbuild.knowledge", "dcnbuild.machine")
    package = next(package for package in packages if importlib.util.find_spec(f"{package}.{module}"))
    return getattr(importlib.import_module(f"{package}.{module}"), function)


@cache
def parsed(condition: str) -> tuple[tuple[re.Match[str], ...], ...]:
    """A condition: alternatives of parts, each a match of (not, name, sign, regex)."""
    options = (option.split(" and ") for option in condition.split(" or "))
    found = tuple(tuple(_CONDITION.fullmatch(part.strip()) for part in parts) for parts in options)
    if any(part is None for option in found for part in option):
        raise ValueError(f"{condition}: no condition of rules/*.yaml")
    return found  # type: ignore[return-value]


def holds(condition: str, names: Names) -> bool:
    """Whether what is known bears a condition out."""
    return any(all(_holds(part, names) for part in option) for option in parsed(str(condition)))


def _holds(part: re.Match[str], names: Names) -> bool:
    found = names.value(part[2])
    if part[3] is None:
        return bool(found) != bool(part[1])
    return (re.search(part[4], found) is not None) == (part[3] == "~")


def chosen(template: str, names: Names) -> str:
    """The template with its optional parts decided."""
    return _OPTIONAL.sub(lambda part: part[1] if complete(part[1], names) else part[2] or "", template)


def complete(template: str, names: Names) -> bool:
    """Whether every name in a template has a text."""
    return all(found[2] is not None or names.value(found[1]) for found in ENTITY.finditer(template))


def unfilled(template: str) -> str:
    """The text without anything of a log, for a list of all rules."""
    return ENTITY.sub(lambda found: found[2] or "", _OPTIONAL.sub(lambda part: part[2] or "", template))


def filled(template: str, names: Names) -> str:
    """The whole text."""
    return entered(chosen(template, names), names)


def entered(text: str, names: Names) -> str:
    """A template whose optional parts are decided, with its names filled in."""
    return ENTITY.sub(lambda found: names.value(found[1]) or found[2] or "", text)


def meant(said: str | list[Any], names: Names) -> str:
    """The template of a field that is one, or pairs of a condition and one, and one for the rest, "" without that."""
    if isinstance(said, str):
        return said
    pairs = [part for part in said if not isinstance(part, str)]
    return next((text for condition, text in pairs if holds(condition, names)), "".join(said[len(pairs) :]))
