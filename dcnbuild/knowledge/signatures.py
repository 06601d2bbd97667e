"""What the parameters of a function were and are, from the signatures that the tables keep."""

from __future__ import annotations

import re
from functools import cache

from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import cuda, torch_cpp
from dcnbuild.knowledge.entry import Entry

#: The types of a function's parameters.
Types = tuple[str, ...]


@cache
def changed(entry: Entry, today: tuple[int, ...]) -> tuple[str, tuple[Types, ...], tuple[Types, ...]]:
    """Since when it has today's forms, those, and those that it had before; nothing where one takes anything."""
    known = [(since, forms) for since, forms in entry.changes if numbers(since)[:2] <= today]
    if len(known) < 2 or any(". ." in forms for _, forms in known):
        return "", (), ()
    lists = [tuple(types_of(form) for form in forms.split(" / ")) for _, forms in known]
    old = tuple(types for forms in lists[:-1] for types in forms if types not in lists[-1])
    return known[-1][0], lists[-1], old


def types_of(form: str) -> Types:
    """The types of a parameter list, without what does not decide which values they take."""
    parts, depth = [""], 0
    for sign in form:
        depth += (sign in "<([{") - (sign in ">)]}")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return tuple(re.sub(r"\bconst\b|&", "", part).strip() for part in parts)


@cache
def is_struct(type: str) -> bool:
    """Whether a type is a struct or a class."""
    found = (entry for table in (cuda, torch_cpp) for entry in table.find(type))
    return "*" not in type and any(entry.kind == "type" for entry in found)
