"""Tests reading extension libraries: their contents and missing symbols and libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from machine.trees import compile_library, write

from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.libraries import own_libraries, read_library
from dcnbuild.machine.torch_install import find_torch

HERE = "_ZN3c104hereEv"
GONE = "_ZN2at4goneEv"
SHIM = "aoti_torch_gone"


@pytest.fixture
def torch(tmp_path: Path) -> TorchInstall:
    """A torch whose libraries define one name."""
    root = tmp_path / "site-packages/torch"
    compile_library(root / "lib/libc10.so", f"void {HERE}(void) {{}}")
    compile_library(root / "lib/libtorch_cpu.so", "void something(void) {}")
    write(tmp_path / "site-packages/nvidia/cu13/lib/libcudart.so.13")
    return TorchInstall(root, "2.14.1+cu130", "13.0")


def extension(tmp_path: Path, *names: str, flags: tuple[str, ...] = ()) -> Path:
    declared = "".join(f"void {name}(void);" for name in names)
    called = "".join(f"{name}();" for name in names)
    source = f"{declared} void f(void) {{ {called} }}"
    return compile_library(tmp_path / "_C.cpython-310-x86_64-linux-gnu.so", source, *flags)


def test_names_that_this_torch_does_not_have(tmp_path: Path, torch: TorchInstall) -> None:
    path = extension(tmp_path, HERE, GONE, SHIM, "printf", "PyList_New")
    library = read_library(path, {}, torch)
    assert library.undefined == (GONE, SHIM)
    assert library.python == "3.10"
    assert read_library(path, {}, None).undefined == ()


def test_a_torch_whose_libraries_cannot_be_read_proves_nothing(tmp_path: Path, torch: TorchInstall) -> None:
    path = extension(tmp_path, GONE)
    write(torch.root / "lib/libtorch_python.so", b"no library")
    assert read_library(path, {}, torch).undefined == ()
    empty = TorchInstall(tmp_path / "empty", "2.14.1", None)
    assert read_library(path, {}, empty).undefined == ()


def test_libraries_that_are_nowhere(tmp_path: Path, torch: TorchInstall) -> None:
    for name in ("libcudart.so.13", "libcudart.so.11.0", "libc10.so", "libbeside.so", "libpath.so"):
        compile_library(tmp_path / "link" / name, "void x(void) {}", f"-Wl,-soname,{name}")
    names = [f"-l:{path.name}" for path in (tmp_path / "link").iterdir()]
    flags = (f"-L{tmp_path}/link", "-Wl,--no-as-needed", *names, "-Wl,-rpath,$ORIGIN/beside")
    path = extension(tmp_path, flags=flags)
    write(tmp_path / "beside/libbeside.so")
    write(tmp_path / "given/libpath.so")
    env = {"LD_LIBRARY_PATH": f"{tmp_path}/given"}
    assert missing(path, env, torch, tmp_path) == {"libcudart.so.11.0"}
    assert missing(path, {}, None, tmp_path) == {
        "libcudart.so.13",
        "libcudart.so.11.0",
        "libc10.so",
        "libpath.so",
    }


def missing(path: Path, env: dict[str, str], torch: TorchInstall | None, root: Path) -> set[str]:
    """Returns the missing libraries, except the C library, which the fake root lacks."""
    return set(read_library(path, env, torch, root=root).missing) - {"libc.so.6"}


def test_directories_of_the_systems_linker(tmp_path: Path) -> None:
    compile_library(tmp_path / "link/libodd.so.1", "void x(void) {}", "-Wl,-soname,libodd.so.1")
    path = extension(tmp_path, flags=(f"-L{tmp_path}/link", "-Wl,--no-as-needed", "-l:libodd.so.1"))
    assert "libodd.so.1" in read_library(path, {}, None, root=tmp_path).missing
    write(tmp_path / "etc/ld.so.conf.d/odd.conf", "# ours\n/opt/odd/lib\n")
    write(tmp_path / "opt/odd/lib/libodd.so.1")
    assert "libodd.so.1" not in read_library(path, {}, None, root=tmp_path).missing


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ({"flavour": "aten", "torch": "2.5.1+cu124"}, "2.5.1+cu124"),
        ({"flavour": "stable", "torch": "2.14.1+cu130"}, None),
        ({}, None),
        ([], None),
    ],
)
def test_what_the_build_noted_down(tmp_path: Path, note: Any, expected: str | None) -> None:
    path = compile_library(tmp_path / "lib/dcnbuild_cpu.so", "void f(void) {}")
    write(tmp_path / "lib/build.json", json.dumps(note))
    assert read_library(path, {}, None, own=True).torch == expected
    assert own_libraries(tmp_path) == [path]


def test_what_is_no_library(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.so", write(tmp_path / "cut.so", b"\x7fELF\x02\x01\x01")):
        library = read_library(path, {}, None)
        assert not library.readable
        assert library.needed == library.missing == library.architectures == ()


def test_torchvisions_library_fits_the_installed_torch() -> None:
    """torchvision's library raises no alarm beside its torch; an alarm here would appear on every healthy machine."""
    torch = find_torch()
    assert torch is not None
    paths = sorted(torch.root.parent.glob("torchvision/*.so"))
    read = [library for path in paths if (library := read_library(path, {}, torch)).readable]
    if not read:
        pytest.skip("no torchvision beside this torch")
    assert all(library.undefined == () for library in read)
    assert all(
        library.missing == ()
        for library in read
        if "libtorch.so" in library.needed and "image" not in library.path.name
    )
