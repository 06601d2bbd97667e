"""Makes a toolkit from PyPI's CUDA 13 packages, in its own directory, which torch accepts as CUDA_HOME."""

from __future__ import annotations

import json
import lzma
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from dcnbuild.base.versions import numbers
from dcnbuild.machine.toolkits import find_package_headers
from dcnbuild.toolkit import archive
from dcnbuild.toolkit.programs import failed, run

#: The libraries whose headers ATen's CUDA headers include: extras of the package `cuda-toolkit`.
_MATH = ("cublas", "cusolver", "cusparse")
#: Names and versions that are valid in a requirements file.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")


def fetch(version: str, downloads: Path, staging: Path, env: Mapping[str, str], math_headers: bool) -> str:
    """Downloads files missing in `downloads`, unpacks the toolkit to `staging`, and returns a text that names its
    packages.

    Args:
        version: "13.0"; takes its newest patch release.
        downloads: the directory for wheels, until the toolkit is complete.
        staging: the toolkit's directory.
        env: the environment variables.
        math_headers: download the cuBLAS, cuSPARSE and cuSOLVER wheels too (about 1 GB), and keep their headers.

    Raises FindingError if pip is missing or finds no such version, or if a wheel differs from the index's.
    """
    what = f"downloading CUDA {version}"
    extras = ",".join(("nvcc", "cccl", *(_MATH if math_headers else ())))
    requirement = f"cuda-toolkit[{extras}]=={version}.*"
    root = f"nvidia/cu{numbers(version)[0]}/"
    wheels = _download(requirement, downloads, env, what)
    for wheel in wheels:
        try:
            refused = _unpack(wheel, root, staging)
        # zipfile and its decompressors raise these: damage, a password, a method that this Python lacks
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
            raise failed(what, f"{wheel} cannot be unpacked", (str(error),)) from error
        archive.refuse(refused, wheel.name, what)
    if not (staging / "bin/nvcc").is_file():
        raise failed(what, f"the packages of {requirement} hold no {root}bin/nvcc")
    _complete(staging)
    _lend_headers(version, staging, env)
    names = [wheel.name.split("-py")[0] for wheel in wheels]
    return f"PyPI: {' '.join(names)}"


def _download(requirement: str, downloads: Path, env: Mapping[str, str], what: str) -> list[Path]:
    """Downloads the wheels of a requirement; every wheel must have the hash that the index lists.

    pip resolves first, and its report has the hashes; then it downloads with them. Other files in `downloads`, from an
    earlier try, are ignored.
    """
    pip = (sys.executable, "-m", "pip")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:")
    report, pinned = downloads / "report.json", downloads / "requirements.txt"
    resolve = ("install", "--dry-run", "--ignore-installed", "--report", report)
    run([*pip, *resolve, *quiet, requirement], downloads, env, what)
    expected = _hashes(report, what)
    lines = (f"{name} --hash=sha256:{digest}" for name, (_, digest) in expected.items())
    pinned.write_text("\n".join(lines) + "\n", encoding="utf-8")
    download = ("download", "--no-deps", "--require-hashes", "--dest", downloads, "-r", pinned)
    run([*pip, *download, *quiet], downloads, env, what)
    for wheel, digest in expected.values():
        archive.check_hash(downloads / wheel, "sha256", digest, what)
    return sorted(downloads / wheel for wheel, _ in expected.values())


def _hashes(report: Path, what: str) -> dict[str, tuple[str, str]]:
    """Returns, from pip's report, "name==version" → (the wheel's file name, its SHA-256)."""
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
        found = {}
        for item in document["install"]:
            name, version = item["metadata"]["name"], item["metadata"]["version"]
            wheel = PurePosixPath(unquote(urlsplit(item["download_info"]["url"]).path)).name
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
                raise ValueError(f"no name and version: {name!r} {version!r}")
            found[f"{name}=={version}"] = wheel, digest
        return found
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise failed(what, "pip's report names no wheels with their hashes", (str(error),)) from error


def _unpack(wheel: Path, root: str, target: Path) -> list[str]:
    """Unpacks a wheel's files under `root`; of cuBLAS, cuSPARSE and cuSOLVER only the headers.

    Returns the members that were left out because they lead outside the target.
    """
    headers_only = re.match(r"nvidia_(cublas|cusolver|cusparse|nvjitlink|cuda_nvrtc)-", wheel.name)
    refused = []
    with zipfile.ZipFile(wheel) as members:
        for info in members.infolist():
            name = info.filename.removeprefix(root)
            if name == info.filename or info.is_dir():
                continue
            if headers_only and not name.startswith("include/"):
                continue
            with members.open(info) as source:
                try:
                    executable = bool(info.external_attr >> 16 & 0o111)
                    archive.write_file(target, name, source, executable)
                except archive.UnsafeMemberError as error:
                    refused.append(str(error))
    return refused


def _complete(toolkit: Path) -> None:
    """Adds the names that linkers search: the packages have only lib/ and versioned libraries."""
    for library in sorted(toolkit.glob("lib/libcudart.so.*"))[:1]:
        (toolkit / "lib/libcudart.so").unlink(missing_ok=True)
        (toolkit / "lib/libcudart.so").symlink_to(library.name)
    if not (toolkit / "lib64").exists():
        (toolkit / "lib64").symlink_to("lib")


def _lend_headers(version: str, toolkit: Path, env: Mapping[str, str]) -> None:
    """Copies headers from this environment's own CUDA packages (torch's), if they have the same version.

    ATen's CUDA headers include cuSPARSE's. nvcc would refuse those of another minor version.
    """
    for package in find_package_headers(env):
        if package.version is None or numbers(package.version)[:2] != numbers(version)[:2]:
            continue
        for header in package.directory.rglob("*"):
            place = toolkit / "include" / header.relative_to(package.directory)
            if header.is_file() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(header, place)
