"""Tests installing toolkits from PyPI packages made here, with a real compiler.

The packages' nvcc is a script that calls the machine's compiler, so an installed toolkit compiles without a download.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from toolkit.packages import VERSION, nvcc_wheel, packages

from dcnbuild.cli import toolkit as command
from dcnbuild.errors import FindingError
from dcnbuild.machine.toolkits import find_toolkits
from dcnbuild.toolkit import install


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


def test_a_second_try_goes_on_with_what_was_downloaded(nvcc: Path, env: dict[str, str], tmp_path: Path) -> None:
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
    monkeypatch.setattr(install, "install", lambda *arguments, **options: Toolkit(root, root / "bin/nvcc", VERSION))
    assert main(["toolkit", "install", VERSION]) == 0
    captured = capsys.readouterr()
    assert captured.out == "/opt/a b\n", "for CUDA_HOME=$(dcnbuild toolkit install ...)"
    assert f"\n    {line}\n" in captured.err
