"""Tests the tables on names whose history is documented elsewhere."""

from __future__ import annotations

import pytest

from dcnbuild import knowledge
from dcnbuild.knowledge.entry import Entry


def only(entries: list[Entry], name: str) -> Entry:
    """The entry with this full name."""
    found = [entry for entry in entries if entry.name == name]
    assert len(found) == 1, [entry.name for entry in entries]
    return found[0]


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        # CUDA 12.0 release notes: texture and surface references are gone
        ("cudaBindTexture", "12.0"),
        ("texture", "12.0"),
        # CUDA 13.0 release notes and the CCCL 3.0 migration guide
        ("cudaDeviceProp::clockRate", "13.0"),
        ("cudaDeviceProp::memoryClockRate", "13.0"),
        ("cub::TransformInputIterator", "13.0"),
        ("cub::CountingInputIterator", "13.0"),
        ("thrust::unary_function", "13.0"),
        ("thrust::binary_function", "13.0"),
        # still there
        ("cudaMalloc", None),
        ("cudaDeviceProp::multiProcessorCount", None),
        ("cub::DeviceReduce", None),
        ("thrust::device_vector", None),
    ],
)
def test_cuda_names_went_with_the_release_that_says_so(name: str, removed: str | None) -> None:
    assert only(knowledge.cuda.find(name), name).removed == removed


def test_a_name_is_found_with_and_without_its_scope_and_as_tools_print_it() -> None:
    wanted = only(knowledge.cuda.find("cub::TransformInputIterator"), "cub::TransformInputIterator")
    for name in (
        "TransformInputIterator",
        "::cub::TransformInputIterator",
        "cub::TransformInputIterator<float, Op, int*>",
        "cub::CUB_200302_750_900_NS::TransformInputIterator<float>",
    ):
        assert wanted in knowledge.cuda.find(name)
    assert wanted not in knowledge.cuda.find("thrust::TransformInputIterator")
    assert not knowledge.cuda.find("no_such_name")
    assert not knowledge.cuda.find("")


def test_an_entry_says_where_its_name_is_declared_and_what_was_read() -> None:
    entry = only(knowledge.cuda.find("cub::TransformInputIterator"), "cub::TransformInputIterator")
    assert entry.kind == "type"
    assert entry.header == "cub/iterator/transform_input_iterator.cuh"
    assert entry.scope == "cub"
    assert entry.last == "12.9"
    assert entry.source.startswith("nvidia-cuda-cccl-cu12 12.9.")
    assert entry.replacement == "thrust::transform_iterator"


def test_signatures_that_changed_are_kept() -> None:
    """cuda.h of 13.0: cuCtxCreate is cuCtxCreate_v4, which takes a CUctxCreateParams*."""
    entry = only(knowledge.cuda.find("cuCtxCreate"), "cuCtxCreate")
    assert entry.parameters == (4, 4)
    assert [release for release, _ in entry.changes] == ["11.7", "13.0"]
    assert "CUctxCreateParams" in entry.changes[-1][1]
    assert "CUctxCreateParams" not in entry.changes[0][1]
    advise = only(knowledge.cuda.find("cudaMemAdvise"), "cudaMemAdvise")
    assert advise.changes[-1][0] == "13.0"
    assert "cudaMemLocation" in advise.changes[-1][1]


def test_headers_that_moved_or_went() -> None:
    """CCCL 3.0 migration guide (include/cccl); the nvidia-nvtx-cu12 wheels (NVTX 2 is gone in 12.9)."""
    (tuple_header,) = knowledge.headers.find("thrust/tuple.h")
    assert [folder for _, folder in tuple_header.changes] == ["include", "include/cccl"]
    assert tuple_header.changes[-1][0] == "13.0"
    assert tuple_header.removed is None
    old, new = sorted(knowledge.headers.find("nvToolsExt.h"), key=lambda entry: len(entry.name))
    assert (old.name, old.removed) == ("nvToolsExt.h", "12.9")
    assert (new.name, new.removed) == ("nvtx3/nvToolsExt.h", None)
    assert old.replacement == "nvtx3/"


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        # release notes of torch: 1.5 (AT_CHECK), 1.11 (THC), 2.0 (symeig; deprecated since 1.9)
        ("AT_CHECK", "1.5"),
        ("THCudaCheck", "1.11"),
        ("at::symeig", "2.0"),
        ("TORCH_CHECK", None),
        ("at::linalg_eigh", None),
        ("c10::cuda::getCurrentCUDAStream", None),
    ],
)
def test_torch_names_went_with_the_release_that_says_so(name: str, removed: str | None) -> None:
    entry = only(knowledge.torch_cpp.find(name), name)
    assert entry.removed == removed


def test_a_living_name_tells_its_header() -> None:
    """torch/include/c10/cuda/CUDAStream.h declares it; ATen/cuda/CUDAContext.h brings it in."""
    entry = only(knowledge.torch_cpp.find("getCurrentCUDAStream"), "c10::cuda::getCurrentCUDAStream")
    assert entry.header == "c10/cuda/CUDAStream.h"


def test_headers_of_torch() -> None:
    """Release notes of torch 1.11: "THC.h is removed"."""
    (thc,) = knowledge.headers.find("THC/THC.h")
    assert (thc.last, thc.removed) == ("1.10", "1.11")
    assert thc.replacement == "ATen/cuda/CUDAContext.h"
    assert any(entry.removed is None for entry in knowledge.headers.find("torch/extension.h"))


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        # torch's release notes: 1.8 (torch.rfft), 2.0 (torch._six)
        ("torch._six", "2.0"),
        ("torch.rfft", "1.8"),
        ("torch.cuda.amp.custom_fwd", None),
        ("torch.utils.cpp_extension.CUDAExtension", None),
        ("torch.Tensor.type", None),
    ],
)
def test_torch_in_python(name: str, removed: str | None) -> None:
    assert only(knowledge.torch_python.find(name), name).removed == removed


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        # numpy's release notes: 1.24 (np.float and its like), 2.0 (float_, Inf, NaN)
        ("numpy.float", "1.24"),
        ("numpy.int", "1.24"),
        ("numpy.float_", "2.0"),
        ("numpy.NaN", "2.0"),
        ("numpy.float64", None),
        ("numpy.bool", None),
    ],
)
def test_numpy_names(name: str, removed: str | None) -> None:
    assert only(knowledge.numpy.find(name), name).removed == removed
    assert knowledge.numpy.find(name.replace("numpy.", "np.")) == knowledge.numpy.find(name)


@pytest.mark.parametrize(
    ("name", "removed"),
    [
        # What's New in Python 3.8, 3.10, 3.11, 3.12
        ("time.clock", "3.8"),
        ("collections.Mapping", "3.10"),
        ("inspect.getargspec", "3.11"),
        ("PyFrameObject::f_code", "3.11"),
        ("PyThreadState::frame", "3.11"),
        ("distutils", "3.12"),
        ("imp", "3.12"),
        ("importlib.metadata", None),
        ("PyArg_ParseTuple", None),
    ],
)
def test_python_names(name: str, removed: str | None) -> None:
    assert only(knowledge.python.find(name), name).removed == removed


def test_setuptools_names() -> None:
    """setuptools' history: 82.0.0 has no pkg_resources."""
    assert only(knowledge.setuptools.find("pkg_resources"), "pkg_resources").removed == "82"
    assert only(knowledge.setuptools.find("setuptools"), "setuptools").removed is None


def test_host_compilers() -> None:
    """crt/host_config.h and crt/math_functions.h of the toolkits; glibc's NEWS of 2.41 and 2.42."""
    assert knowledge.compilers.accepts_msvc("12.3", 1940) is False
    assert knowledge.compilers.accepts_msvc("12.4.131", 1940) is True
    assert knowledge.compilers.accepts_msvc("9.9", 1940) is None
    assert knowledge.compilers.newest_glibc("12.4") == "2.40"
    assert knowledge.compilers.newest_glibc("13.0") == "2.41"
    assert knowledge.compilers.first_cuda_for_glibc("2.43") == "13.2"
    assert knowledge.compilers.first_cuda_for_glibc("2.39") == "11.8"
