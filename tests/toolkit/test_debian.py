"""Tests toolkits from Debian packages made here, with an apt-get that downloads them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dcnbuild.errors import FindingError
from dcnbuild.machine import recipes
from dcnbuild.machine.recipes import DebianRecipe
from dcnbuild.toolkit import debian


def deb(directory: Path, package: str, contents: dict[str, str]) -> None:
    root = directory / package
    for path, text in {
        "DEBIAN/control": f"Package: {package}\nVersion: 1\nArchitecture: amd64\n"
        "Maintainer: test <t@example.org>\nDescription: test\n",
        **contents,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        if "/bin/" in path:
            (root / path).chmod(0o755)
    subprocess.run(
        ["dpkg-deb", "--build", "-Znone", root, directory / f"{package}_1_amd64.deb"],
        check=True,
        capture_output=True,
    )


def test_debian_packages_are_laid_out_as_nvidia_does(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb")
    archive = tmp_path / "archive"
    recipe = DebianRecipe(suite="trixie", runtime="libcudart12", host=11)
    files: dict[str, dict[str, str]] = {
        package: {f"usr/share/doc/{package}/copyright": ""} for package in (*recipe.packages, *recipe.host_packages)
    }
    files["nvidia-cuda-toolkit"] |= {
        "usr/bin/nvcc": "a wrapper",
        "usr/bin/ptxas": "ptxas",
        "usr/lib/nvidia-cuda-toolkit/bin/nvcc": "the real one",
        "usr/lib/nvidia-cuda-toolkit/bin/cicc": "",
        "usr/lib/nvidia-cuda-toolkit/bin/gcc": "a script with absolute paths",
        "usr/lib/nvidia-cuda-toolkit/libdevice/libdevice.10.bc": "",
    }
    files["libnvvm4"]["usr/lib/x86_64-linux-gnu/libnvvm.so.4.0.0"] = ""
    files["nvidia-cuda-dev"] |= {
        "usr/include/cuda.h": "",
        "usr/lib/x86_64-linux-gnu/libcudart_static.a": "",
        "usr/lib/x86_64-linux-gnu/libcublas_static.a": "a gigabyte",
        "usr/lib/x86_64-linux-gnu/stubs/libcuda.so": "",
    }
    files["gcc-11"] = {"usr/bin/gcc-11": "#!/bin/sh\necho gcc 11 got $1\n"}
    for package, contents in files.items():
        deb(archive, package, contents)
    # an apt-get that takes its packages from that directory and notes how it was asked
    tools = tmp_path / "tools"
    tools.mkdir()
    script = (
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        'case "$*" in *--print-uris*)\n'
        f"cd {archive}; echo Reading...; for file in *.deb; do\n"
        """echo "'http://m.example/$file' $file 12 SHA256:$(sha256sum < $file | cut -c -64)"\n"""
        "done; exit;; esac\n"
        f'for name; do :; done\ntest "$name" = update || cp {archive}/"$name"_1_amd64.deb .\n'
    )
    (tools / "apt-get").write_text(script)
    (tools / "apt-get").chmod(0o755)
    env["PATH"] = f"{tools}:{env['PATH']}"
    monkeypatch.setenv("PATH", env["PATH"])
    monkeypatch.setattr(
        debian.apt_sources,
        "debian_archive",
        lambda: debian.apt_sources.AptSource("http://m.example/debian", ("bookworm",), ("main",)),
    )
    staging, downloads = tmp_path / "staging", tmp_path / "downloads"
    staging.mkdir()
    downloads.mkdir()
    made_of = debian.fetch("12.4", recipe, downloads, staging, env)
    assert "nvidia-cuda-toolkit_1_amd64" in made_of
    laid_out = {str(path.relative_to(staging)) for path in staging.rglob("*") if not path.is_dir()}
    assert laid_out == {
        *("bin/nvcc", "bin/nvcc.profile", "bin/ptxas", "bin/gcc", "bin/g++"),
        *("nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc", "nvvm/lib64/libnvvm.so.4.0.0"),
        *("include/cuda.h", "lib64/libcudart_static.a", "lib64/stubs/libcuda.so"),
        "host/usr/bin/gcc-11",
    }
    assert (staging / "bin/nvcc").read_text() == "the real one"
    assert os.access(staging / "bin/ptxas", os.X_OK)
    called = subprocess.run([staging / "bin/gcc", "-c"], capture_output=True, text=True, check=True)
    assert called.stdout == "gcc 11 got -c\n"
    line = (downloads / "apt/sources/debian.list").read_text()
    assert "http://m.example/debian trixie main contrib non-free" in line
    asked = (tmp_path / "asked").read_text()
    assert f"Dir::State::Lists={downloads}/apt/lists" in asked, "the system's lists were touched"
    # what is there and has its hash is not downloaded again; what has another is, and is checked then
    (tmp_path / "asked").unlink()
    (downloads / "libcub-dev_1_amd64.deb").write_bytes(b"damaged")
    debian.fetch("12.4", recipe, downloads, fresh(staging), env)
    asked = (tmp_path / "asked").read_text()
    assert [line.split()[-1] for line in asked.splitlines() if " download " in line][1:] == ["libcub-dev"]
    (tools / "apt-get").write_text(script.replace("cp ", "cut -c -99 ").replace(" .\n", " > x\n"))
    (downloads / "libcub-dev_1_amd64.deb").unlink()
    with pytest.raises((FindingError, OSError), match="libcub-dev_1_amd64"):
        debian.fetch("12.4", recipe, downloads, fresh(staging), env)
    lying = script.replace("cut -c -64", "cut -c -64 | tr 0-9 1")
    (tools / "apt-get").write_text(lying)
    with pytest.raises(FindingError, match="not what the index lists"):
        debian.fetch("12.4", recipe, downloads, fresh(staging), env)
    (tools / "apt-get").write_text(script.replace("SHA256:", "MD5Sum:"))
    with pytest.raises(FindingError, match="lists no file with its hash for nvidia-cuda-toolkit"):
        debian.fetch("12.4", recipe, downloads, fresh(staging), env)


def fresh(directory: Path) -> Path:
    shutil.rmtree(directory)
    directory.mkdir()
    return directory


def test_without_apt(tmp_path: Path) -> None:
    with pytest.raises(FindingError, match="there is no apt-get"):
        debian.fetch("12.4", recipes.DEBIAN["12.4"], tmp_path, tmp_path, {"PATH": str(tmp_path)})
