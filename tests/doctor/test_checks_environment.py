"""Python, paths, resources, libraries: what is found, what not, and what fixes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from doctor.machines import broken, found, gpu_driver, machine, one, python, torch, variables

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.facts import (
    Driver,
    Facts,
    Gpu,
    JitCache,
    Library,
    PathEntry,
)

GIB = 1 << 30


def test_another_environment_is_active() -> None:
    facts = python(is_active=False, executable=Path("/usr/bin/python3"))
    assert one(facts, "venv-mismatch").fix == (
        "# In the checkout of dcnbuild:",
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
    assert finding.cause == f"LD_LIBRARY_PATH names {TYPO}, which does not exist, but {meant} does."
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
def test_jobs_against_memory(memory: int | None, swap: int | None, cores: int, max_jobs: str, fix: str | None) -> None:
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
    assert [item.fix for item in found(facts, "jit-lock")] == [("rm /c/py311_cu124/fused/lock",)] * says


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
    assert "the runtime of CUDA 11.x, but torch has CUDA 13.0" in finding.cause
