"""Tests the checks of compilers, Python, paths, resources and libraries: findings, false alarms, and fixes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import broken, found, machine, one, python, variables

from dcnbuild.doctor.examples import HEALTHY, gcc, gpu_driver, toolkit, torch
from dcnbuild.machine.facts import (
    Compiler,
    Driver,
    Facts,
    Gpu,
    JitCache,
    Library,
    PathEntry,
)

GIB = 1 << 30


def compilers(*found_by_path: Compiler, cuda: str = "12.1") -> Facts:
    """A machine with these compilers, of which nvcc calls the first."""
    return broken(
        compilers=found_by_path,
        nvcc_compiler=found_by_path[0] if found_by_path else None,
        toolkits=(toolkit(cuda, "CUDA_HOME"),),
        torch=torch("2.5.1", cuda),
    )


def test_a_gcc_that_nvcc_refuses_and_one_that_it_takes() -> None:
    facts = compilers(gcc("13.3.0"), gcc("12.4.0", "g++-12"), gcc("11.4.0", "g++-11"))
    finding = one(facts, "gcc-too-new")
    assert finding.cause == "nvcc 12.1 accepts gcc up to 12, and would call gcc 13.3.0."
    assert finding.fix == (
        "export CC=/usr/bin/gcc-12",
        "export CXX=/usr/bin/g++-12",
        "export NVCC_CCBIN=/usr/bin/g++-12",
    )
    assert found(replace(facts, wants_cuda=True), "gcc-too-new") == []  # our build takes gcc 12
    assert found(replace(facts, wants_cuda=False), "gcc-too-new") == []


def test_a_gcc_that_nvcc_refuses_and_no_other() -> None:
    facts = compilers(gcc("14.2.0"))
    assert one(facts, "gcc-too-new").fix[:2] == (
        "sudo apt-get install g++-12",
        "export CC=/usr/bin/gcc-12",
    )
    assert one(replace(facts, wants_cuda=True), "gcc-too-new").severity == "error"
    fedora = replace(HEALTHY.machine, package_manager="dnf", distribution="fedora 42")
    assert (
        one(replace(facts, machine=fedora), "gcc-too-new").fix[0]
        == (
            "conda install -c conda-forge gcc_linux-64=12 gxx_linux-64=12"  # Fedora has no gcc 12 beside its own
        )
    )
    arch = replace(HEALTHY.machine, package_manager="pacman", distribution="arch")
    assert "yay -S gcc12" in one(replace(facts, machine=arch), "gcc-too-new").fix


def test_a_gcc_that_the_toolkit_to_be_installed_will_refuse() -> None:
    """Both findings' fixes are pasted at once."""
    facts = replace(compilers(gcc("14.2.0")), toolkits=(), cuda_home=None)
    finding = one(facts, "gcc-too-new")
    assert finding.severity == "warning" and "not installed yet" in finding.evidence[0]
    assert found(replace(facts, driver=Driver()), "gcc-too-new") == []


def test_a_clang_that_nvcc_refuses() -> None:
    clang = Compiler(Path("/usr/bin/clang++-18"), "clang", "18.1.8", "NVCC_CCBIN")
    older = Compiler(Path("/usr/bin/clang++-14"), "clang", "14.0.0", "PATH")
    assert one(compilers(clang, older), "gcc-too-new").fix == (
        "export CC=/usr/bin/clang-14",
        "export CXX=/usr/bin/clang++-14",
        "export NVCC_CCBIN=/usr/bin/clang++-14",
    )


@pytest.mark.parametrize(
    "facts",
    [
        compilers(gcc("12.4.0")),
        compilers(gcc("13.3.0"), cuda="12.4"),
        replace(compilers(gcc("99.0"), cuda="99.0"), torch=torch("99.0", "99.0"), driver=Driver()),
        replace(compilers(gcc("13.3.0")), nvcc_compiler=None),
        replace(compilers(gcc("13.3.0")), torch=torch("2.5.1+cpu", None), driver=Driver()),
    ],
)
def test_where_no_gcc_is_too_new(facts: Facts) -> None:
    assert found(facts, "gcc-too-new") == []


@pytest.mark.parametrize(
    ("version", "gcc_version", "says"),
    [
        ("2.13.0", "9.5.0", 1),
        ("2.13.0", "10.2.1", 0),
        ("2.5.1", "8.5.0", 1),
        ("2.5.1", "9.4.0", 0),
        ("2.0.1", "7.5.0", 0),
        ("99.0", "4.8.5", 0),
    ],
)
def test_gcc_against_torchs_headers(version: str, gcc_version: str, says: int) -> None:
    facts = broken(torch=torch(version, "12.1"), compilers=(gcc(gcc_version),))
    assert len(found(facts, "gcc-too-old")) == says


def test_no_compiler() -> None:
    assert one(broken(compilers=()), "compiler-missing").fix == ("sudo apt-get install g++",)
    only_c = broken(compilers=(gcc("12.2.0", "gcc"),))
    assert one(only_c, "compiler-missing").severity == "error"
    named = broken(compilers=(), variables=variables(CXX="/nowhere/g++"))
    assert "CXX=/nowhere/g++" in one(named, "compiler-missing").evidence


def test_cc_and_cxx_differ() -> None:
    facts = broken(compilers=(gcc("13.3.0", "g++-13", "CXX"), gcc("11.4.0", "gcc-11", "CC")))
    assert one(facts, "compilers-differ").fix[0] == "export CC=/usr/bin/gcc-13"
    same = (gcc("13.3.0", "g++-13", "CXX"), gcc("13.3.0", "gcc-13", "CC"))
    assert found(broken(compilers=same), "compilers-differ") == []
    assert found(broken(compilers=same[:1]), "compilers-differ") == []


def test_ninja() -> None:
    assert one(python(ninja=None), "ninja-missing").fix == ("python -m pip install ninja",)
    hidden = python(ninja=None, hidden_ninja=Path("/home/ada/venv/bin/ninja"))
    assert one(hidden, "ninja-missing").fix == ('export PATH=/home/ada/venv/bin:"$PATH"',)
    assert found(replace(python(ninja=None), torch=None), "ninja-missing") == []


@pytest.mark.parametrize(("has_headers", "says"), [(False, 1), (True, 0), (None, 0)])
def test_pythons_headers(has_headers: bool | None, says: int) -> None:
    assert len(found(python(has_headers=has_headers), "python-h-missing")) == says


def test_another_environment_is_active() -> None:
    facts = python(is_active=False, executable=Path("/usr/bin/python3"))
    assert one(facts, "venv-mismatch").fix == (
        "# in the checkout of dcnbuild:",
        "/home/ada/venv/bin/python -m pip install -v .",
    )
    for is_active in (True, None):
        assert found(python(is_active=is_active), "venv-mismatch") == []


def test_sudo_leaves_the_environment() -> None:
    as_root = replace(HEALTHY.machine, root=True, sudo_user="ada")
    system = replace(HEALTHY.python, prefix=Path("/usr"), executable=Path("/usr/bin/python3"))
    facts = broken(machine=as_root, python=system)
    assert one(facts, "sudo-python").severity == "warning"
    assert found(facts, "venv-mismatch") == []
    for good in (
        broken(machine=as_root),  # sudo with the environment's own Python
        broken(machine=replace(as_root, sudo_user=None), python=system),
    ):
        assert found(good, "sudo-python") == []


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ("torch==2.5.1", 1),
        ("torch<2.14", 1),
        ("torch>=2.10", 0),
        ("torch==2.14.1", 0),
        ("setuptools<60", 0),
        ("torch=>1", 0),
        ("torch @ file:///x.whl", 0),
    ],
)
def test_constraints_on_torch(constraint: str, says: int) -> None:
    facts = python(constraints=(("PIP_CONSTRAINT: /c.txt", constraint),))
    findings = found(facts, "pip-constraint")
    assert len(findings) == says
    if findings:
        assert findings[0].fix == ("unset PIP_CONSTRAINT",)
    from_file = python(constraints=(("/etc/pip.conf: /c.txt", constraint),))
    assert [item.fix for item in found(from_file, "pip-constraint")] == [()] * says


TYPO = "/usr/lcoal/cuda-10.1/lib64"


def listed(*entries: PathEntry) -> Facts:
    return broken(paths=entries)


def test_the_typo_of_the_notes() -> None:
    meant = Path("/usr/local/cuda-10.1/lib64")
    facts = listed(
        PathEntry("LD_LIBRARY_PATH", TYPO, False, meant),
        PathEntry("LD_LIBRARY_PATH", "/opt/lib", True),
    )
    finding = one(facts, "path-missing")
    assert finding.cause == f"LD_LIBRARY_PATH names {TYPO}, which does not exist; {meant} does."
    assert finding.fix == (f"export LD_LIBRARY_PATH={meant}:/opt/lib",)


def test_a_missing_entry_of_which_nothing_is_known_to_be_meant() -> None:
    facts = listed(PathEntry("LD_LIBRARY_PATH", TYPO, False))
    finding = one(facts, "path-missing")
    assert finding.cause.endswith("which does not exist.")
    assert finding.fix == ("unset LD_LIBRARY_PATH",)


def test_each_missing_entry_is_told_once() -> None:
    entry = PathEntry("PATH", "/usr/local/cuda-9.0/bin", False)
    other = replace(entry, variable="LD_LIBRARY_PATH")
    assert len(found(listed(entry, entry, other), "path-missing")) == 2


@pytest.mark.parametrize(
    "entry",
    [
        PathEntry("PATH", "/home/ada/.cargo/bin", False),
        PathEntry("LD_LIBRARY_PATH", "/usr/local/nvidia/lib64", False),  # NVIDIA's own images
        PathEntry("PATH", "/usr/local/cuda/bin", True),
        PathEntry("PATH", "/locked/cuda/bin", None),
    ],
)
def test_entries_that_alarm_nobody(entry: PathEntry) -> None:
    assert found(listed(entry), "path-missing") == []


def test_path_and_library_path_of_different_versions() -> None:
    facts = listed(
        PathEntry("PATH", "/usr/bin", True),
        PathEntry("PATH", "/usr/local/cuda-13.0/bin", True, cuda="13.0"),
        PathEntry("LD_LIBRARY_PATH", "/usr/local/cuda-11.8/lib64", True, cuda="11.8"),
        PathEntry("LD_LIBRARY_PATH", "/usr/local/cuda-13.0/lib64", True, cuda="13.0"),
    )
    finding = one(facts, "paths-mix-toolkits")
    assert finding.fix == ("export LD_LIBRARY_PATH=/usr/local/cuda-13.0/lib64",)
    assert found(listed(*facts.paths[:2], facts.paths[3]), "paths-mix-toolkits") == []
    assert found(listed(*facts.paths[2:]), "paths-mix-toolkits") == []


def test_headers_of_another_cuda_on_cpath() -> None:
    entry = PathEntry("CPATH", "/usr/local/cuda-12.4/include", True, cuda="12.4")
    assert one(listed(entry), "cpath-other-toolkit").severity == "error"
    assert found(listed(replace(entry, cuda="13.0")), "cpath-other-toolkit") == []
    assert found(replace(listed(entry), wants_cuda=False), "cpath-other-toolkit") == []


@pytest.mark.parametrize(
    ("entry_cuda", "torch_cuda", "nvjitlink", "says"),
    [
        ("12.1", "12.4", True, 1),
        ("12.1", "12.4", False, 0),
        ("12.6", "12.4", True, 0),
        ("11.8", "12.4", True, 0),
        (None, "12.4", True, 0),
    ],
)
def test_libraries_that_torch_gets_instead_of_its_own(
    entry_cuda: str | None, torch_cuda: str, nvjitlink: bool, says: int
) -> None:
    entry = PathEntry("LD_LIBRARY_PATH", "/x/lib64", True, None, entry_cuda, nvjitlink)
    facts = replace(listed(entry), torch=torch("2.5.1", torch_cuda))
    assert len(found(facts, "libraries-older-than-torch")) == says


@pytest.mark.parametrize(
    ("memory", "swap", "cores", "max_jobs", "fix"),
    [
        (8 * GIB, 0, 16, "", "export MAX_JOBS=5"),
        (8 * GIB, 32 * GIB, 16, "", None),
        (8 * GIB, 0, 16, "4", None),
        (8 * GIB, 0, 2, "", None),
        (8 * GIB, 0, 2, "64", "export MAX_JOBS=5"),
        (1 * GIB, 0, 1, "", "export MAX_JOBS=1"),
        (64 * GIB, 0, 16, "many", None),
        (None, None, 16, "", None),
    ],
)
def test_jobs_against_memory(
    memory: int | None, swap: int | None, cores: int, max_jobs: str, fix: str | None
) -> None:
    facts = machine(memory=memory, swap=swap, cores=cores)
    facts = replace(facts, variables=variables(MAX_JOBS=max_jobs))
    assert [item.fix for item in found(facts, "too-many-jobs")] == ([(fix,)] if fix else [])


@pytest.mark.parametrize(
    ("free", "severity"),
    [(0, "error"), (50 << 20, "error"), (500 << 20, "warning"), (2 * GIB, None), (None, None)],
)
def test_space_for_temporary_files(free: int | None, severity: str | None) -> None:
    findings = found(machine(temporary_free=free), "disk-full")
    assert [item.severity for item in findings] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("version", "idle", "says"),
    [
        ("2.5.1", 4000.0, 1),
        ("2.5.1", 5.0, 0),
        ("2.14.0", 4000.0, 0),
        ("2.5.1", None, 0),
        ("x", 4000.0, 0),
    ],
)
def test_stale_locks(version: str, idle: float | None, says: int) -> None:
    cache = JitCache(Path("/c/py311_cu124/fused"), idle)
    facts = broken(torch=torch(version, "12.4"), jit_caches=(cache,))
    assert [item.fix for item in found(facts, "jit-lock")] == [
        ("rm /c/py311_cu124/fused/lock",)
    ] * says


def test_a_cache_of_somebody_else() -> None:
    caches = tuple(JitCache(Path(f"/tmp/x/{name}"), None, writable=False) for name in "ab")
    finding = one(broken(jit_caches=caches), "jit-cache-not-writable")
    assert finding.fix == ("export TORCH_EXTENSIONS_DIR=/home/ada/torch_extensions",)
    assert found(broken(jit_caches=(JitCache(Path("/c")),)), "jit-cache-not-writable") == []


def library(**fields: object) -> Facts:
    changed = replace(Library(Path("/x/_C.so")), **fields)  # type: ignore[arg-type]
    return broken(libraries=(changed,))


@pytest.mark.parametrize(
    ("fields", "id"),
    [
        ({"readable": False}, "library-unreadable"),
        ({"python": "3.10"}, "library-other-python"),
        ({"torch": "2.5.1+cu124"}, "library-other-torch"),
        ({"undefined": ("_ZN3c10gone",)}, "library-other-torch"),
        ({"missing": ("libcudart.so.11.0",)}, "library-needs-missing"),
        ({"architectures": ("sm_70",)}, "gpu-not-in-library"),
        ({"own": True}, "dcnbuild-cpu-only"),
    ],
)
def test_what_a_library_can_lack(fields: dict[str, object], id: str) -> None:
    finding = one(library(**fields), id)
    assert any("/x/_C.so" in line for line in finding.evidence)
    own = one(library(**{**fields, "own": True}), id)
    assert not own.fix or "dcnbuild" in own.fix[-2]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"python": "3.11", "torch": HEALTHY.torch.version if HEALTHY.torch else ""},
        {"architectures": ("sm_80", "compute_90"), "own": True},
        {"architectures": ("compute_70",)},
    ],
)
def test_a_library_that_fits(fields: dict[str, object]) -> None:
    facts = library(**fields)
    for id in ("library-unreadable", "library-other-python", "library-other-torch"):
        assert found(facts, id) == []
    for id in ("library-needs-missing", "gpu-not-in-library", "dcnbuild-cpu-only"):
        assert found(facts, id) == []


def test_a_library_on_a_machine_of_which_little_is_known() -> None:
    facts = replace(library(architectures=("sm_70",)), driver=Driver())
    assert found(facts, "gpu-not-in-library") == []
    unknown = gpu_driver("580.1", "13.0", Gpu("old", None))
    assert found(replace(facts, driver=unknown), "gpu-not-in-library") == []
    assert found(replace(library(own=True), driver=Driver()), "dcnbuild-cpu-only") == []


def test_which_cuda_a_missing_runtime_belongs_to() -> None:
    finding = one(library(missing=("libcudart.so.11.0",)), "library-needs-missing")
    assert "the runtime of CUDA 11.x; torch has CUDA 13.0" in finding.cause
