"""What a package is bound to and who refuses it: against readelf on real files, and on facts made by hand."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from machine.trees import compile_library

from dcnbuild.audit.bounds import bounds, cuda_majors, plain_soname, torch_bound
from dcnbuild.audit.package import Binary, Package
from dcnbuild.audit.read import read_package
from dcnbuild.audit.report import schema
from dcnbuild.cli import main
from dcnbuild.knowledge import manylinux

#: Names that came with torch 2.13, 2.10 and 2.2, and one of the C++ API up to 2.9.
NEW, SHIM, OLD = "torch_new_stable_ivalue", "torch_call_dispatcher", "aoti_torch_get_data_ptr"
CXX, GONE = "_ZN2at13globalContextEv", "_ZN3c1038initializeFunctionalityOffsetsAndMasksEv"


def readelf(option: str, path: Path) -> str:
    return subprocess.run(["readelf", option, path], capture_output=True, text=True, check=True).stdout


def needing(path: Path, *names: str, flags: tuple[str, ...] = ()) -> Path:
    """A library that needs these names."""
    declared = "".join(f"void {name}(void);" for name in names)
    called = "".join(f"{name}();" for name in names)
    return compile_library(path, f"{declared} void f(void) {{ {called} }}", *flags)


def wheel_of(path: Path, files: dict[str, bytes], metadata: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x-1.0.dist-info/METADATA", f"Name: x\nVersion: 1.0\n{metadata}\n")
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_library_is_read_as_readelf_reads_it(tmp_path: Path) -> None:
    source = '#include <math.h>\n#include <stdio.h>\ndouble f(double x) { printf("%f", x); return pow(x, exp(x)); }'
    path = compile_library(
        tmp_path / "lib.so",
        source,
        "-lm",
        "-Wl,-soname,libx.so.1",
        "-Wl,-z,execstack",
        "-Wl,-rpath,/y",
    )
    (binary,) = read_package(str(path), None, {}).binaries
    dynamic = readelf("-dW", path)
    assert list(binary.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert binary.soname == re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)[0] == "libx.so.1"
    assert binary.run_paths == ("/y",)
    assert {version for _, version in binary.versions} == set(re.findall(r"Name: (\S+)  Flags", readelf("-VW", path)))
    assert len(binary.versions) > 1
    assert binary.executable_stack
    assert re.search(r"GNU_STACK.* RWE", readelf("-lW", path))
    assert not read_package(str(compile_library(tmp_path / "b.so", "")), None, {}).binaries[0].executable_stack


@pytest.mark.parametrize(
    ("symbols", "abi", "oldest", "newest"),
    [
        ((), None, None, None),
        (("printf",), None, None, None),
        ((OLD,), "stable", "2.2", None),
        ((OLD, SHIM), "stable", "2.10", None),
        ((SHIM, NEW), "stable", "2.13", None),
        ((CXX,), "c++", None, None),
        ((CXX, GONE, "_ZN3c1021warnDeprecatedDataPtrEv"), "c++", "2.4", "2.9"),
        (("THPVariableClass", SHIM), "c++", "2.10", None),
        (("_ZN3c10lsERSoNS_10DeviceTypeE",), "c++", None, None),  # operator<<: no name to look up
    ],
)
def test_what_names_say_of_torch(
    symbols: tuple[str, ...], abi: str | None, oldest: str | None, newest: str | None
) -> None:
    bound = torch_bound(symbols)
    assert (bound.abi, bound.oldest, bound.newest) == (abi, oldest, newest)
    assert bool(bound.oldest_by) == (oldest is not None)
    assert bool(bound.newest_by) == (newest is not None)


@pytest.mark.parametrize(
    ("name", "abi"),
    [
        ("_ZN5torch3jit11parseSchemaERKSsb", False),
        (
            "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsE",
            True,
        ),
        (CXX, None),
    ],
)
def test_the_cxx_abi_of_names(name: str, abi: bool | None) -> None:
    assert torch_bound([name]).cxx11_abi is abi


def test_what_libraries_say_of_cuda() -> None:
    assert plain_soname("libcudart.faf08d9a.so.13") == "libcudart.so.13"
    assert plain_soname("libcudart-d0da41ae.so.11.8.89") == "libcudart.so.11.8.89"
    assert cuda_majors("libcudart.so.12") == {12}
    assert cuda_majors("libcusolver.so.11") == {11, 12}
    assert cuda_majors("libcurand.so.10") == {11, 12, 13}
    assert cuda_majors("libc.so.6") == set()
    both = Binary("x.so", "x86_64", needed=("libcusolver.so.11", "libcublas.so.12"))
    assert bounds(Package("x", "library", binaries=(both,))).cuda.majors == (12,)
    static = Binary("x.so", "x86_64", architectures=("sm_75", "sm_120", "compute_120"))
    cuda = bounds(Package("x", "library", binaries=(static,))).cuda
    assert (cuda.majors, cuda.toolkits, cuda.driver) == ((), ("12.8", "13.3"), "525.60.13")
    old = bounds(Package("x", "library", binaries=(replace(static, architectures=("sm_70",)),)))
    assert old.cuda.toolkits is not None
    assert old.cuda.toolkits[1] == "12.9"  # CUDA 13 has dropped Volta


def test_manylinux_tags() -> None:
    libc = [("libc.so.6", "GLIBC_2.17"), ("libcudart.so.12", "libcudart.so.12")]
    found = manylinux.deserved("x86_64", libc)
    assert found is not None and found.platform == "manylinux_2_17_x86_64"
    found = manylinux.deserved("aarch64", [*libc, ("libstdc++.so.6", "GLIBCXX_3.4.29")])
    assert found is not None and found.platform == "manylinux_2_34_aarch64"
    assert manylinux.deserved("x86_64", [("libc.so.6", "GLIBC_2.99")]) is None
    assert manylinux.deserved("x86_64", [("libc.so.6", "GLIBC_PRIVATE")]) is None
    relr = manylinux.deserved("x86_64", [("libc.so.6", "GLIBC_ABI_DT_RELR")])
    assert relr is not None and relr.glibc == (2, 36)
    assert manylinux.claimed("manylinux2014_aarch64") == (2, 17)
    assert manylinux.claimed("manylinux_2_28_x86_64") == (2, 28)
    assert manylinux.claimed("linux_x86_64") is None
    assert manylinux.refused((2, 12), "x86_64", libc) == (("libc.so.6", "GLIBC_2.17"),)
    for machine in ("x86_64", "aarch64"):
        glibcs = [row.glibc for row in manylinux.rows() if row.machine == machine]
        assert glibcs == sorted(set(glibcs))


def test_a_wheel_and_what_it_holds(tmp_path: Path) -> None:
    beside = compile_library(tmp_path / "libown.so", "void x(void) {}", "-Wl,-soname,libown.so")
    flags = (f"-L{tmp_path}", "-lown", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN/../x.libs")
    library = needing(tmp_path / "a.so", "PyList_New", CXX, flags=flags)
    note = {"libraries": {"cpu": {"toolkit": None}, "cuda": {"toolkit": "CUDA 12.9"}}}
    path = wheel_of(
        tmp_path / "x-1.0-cp310.cp311-cp310.cp311-manylinux2014_x86_64.whl",
        {
            "x/_C.so": library.read_bytes(),
            "x.libs/libown.so": beside.read_bytes(),
            "x/lib/build.json": json.dumps(note).encode(),
            "x/cut.so.1.2": b"\x7fELF",
            "x/some.so.txt": b"no library",
        },
        'Requires-Dist: torch (>=2.4); extra == "gpu"\nRequires-Dist: torch==2.5.1\nRequires-Python: >=3.9\n',
    )
    package = read_package(str(path), None, {})
    assert [item.name for item in package.binaries] == ["x.libs/libown.so", "x/_C.so"]
    assert package.unreadable == ("x/cut.so.1.2",)
    assert package.tags[0] == "cp310-cp310-manylinux2014_x86_64"
    assert (package.torch, package.python, package.toolkit) == ("==2.5.1", ">=3.9", "12.9")
    assert "libown.so" not in package.external
    bound = bounds(package)
    assert bound.python.abi == "cp310, cp311"
    assert bound.torch.abi == "c++"


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"text", None])
def test_what_is_no_wheel(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x-1.0-py3-none-any.whl"
    if content is None:  # the member's bytes are damaged
        wheel_of(path, {"x/a.so": b"\x7fELF" * 9})
        data = path.read_bytes()
        path.write_bytes(data.replace(b"\x7fELF" * 9, b"\x7fBAD" * 9))
    else:
        path.write_bytes(content)
    assert main(["audit", str(path)]) == 2
    err = capsys.readouterr().err
    assert path.name in err
    assert err.count("\n") == 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = needing(tmp_path / "x\x1b[2J.so", NEW)
    assert main(["audit", str(path), "--torch", "2.13", "--cuda", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "stable ABI: 2.13 and newer" in out
    assert "nothing refuses it on Python" in out
    assert "\x1b" not in out
    assert main(["audit", str(path), "--torch", "2.11", "--cuda", "12", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert [item["id"] for item in document["findings"]] == ["audit-torch"]
    assert document["bounds"]["torch"]["oldest_by"] == [NEW]
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    assert main(["audit", str(path), "--torch", "2.13", "--cuda", "cpu", "--machine", other]) == 1
    assert f"for {platform.machine()}, and this is {other}." in capsys.readouterr().out
    assert main(["audit", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.validate(document, schema())
    document["bounds"]["torch"]["oldest"] = 2.13
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_what_another_machines_library_needs_is_not_searched_for_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compile_library(tmp_path / "libnowhere.so", "", "-Wl,-soname,libnowhere.so.1")
    path = needing(tmp_path / "x.so", flags=("-Wl,--no-as-needed", f"-L{tmp_path}", "-lnowhere"))
    assert read_package(str(path), None, {}).binaries[0].missing == ("libnowhere.so.1",)
    number, other = {"x86_64": (183, "aarch64"), "aarch64": (62, "x86_64")}[platform.machine()]
    content = bytearray(path.read_bytes())
    content[18:20] = number.to_bytes(2, "little")  # e_machine
    path.write_bytes(content)
    (binary,) = read_package(str(path), None, {}).binaries
    assert (binary.machine, binary.missing, binary.lacking) == (other, (), ())
    assert main(["audit", str(path), "--machine", other]) == 0
    assert "nothing refuses it" in capsys.readouterr().out
    assert main(["audit", str(path)]) == 1
    assert "1 error\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a wheel"),
        (["/nowhere/x.so"], "/nowhere/x.so is not there"),
        (["no-such-package"], "neither a file nor an installed package"),
        ([__file__], "no 64-bit Linux library"),
        (["numpy", "--torch", "new"], "--torch new: no version"),
        (["numpy", "--cuda", "cu126"], "--cuda cu126: no version"),
    ],
)
def test_wrong_use(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    """numpy's wheel: bound to this CPython, and to no torch."""
    assert main(["audit", "numpy", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["package"]["kind"] == "installed"
    assert len(document["package"]["binaries"]) > 5
    assert document["bounds"]["torch"]["abi"] is None
    assert document["bounds"]["python"]["abi"].startswith("cp3")


@pytest.mark.parametrize("editable", [True, False])
def test_a_package_whose_libraries_lie_elsewhere(
    editable: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An editable install lists only a path file, and some installers list nothing: neither is "nothing compiled"."""
    info = tmp_path / "far_away-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: far-away\nVersion: 1.0\n")
    if editable:
        (info / "RECORD").write_text("far_away.pth,,\n")
        url = {"dir_info": {"editable": True}, "url": "file:///x"}
        (info / "direct_url.json").write_text(json.dumps(url))
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["audit", "far-away"]) == 2
    said = "is installed as editable from /x" if editable else "has no list of its files"
    assert f"far-away {said}; name its libraries (.so) " in capsys.readouterr().err


def test_the_page_lists_every_finding() -> None:
    from conftest import CHECKOUT

    sources = (CHECKOUT / "dcnbuild/audit").glob("refusals*.py")
    texts = [path.read_text(encoding="utf-8") for path in sources]
    ids = {name for text in texts for name in re.findall(r'"(audit-[a-z-]+)"', text)}
    page = (CHECKOUT / "docs/audit.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(audit-[a-z-]+)`", page)) == ids
