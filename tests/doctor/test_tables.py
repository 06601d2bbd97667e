"""tables.yaml, written by hand, against the tables that were read from headers."""

from __future__ import annotations

import re

import pytest

from dcnbuild import explain
from dcnbuild.base.versions import numbers
from dcnbuild.doctor.logs.lookups.tables import like
from dcnbuild.doctor.parse.locales import to_english
from dcnbuild.knowledge import cuda, headers, names, python, torch_cpp
from dcnbuild.knowledge.names import rows
from dcnbuild.machine.ptx import home_of

#: Declared still, for GPUs that this CUDA does not compile for.
_FOR_OLD_GPUS = {"__shfl", "__shfl_up", "__shfl_down", "__shfl_xor", "__ballot", "__any", "__all"}


def test_what_is_gone_is_gone_by_the_headers_too() -> None:
    wrong = []
    for scope, known_gone in rows("gone").items():
        for name, (since, _) in known_gone.items():
            product, _, version = since.partition(" ")
            table = {"CUDA": cuda, "torch": torch_cpp}.get(product)
            full = f"{scope}::{name}" if scope else name
            if table is None or name in _FOR_OLD_GPUS or name.startswith("THC/"):
                continue
            found = [entry for entry in table.find(full) if entry.scope == scope]
            length = len(numbers(version))
            known = [numbers(entry.removed or "")[:length] for entry in found]
            if known and numbers(version) not in known:
                wrong.append((full, since, [entry.removed for entry in found]))
    assert wrong == []


def test_headers_to_include_exist() -> None:
    named = {header for header in rows("include") if re.match(r"cuda_|cooperative", header)}
    named |= set(rows("public").values())
    gone = {name for name in named if not any(row.name == name and not row.removed for row in headers.find(name))}
    assert gone == set()


def test_what_changed_in_cuda_changed_in_its_headers() -> None:
    for name, (since, _) in rows("changed").items():
        product, _, version = since.partition(" ")
        found = [entry for entry in cuda.find(name) if entry.name == name and entry.changes[1:]]
        if product == "CUDA" and found:
            majors = {numbers(change[0])[:1] for entry in found for change in entry.changes[1:]}
            assert numbers(version) in majors, name


def test_no_name_of_python_is_gone_before_its_headers_lose_it() -> None:
    for name, since in rows("python").items():
        removed = [entry.removed for entry in python.C_TABLE.find(name) if entry.name == name]
        later = [version for version in removed if version and numbers(version) > numbers(since)]
        assert not later, (name, since, removed)


@pytest.mark.parametrize(
    ("instruction", "compiled_for", "home"),
    [
        ("setmaxnreg.inc", "sm_90", "sm_90a"),
        ("mma with block scale", "sm_120", "sm_120a"),
        ("wgmma.fence", "sm_120", "sm_90"),
        ("tcgen05.mma", "sm_103", "sm_103a"),
        ("cp.async", "sm_75", ""),
    ],
)
def test_where_an_instruction_is_at_home(instruction: str, compiled_for: str, home: str) -> None:
    assert home_of(instruction, compiled_for) == home


def test_functions_of_newer_gpus() -> None:
    assert [like("device_functions", name) for name in ("atomicAdd_block", "__nanosleep", "atomicAdd")] == [
        "6.0",
        "7.0",
        "",
    ]


def test_names_that_are_on_their_way_out() -> None:
    assert names.renamed("nullopt", "c10") == "std::nullopt"
    assert names.renamed("AT_CHECK") == names.renamed("cudaMalloc") == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CUDA initialization failure with error: 35. Please check", "insufficient"),
        ("Cuda failure: 209", "no kernel image"),
        ("CUDA error: 700 (an illegal access)", None),  # says it itself
        ("epoch 3, CUDA 12.4, error: 0.35", None),
        ("CUDA error: 998", None),  # none that is known
    ],
)
def test_errors_that_are_numbers(line: str, said: str | None) -> None:
    assert said in to_english(line) if said else to_english(line) == line


@pytest.mark.parametrize(
    ("library", "fix"),
    [
        ("libascend_hal.so", "LD_LIBRARY_PATH=/usr/local/Ascend/driver"),
        ("libopapi.so", "source /usr/local/Ascend/ascend-toolkit/set_env.sh"),
        ("libsycl.so.8", "source /opt/intel/oneapi/setvars.sh"),
        ("libamdhip64.so.6", "LD_LIBRARY_PATH=/opt/rocm/lib"),
        ("libcnrt.so", "LD_LIBRARY_PATH=/usr/local/neuware"),
    ],
)
def test_toolkits_of_other_accelerators(library: str, fix: str) -> None:
    (found,) = explain(f"ImportError: {library}: cannot open shared object file: No such file or directory\n")
    assert any(fix in line for line in found.fix), found


def test_a_torch_npu_follows_torch() -> None:
    symbol = "undefined symbol: _ZN5torch8autograd12VariableInfoC1ERKN2at6TensorE"
    library = "/env/lib/python3.9/site-packages/torch_npu/lib/libtorch_npu.so"
    (found,) = explain(f"torch==2.1.0\nImportError: {library}: {symbol}\n")
    assert found.fix[-1] == "pip install 'torch-npu==2.1.*'"
