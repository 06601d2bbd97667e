"""Tests which files may be executed or loaded: owners and modes of a file and of the directories above it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dcnbuild.machine import trust

Belongs = Callable[[Path, int], None]


@pytest.fixture
def belongs(monkeypatch: pytest.MonkeyPatch) -> Belongs:
    """Makes a place look as if a user owned it, which only root could really do."""
    owners: dict[Path, int] = {}
    real = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        status = real(self)
        values = list(status)
        values[4] = owners.get(self, status.st_uid)
        return os.stat_result(values)

    monkeypatch.setattr(Path, "lstat", lstat)
    return owners.__setitem__


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Makes a file three directories below one that this user owns."""
    tmp_path = tmp_path.resolve()
    path = tmp_path / "cache" / "entry" / "program"
    path.parent.mkdir(parents=True)
    path.touch()
    for place in (path, *path.parents):
        if place.is_relative_to(tmp_path):
            place.chmod(0o755)
    return path


def on_the_way(program: Path) -> list[Path]:
    return [program, program.parent, program.parent.parent, program.parent.parent.parent]


def test_what_is_ours_is_trusted(program: Path) -> None:
    assert trust.untrusted(program) is None
    assert trust.untrusted(program.parent) is None


@pytest.mark.parametrize("depth", range(4))
def test_another_owner_anywhere_on_the_way(program: Path, belongs: Belongs, depth: int) -> None:
    place = on_the_way(program)[depth]
    belongs(place, 1234)
    assert trust.untrusted(program) == f"{place} belongs to another user (uid 1234)"
    assert trust.writable_by_others(program) is None
    belongs(place, 0)
    assert trust.untrusted(program) is None


@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("mode", [0o777, 0o757, 0o702])
def test_open_to_all_anywhere_on_the_way(program: Path, depth: int, mode: int) -> None:
    place = on_the_way(program)[depth]
    place.chmod(mode)
    said = f"{place} can be written by others (mode {oct(mode)})"
    assert trust.untrusted(program) == said
    assert trust.writable_by_others(program) == said


def test_the_sticky_bit_protects_entries_but_no_file(program: Path) -> None:
    program.parent.chmod(0o1777)
    assert trust.untrusted(program) is None
    program.chmod(0o1777)
    assert "can be written by others" in str(trust.untrusted(program))


@pytest.mark.parametrize("alone", [True, False])
def test_a_group_of_ones_own(program: Path, monkeypatch: pytest.MonkeyPatch, alone: bool) -> None:
    monkeypatch.setattr(trust, "_members_are_us", lambda gid: alone)
    program.parent.chmod(0o775)
    assert (trust.untrusted(program) is None) == alone


def test_members_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    import grp
    import pwd

    def user(name: str, uid: int, gid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))

    groups = {100: [], 200: [], 300: ["eve"], 400: ["ann", "root"]}
    users = [user("root", 0, 0), user("ann", 1000, 100), user("bob", 1001, 200)]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("name", "x", gid, groups[gid])))
    ask = trust._members_are_us.__wrapped__
    assert {gid for gid in (100, 200, 300, 400, 500) if ask(gid)} == {100, 400}
    users.remove(users[1])  # a directory service that does not say who there is
    assert not any(map(ask, (100, 200, 300, 400, 500)))


def test_links_are_followed_and_checked(program: Path, belongs: Belongs) -> None:
    elsewhere = program.parent.parent.parent / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    link = elsewhere / "link"
    link.symlink_to(Path("..") / "cache" / "entry")
    assert trust.untrusted(link / "program") is None
    program.parent.chmod(0o777)
    assert str(trust.untrusted(link / "program")).startswith(f"{program.parent} can be written")
    program.parent.chmod(0o755)
    elsewhere.chmod(0o777)  # where the link can be replaced
    assert str(trust.untrusted(link / "program")).startswith(f"{elsewhere} can be written")
    elsewhere.chmod(0o1777)
    belongs(link, 1234)
    assert str(trust.untrusted(link / "program")).startswith(f"{link} belongs to another user")


def test_what_is_not_there_or_no_path_is_not_trusted(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (tmp_path / "none", loop, Path("/nul\0byte"), tmp_path / ("long" * 2000)):
        assert trust.untrusted(path)
        assert trust.writable_by_others(path)


def test_root_that_a_user_namespace_hides(program: Path, belongs: Belongs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apptainer shows root's files as owned by nobody; such files are trusted, except inside the user's directory."""
    outer, cache = program.parents[2], program.parents[1]
    belongs(outer, 65534)
    assert trust.untrusted(program)
    monkeypatch.setattr(trust, "_hidden_root", lambda: 65534)
    assert trust.untrusted(program) is None
    belongs(program, 65534)
    assert trust.untrusted(program, ours=cache)


def test_the_environment_of_this_python_is_no_question(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program.chmod(0o777)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(program.parent))
    assert trust.untrusted(program) is None
    assert trust.untrusted(program.parent / ".." / "entry" / "program")


def test_an_access_list_is_not_taken_for_the_group(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_members_are_us", lambda gid: True)
    program.chmod(0o664)
    assert trust.untrusted(program) is None
    monkeypatch.setattr(os, "listxattr", lambda path: ["system.posix_acl_access"])
    assert "can be written by others" in str(trust.untrusted(program))
