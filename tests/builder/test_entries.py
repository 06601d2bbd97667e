"""Tests which cache directories and entries are used: owners, modes, mount options, and two builders at once."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from dcnbuild.builder import cache
from dcnbuild.builder.record import FILE, BuildRecord, LibraryRecord, file_digest
from dcnbuild.machine import files


def make_entry(directory: Path, content: bytes = b"library") -> None:
    """A whole entry, as a build leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "dcnbuild_cpu.so"
    path.write_bytes(content)
    record = LibraryRecord("hash", len(content), file_digest(path))
    BuildRecord("0.1.0", "stable", "2.14.1", None, "gcc", {"cpu": record}).write(directory)
    for place in (path, directory):
        place.chmod(0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache with one entry, `key`."""
    path = tmp_path / "cache" / "jit"
    cache.make_private(path)
    make_entry(path / "key")
    assert isinstance(cache.find_entry(path, "key", "cpu"), cache.Entry)
    return path


@pytest.fixture
def owned_by_another(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a place look as if another user owned it, which only root could really do."""
    places: set[int] = set()
    real = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        values = list(real(path))
        values[4] = 1234 if values[1] in places else values[4]
        return os.stat_result(values)

    monkeypatch.setattr(Path, "lstat", lstat)
    return lambda path: places.add(path.stat().st_ino)


PLACES = ["key/dcnbuild_cpu.so", f"key/{FILE}", "key", ".", ".."]


@pytest.mark.parametrize("place", PLACES)
def test_what_another_user_owns_is_not_loaded(root: Path, owned_by_another: Callable[[Path], None], place: str) -> None:
    owned_by_another(root / place)
    assert "belongs to another user" in str(cache.find_entry(root, "key", "cpu"))
    assert not list(cache.find_all(root, "k", "cpu"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_what_others_can_write_is_not_loaded(root: Path, place: str, mode: int) -> None:
    (root / place).chmod(mode)
    assert "can be written by others" in str(cache.find_entry(root, "key", "cpu"))


def test_an_entry_of_another_user_is_replaced_by_a_build(root: Path, owned_by_another: Callable[[Path], None]) -> None:
    owned_by_another(root / "key")
    entry = cache.build_entry(root, "key", "cpu", lambda path: make_entry(path, b"built"))
    assert entry.path.read_bytes() == b"built"
    assert not list(root.glob("*.tmp"))


def test_whatever_the_umask_is_the_entry_is_trusted(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "home" / "dcnbuild" / "jit"
        cache.make_private(path)
        entry = cache.build_entry(path, "key", "cpu", make_entry)
    finally:
        os.umask(before)
    assert isinstance(cache.find_entry(path, "key", "cpu"), cache.Entry)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert entry.path.stat().st_mode & 0o022 == 0


@pytest.fixture
def noexec(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Pretends that some directories are mounted noexec."""
    places: set[Path] = set()
    monkeypatch.setattr(files, "mounted_noexec", lambda path: any(path.is_relative_to(place) for place in places))
    return places


def test_a_cache_mounted_noexec_is_passed_over_with_a_warning(
    tmp_path: Path, noexec: set[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    noexec.add(tmp_path / "cache")
    with pytest.warns(RuntimeWarning, match=r"noexec.* Set DCNBUILD_CACHE") as caught:
        first = next(cache.writable_caches({"DCNBUILD_CACHE": str(tmp_path / "cache")}))
    assert first.parent == temporary
    assert len(caught) == 1


def test_noexec_everywhere_ends_with_the_line_that_mends_it(
    tmp_path: Path, noexec: set[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcnbuild.builder.findings import no_place

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cache, "_SHARED", ())
    noexec.add(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(cache.UnusableCacheError) as caught:
            list(cache.writable_caches({"DCNBUILD_CACHE": str(tmp_path / "cache")}))
    assert str(caught.value).count("mounted noexec") == 2
    finding = no_place("the kernels", str(caught.value))
    assert len(finding.evidence) == 2
    assert finding.fix == ("export DCNBUILD_CACHE=/a/directory/of/yours",)
    assert not list(tmp_path.glob("dcnbuild-*x*"))  # the new one is not left behind


def test_a_mount_option_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not files.mounted_noexec(tmp_path)
    assert not files.mounted_noexec(tmp_path / "none")
    proc = Path("/proc")  # noexec nearly everywhere; else there is nothing to see here
    if "noexec" in next(
        (line for line in Path("/proc/mounts").read_text().splitlines() if " /proc proc " in line),
        "",
    ):
        assert files.mounted_noexec(proc)


def test_two_builders_without_a_lock_do_not_break_each_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quicker builder on another machine has begun the same entry; this build does not remove its files."""
    import fcntl

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    going_on = root / "new.abc.tmp"
    going_on.mkdir()
    abandoned = root / "new.old.tmp"
    abandoned.mkdir()
    long_ago = time.time() - 10 * 86400
    os.utime(abandoned, (long_ago, long_ago))

    def build(directory: Path) -> None:
        make_entry(directory)
        make_entry(root / "new", b"theirs")

    entry = cache.build_entry(root, "new", "cpu", build)
    assert entry.path.read_bytes() == b"library"
    assert going_on.is_dir()
    assert not abandoned.exists()


@pytest.mark.parametrize("replaced", [FILE, "dcnbuild_cpu.so"])
@pytest.mark.parametrize("by", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(root: Path, replaced: str, by: Callable[[Path], None]) -> None:
    path = root / "key" / replaced
    path.unlink()
    by(path)
    if replaced != FILE:  # which is compared first
        record = LibraryRecord("hash", path.stat().st_size, "")
        BuildRecord("0.1.0", "stable", "2.14.1", None, "gcc", {"cpu": record}).write(path.parent)
    assert isinstance(cache.find_entry(root, "key", "cpu"), str)
    assert list(cache.find_all(root, "key", "cpu")) == []
