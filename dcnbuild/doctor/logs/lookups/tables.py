"""Reads tables.yaml: what no generated table says of names, packages, libraries and symbols."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from dcnbuild.base import plain_yaml


def _first(finds: Any, section: str, text: str) -> Any:
    """The value of the first row whose name, a regular expression, is found so in the text; "" without one."""
    return next((value for name, value in rows(section).items() if finds(str(name), text)), "")


#: The same where the name is all of the text, begins it, or stands in it.
like, begins, within = (partial(_first, finds) for finds in (re.fullmatch, re.match, re.search))


def among(section: str, text: str) -> str:
    """The text where one of a list of regular expressions is all of it, else ""."""
    return text if any(re.fullmatch(one, text) for one in rows(section)) else ""


def said(section: str, text: str) -> dict[str, str]:
    """The first row of a section of messages.yaml whose name stands in the text, with the groups of it written in."""
    named = ((re.search(name, text), row) for name, (_, row) in messages(section).items())
    return next(({key: found.expand(value) for key, value in row.items()} for found, row in named if found), {})


def messages(section: str) -> dict[str, tuple[str, dict[str, str]]]:
    """The regular expressions of a section of messages.yaml → literal parts of what they match, and the rows."""
    table = plain_yaml.beside(__file__, "messages.yaml")[section]
    return {name.rpartition(" => ")[2]: (name.partition(" => ")[0], row) for name, row in table.items()}


def rows(section: str) -> Any:
    """A section of the table."""
    return plain_yaml.beside(__file__, "tables.yaml")[section]
