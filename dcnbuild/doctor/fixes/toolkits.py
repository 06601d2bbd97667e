"""CUDA toolkits: where one comes from for this machine, and what makes it the one in use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base import quoting
from dcnbuild.base.quoting import UnquotableError
from dcnbuild.doctor.fixes.fix import Target, makes_fix
from dcnbuild.doctor.fixes.python import conda_install, dcnbuild, dcnbuild_words
from dcnbuild.doctor.fixes.shell import assignment, prepend, set_constant, set_env_from, written
from dcnbuild.doctor.fixes.system import system_install
from dcnbuild.machine import recipes, repositories

_WINDOWS_TOOLKITS = r"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA"


@makes_fix
def use_toolkit(target: Target, version: str | None = None, root: str | Path | None = None) -> Iterator[str]:
    """Makes a toolkit the one in use: that at `root`, else one of the version, where it usually lies."""
    if version is not None:
        _version(version)
    if root is None and target.facts is not None:
        root = next((kit.root for kit in target.facts.toolkits if version in (None, kit.version)), None)
    if root is None and target.windows:
        if version is None:
            yield from written(target, "use_installed")
            return
        root = rf"{_WINDOWS_TOOLKITS}\v{version}"
    if root is None and target.manager == "nix":
        named = f"cudaPackages{'_' if version else ''}{(version or '').replace('.', '_')}.cudatoolkit"
        yield assignment(target, "NIXPKGS_ALLOW_UNFREE", "1")
        yield from set_env_from("CUDA_HOME", "nix-build", "<nixpkgs>", "-A", named, "--no-out-link").strict(target)
        return
    usual = "/opt/cuda" if target.manager == "pacman" else "/usr/local/cuda"
    root = str(root or (f"/usr/local/cuda-{version}" if version else usual))
    yield assignment(target, "CUDA_HOME", root)
    yield from prepend("PATH", rf"{root}\bin" if target.windows else f"{root}/bin").strict(target)


def _version(text: str) -> None:
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}(?:\.\d{1,4})?", text, re.ASCII):
        raise UnquotableError(f"{text}: no version of CUDA such as 13.0")


def toolkit_source(target: Target, version: str) -> tuple[str, str]:
    """Where a toolkit for a torch of this CUDA version comes from, and which version it will be."""
    where = "conda" if target.conda or target.rootless else target.distribution or target.manager or ""
    return recipes.source(version, where, linux=target.system == "Linux")


@makes_fix
def install_toolkit(target: Target, version: str) -> Iterator[str]:
    """Installs a CUDA toolkit that serves a torch of this CUDA version, and makes it the one in use."""
    _version(version)
    if target.shell == "dockerfile":
        yield quoting.comment(f"FROM an image with CUDA {version}, whose name ends in -devel", target.shell)
        return
    source, version = toolkit_source(target, version)
    dashed, unknown = version.replace(".", "-"), target.manager == "apt-get" and target.distribution is None
    if source == "dcnbuild":
        yield from dcnbuild("toolkit", "install", version).strict(target)
        # `toolkit path` could name another of this version, which may be the one that lacks something
        again = set_env_from("CUDA_HOME", *dcnbuild_words(target), "toolkit", "install", version)
        yield from again.strict(target)
        return
    if source == "nix":
        yield from use_toolkit(version).strict(target)
        return
    if source == "conda":
        channel, own = f"nvidia/label/cuda-{version}.0", "" if target.conda else f"cuda-{version}"
        yield from conda_install("cuda-toolkit", channel=channel, own=own).strict(target)
        if own:
            yield from set_constant("CUDA_HOME", f"$HOME/{own}").strict(target)
            return
        prefix = target.facts.variables.get("CONDA_PREFIX") if target.facts else None
        if prefix:
            yield assignment(target, "CUDA_HOME", prefix)
        elif not target.windows:
            yield from set_env_from("CUDA_HOME", "printenv", "CONDA_PREFIX").strict(target)
        return
    if source == "repository" or unknown:
        yield quoting.comment("Install from the package repository of NVIDIA:", target.shell)
        if target.manager == "apt-get" and target.facts is None and "cuda-keyring" not in target.there:
            words = repositories.place("arm" * (target.architecture == "aarch64")), "" if target.root else "sudo "
            yield from written(target, "nvidia_keyring", *words)
        yield from system_install(f"cuda-toolkit-{dashed}").strict(target)
        if unknown and version in recipes.DEBIAN:
            yield quoting.comment(f"On Debian, run this instead: dcnbuild toolkit install {version}", target.shell)
    else:
        page = f"https://developer.nvidia.com/cuda-{dashed}-0-download-archive"
        yield quoting.comment(f"Install CUDA {version} from {page}", target.shell)
    if target.windows:
        yield from use_toolkit(version).strict(target)
    else:
        yield assignment(target, "CUDA_HOME", f"/usr/local/cuda-{version}")
