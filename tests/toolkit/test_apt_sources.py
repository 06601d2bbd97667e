"""Reading apt's source lists, in both formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcnbuild.toolkit.apt_sources import AptSource, debian_archive, line_for, read_sources

DEB822 = """\
# the first stanza
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


def write(root: Path, name: str, text: str) -> None:
    path = root / "etc/apt" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_deb822(tmp_path: Path) -> None:
    write(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert [source.suites for source in read_sources(tmp_path)] == [
        ("bookworm", "bookworm-updates"),
        ("bookworm-security",),
    ]
    found = debian_archive(tmp_path)
    assert found == AptSource(
        uri="http://mirror.example/debian",
        suites=("bookworm", "bookworm-updates"),
        components=("main",),
        signed_by="/usr/share/keyrings/debian-archive-keyring.gpg",
    )
    assert line_for(found, "trixie", tmp_path) == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://mirror.example/debian trixie main contrib non-free\n"
    )


def test_one_line_format(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sources.list",
        "# deb http://off.example/debian bookworm main\n"
        "deb-src http://src.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian trixie main contrib # note\n",
    )
    assert list(read_sources(tmp_path)) == [
        AptSource("http://one.example/debian", ("trixie",), ("main", "contrib"), "/k.gpg")
    ]


@pytest.mark.parametrize(
    "stanza",
    [
        DEB822.replace("deb deb-src", "deb-src"),
        DEB822.replace("URIs: http://mirror.example/debian", "Enabled: no\nURIs: http://x"),
        DEB822.replace("Suites: bookworm bookworm-updates", "Suites: noble noble-updates"),
        DEB822.replace("Components: main", "Components: universe"),
    ],
    ids=["sources only", "disabled", "ubuntu", "no main"],
)
def test_what_serves_no_debian_release(tmp_path: Path, stanza: str) -> None:
    write(tmp_path, "sources.list.d/x.sources", stanza)
    assert debian_archive(tmp_path) is None


def test_a_key_in_the_stanza_itself(tmp_path: Path) -> None:
    """A one-line source cannot hold such a key, so Debian's keyring file is named instead."""
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    text = DEB822.replace("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n", key)
    write(tmp_path, "sources.list.d/x.sources", text)
    found = debian_archive(tmp_path)
    assert found is not None
    assert found.signed_by == ""
    assert line_for(found, "trixie", tmp_path).startswith("deb http://mirror.example/debian trixie")
    keyring = tmp_path / "usr/share/keyrings/debian-archive-keyring.gpg"
    keyring.parent.mkdir(parents=True)
    keyring.touch()
    assert f"signed-by={keyring}" in line_for(found, "trixie", tmp_path)
