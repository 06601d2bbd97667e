"""Whose kernel has no code for the GPU: torch's own operation, or that of an extension."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.machine import versions

_ERROR = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
_SITE = "/e/lib/python3.11/site-packages"
_LINEAR = f'  File "{_SITE}/torch/nn/modules/linear.py", line 117, in forward\n    return F.linear(input, self.weight)'
_OWN = '  File "/home/u/net/run.py", line 8, in sample\n    x = torch.randn(size, device="cuda")\n        ^^^^^^^^^^^'
_APPLY = f'  File "{_SITE}/torch/autograd/function.py", line 598, in apply\n    return super().apply(*args, **kwargs)'
_MSDA = (
    f'{_APPLY}\n  File "/home/u/net/ops/functions/a.py", line 24, in forward\n    output = MSDA.ms_deform_attn_forward('
)
_OPS = f'  File "/home/u/net/run.py", line 8, in <module>\n    torch.ops.ext.mul(x)\n  File "{_SITE}/torch/_ops.py", line 1116, in __call__\n    return self._op(*args)'
_NMS = f'  File "{_SITE}/torchvision/ops/boxes.py", line 41, in nms\n    return torch.ops.torchvision.nms(boxes, scores, t)'


@pytest.mark.parametrize(
    ("machine", "frame", "whose"),
    [
        ("", _LINEAR, "gpu-newer-than-torch"),
        ("", _OWN, "gpu-newer-than-torch"),
        ("", "----> 2 x = torch.ones(2, device='cuda') * 2", "gpu-newer-than-torch"),
        ("", "----> 2 y = torch.ops.ext.mul(x)", "no-kernel-image"),
        ("", _MSDA, "no-kernel-image"),
        ("", _OPS, "no-kernel-image"),
        ("", _NMS, "no-kernel-image"),
        # a torch with code for the GPU only tells of a kernel that failed before
        ("torch 2.7.0+cu128\nNVIDIA GeForce RTX 5090", _OWN, "no-kernel-image"),
        # one without it runs nothing there, whoever comes first
        ("torch 2.4.1+cu121\nNVIDIA GeForce RTX 5090", _MSDA, "gpu-newer-than-torch"),
        ("torch 2.4.1+cu121\nNVIDIA GeForce RTX 5090", "", "gpu-newer-than-torch"),
        ("torch 2.4.1+cu121\nNVIDIA GeForce RTX 3090", _MSDA, "no-kernel-image"),
    ],
)
def test_whose_kernel_it_was(machine: str, frame: str, whose: str) -> None:
    assert findings(f"{machine}\nTraceback (most recent call last):\n{frame}\n{_ERROR}")[0].id == whose


@pytest.mark.parametrize(
    ("machine", "index"),
    [
        ("torch 2.4.1+cu121\nNVIDIA GeForce RTX 5090", "/cu128"),
        ("torch 2.12.0+cu130\nTesla P100-PCIE-16GB", "/cu126"),
        ("torch 2.12.0+cu130\nTesla V100-SXM2-16GB", "/cu126"),
    ],
)
def test_the_torch_is_one_with_code_for_the_gpu(machine: str, index: str) -> None:
    fix = findings(f"{machine}\n{_LINEAR}\n{_ERROR}")[0].fix
    assert [line for line in fix if line.startswith("pip install torch") and line.endswith(index)], fix


def test_the_warning_of_newer_torches_is_read() -> None:
    found = findings(
        "    Found GPU0 Tesla V100-SXM2-16GB which is of cuda capability 7.0.\n"
        "    Minimum and Maximum cuda capability supported by this version of PyTorch is\n    (7.5) - (12.0)\n"
        f"{_ERROR}"
    )[0]
    assert found.id == "gpu-newer-than-torch" and "Tesla V100-SXM2-16GB (sm_70) is older" in found.cause
    assert found.fix[-2].endswith("/cu126")


@pytest.mark.parametrize(
    ("torch", "cuda", "gpus", "has"),
    [
        ("2.4.1+cu121", "12.1", "12.0", "no"),
        ("2.4.1+cu121", "12.1", "8.9", "yes"),
        ("2.4.1+cu121", "12.1", "8.6;12.0", ""),
        ("", "12.1", "12.0", "no"),
        ("2.7.1", "12.8", "12.1", "yes"),
        ("2.9.0", "13.0", "7.0", "no"),
        ("2.4.1", "", "12.0", ""),
        ("2.4.1", "12.1", "", ""),
    ],
)
def test_a_wheel_has_code_for_a_gpu(torch: str, cuda: str, gpus: str, has: str) -> None:
    assert versions.wheel_has(torch, cuda, gpus) == has


def test_the_last_wheel_for_a_gpu() -> None:
    last = versions.last_wheel_for("sm_37")
    assert last is not None and (last.cuda, last.torch) == ("11.8", "2.7.1")
    assert versions.last_wheel_for("sm_35") is None


@pytest.mark.parametrize("answer", ["No CUDA devices found.", "", "native", "No devices were found"])
@pytest.mark.parametrize(
    ("ran", "line"),
    [
        ("u@h:~/llama$ cmake -B out -DGGML_CUDA=ON", "cmake -B out -DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=86"),
        ("u@h:~/net$ pip install .\n  torch/utils/cpp_extension.py", "export TORCH_CUDA_ARCH_LIST=8.6"),
    ],
)
def test_an_architecture_that_is_the_answer_of_a_missing_gpu(answer: str, ran: str, line: str) -> None:
    found = findings(f"{ran}\nnvcc fatal   : Unsupported gpu architecture 'compute_{answer}'\nmake: *** Error 1")[0]
    assert found.id == "unsupported-gpu-arch" and f"compute_{answer}" in found.title
    assert "no gpu" in found.cause.lower() and line in found.fix
