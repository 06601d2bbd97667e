"""Tests of logs of detection, segmentation, video and image restoration: what is installed where, and for which torch."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.machine.prebuilt import of_openmmlab


def first(log: str) -> tuple[str, str]:
    """The id of the first finding of a log, and its whole text."""
    found = findings(log)[0]
    return found.id, "\n".join((found.title, found.cause, *found.fix))


@pytest.mark.parametrize(
    ("requirement", "torch", "cuda", "wanted"),
    [
        ("mmcv>=2.0.0,<2.2.0", "2.1.2+cu118", "", "mmcv==2.1.0 cu118/torch2.1.0"),
        ("mmcv>=2.0.0", "2.1.0", "", "mmcv==2.1.0 cu121/torch2.1.0"),
        ("mmcv==2.2.0", "2.1.0", "12.1", "mmcv==2.2.0 cu121/torch2.1.0"),
        ("mmcv-full==1.3.0", "1.9.0+cu111", "", "mmcv-full==1.3.9 cu111/torch1.9.0"),
        ("mmcv-full", "1.8.0", "11.1", "mmcv-full==1.7.0 cu111/torch1.8.0"),
        ("mmcv", "2.9.0", "12.8", "mmcv "),
        ("mmcv-full", "", "", "mmcv-full<2 "),
    ],
)
def test_the_wheel_of_mmcv_for_a_torch(requirement: str, torch: str, cuda: str, wanted: str) -> None:
    found = of_openmmlab(requirement, torch, cuda)
    page = found["links"].removeprefix("https://download.openmmlab.com/mmcv/dist/").removesuffix("/index.html")
    assert f"{found['requirement']} {page}" == wanted


_MMCV = '  File "/v/lib/python3.8/site-packages/mmcv/utils/ext_loader.py", line 13, in load_ext\n'
_PORTABLE = "C:\\ComfyUI\\python_embeded\\python.exe"


@pytest.mark.parametrize(
    ("log", "id", "parts"),
    [
        (
            f"{_MMCV}ImportError: /v/lib/python3.8/site-packages/mmcv/_ext.so: undefined symbol: _ZNK2at6Tensor7is_cudaEv\n"
            "mmcv-full 1.3.9\ntorch 1.8.0+cu111",
            "undefined-symbol",
            ("mmcv-full==1.3.9 -f https://download.openmmlab.com/mmcv/dist/cu111/torch1.8.0/",),
        ),
        (
            "$ pip install nvidia-dali-cuda120\nC:\\p>ver\nMicrosoft Windows\n"
            "ERROR: Could not find a version that satisfies the requirement nvidia-dali-cuda120 (from versions: none)",
            "package-not-found",
            ("only for Linux", "wsl --install"),
        ),
        (
            "ada@MacBook-Pro net % pip install decord\n"
            "ERROR: Could not find a version that satisfies the requirement decord (from versions: none)",
            "package-not-found",
            ("pip install decord2",),
        ),
        (
            "torch 1.13.1+cu117\ntorchvision 0.11.2+cu113\nRuntimeError: No such operator torchvision::deform_conv2d",
            "torchvision-mismatch",
            ("it is torchvision 0.14", "'torchvision==0.14.*' --index-url https://download.pytorch.org/whl/cu117"),
        ),
        (
            '  File "/w/BasicSR/basicsr/ops/dcn/deform_conv.py", line 145, in forward\n'
            "NameError: name 'deform_conv_ext' is not defined",
            "extension-not-built",
            ("part of BasicSR", "BASICSR_EXT=True", "cd /w/BasicSR\n"),
        ),
        (
            'Traceback (most recent call last):\n  File "/w/CenterTrack/src/lib/model/networks/DCNv2/dcn_v2.py", line 13, '
            "in <module>\nModuleNotFoundError: No module named '_ext'",
            "extension-not-built",
            ("part of DCNv2", "cd /w/CenterTrack/src/lib/model/networks/DCNv2\n"),
        ),
        (
            'Traceback (most recent call last):\n  File "/w/detectron2/detectron2/layers/deform_conv.py", line 10, in <module>'
            "\nImportError: cannot import name '_C' from 'detectron2' (/w/detectron2/detectron2/__init__.py)",
            "extension-not-built",
            ("cd /w/detectron2\npip install --no-build-isolation -e .",),
        ),
        (
            "error in ms_deformable_im2col_cuda: no kernel image is available for execution on the device",
            "no-kernel-image",
            ("cd models/ops",),
        ),
        (
            "cv2.error: OpenCV(4.5.5) /build/opencv/modules/dnn/src/cuda4dnn/csl/memory.hpp:54: error: (-217:Gpu API call) no "
            "kernel image is available for execution on the device in function 'copy'",
            "no-kernel-image",
            ("This OpenCV was built", "CUDA_ARCH_BIN"),
        ),
        (
            "nano@jetson:~$ cat /etc/nv_tegra_release\n# R35 (release), REVISION: 4.1\n"
            "RuntimeError: TensorRT does not currently build wheels for Tegra systems",
            "jetson-wheel",
            ("a part of JetPack", "--system-site-packages"),
        ),
        (
            "CMake Error at cmake/OpenCVDetectCUDAUtils.cmake:164 (message):\n"
            '  CUDA: Not supported compute capabilities: "12.0"',
            "unsupported-gpu-arch",
            ("needs CUDA 12.8",),
        ),
        (
            "ImportError: cannot import name 'container_abcs' from 'torch._six' (/v/lib/python3.8/site-packages/torch/_six.py)",
            "torch-six",
            ("imports container_abcs", "dcnbuild port"),
        ),
        (
            f"{_PORTABLE} -s -m pip install dlib\n-- Building a CUDA test project\n"
            "-- Disabling CUDA support for dlib.  DLIB WILL NOT USE CUDA\n[100%] Built target _dlib_pybind11",
            "not-compiled-with-gpu",
            ("went on for the CPU alone",),
        ),
    ],
)  # fmt: skip
def test_first_findings(log: str, id: str, parts: tuple[str, ...]) -> None:
    found, text = first(log)
    assert found == id
    assert [part for part in parts if part not in f"{text}\n"] == []


def test_a_blank_in_the_path_of_nvcc_gets_a_name_without_one() -> None:
    nvcc = "C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA\\v11.1\\bin\\nvcc"
    _, text = first(f"[1/7] {nvcc} -c a.cu\n'C:/Program' is not recognized as an internal or external command,")
    assert 'mklink /J C:\\cuda "C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v11.1"' in text


def test_a_kernel_of_another_library_is_not_of_dcnbuild() -> None:
    _, text = first("/build/x/y/memory.hpp:54: error: no kernel image is available for execution on the device")
    assert "dcnbuild build" not in text
