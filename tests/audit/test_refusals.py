"""Who refuses a package, on facts made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dcnbuild.audit.bounds import bounds
from dcnbuild.audit.package import Binary, Package
from dcnbuild.audit.refusals import refusals
from dcnbuild.audit.target import Target
from dcnbuild.machine.facts import Driver, Gpu

#: Names that came with torch 2.13, 2.10 and 2.2, and one of the C++ API up to 2.9.
NEW, SHIM, OLD = "torch_new_stable_ivalue", "torch_call_dispatcher", "aoti_torch_get_data_ptr"
CXX, GONE = "_ZN2at13globalContextEv", "_ZN3c1038initializeFunctionalityOffsetsAndMasksEv"


GOOD = Binary(
    "x/_C.so",
    "x86_64",
    needed=("libtorch_cpu.so", "libc.so.6"),
    versions=(("libc.so.6", "GLIBC_2.17"),),
    symbols=(SHIM,),
)
HERE = Target("3.11.7", "x86_64", torch="2.14.1+cu130", cuda="13.0", glibc="2.36")
WHEEL = Package("x.whl", "wheel", ("py3-none-manylinux_2_28_x86_64",), binaries=(GOOD,))


def found(package: Package = WHEEL, target: Target = HERE, **changed: Any) -> list[str]:
    """The ids of what refuses a package whose one library was changed, with a sign for each severity."""
    package = replace(package, binaries=tuple(replace(item, **changed) for item in package.binaries))
    marks = {"error": "", "warning": "? ", "note": "- "}
    return [marks[item.severity] + item.id for item in refusals(package, bounds(package), target)]


def test_nothing_refuses_what_fits() -> None:
    assert found() == []
    assert found(replace(WHEEL, tags=("cp311-cp311-linux_x86_64",))) == []
    assert found(replace(WHEEL, tags=("cp39-abi3-linux_x86_64",))) == []
    assert found(target=replace(HERE, torch="2.10", cuda="12", here=False)) == []
    assert found(replace(WHEEL, torch=">=2.10"), replace(HERE, torch="2.10", here=False)) == []
    assert found(replace(WHEEL, torch="==2.10.0"), replace(HERE, torch="2.10", here=False)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"machine": "aarch64"}, ["audit-machine"]),
        ({"name": "x/_C.cpython-310-x86_64-linux-gnu.so"}, ["audit-python"]),
        ({"symbols": (CXX, GONE)}, ["audit-torch"]),
        ({"undefined": (CXX,)}, ["audit-torch"]),
        ({"symbols": ("_ZN5torch3jit11parseSchemaERKSsb",)}, ["audit-torch"]),
        ({"needed": ("libcudart.so.12",)}, ["audit-cuda", "- audit-outside"]),
        ({"needed": ("libcudart.so.13",)}, ["- audit-outside"]),
        ({"needed": ("libcuda.so.1",)}, ["audit-driver", "- audit-outside"]),
        ({"versions": (("libc.so.6", "GLIBC_2.38"),)}, ["audit-glibc", "audit-tag"]),
        ({"lacking": ("libstdc++.so.6: GLIBCXX_3.4.33",)}, ["audit-symbol-version"]),
        ({"missing": ("libtorch_cpu.so",)}, ["audit-missing"]),
        ({"missing": ("libown.so",)}, []),
        ({"executable_stack": True}, ["? audit-executable-stack"]),
        ({"run_paths": ("$ORIGIN/../x.libs:/home/me/lib",)}, ["? audit-run-path"]),
        ({"run_paths": ("$ORIGIN/../x.libs:${ORIGIN}",)}, []),
    ],
)
def test_what_is_refused_here(changed: dict[str, Any], expected: list[str]) -> None:
    assert found(**changed) == expected


@pytest.mark.parametrize(
    ("package", "target", "changed", "expected"),
    [
        (WHEEL, replace(HERE, torch=None), {}, ["audit-torch"]),
        (WHEEL, replace(HERE, torch="2.9", here=False), {}, ["audit-torch"]),
        (WHEEL, replace(HERE, torch="2.12", here=False), {"symbols": (NEW,)}, ["audit-torch"]),
        (WHEEL, replace(HERE, torch="2.13", here=False), {"symbols": (NEW,)}, []),
        (WHEEL, replace(HERE, here=False), {"symbols": (CXX,)}, ["? audit-torch-unknown"]),
        (replace(WHEEL, torch="==2.5.1"), HERE, {}, ["audit-torch"]),
        (replace(WHEEL, python=">=3.12"), HERE, {}, ["audit-python"]),
        (replace(WHEEL, tags=("cp310-cp310-linux_x86_64",)), HERE, {}, ["audit-python"]),
        (replace(WHEEL, tags=("cp313-cp313t-linux_x86_64",)), replace(HERE, python="3.13.1"), {}, ["audit-python"]),
        (replace(WHEEL, tags=("cp312-abi3-linux_x86_64",)), HERE, {}, ["audit-python"]),
        (replace(WHEEL, tags=("py3-none-any",)), HERE, {}, ["audit-tag"]),
        (replace(WHEEL, tags=("py3-none-manylinux1_x86_64",)), HERE, {}, ["audit-tag"]),
        (replace(WHEEL, unreadable=("x/bad.so",)), HERE, {}, ["audit-unreadable"]),
        (replace(WHEEL, binaries=()), HERE, {}, ["- audit-no-library"]),
        (WHEEL, replace(HERE, glibc="2.41"), {"executable_stack": True}, ["audit-executable-stack"]),
        (WHEEL, replace(HERE, cuda=None, cpu_only=True), {"needed": ("libtorch_cuda.so",)}, ["audit-cuda"]),
        (WHEEL, replace(HERE, driver=Driver("470.1")), {"architectures": ("sm_120",)}, ["audit-driver"]),
        (WHEEL, replace(HERE, driver=Driver("580.1", gpus=(Gpu("B200", (10, 0)),))), {"architectures": ("sm_90",)}, ["audit-gpu"]),
        (WHEEL, replace(HERE, driver=Driver("580.1", gpus=(Gpu("B200", (10, 0)),))), {"architectures": ("compute_90",)}, []),
    ],
)  # fmt: skip
def test_what_other_targets_refuse(
    package: Package, target: Target, changed: dict[str, Any], expected: list[str]
) -> None:
    assert found(package, target, **changed) == expected
