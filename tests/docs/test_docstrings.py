"""Runs the examples of the API's docstrings, which docs/api.md shows."""

from __future__ import annotations

import doctest
import inspect
import re
from typing import Any

import pytest
import torch
from docs.blocks import CHECKOUT

import dcnbuild

#: What docs/api.md shows of dcnbuild itself, but for what is a module's, or is used as its neighbour is.
NAMES = [
    name
    for name in re.findall(r"^::: dcnbuild\.(\w+)$", (CHECKOUT / "docs/api.md").read_text(), re.MULTILINE)
    if name != "deform_psroi_pool"
]


def test_the_page_has_names() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_the_example(name: str) -> None:
    shown: Any = inspect.unwrap(getattr(dcnbuild, name))
    (found,) = doctest.DocTestFinder(recurse=False).find(shown, name, globs={"torch": torch, "dcnbuild": dcnbuild})
    assert found.examples, f"{name} has no example"
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(found)
    assert result.failed == 0
