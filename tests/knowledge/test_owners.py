"""Tests the owners of symbols, libraries and modules."""

from __future__ import annotations

import pytest

from dcnbuild.knowledge import modules, owners, sonames


@pytest.mark.parametrize(
    ("symbol", "owner", "library"),
    [
        ("ncclCommResume", "NCCL", "libnccl.so.2"),
        ("cudaGetDriverEntryPointByVersion", "CUDA runtime", "libcudart"),
        ("cuCtxCreate_v4", "CUDA driver", "libcuda.so.1"),
        ("cublasSgemm_v2", "cuBLAS", "libcublas"),
        ("cublasLtMatmul", "cuBLASLt", "libcublasLt"),
        ("cusparseLtInit", "cuSPARSELt", "libcusparseLt"),
        ("__nvJitLinkComplete_12_4", "nvJitLink", "libnvJitLink"),
        ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", "torch", "libc10.so"),
        ("c10::SymInt::toSymNode() const", "torch", "libc10.so"),
        ("at::cuda::getCurrentCUDAStream(short)", "torch", "libtorch_cuda.so"),
        ("_ZNK2at6Tensor8data_ptrIfEEPT_v", "torch", "libtorch_cpu.so"),
        ("THPVariableClass", "torch", "libtorch_python.so"),
        ("void cub::DeviceReduce::Sum<float*>(int)", "CUB", ""),
        ("PyArray_Return", "numpy's C API", ""),
        ("_PyThreadState_UncheckedGet", "CPython", "libpython"),
        ("_ZSt28__throw_bad_array_new_lengthv", "the C++ runtime", "libstdc++.so.6"),
        ("iJIT_NotifyEvent", "Intel ITT", "libtorch_cpu.so"),
        ("cv::imread(std::string const&, int)", "OpenCV", "libopencv_*"),
        ("nvinfer1::IRuntime::~IRuntime()", "TensorRT", "libnvinfer"),
    ],
)
def test_a_symbol_has_its_owner(symbol: str, owner: str, library: str) -> None:
    found = owners.of_symbol(symbol)
    assert found is not None
    assert (found.owner, found.library) == (owner, library)


def test_a_projects_own_symbol_has_no_owner() -> None:
    assert owners.of_symbol("dcn_v2_cuda_forward") is None
    assert owners.of_symbol("ms_deform_attn_cuda_forward(at::Tensor const&)") is None
    assert owners.of_symbol("") is None


@pytest.mark.parametrize(
    ("version", "owner", "release"),
    [  # libstdc++'s manual, ABI policy and guidelines; glibc's versions are its releases
        ("GLIBCXX_3.4.29", "gcc", "11.1"),
        ("GLIBCXX_3.4.32", "gcc", "13.2"),
        ("CXXABI_1.3.13", "gcc", "11.1"),
        ("GLIBC_2.34", "glibc", "2.34"),
    ],
)
def test_a_symbol_version_names_its_release(version: str, owner: str, release: str) -> None:
    found = owners.of_version(version)
    assert found is not None
    assert (found.owner, found.release) == (owner, release)


def test_an_unknown_symbol_version_names_none() -> None:
    assert owners.of_version("GLIBCXX_9.9") is None
    assert owners.of_version("libcudart.so.12") is None


@pytest.mark.parametrize(
    ("soname", "pip"),
    [
        ("libcusparseLt.so.0", "nvidia-cusparselt-cu12"),
        ("libcudnn.so.8", "nvidia-cudnn-cu12<9"),
        ("libcudnn_ops_infer.so.8", "nvidia-cudnn-cu12<9"),
        ("libcudnn.so.9.1.0", "nvidia-cudnn-cu12"),
        ("/opt/x/libnccl.so.2", "nvidia-nccl-cu12"),
        ("libcupti.so.12", "nvidia-cuda-cupti-cu12"),
        ("libcudart.so.11.0", "nvidia-cuda-runtime-cu11"),
        ("libcudart.so.13", "nvidia-cuda-runtime"),
        ("libc10.so", "torch"),
    ],
)
def test_a_soname_names_the_package_that_has_it(soname: str, pip: str) -> None:
    assert any(pip in row.pip for row in sonames.find(soname))


def test_system_libraries_name_packages_of_each_distribution() -> None:
    (row,) = sonames.find("libGL.so.1")
    assert (row.owner, row.apt, row.dnf) == ("system", ("libgl1",), ("mesa-libGL",))
    assert sonames.find("CUDART64_12.DLL")
    assert not sonames.find("libdcnbuild.so")


def test_what_a_linker_asks_for() -> None:
    assert [row.what for row in sonames.of_link_name("-lnvToolsExt")] == ["NVTX 2"]
    assert len(sonames.of_link_name("cudart")) >= 3
    assert sonames.of_link_name("torch_cuda")[0].owner == "torch"


@pytest.mark.parametrize(
    ("module", "repository"),
    [
        ("groundingdino._C", "IDEA-Research/GroundingDINO"),
        ("MultiScaleDeformableAttention", "fundamentalvision/Deformable-DETR"),
        ("models.ops.MultiScaleDeformableAttention", "fundamentalvision/Deformable-DETR"),
        ("mmcv._ext", "open-mmlab/mmcv"),
        ("spconv.core_cc", "traveller59/spconv"),
        ("detectron2._C", "facebookresearch/detectron2"),
        ("pointnet2_cuda", "erikwijmans/Pointnet2_PyTorch"),
        ("amp_C", "NVIDIA/apex"),
    ],
)
def test_a_compiled_module_has_its_project(module: str, repository: str) -> None:
    (row,) = modules.find(module)
    assert row.repository == repository


def test_an_unknown_module_has_none() -> None:
    assert modules.find("my_project._C") == []
