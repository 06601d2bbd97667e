"""Decides whether another user could have put a file there that dcnbuild is about to execute or load.

Call `untrusted` for every program and library that dcnbuild found by itself, in its cache or in a system directory.
Files that the user named (CUDA_HOME, PATH, CXX), and files where this Python imports from, are the user's own choice.
"""

from __future__ import annotations

import errno
import functools
import grp
import os
import pwd
import stat
import sysconfig
from collections.abc import Iterator
from pathlib import Path

#: More links than this on a file's path are a loop; the kernel stops at the same number.
_MOST_LINKS = 40


def untrusted(path: Path, *, ours: Path | None = None) -> str | None:
    """Says how another user could have made or changed a file or directory; None if only this user and root could.

    It checks the file, every directory above it, and the links on its path. Each must belong to this user or to root,
    and nobody else may write it. A directory with the sticky bit, such as /tmp, may be open to all, since only its
    owner can replace an entry. So ask about the file itself, not only about its directory.

    Args:
        path: the file or directory. A missing file is not trusted.
        ours: a directory that this user made. Inside it, an owner whom a user namespace hides counts as another user.
    """
    if _is_where_python_imports_from(path):
        return None
    mine = False
    try:
        for place, status in _way_to(path):
            mine = mine or place == ours or status.st_uid == os.geteuid() != 0
            reason = _foreign(place, status, mine) or _open_to_others(place, status)
            if reason:
                return reason
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL byte
        return f"{path}: {getattr(error, 'strerror', None) or error}"
    return None


def writable_by_others(path: Path) -> str | None:
    """Does the same as `untrusted`, but trusts the owners of the file and its directories, since the user named
    them.
    """
    if _is_where_python_imports_from(path):
        return None
    try:
        reasons = (_open_to_others(place, status) for place, status in _way_to(path))
        return next(filter(None, reasons), None)
    except (OSError, ValueError) as error:
        return f"{path}: {getattr(error, 'strerror', None) or error}"


def _way_to(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yields every directory from / to a file, each link with the directories of its target, and the file itself."""
    place = Path(os.sep)
    yield place, place.lstat()
    left = list(reversed(path.absolute().parts[1:]))
    links = 0
    while left:
        name = left.pop()
        if name == os.pardir:
            place = place.parent  # `place` contains no link, so the kernel does the same
            continue
        here = place / name
        status = here.lstat()
        yield here, status
        if not stat.S_ISLNK(status.st_mode):
            place = here
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = Path(os.readlink(here))
        if target.is_absolute():
            place = Path(os.sep)
        left.extend(reversed([part for part in target.parts if part != os.sep]))


def _foreign(place: Path, status: os.stat_result, mine: bool) -> str | None:
    if status.st_uid in (os.geteuid(), 0):
        return None
    if not mine and status.st_uid == _hidden_root():
        return None
    return f"{place} belongs to another user (uid {status.st_uid})"


def _open_to_others(place: Path, status: os.stat_result) -> str | None:
    mode = status.st_mode
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return None
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _only_us(place, status.st_gid)):
        return f"{place} can be written by others (mode {oct(stat.S_IMODE(mode))})"
    return None


def _only_us(place: Path, gid: int) -> bool:
    """Whether the group that can write a place has no members but this user and root, and no access list adds others.

    This holds for most distributions, which give each user a group of their own and the umask 002.
    """
    with_access_list = hasattr(os, "listxattr") and _has_access_list(place)
    return not with_access_list and _members_are_us(gid)


def _has_access_list(place: Path) -> bool:
    """Whether a place has an access list. The group's bits then show its mask, which may apply to other users."""
    try:
        return "system.posix_acl_access" in os.listxattr(place)
    except OSError:  # the file system has no extended attributes
        return False


@functools.cache
def _members_are_us(gid: int) -> bool:
    users = pwd.getpwall()
    us = {user.pw_name for user in users if user.pw_uid in (os.geteuid(), 0)}
    if not any(user.pw_uid == os.geteuid() for user in users):
        return False  # the directory service does not list its users, or this user has no name
    members = {user.pw_name for user in users if user.pw_gid == gid}
    try:
        members.update(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return False
    return members <= us


@functools.cache
def _hidden_root() -> int | None:
    """Returns the user to whom root's files seem to belong, if a user namespace leaves root out; else None."""
    try:
        ranges = Path("/proc/self/uid_map").read_text().splitlines()
        if any(line.split()[0] == "0" for line in ranges):
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError, IndexError):
        return None


def _is_where_python_imports_from(path: Path) -> bool:
    """Whether Python imports from there: a user who can write there already decides what this process executes."""
    places = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return os.pardir not in path.parts and any(path.is_relative_to(place) for place in places if place)
