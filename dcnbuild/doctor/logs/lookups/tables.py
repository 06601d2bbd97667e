"""Reads tables.yaml: what no generated table says of names, packages, libraries and symbols."""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml


def like(section: str, text: str) -> Any:
    """The value of the first row whose name, a regular expression, is all of the text; "" without one."""
    return next((value for name, value in rows(section).items() if re.fullmatch(str(name), text)), "")


def among(section: str, text: str) -> str:
    """The text where one of a list of regular expressions is all of it, else ""."""
    return text if any(re.fullmatch(one, text) for one in rows(section)) else ""


def begins(section: str, text: str) -> Any:
    """The same of the first row whose name begins the text."""
    return next((value for name, value in rows(section).items() if re.match(str(name), text)), "")


def within(section: str, text: str) -> Any:
    """The same of the first row whose name stands in the text."""
    return next((value for name, value in rows(section).items() if re.search(str(name), text)), "")


def rows(section: str) -> Any:
    """A section of tables.yaml, "headers", or of the file that it names, "errors.nccl" of errors.yaml."""
    *file, name = section.split(".")
    return plain_yaml.beside(__file__, f"{file[0] if file else 'tables'}.yaml")[name]
