"""Whether what is about to be executed or loaded can have been put there by somebody else.

Ask `untrusted` of every program and library that dcnbuild found by itself: in its cache, in a system directory. What
the user named (CUDA_HOME, PATH, CXX), and what lies where this Python imports from, is the user's own choice.
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

#: More links than this on the way to a file are a loop; the kernel gives up at the same number.
_MOST_LINKS = 40


def untrusted(path: Path, *, ours: Path | None = None) -> str | None:
    """Why a file or directory may be another user's doing, for people; None if only this user and root could be.

    Looks at the file, at every directory on the way to it, and at the links among them. Each must belong to this user
    or to root, and nobody else may write it. A directory with the sticky bit, such as /tmp, may be open to all: its
    entries can only be replaced by who owns them. So ask about the file itself, not only about its directory.

    Args:
        path: the file or directory. One that is not there is not trusted.
        ours: a directory that this user made. From there on, an owner whom a user namespace hides is another user.
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
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        return f"{path}: {getattr(error, 'strerror', None) or error}"
    return None


def writable_by_others(path: Path) -> str | None:
    """As `untrusted`, but whoever owns the file and its directories is trusted: the user named them."""
    if _is_where_python_imports_from(path):
        return None
    try:
        reasons = (_open_to_others(place, status) for place, status in _way_to(path))
        return next(filter(None, reasons), None)
    except (OSError, ValueError) as error:
        return f"{path}: {getattr(error, 'strerror', None) or error}"


def _way_to(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every directory from / down to a file, each link and what it leads through, and the file itself."""
    place = Path(os.sep)
    yield place, place.lstat()
    left = list(reversed(path.absolute().parts[1:]))
    links = 0
    while left:
        name = left.pop()
        if name == os.pardir:
            place = place.parent  # `place` holds no link, so this is what the kernel does
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
    """Whether the group that can write a place has no member but this user and root, and the group bits tell it all.

    So it is with the group of their own that most distributions give to each user, whose umask is 002.
    """
    with_access_list = hasattr(os, "listxattr") and _has_access_list(place)
    return not with_access_list and _members_are_us(gid)


def _has_access_list(place: Path) -> bool:
    """An access list shows its mask in the group's bits, so that others than the group may be meant."""
    try:
        return "system.posix_acl_access" in os.listxattr(place)
    except OSError:  # a file system without extended attributes
        return False


@functools.cache
def _members_are_us(gid: int) -> bool:
    users = pwd.getpwall()
    us = {user.pw_name for user in users if user.pw_uid in (os.geteuid(), 0)}
    if not any(user.pw_uid == os.geteuid() for user in users):
        return False  # a directory service that does not list its users, or a user without a name
    members = {user.pw_name for user in users if user.pw_gid == gid}
    try:
        members.update(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return False
    return members <= us


@functools.cache
def _hidden_root() -> int | None:
    """The user to whom root's files seem to belong inside a user namespace that leaves root out; else None."""
    try:
        ranges = Path("/proc/self/uid_map").read_text().splitlines()
        if any(line.split()[0] == "0" for line in ranges):
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError, IndexError):
        return None


def _is_where_python_imports_from(path: Path) -> bool:
    """Who can write there decides what this process executes already."""
    places = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    return os.pardir not in path.parts and any(
        path.is_relative_to(place) for place in places if place
    )
