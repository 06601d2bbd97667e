"""Tests the lock of a build: on file systems with and without locks, and across a fork."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest
from hang import HANG
from no_locks import failing

from dcnbuild.machine import fork_locks, locking


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


def test_a_lock_keeps_all_others_out_and_lets_go(tmp_path: Path, temporary: Path) -> None:
    path = tmp_path / "lock"
    waited = []
    with locking.locked(path) as scope:
        assert scope == "all"
        (held,) = locking._held

        def let_go() -> None:
            waited.append(1)
            locking._close(held)

        with locking.locked(path, let_go):
            pass
    assert waited == [1]
    assert not locking._held


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr(fcntl, "flock", failing(code, cache))
    with locking.locked(cache / "lock") as scope:
        assert scope == "machine"
        (stand_in,) = temporary.glob("*/*.lock")
        probe = os.open(stand_in, os.O_RDWR)
        with pytest.raises(BlockingIOError):  # held, that is
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(probe)
    monkeypatch.setattr(fcntl, "flock", failing(code, None))
    with locking.locked(cache / "lock") as scope:
        assert scope == "nobody"
    assert not locking._held


def test_no_stand_in_where_others_can_write(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = temporary / f"dcnbuild-locks-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOSYS, None))
    with locking.locked(tmp_path / "lock") as scope:
        assert scope == "nobody"
    assert not list(planted.iterdir())


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path, temporary: Path) -> None:
    path = tmp_path / "lock"
    stay, go = os.pipe()
    with locking.locked(path):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(stay, 1)  # until the parent is done
            os._exit(0)
        os.close(stay)
    with locking.locked(path, lambda: pytest.fail("the child holds the lock")):
        pass
    os.close(go)
    assert os.waitpid(child, 0)[1] == 0


def test_fork_while_another_thread_builds() -> None:
    """After a fork, the child can take the lock, and import the module that another thread was importing."""
    held, done = threading.Event(), threading.Event()

    def build() -> None:
        with fork_locks.building:
            held.set()
            done.wait(HANG)

    thread = threading.Thread(target=build)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        free = fork_locks.building.acquire(blocking=False) and fork_locks.importing.acquire(blocking=False)
        os._exit(0 if free else 1)
    status = os.waitpid(child, 0)[1]
    assert not fork_locks.building.acquire(blocking=False)  # the parent's is held still
    done.set()
    thread.join()
    assert status == 0


def test_fork_waits_for_the_imports_of_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_locks, "_LONGEST_IMPORT_SECONDS", HANG)
    importing = threading.Event()
    order: list[str] = []

    def build() -> None:
        with fork_locks.importing:
            importing.set()
            threading.Event().wait(0.5)
            order.append("imported")

    thread = threading.Thread(target=build)
    thread.start()
    importing.wait()
    child = os.fork()
    if child == 0:
        os._exit(0)
    order.append("forked")
    os.waitpid(child, 0)
    thread.join()
    assert order == ["imported", "forked"]
    assert not fork_locks.importing.locked()
