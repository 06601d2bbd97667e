"""What the tables say of names whose history is documented elsewhere."""

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
