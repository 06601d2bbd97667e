"""Tests all probes together: they are quick, need no torch, and survive any machine and any garbage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cpu_seconds import cpu_seconds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine.trees import toolkit, torch_install, write

from dcnbuild.machine import libcuda_child
from dcnbuild.machine.collect import VARIABLES, collect
from dcnbuild.machine.driver import parse_libcuda, parse_smi
from dcnbuild.machine.elf import cuda_architectures, needed_libraries, run_paths
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.near import meant_directory
from dcnbuild.machine.symbols import defined_among, undefined_symbols
from dcnbuild.machine.system import parse_meminfo, parse_os_release
from dcnbuild.machine.torch_install import read_torch


def test_this_machine_costs_less_than_half_of_importing_torch(importing_torch: float) -> None:
    assert min(cpu_seconds(lambda: collect(os.environ)) for _ in range(3)) < importing_torch / 2


def test_torch_is_never_imported() -> None:
    program = (
        "import os, sys\n"
        "from dcnbuild.machine.collect import collect\n"
        "facts = collect(os.environ)\n"
        "assert facts.torch is not None\n"
        "print(*sorted(name for name in ('torch', 'numpy', 'rich', 'yaml') if name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


def test_a_machine_without_anything(tmp_path: Path) -> None:
    facts = collect({}, prefix=tmp_path / "prefix", root=tmp_path)
    assert facts.torch is None
    assert facts.toolkits == facts.paths == facts.jit_caches == ()
    assert facts.driver.version is None
    assert facts.cuda_home is None
    assert facts.variables == {}


def test_the_childs_file_is_shipped() -> None:
    assert Path(libcuda_child.__file__).suffix == ".py"


text = st.text(max_size=60)
names = st.sampled_from(
    [*VARIABLES, "PATH", "LD_LIBRARY_PATH", "CPATH", "HOME", "TMPDIR", "PIP_CONSTRAINT", "PIP_CONFIG_FILE",
     "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PYTHONUSERBASE", "SUDO_USER"]
)  # fmt: skip
values = st.one_of(
    text,
    st.text(alphabet="/:.~'\"$ -;=abnvc0\0\n", max_size=40),
    st.lists(st.sampled_from(["/", "/tmp", "/usr/bin", "..", "~", "", "a" * 5000, "\ud800"])).map(":".join),
)
FILES = (
    "proc/driver/nvidia/version",
    "proc/meminfo",
    "proc/version",
    "sys/module/nvidia/version",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/cpu.max",
    "sys/bus/pci/devices/0000:00:00.0/vendor",
    "etc/os-release",
    "etc/pip.conf",
    "etc/ld.so.conf",
    "usr/local/cuda/version.json",
    "usr/local/cuda/include/cuda.h",
    "prefix/pyvenv.cfg",
    "prefix/lib/python3.99/site-packages/torch/version.py",
    "prefix/lib/python3.99/site-packages/torch/lib/libc10.so",
    "prefix/lib/python3.99/site-packages/torch/lib/libtorch_python.so",
    "prefix/lib/python3.99/site-packages/x.pth",
    "prefix/conda-meta/pytorch-2.0.json",
)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(relaxed, max_examples=40)
@given(env=st.dictionaries(names, values, max_size=6))
def test_garbage_in_the_environment(tmp_path: Path, env: dict[str, str]) -> None:
    env.setdefault("PATH", "")  # else compilers and nvcc are asked each time
    assert isinstance(collect(env, prefix=tmp_path, root=tmp_path), Facts)


@settings(relaxed, max_examples=40)
@given(files=st.dictionaries(st.sampled_from(FILES), st.binary(max_size=300), max_size=8))
def test_garbage_in_files(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    top = tmp_path_factory.mktemp("garbage")
    toolkit(top / "usr/local/cuda")
    torch_install(top / "prefix/lib/python3.99/site-packages", "2.5.1", "12.4")
    for name, content in files.items():
        write(top / name, content)
    env = {"PATH": "", "HOME": str(top)}
    assert isinstance(collect(env, [top / FILES[-4]], top / "prefix", top), Facts)


@settings(relaxed)
@given(content=st.binary(max_size=2000), at=st.integers(0, 5000), real=st.booleans())
def test_damaged_libraries(tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, real: bool) -> None:
    """Noise, and a real library with noise written over some of it."""
    base = bytearray(_real_library() if real else b"\x7fELF\x02\x01")
    base[at : at + len(content)] = content
    path = write(tmp_path_factory.mktemp("elf") / "x.so", bytes(base))
    assert isinstance(cuda_architectures(path), tuple)
    assert isinstance(needed_libraries(path), tuple)
    assert isinstance(run_paths(path), tuple)
    assert isinstance(undefined_symbols(path), tuple)
    defined_among(path, ("f", "g"))


_cache: list[bytes] = []


def _real_library() -> bytes:
    if not _cache:
        import tempfile

        from machine.trees import compile_library

        with tempfile.TemporaryDirectory() as directory:
            path = compile_library(Path(directory, "x.so"), "int g(void); int f(void) { return g(); }")
            _cache.append(path.read_bytes()[:6000])
    return _cache[0]


@given(output=text)
def test_garbage_from_programs(output: str) -> None:
    parse_smi(output)
    parse_libcuda(output)
    parse_meminfo(output)
    parse_os_release(output)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cuda", "gpus", "error", "name", "capability", "memory_mib"]), inner)
    ),
)


@given(answer=json_values)
def test_json_that_no_child_prints(answer: object) -> None:
    import json

    parse_libcuda(json.dumps(answer))


@given(path=values)
def test_paths_that_are_no_paths(path: str) -> None:
    meant_directory(path)


@settings(relaxed)
@given(source=st.text(max_size=200))
def test_version_files_that_are_no_python(tmp_path: Path, source: str) -> None:
    (tmp_path / "torch").mkdir(exist_ok=True)
    (tmp_path / "torch/version.py").write_bytes(source.encode("utf-8", "surrogatepass"))
    read_torch(tmp_path)
