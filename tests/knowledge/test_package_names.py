"""Tests how claims about names of Python packages are judged, without a download."""

from __future__ import annotations

import pytest

from tools.knowledge.package_names import Names, judge

VERSIONS = ["1.0.*", "1.1.*", "1.2.*", "2.0.*", "2.1.*"]


@pytest.mark.parametrize(
    ("removed", "claimed", "has", "said"),
    [
        (True, "2", {"1.0.*", "1.1.*", "1.2.*"}, ""),
        (True, "1.2", {"1.0.*", "1.1.*", "1.2.*"}, "2.0.* and not 1.2 (read: 1.2.*, 2.0.*)"),
        (True, "2.1", {"1.0.*"}, "1.1.* and not 2.1 (read: 1.0.*, 1.1.*)"),
        (True, "2", set(VERSIONS), "the newest, 2.1.*, still has it"),
        (True, "2", set(), "already so in the oldest, 1.0.*"),
        (False, "1.2", {"1.2.*", "2.0.*", "2.1.*"}, ""),
        (False, "2.1", {"1.2.*", "2.0.*", "2.1.*"}, "1.2.* and not 2.1 (read: 1.1.*, 1.2.*)"),
        (False, "2", set(), "the newest, 2.1.*, lacks it"),
        (True, "3", {"1.0.*"}, "there is no release 3"),
    ],
)
def test_a_claim_against_what_each_release_has(removed: bool, claimed: str, has: set[str], said: str) -> None:
    assert judge(removed, claimed, VERSIONS, lambda version: version in has) == said


def test_the_names_that_a_package_has() -> None:
    names = Names(
        {
            "pkg/__init__.py": "from .core import run\n_lazy = {'models': [\"Lazy\"]}\n",
            "pkg/core.py": "def run(): ...\nclass Font:\n    def getsize(self): ...\n",
        }
    )
    assert {"pkg.core", "pkg.run", "pkg.Lazy", "Font.getsize"} == {
        name
        for name in ("pkg.core", "pkg.run", "pkg.Lazy", "pkg.gone", "Font.getsize", "Font.getbbox")
        if name in names
    }
