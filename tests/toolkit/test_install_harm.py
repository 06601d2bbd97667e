"""Tests what a toolkit's installation refuses or repairs: places, downloads and leftovers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from no_locks import failing
from toolkit.packages import VERSION, nvcc_wheel, packages, wheel

from dcnbuild.errors import FindingError
from dcnbuild.toolkit import install, pypi


@pytest.fixture
def without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a toolkit from one wheel without trying its compiler."""

    def fetch(version: str, downloads: Path, staging: Path, *others: object) -> str:
        nvcc_wheel(downloads, "#!/bin/sh\n# nvcc\n")
        assert pypi._unpack(next(downloads.glob("*.whl")), "nvidia/cu13/", staging) == []
        return "a wheel"

    monkeypatch.setattr(install.pypi, "fetch", fetch)
    monkeypatch.setattr(install, "verify", lambda *arguments: ("sm_90",))


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_what_is_installed_can_be_written_by_nobody_else(umask: int, env: dict[str, str], tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        toolkit = install.install(VERSION, env, lambda text: None)
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "home").rglob("*") if not path.is_symlink()]
    assert toolkit.nvcc in made
    assert [path for path in made if path.stat().st_mode & 0o022] == []
    assert install.find(VERSION, env) == toolkit


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_a_cache_without_locks(code: int, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without locks, another machine may be installing the same toolkit, so its downloads stay."""
    monkeypatch.setattr(fcntl, "flock", failing(code, tmp_path / "home"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    downloads = tmp_path / "home/.cache/dcnbuild/toolkit-downloads"
    other = downloads / f"cuda-{VERSION}-another/staging"
    other.mkdir(parents=True, mode=0o700)
    toolkit = install.install(VERSION, env, lambda text: None)
    assert [path.parent for path in downloads.glob("*/*")] == [other.parent]
    assert list((tmp_path / "temporary").glob("*/*.lock")), "nothing stood in for the lock"

    fetch = install.pypi.fetch

    def slow_fetch(*arguments: Any) -> str:
        made_of = fetch(*arguments)
        away.rename(toolkit.root)  # the other machine is done first
        return made_of

    away = tmp_path / "away"
    toolkit.root.rename(away)
    monkeypatch.setattr(install.pypi, "fetch", slow_fetch)
    assert install.install(VERSION, env, lambda text: None) == toolkit
    assert [path.parent for path in downloads.glob("*/*")] == [other.parent]


@pytest.mark.usefixtures("without_compiling")
def test_a_toolkit_that_lost_a_part_is_replaced(env: dict[str, str], tmp_path: Path) -> None:
    place = install.install(VERSION, env, lambda text: None).root
    for lose in (
        lambda: (place / "bin/nvcc").unlink(),
        lambda: (place / "lib/libcudart.so.13").unlink(),
        lambda: (place / "bin/nvcc").write_text("#!/bin/sh\n"),
        lambda: (shutil.rmtree(place), place.symlink_to("nowhere")),
    ):
        lose()
        said: list[str] = []
        assert install.install(VERSION, env, said.append).root == place
        assert "is no whole toolkit" in said[0] and "downloading" in said[1]
    assert len(list((tmp_path / "home/.cache/dcnbuild/toolkits-broken").glob("*/*"))) == 4
    assert len(list(place.parent.iterdir())) == 1
    (place / "mine").touch()  # a file of the user's makes no toolkit less whole
    assert install.install(VERSION, env, said.append).root == place


def test_a_place_that_cannot_be_written_is_found_before_the_download(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(install.tempfile, "TemporaryDirectory", refuse)
    monkeypatch.setattr(install.pypi, "fetch", lambda *arguments: pytest.fail("downloaded"))
    with pytest.raises(PermissionError):
        install.install(VERSION, env, lambda text: None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_unpacked_is_left_behind(
    error: type[BaseException], env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(version: str, downloads: Path, staging: Path, *others: object) -> str:
        (downloads / "kept.whl").touch()
        (staging / "bin").mkdir()
        raise error

    monkeypatch.setattr(install.pypi, "fetch", stop)
    with pytest.raises(error):
        install.install(VERSION, env, lambda text: None)
    cache = tmp_path / "home/.cache/dcnbuild"
    assert [path.name for path in (cache / f"toolkit-downloads/cuda-{VERSION}").iterdir()] == ["kept.whl"]
    assert not list((cache / "toolkits").iterdir())


def test_a_wheel_that_is_not_the_listed_one(nvcc: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A file whose hash differs from the one in the index is refused."""
    packages(tmp_path / "index", nvcc)
    simple = tmp_path / "simple"
    for wheel_ in (tmp_path / "index").glob("*.whl"):
        project = simple / wheel_.name.partition("-")[0].replace("_", "-")
        project.mkdir(parents=True)
        digest = hashlib.sha256(wheel_.read_bytes()).hexdigest()
        (project / "index.html").write_text(
            f'<!DOCTYPE html><a href="{wheel_.as_uri()}#sha256={digest}">{wheel_.name}</a>'
        )
    env |= {"PIP_INDEX_URL": simple.as_uri()}
    del env["PIP_NO_INDEX"], env["PIP_FIND_LINKS"]
    assert install.install(VERSION, env, lambda text: None).version == VERSION
    shutil.rmtree(tmp_path / "home")
    nvcc_wheel(tmp_path / "index", "#!/bin/sh\ntouch harm\n")
    with pytest.raises(FindingError, match=r"(?i)hash"):
        install.install(VERSION, env, lambda text: None)


def test_a_planted_wheel_beside_the_downloads_is_not_unpacked(nvcc: Path, env: dict[str, str], tmp_path: Path) -> None:
    packages(tmp_path / "index", nvcc)
    downloads, staging = tmp_path / "downloads", tmp_path / "staging"
    downloads.mkdir()
    staging.mkdir()
    wheel(downloads, "nvidia_planted", {"nvidia/cu13/bin/planted": ""})
    pypi.fetch(VERSION, downloads, staging, env, False)
    assert not (staging / "bin/planted").exists()
    assert (staging / "bin/nvcc").exists()


def test_a_cache_that_others_can_write(env: dict[str, str], tmp_path: Path) -> None:
    nvcc = tmp_path / f"shared/toolkits/cuda-{VERSION}/bin/nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho release {VERSION}\n")
    for path in (nvcc, *list(nvcc.parents)[:5]):
        path.chmod(0o777)
    env["DCNBUILD_CACHE"] = str(tmp_path / "shared")
    with pytest.raises(FindingError, match="can be written by others"):
        install.install(VERSION, env, lambda text: None)
    assert install.find(VERSION, env) is None
    assert not (tmp_path / "ran").exists()
