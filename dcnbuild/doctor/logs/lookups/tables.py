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


def rows(section: str) -> Any:
    """A section of the table."""
    return plain_yaml.beside(__file__, "tables.yaml")[section]
