"""The small language of rules.yaml: names for what a log shows, conditions on them, and texts that are filled in.

A *name* stands for a text, "" where there is none: an entity of the record (`symbol`), a property of
the surroundings (`toolkit`, `conda`; see Context), a row's own `let`, `LINE`, `MATCH` or `KIND` of the
record, `MANAGER` of packages, `DISTRIBUTION`, `NEAR6+2` for the lines from 6 above to 2 below, and what code says:
`source.gone.since` is an attribute of what `gone(hit)` of lookups/source.py returns, and
`versions.torch_for_cuda(toolkit)` calls a function with the texts of other names, or with 'one' as it is.

A *condition* is `name`, `not name`, `name ~ regex` or `name !~ regex`, joined by `and`, and those by `or`.

A *template* has `{name}`, `{name|otherwise}`, and `[… {name} …|otherwise]`, which is left out, or is the
other text, where the name is empty.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit

_NAME = r"[\w.]+(?:\([\w, '.]*\))?[\w.]*"
ENTITY = re.compile(rf"\{{({_NAME})(?:\|([^{{}}]*))?\}}")
_OPTIONAL = re.compile(r"\[((?:[^\[\]{}|]*\{[^{}|]*\})+[^\[\]{}|]*)(?:\|([^\[\]]*))?\]")
_CODE = re.compile(r"(\w+)\.(\w+)(?:\(([\w, '.]*)\))?((?:\.\w+)*)")
_NEAR = re.compile(r"NEAR(\d+)\+(\d+)")
_CONDITION = re.compile(rf"(not )?({_NAME}(?:\+\d+)?)(?: (!?~) (.+))?")


def value(name: str, hit: Hit) -> str:
    """The text that a name stands for."""
    code = _CODE.fullmatch(name)
    if code:
        module, function, arguments, attributes = code.groups()
        ask = look_up(f"{module}.{function}")
        words = (arguments or "").split(", ") if arguments else ()
        found: Any = ask(*(word[1:-1] if word[0] == "'" else hit[word] for word in words)) if words else ask(hit)
        for attribute in filter(None, attributes.split(".")):
            found = found.get(attribute) if isinstance(found, dict) else getattr(found, attribute, None)
        return str(found) if found else ""
    near = _NEAR.fullmatch(name)
    return hit.around(int(near[1]), int(near[2])) if near else hit[name]


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
    found = tuple(
        tuple(_CONDITION.fullmatch(part.strip()) for part in option.split(" and "))
        for option in condition.split(" or ")
    )
    if any(part is None for option in found for part in option):
        raise ValueError(f"{condition}: no condition of rules.yaml")
    return found  # type: ignore[return-value]


def holds(condition: str, hit: Hit) -> bool:
    """Whether the log bears a condition out."""
    return any(all(_holds(part, hit) for part in option) for option in parsed(str(condition)))


def _holds(part: re.Match[str], hit: Hit) -> bool:
    found = value(part[2], hit)
    if part[3] is None:
        return bool(found) != bool(part[1])
    return (re.search(part[4], found) is not None) == (part[3] == "~")


def first(alternatives: str | list[str], hit: Hit) -> str:
    """The value of a `let`: the first that is not empty of templates and of `name ~ regex`, which is what it
    matches.
    """
    for text in [alternatives] if isinstance(alternatives, str) else alternatives:
        name, sign, pattern = text.partition(" ~ ")
        if not sign:
            found = filled(text, hit)
        else:
            match = hit.context.first(re.compile(pattern)) if name == "FIRST" else None
            match = match or re.search(pattern, value(name, hit) if name != "FIRST" else "")
            found = ((match[1] if match.re.groups else match[0]) or "").strip() if match else ""
        if found:
            return found
    return ""


def chosen(template: str, hit: Hit) -> str:
    """The template with its optional parts decided."""
    return _OPTIONAL.sub(lambda part: part[1] if complete(part[1], hit) else part[2] or "", template)


def complete(template: str, hit: Hit) -> bool:
    """Whether every name in a template has a text."""
    return all(found[2] is not None or value(found[1], hit) for found in ENTITY.finditer(template))


def unfilled(template: str) -> str:
    """The text without anything of a log, for a list of all rules."""
    return ENTITY.sub(lambda found: found[2] or "", _OPTIONAL.sub(lambda part: part[2] or "", template))


def filled(template: str, hit: Hit) -> str:
    """The whole text."""
    return ENTITY.sub(lambda found: value(found[1], hit) or found[2] or "", chosen(template, hit))
