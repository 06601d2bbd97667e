"""CUDA's errors: by whichever of their names, numbers and texts a program tells of them, the finding is the same."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.knowledge import cuda_errors

_ERRORS = cuda_errors.rows()
#: Whose number or text other programs use as well, or which is told by its text otherwise than by its name.
_AMBIGUOUS = {3, 49, 302, 800}


def _first(log: str) -> str:
    found = explain(log)
    return found[0].id if found else ""


def _spellings(error: cuda_errors.CudaError) -> list[str]:
    runtime, driver, text = error.runtime, error.driver, error.text
    told = [
        f"torch.AcceleratorError: CUDA error: {text}",
        f"RuntimeError: CUDA driver error: {text}",
        f"RuntimeError: Triton Error [CUDA]: {text}",
        f"GPUassert: {text} kernel.cu 123",
        f"Cuda failure: {text}",
        f"CUDA Error {error.code} at kernel.cu:33: {text}",
        f"CUDA error: {text}\n  current device: 0, in function ggml_cuda_compute_forward at ggml-cuda.cu:2482",
    ]
    if runtime:
        told += [
            f"cupy_backends.cuda.api.runtime.CUDARuntimeError: {runtime}: {text}",
            f"  what():  parallel_for failed: {runtime}: {text}",
        ]
    if driver:
        told += [
            f"numba.cuda.cudadrv.driver.CudaAPIError: [{error.code}] Call to cuMemAlloc results in {driver}",
            f"INTERNAL: Failed call to cuLaunchKernel: {driver}",
        ]
    if error.own:
        told += [f"CUDA Error {error.code} at kernel.cu:33", f"CUDA error: {runtime or driver}"]
    return told


@pytest.mark.parametrize("error", [one for one in _ERRORS if one.code not in _AMBIGUOUS], ids=lambda one: str(one.code))
def test_every_spelling_of_an_error_gives_the_same_finding(error: cuda_errors.CudaError) -> None:
    wanted = _first(f"RuntimeError: CUDA error: {error.text}")
    assert wanted
    assert {log: _first(log) for log in _spellings(error)} == dict.fromkeys(_spellings(error), wanted)


@pytest.mark.parametrize("error", [one for one in _ERRORS if one.means], ids=lambda one: str(one.code))
def test_what_an_error_means_is_told_where_no_rule_knows_more(error: cuda_errors.CudaError) -> None:
    (found, *_) = explain(f"RuntimeError: CUDA error: {error.text}")
    if found.title == "CUDA stopped with an error":
        assert error.means in found.cause
        assert any(error.do in line for line in found.fix)


@pytest.mark.parametrize(
    "source",
    [
        'kernel.cu(12): error: identifier "cudaErrorNoDevice" is undefined',
        "   41 |   if (status == cudaErrorNoDevice) {",
        "error: 'CUDA_ERROR_NO_DEVICE' was not declared in this scope",
        "a.cu:7:10: error: return cudaErrorNoDevice does not match",
    ],
)
def test_a_name_in_source_is_not_an_error_of_a_gpu(source: str) -> None:
    assert _first(source) != "no-driver"


def test_names_numbers_and_texts_are_those_of_cuda() -> None:
    torch = pytest.importorskip("torch")
    packages = Path(torch.__file__).parents[1] / "nvidia"
    header = next(packages.rglob("driver_types.h"), None)
    library = next(packages.rglob("libcudart.so*"), None)
    if header is None or library is None:
        pytest.skip("this torch has no CUDA runtime")
    named = dict(re.findall(r"^\s+(cudaError\w+)\s*=\s*(\d+)", header.read_text(encoding="utf-8"), re.MULTILINE))
    runtime = ctypes.CDLL(str(library))
    runtime.cudaGetErrorString.restype = ctypes.c_char_p
    for error in _ERRORS:
        if error.runtime in named:
            assert int(named[error.runtime]) == error.code
            assert runtime.cudaGetErrorString(error.code).decode().rstrip(".") == error.text
    known = {error.runtime for error in _ERRORS}
    assert {name for name in named if name != "cudaErrorApiFailureBase"} <= known
