"""Tests the routes to a library, each in a process of its own, with the real sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from build_project import Project

from dcnbuild.builder import native, routes
from dcnbuild.builder.record import BuildRecord, LibraryRecord

pytestmark = pytest.mark.slow

#: A call that an ordinary convolution can check: all offsets are zero.
CALL = """
import os, sys, warnings
import torch, dcnbuild
from dcnbuild.builder import native, routes

def call():
    x, w = torch.randn(2, 4, 6, 5), torch.randn(3, 4, 3, 3)
    out = dcnbuild.deform_conv2d(x, torch.zeros(2, 18, 6, 5), w, padding=1)
    torch.testing.assert_close(out, torch.conv2d(x, w, padding=1), rtol=1e-4, atol=1e-5)

def say():
    status = native.status("cpu")
    print(status.attempt, status.route, status.library, sep="|")
"""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, quick_compiler: str) -> dict[str, str]:
    """Variables of the tests that need the real CPU library: one cache, so that it is compiled once."""
    return {"DCNBUILD_CACHE": str(tmp_path_factory.mktemp("cache")), "CXX": quick_compiler}


@pytest.fixture
def no_programs(tmp_path: Path) -> str:
    """Returns a PATH of one empty directory."""
    (tmp_path / "no-programs").mkdir()
    return str(tmp_path / "no-programs")


def test_built_on_first_use_by_one_of_many_threads_then_cached(
    without_libraries: Project, shared: dict[str, str]
) -> None:
    env = without_libraries.env(**shared)
    script = CALL + (
        "say()\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool: list(pool.map(lambda _: call(), range(16)))\nsay()\n"
    )
    first = without_libraries.run(script, env)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[0] == "None|None|None"  # importing compiles nothing
    attempt, route, library = first.stdout.splitlines()[1].split("|")
    assert (attempt, route) == ("build", "jit")
    assert Path(shared["DCNBUILD_CACHE"]) in Path(library).parents
    assert first.stderr.count("compiling the CPU kernels, once") == 1

    again = without_libraries.run(CALL + "say()\ncall()\n", env)
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"cached|jit|{library}\n"  # registered at import
    assert again.stderr == ""


def test_a_prebuilt_library_is_preferred_until_the_sources_change(
    without_libraries: Project, shared: dict[str, str]
) -> None:
    env = without_libraries.env(**shared)
    built = without_libraries.run(CALL + "call()\nsay()\n", env)
    assert built.returncode == 0, built.stderr
    entry = Path(built.stdout.strip().split("|")[2]).parent
    prebuilt = without_libraries.root / "dcnbuild" / "lib"
    shutil.copytree(entry, prebuilt)

    preferred = without_libraries.run(CALL + "call()\nsay()\n", env)
    assert preferred.stdout == f"prebuilt|prebuilt|{prebuilt / 'dcnbuild_cpu.so'}\n"

    forced = without_libraries.run(CALL + "call()\nsay()\n", {**env, "DCNBUILD_ROUTE": "jit"})
    assert forced.stdout == f"cached|jit|{entry / 'dcnbuild_cpu.so'}\n"

    (without_libraries.csrc / "deform_conv2d" / "cpu" / "kernels.h").open("a").write("\n// changed\n")
    script = CALL + "print(dict(native.status('cpu').rejected)['prebuilt'])\n"
    changed = without_libraries.run(script, env)
    assert changed.stdout == "the sources have changed since it was built\n"


def test_a_prebuilt_library_that_cannot_be_loaded_is_passed_over(
    without_libraries: Project, shared: dict[str, str]
) -> None:
    env = without_libraries.env(**shared)
    built = without_libraries.run(CALL + "call()\nsay()\n", env)
    entry = Path(built.stdout.strip().split("|")[2]).parent
    prebuilt = without_libraries.root / "dcnbuild" / "lib"
    shutil.copytree(entry, prebuilt)
    library = prebuilt / "dcnbuild_cpu.so"
    library.write_bytes(b"\x7fELF" + bytes(library.stat().st_size - 4))  # right size, wrong content
    result = without_libraries.run(CALL + "call()\nsay()\n", env)
    assert result.stdout.startswith("cached|jit|"), result.stderr


def test_prebuilt_libraries_of_another_torch_are_refused_in_one_sentence(
    without_libraries: Project, tmp_path: Path
) -> None:
    import torch

    minor = 4 if torch.__version__.startswith("2.5.") else 5
    prebuilt = without_libraries.root / "dcnbuild" / "lib"
    prebuilt.mkdir()
    (prebuilt / "dcnbuild_cpu.so").write_bytes(b"never opened")
    library = LibraryRecord(source_hash="", size=12, digest="")
    record = BuildRecord("0.1.0", "aten", f"2.{minor}.1", None, "gcc", {"cpu": library})
    record.write(prebuilt)
    env = without_libraries.env(DCNBUILD_CACHE=str(tmp_path / "cache"))
    result = without_libraries.run(CALL + "say()\n", env)
    assert result.stdout == "None|None|None\n", result.stderr
    assert result.stderr.count("RuntimeWarning: dcnbuild's compiled kernels were built with") == 1
    wanted = f"torch 2.{minor}.1 for torch>=2.{minor},<2.{minor + 1}"
    assert f"{wanted}, this is torch {torch.__version__}: they are compiled" in result.stderr


def test_the_reference_with_one_warning_where_nothing_can_be_compiled(
    without_libraries: Project, tmp_path: Path, no_programs: str
) -> None:
    env = without_libraries.env(DCNBUILD_CACHE=str(tmp_path / "cache"), PATH=no_programs)
    result = without_libraries.run(CALL + "call()\ncall()\nsay()\n", env)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "reference|reference|None\n"
    assert result.stderr.count("RuntimeWarning: dcnbuild runs deform_conv2d as plain torch") == 1
    assert "No C++ compiler" in result.stderr


def test_a_route_that_is_forced_is_taken_or_refused(
    without_libraries: Project, tmp_path: Path, no_programs: str
) -> None:
    env = without_libraries.env(DCNBUILD_CACHE=str(tmp_path / "cache"), PATH=no_programs)
    for route, said in (("prebuilt", "DCNBUILD_ROUTE=prebuilt"), ("jit", "No C++ compiler")):
        result = without_libraries.run(CALL + "call()\n", {**env, "DCNBUILD_ROUTE": route})
        assert result.returncode == 1
        assert "FindingError" in result.stderr
        assert said in result.stderr
    reference = without_libraries.run(CALL + "call()\nsay()\n", {**env, "DCNBUILD_ROUTE": "reference"})
    assert reference.stdout == "reference|reference|None\n"
    assert reference.stderr == ""  # asked for, so not warned about


def test_cuda_never_falls_to_the_reference_unasked(
    without_libraries: Project, tmp_path: Path, no_programs: str
) -> None:
    env = without_libraries.env(DCNBUILD_CACHE=str(tmp_path / "cache"), PATH=no_programs, DCNBUILD_CUDA="off")
    script = CALL + (
        "from dcnbuild.errors import FindingError\n"
        "try: print(native.ensure('cuda'))\n"
        "except FindingError as error: print(error.finding.id)\n"
    )
    # without a compiler the first thing missing is that one
    assert without_libraries.run(script, env).stdout == "compiler-missing\n"
    asked = without_libraries.run(script, {**env, "DCNBUILD_ROUTE": "reference"})
    assert asked.stdout == "reference\n"


def test_info_tells_what_serves_and_why_nothing_else(without_libraries: Project, shared: dict[str, str]) -> None:
    env = without_libraries.env(**shared, DCNBUILD_CUDA="off")
    assert without_libraries.run(CALL + "call()\n", env).returncode == 0
    script = "import sys\nfrom dcnbuild.cli import main\nsys.exit(main(sys.argv[1:] or ['info'{}]))\n"
    env["DCNBUILD_CPU_ISA"] = "generic"
    report = json.loads(without_libraries.run(script.format(", '--json'"), env).stdout)
    cpu, cuda = report["devices"]
    assert (cpu["attempt"], cpu["route"]) == ("cached", "jit")
    assert cpu["not_taken"] == {
        "prebuilt": f"nothing was built into {without_libraries.root / 'dcnbuild' / 'lib'}",
        "build": "not needed: cached serves",
        "reference": "not needed: cached serves",
    }
    assert cuda["attempt"] is None
    reason = "CUDA is switched off" if report["torch_cuda"] else "is built without CUDA"
    assert reason in cuda["not_taken"]["build"]
    text = without_libraries.run(script.format(""), env).stdout
    assert f"cpu: cached {cpu['library']}" in text
    assert cpu["instruction_set"] == "generic"
    assert "  instruction set: generic\n" in text
    env["DCNBUILD_CPU_ISA"] = "sse9"
    text = without_libraries.run(script.format(""), env).stdout
    assert "  instruction set: none, since DCNBUILD_CPU_ISA=sse9 cannot be used here\n" in text


def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="cpu and cuda tensors, got a 'xpu' tensor"):
        native.ensure("xpu")
    monkeypatch.setenv("DCNBUILD_ROUTE", "fast")
    with pytest.raises(ValueError, match="'fast', expected one of prebuilt, nvrtc, jit, reference"):
        routes.forced_route()
