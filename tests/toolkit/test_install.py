"""Installing toolkits from PyPI packages made here, with a compiler that is really there.

The packages' nvcc is a script that calls the machine's, so that what is laid out compiles without a download.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from no_locks import failing

from dcnbuild.cli import toolkit as command
from dcnbuild.errors import FindingError
from dcnbuild.machine.toolkits import find_toolkits
from dcnbuild.toolkit import install, pypi

VERSION = "13.97"  # that nobody has


def wheel(index: Path, name: str, contents: dict[str, str], metadata: str = "") -> None:
    """Writes a wheel as NVIDIA's are: files under nvidia/cu13, programs executable."""
    info = f"{name}-{VERSION}.1.dist-info"
    contents = {
        **contents,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}.1\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(index / f"{name}-{VERSION}.1-py3-none-any.whl", "w") as archive:
        for path, text in contents.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o755 if "/bin/" in path else 0o644) << 16
            archive.writestr(entry, text)


def nvcc_wheel(index: Path, script: str) -> None:
    """The wheel that holds nvcc and a runtime library under its versioned name only."""
    version = json.dumps({"cuda": {"version": f"{VERSION}.1"}})
    contents = {"bin/nvcc": script, "version.json": version, "lib/libcudart.so.13": ""}
    wheel(index, "nvidia_nvcc", {f"nvidia/cu13/{name}": text for name, text in contents.items()})


def packages(index: Path, nvcc: Path) -> None:
    requires = (
        'Provides-Extra: nvcc\nProvides-Extra: cccl\nRequires-Dist: nvidia_nvcc; extra == "nvcc"\n'
    )
    wheel(index, "cuda_toolkit", {}, requires)
    nvcc_wheel(index, f'#!/bin/sh\nexec {nvcc} "$@"\n')


def test_from_pypi(nvcc: Path, env: dict[str, str], tmp_path: Path) -> None:
    packages(tmp_path / "index", nvcc)
    said: list[str] = []
    toolkit = install.install(VERSION, env, said.append)
    place = tmp_path / "home/.cache/dcnbuild/toolkits" / f"cuda-{VERSION}"
    assert (place / "lib/libcudart.so").resolve().name == "libcudart.so.13"
    assert (place / "lib64/libcudart.so.13").is_file()
    assert "nvidia_nvcc" in (place / "dcnbuild-toolkit.txt").read_text()
    assert [text.split()[0] for text in said] == ["downloading", "compiling"]
    assert not list((tmp_path / "home/.cache/dcnbuild/toolkit-downloads").glob("*/*"))
    assert not (place / "verify").exists()
    # what stands there is not made again: there is nothing left to make it of
    shutil.rmtree(tmp_path / "index")
    assert install.install(VERSION, env, said.append).root == toolkit.root
    assert len(said) == 2


def test_a_second_try_goes_on_with_what_was_downloaded(
    nvcc: Path, env: dict[str, str], tmp_path: Path
) -> None:
    packages(tmp_path / "index", nvcc)
    nvcc_wheel(tmp_path / "index", "#!/bin/sh\necho 'nvcc fatal : broken'; exit 1\n")
    with pytest.raises(FindingError, match="broken"):
        install.install(VERSION, env, lambda text: None)
    cache = tmp_path / "home/.cache/dcnbuild"
    assert not list((cache / "toolkits").iterdir()), "half a toolkit stands in the cache"
    kept = cache / f"toolkit-downloads/cuda-{VERSION}"
    assert len(list(kept.glob("*.whl"))) == 2
    # the download is mended in place, and the index gone: only what was kept can serve
    nvcc_wheel(kept, f'#!/bin/sh\nexec {nvcc} "$@"\n')
    env["PIP_FIND_LINKS"] = str(kept)
    shutil.rmtree(tmp_path / "index")
    assert install.install(VERSION, env, lambda text: None).version == VERSION


def test_a_version_that_nobody_packs_says_what_there_is(env: dict[str, str]) -> None:
    with pytest.raises(FindingError, match=r"12\.4, 11\.8 from Debian") as caught:
        install.install("12.1", env, lambda text: None)
    assert caught.value.finding.fix == ("dcnbuild toolkit install 12.4",)
    with pytest.raises(FindingError, match="no packages of it are known") as caught:
        install.install("10.2", env, lambda text: None)
    assert caught.value.finding.fix == ()


def test_what_pip_lacks_is_told_by_pip(env: dict[str, str]) -> None:
    with pytest.raises(FindingError, match=rf"cuda-toolkit.*{VERSION}"):
        install.install(VERSION, env, lambda text: None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "new",
        "13",
        "13.0.1",
        "13.0; id",
        "13.0\n",
        " 13.0",
        "13.0/../x",
        "013.0",
        "१३.०",
        "-r.0",
    ],
)
def test_what_is_no_version(text: str, env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a CUDA version"):
        install.install(text, env)
    if text not in ("13", "13.0.1"):
        with pytest.raises(ValueError, match="not a CUDA version"):
            install.find(text, env)


@pytest.fixture
def without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs from one wheel, and does not try its compiler."""

    def fetch(version: str, downloads: Path, staging: Path, *others: object) -> str:
        nvcc_wheel(downloads, "#!/bin/sh\n# nvcc\n")
        assert pypi._unpack(next(downloads.glob("*.whl")), "nvidia/cu13/", staging) == []
        return "a wheel"

    monkeypatch.setattr(install.pypi, "fetch", fetch)
    monkeypatch.setattr(install, "verify", lambda *arguments: ("sm_90",))


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("umask", [0, 0o002, 0o077])
def test_what_is_installed_can_be_written_by_nobody_else(
    umask: int, env: dict[str, str], tmp_path: Path
) -> None:
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
def test_a_cache_without_locks(
    code: int, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine may be installing the same: its downloads are left alone."""
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
    assert [path.name for path in (cache / f"toolkit-downloads/cuda-{VERSION}").iterdir()] == [
        "kept.whl"
    ]
    assert not list((cache / "toolkits").iterdir())


def test_a_wheel_that_is_not_the_listed_one(
    nvcc: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """An index with hashes, as PyPI is; the file behind one of them was exchanged."""
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


def test_a_planted_wheel_beside_the_downloads_is_not_unpacked(
    nvcc: Path, env: dict[str, str], tmp_path: Path
) -> None:
    packages(tmp_path / "index", nvcc)
    downloads, staging = tmp_path / "downloads", tmp_path / "staging"
    downloads.mkdir()
    staging.mkdir()
    wheel(downloads, "nvidia_planted", {"nvidia/cu13/bin/planted": ""})
    pypi.fetch(VERSION, downloads, staging, env, False)
    assert not (staging / "bin/planted").exists()
    assert (staging / "bin/nvcc").exists()


def test_command(
    nvcc: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        status = command.run(parser.parse_args(words))
        return status, *capsys.readouterr()

    status, out, _ = run("list")
    assert status == 0
    assert str(nvcc.parent.parent) in out
    assert "12.4, 11.8 from Debian's packages" in out
    version = next(item.version for item in find_toolkits(os.environ) if item.nvcc == nvcc)
    assert run("path", version)[:2] == (0, f"{nvcc.parent.parent}\n")
    assert run("path", "9.2")[0] == 1
    assert run("path", "13; id")[0] == 1
    status, out, err = run("install", "9.2")
    assert (status, out) == (1, "")
    assert "no packages of it are known" in err


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


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("/bin/bash", "export CUDA_HOME='/opt/a b'"),
        ("/usr/bin/fish", "set -gx CUDA_HOME '/opt/a b'"),
        ("/bin/tcsh", "setenv CUDA_HOME '/opt/a b'"),
    ],
)
def test_the_line_that_uses_it(
    shell: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dcnbuild.cli import main
    from dcnbuild.machine.facts import Toolkit

    root = Path("/opt/a b")
    monkeypatch.setenv("SHELL", shell)
    monkeypatch.setattr(
        install, "install", lambda *arguments, **options: Toolkit(root, root / "bin/nvcc", VERSION)
    )
    assert main(["toolkit", "install", VERSION]) == 0
    captured = capsys.readouterr()
    assert captured.out == "/opt/a b\n", "for CUDA_HOME=$(dcnbuild toolkit install ...)"
    assert f"\n    {line}\n" in captured.err
