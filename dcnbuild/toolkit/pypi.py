"""A toolkit out of PyPI's CUDA 13 packages, in a directory of its own that torch accepts as CUDA_HOME."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.environment.toolkits import find_package_headers
from dcnbuild.toolkit.commands import failed, run
from dcnbuild.versions import numbers

#: The libraries whose headers ATen's CUDA headers include: extras of the package `cuda-toolkit`.
_MATH = ("cublas", "cusolver", "cusparse")


def fetch(
    version: str, downloads: Path, staging: Path, env: Mapping[str, str], math_headers: bool
) -> str:
    """Downloads what is not in `downloads` yet, lays the toolkit out in `staging`, and says what it was made of.

    Args:
        version: "13.0"; its newest patch release is taken.
        downloads: where the wheels are kept until the toolkit stands.
        staging: the toolkit's directory.
        env: the environment variables.
        math_headers: download the cuBLAS, cuSPARSE and cuSOLVER wheels too (about 1 GB), and keep their headers.

    Raises FindingError where pip is missing or finds no such version.
    """
    what = f"downloading CUDA {version}"
    extras = ",".join(("nvcc", "cccl", *(_MATH if math_headers else ())))
    requirement = f"cuda-toolkit[{extras}]=={version}.*"
    run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--only-binary", ":all:", "--dest", downloads, requirement),
        ],
        downloads,
        env,
        what,
    )
    root = f"nvidia/cu{numbers(version)[0]}/"
    wheels = sorted(downloads.glob("*.whl"))
    for wheel in wheels:
        _unpack(wheel, root, staging)
    if not (staging / "bin/nvcc").is_file():
        raise failed(what, f"the packages of {requirement} hold no {root}bin/nvcc")
    _complete(staging)
    _lend_headers(version, staging, env)
    names = [wheel.name.split("-py")[0] for wheel in wheels]
    return f"PyPI: {' '.join(names)}"


def _unpack(wheel: Path, root: str, target: Path) -> None:
    """Unpacks a wheel's files under `root`; of cuBLAS and the like only the headers."""
    headers_only = re.match(r"nvidia_(cublas|cusolver|cusparse|nvjitlink|cuda_nvrtc)-", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename.removeprefix(root)
            if name == info.filename or info.is_dir() or ".." in name.split("/"):
                continue
            if headers_only and not name.startswith("include/"):
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
            path.chmod(0o755 if info.external_attr >> 16 & 0o111 else 0o644)


def _complete(toolkit: Path) -> None:
    """Adds the names that linkers look for: the packages have lib/ and versioned libraries only."""
    for library in toolkit.glob("lib/libcudart.so.*"):
        (toolkit / "lib/libcudart.so").symlink_to(library.name)
    if not (toolkit / "lib64").exists():
        (toolkit / "lib64").symlink_to("lib")


def _lend_headers(version: str, toolkit: Path, env: Mapping[str, str]) -> None:
    """Copies the headers that this environment's own CUDA packages (torch's) have of the same version.

    ATen's CUDA headers include cuSPARSE's; of another minor version nvcc would refuse them.
    """
    for package in find_package_headers(env):
        if package.version is None or numbers(package.version)[:2] != numbers(version)[:2]:
            continue
        for header in package.directory.rglob("*"):
            place = toolkit / "include" / header.relative_to(package.directory)
            if header.is_file() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(header, place)
