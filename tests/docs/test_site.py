"""What a headless Chromium's look at the whole site is judged by; `nox -s docs` has it look."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools.docs import check_site
from tools.docs.repository import address

PAGE = {"height": 900, "tooWide": False, "cutTables": [], "lost": [], "named": []}
GOOD: dict[str, Any] = {
    "laptop": {"": PAGE, "api/": dict(PAGE)},
    "phone": {"": dict(PAGE), "api/": dict(PAGE)},
    "found": {word: ["/", page] for word, page in check_site.WORDS.items()},
    "schemes": ["default", "slate"],
    "repository": "https://host.org/o/r",
}


def judged(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    seen = copy.deepcopy(GOOD)
    change(seen)
    return list(check_site.faults(seen, "https://host.org/o/r"))


def test_a_site_without_faults() -> None:
    assert judged(lambda seen: None) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda seen: seen["phone"]["api/"].update(tooWide=True), "api/ is wider than a phone"),
        (lambda seen: seen["laptop"][""].update(cutTables=["a b"]), "the first page cuts off columns of: a b"),
        (lambda seen: seen["laptop"]["api/"].update(height=40000), "api/ is 40000 pixels long"),
        (lambda seen: seen["laptop"]["api/"].update(lost=["x.png"]), "api/ lacks pictures: x.png"),
        (lambda seen: seen["laptop"]["api/"].update(named=["kernels.md"]), "api/ names links by files: kernels.md"),
        (lambda seen: seen.update(schemes=["default"] * 2), "the light/dark switch changes nothing"),
        (lambda seen: seen.update(repository=""), "the link to the repository is ''"),
        (lambda seen: seen["found"].update(fp16=[]), "a search for 'fp16' finds nothing, not /api/"),
        (lambda seen: seen["found"].update(fp16=["/x/"]), "a search for 'fp16' finds ['/x/'], not /api/"),
    ],
)
def test_each_fault_is_said(change: Callable[[dict[str, Any]], Any], said: str) -> None:
    (found,) = judged(change)
    assert found.startswith(said)


def test_the_addresses_of_a_sites_pages(tmp_path: Path) -> None:
    for page in ("", "api", "notes/psnr"):
        (tmp_path / page).mkdir(parents=True, exist_ok=True)
        (tmp_path / page / "index.html").touch()
    (tmp_path / "404.html").touch()
    assert check_site.pages_of(tmp_path) == ["", "api/", "notes/psnr/"]


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://host.org/o/r.git\n", "https://host.org/o/r"),
        ("https://me:secret@host.org/o/r", "https://host.org/o/r"),
        ("git@host.org:o/r.git", "https://host.org/o/r"),
        ("ssh://git@host.org:2222/o/r.git", "https://host.org/o/r"),
        ("/srv/r.git", ""),
        ("../r", ""),
        ("", ""),
    ],
)
def test_the_address_of_the_repository(remote: str, expected: str) -> None:
    assert address({}, remote) == expected
    assert address({"GITHUB_REPOSITORY": "a/b"}, remote) == "https://github.com/a/b"
    assert address({"GITHUB_REPOSITORY": "a/b", "DCNBUILD_REPOSITORY": "https://x.org"}, remote) == "https://x.org"
