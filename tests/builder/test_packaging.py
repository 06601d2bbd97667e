"""Tests the build backend like a front end: its requirements, the contents of its files, and an install."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from builder.packages import run
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dcnbuild.builder import native
from dcnbuild.builder.ninjafile import ninja_binary
from dcnbuild.builder.record import read_record
from dcnbuild.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NVIDIA = re.compile(r"lib(cu|nv)")


def needed(library: Path) -> list[str]:
    """The libraries that a library names as needed."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", run(["readelf", "-d", library], library.parent))


@pytest.fixture(scope="session")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sdist(checkout, tmp_path_factory.mktemp("sdist"))


def build_sdist(source: Path, out: Path) -> Path:
    script = f"from dcnbuild.builder import backend; print(backend.build_sdist({str(out)!r}))"
    run([sys.executable, "-c", script], source, SOURCE_DATE_EPOCH="1700000000")
    return next(out.glob("*.tar.gz"))


def unpack(sdist: Path, directory: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    return next(directory.iterdir())


@pytest.fixture(scope="session")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(sdist, tmp_path_factory.mktemp("unpacked"))


def build_wheel(source: Path, out: Path, cxx: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        out,
        ".",
    ]
    run(command, source, DCNBUILD_CUDA="off", CXX=cxx, SOURCE_DATE_EPOCH="1700000000")
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def wheel(unpacked: Path, quick_compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the unpacked sdist, into which a used checkout's leftovers were put back."""
    for stale in ("dcnbuild/lib", "build/lib/dcnbuild/lib"):
        (unpacked / stale).mkdir(parents=True)
        (unpacked / stale / "dcnbuild_cuda.so").write_text("of an earlier build")
    return build_wheel(unpacked, tmp_path_factory.mktemp("wheel"), quick_compiler)


def files_of_the_package(checkout: Path) -> set[str]:
    """Its modules and its tables, in whatever directory."""
    found = (checkout / "dcnbuild").rglob("*.*")
    files = {path.relative_to(checkout) for path in found if path.is_file()}
    return {str(path) for path in files if not {"lib", "csrc", "__pycache__"} & {*path.parts}}


def test_sdist_holds_what_a_build_needs_and_no_library(checkout: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "matrix.yaml",
        "noxfile.py",
        "csrc/schema.h",
        "csrc/deform_conv2d/cpu/deform_conv2d.cpp",
        "csrc/deform_conv2d/cuda/deform_conv2d.cu",
        "tests/conftest.py",
    } <= names
    sources = {f"csrc/{path.relative_to(checkout / 'csrc')}" for path in (checkout / "csrc").rglob("*.*")}
    assert sources <= names
    assert files_of_the_package(checkout) <= names
    assert not [name for name in names if name.endswith((".so", ".o")) or "__pycache__" in name]


def test_two_sdists_are_bit_identical(checkout: Path, sdist: Path, tmp_path: Path) -> None:
    """The second one is made of a copy, at another time, by someone whose files nobody else may read."""
    source = tmp_path / "source"
    shutil.copytree(checkout, source, ignore=shutil.ignore_patterns("*.egg-info"), copy_function=shutil.copy)
    for path in source.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    again = build_sdist(source, tmp_path)
    assert sdist.read_bytes() == again.read_bytes()


def test_wheel_is_for_this_platform_and_any_python(wheel: Path) -> None:
    assert re.fullmatch(r"dcnbuild-[\d.]+-py3-none-linux_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(_dist_info(archive, "WHEEL")).decode()
    assert "Root-Is-Purelib: false" in text
    assert re.search(r"^Tag: py3-none-linux_\w+$", text, re.MULTILINE)


def test_wheel_contents(checkout: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = _dist_info(archive, "WHEEL").partition("/")[0]
    sources = {f"dcnbuild/csrc/{path.relative_to(checkout / 'csrc')}" for path in (checkout / "csrc").rglob("*.*")}
    assert sources <= names
    assert files_of_the_package(checkout) <= names
    assert {name for name in names if name.startswith("dcnbuild/lib/")} == {
        "dcnbuild/lib/build.json",
        "dcnbuild/lib/dcnbuild_cpu.so",
    }
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= names
    assert all(name.startswith(("dcnbuild/", f"{info}/")) for name in names)


def test_metadata_asks_for_the_torch_of_the_flavour(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(_dist_info(archive, "METADATA")).decode()
    requirements = re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)
    plain = {re.split(r"[<>=]", item)[0] for item in requirements if "extra" not in item}
    assert plain == {"torch", "ninja", "packaging", "pyyaml", "rich", "shtab"}
    (asked,) = (found for item in requirements if (found := Requirement(item)).name == "torch")
    assert asked.specifier == SpecifierSet(_expected_of_torch())
    assert "Requires-Python: >=3.10" in text
    assert "Dynamic: requires-dist" in text


def _expected_of_torch() -> str:
    import torch

    major, minor = map(int, str(torch.__version__).split(".")[:2])
    return ">=2.10" if (major, minor) >= (2, 10) else f">={major}.{minor},<{major}.{minor + 1}"


def _dist_info(archive: zipfile.ZipFile, name: str) -> str:
    return next(item for item in archive.namelist() if item.endswith(f".dist-info/{name}"))


def test_wheel_says_why_it_has_no_cuda(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    lib = tmp_path / "dcnbuild" / "lib"
    record = read_record(lib)
    assert record is not None
    assert set(record.libraries) == {"cpu"}
    assert record.cuda_left_out is not None
    assert "DCNBUILD_CUDA=off" in record.cuda_left_out
    _check_library(lib / "dcnbuild_cpu.so")
    assert "BIND_NOW" in run(["readelf", "-d", lib / "dcnbuild_cpu.so"], lib)
    assert "GNU_RELRO" in run(["readelf", "-lW", lib / "dcnbuild_cpu.so"], lib)
    assert "__stack_chk_fail" in run(["readelf", "-Ws", lib / "dcnbuild_cpu.so"], lib)
    text = (lib / "build.json").read_text()
    assert str(tmp_path.parent) not in text  # where it was built, and where the compiler lies
    assert sys.prefix not in text


def test_two_builds_in_two_places_are_bit_identical(
    wheel: Path, sdist: Path, quick_compiler: str, tmp_path: Path
) -> None:
    """The first one's tree held an earlier build's leftovers, besides."""
    source = unpack(sdist, tmp_path / "another" / "place")
    again = build_wheel(source, tmp_path / "out", quick_compiler)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        pairs = itertools.zip_longest(first.infolist(), second.infolist())
        differing = [
            (one and one.filename, two and two.filename)
            for one, two in pairs
            if repr(one) != repr(two) or first.read(one) != second.read(two)
        ]
    assert differing == []
    assert wheel.name == again.name
    assert wheel.read_bytes() == again.read_bytes()


def test_the_wheel_passes_its_own_audit(wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(wheel), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"] == []
    bounds = document["bounds"]
    if _expected_of_torch() == ">=2.10":
        assert (bounds["torch"]["abi"], bounds["torch"]["oldest"]) == ("stable", "2.10")
    assert bounds["python"] == {"abi": "none", "oldest": None, "tags": ["py3-none"], "names": []}
    assert bounds["system"]["manylinux"] is not None


def _check_library(library: Path) -> None:
    names = needed(library)
    assert "libtorch_cpu.so" in names
    assert not [name for name in names if NVIDIA.match(name) or "python" in name]
    dynamic = run(["readelf", "-d", library], library.parent)
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic
    assert str(ROOT).encode() not in library.read_bytes()


@pytest.mark.parametrize("name", ["dcnbuild_cpu.so", "dcnbuild_cuda.so"])
def test_installed_library_names_no_nvidia_library(name: str, request: pytest.FixtureRequest) -> None:
    record = read_record(native.PREBUILT)
    if record is None and request.config.getoption("--route") != "prebuilt":
        pytest.skip("the package that is tested has no prebuilt library")
    assert record is not None
    if name == "dcnbuild_cuda.so" and record.cuda_left_out:
        pytest.skip(f"built without CUDA: {record.cuda_left_out}")
    _check_library(native.PREBUILT / name)


def test_editable_install_builds_into_the_checkout(
    unpacked: Path, wheel: Path, quick_compiler: str, environment: Path, tmp_path: Path
) -> None:
    """After the wheel, in the same tree."""
    python = environment / "bin" / "python"
    command = [python, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", ".", "-v"]
    # With the wheel's ninja, which knows what is up to date; another version compiles all of it again.
    path = f"{Path(ninja_binary(os.environ)).parent}:{os.environ['PATH']}"
    output = run(command, unpacked, DCNBUILD_CUDA="off", CXX=quick_compiler, PATH=path)
    assert re.search(r"compiling the CPU kernels \[0/\d+\]", output)
    assert {path.name for path in (unpacked / "dcnbuild" / "lib").iterdir()} == {
        "build.json",
        "dcnbuild_cpu.so",
    }
    # The environment around this one may have dcnbuild installed; the editable install's finder goes first.
    script = (
        "import sys; sys.meta_path.sort(key=lambda finder: 'editable' not in repr(finder).lower());"
        "import torch, dcnbuild; from dcnbuild.builder import native; status = native.status('cpu');"
        "print(status.route, status.library)"
    )
    library = unpacked / "dcnbuild" / "lib" / "dcnbuild_cpu.so"
    assert run([python, "-c", script], tmp_path).strip() == f"prebuilt {library}"
