"""Builds and runs of deformable convolution and attention that fail: what is found, and where the fix leads."""

from __future__ import annotations

import pytest
from doctor.reading import findings

COMPAT = "python -m dcnbuild.compat YOUR_SCRIPT.py"
_DETR = "/home/ada/Deformable-DETR/models/ops"
_FRAME = f'Traceback (most recent call last):\n  File "{_DETR}/functions/ms_deform_attn_func.py", line 29, in forward\n'
_OTHER = (
    'Traceback (most recent call last):\n  File "/home/ada/points/net.py", line 29, in forward\n'
)


def fix(log: str) -> str:
    """The lines of the first fix."""
    return "\n".join(findings(log)[0].fix)


@pytest.mark.parametrize(
    "message",
    [
        "Not implemented on the CPU",
        "Not Implemented on cpu",
        "Not implement on cpu",
        "ms_deform_attn_forward is not implemented for CPU",
        "DCNv2: CPU version not implemented",
        "deform_conv does not support CPU",
    ],
)
def test_an_operator_without_cpu_code_was_given_a_tensor_of_the_cpu(message: str) -> None:
    log = f"{_FRAME}RuntimeError: {message}"
    found = findings(log)
    assert [finding.id for finding in found] == ["no-cpu-kernel"]
    assert "tensor of the CPU" in found[0].cause and "Error" not in found[0].cause
    assert "FORCE_CUDA" not in fix(log) and "to the GPU" in fix(log) and COMPAT in fix(log)


def test_a_build_without_cuda_is_built_again_and_stood_in_for_where_dcnbuild_can() -> None:
    for frames, served in ((_FRAME, True), (_OTHER, False)):
        log = f"{frames}RuntimeError: Not compiled with GPU support"
        assert findings(log)[0].id == "not-compiled-with-gpu"
        assert "FORCE_CUDA=1" in fix(log) and "rm -rf build" in fix(log)
        assert (COMPAT in fix(log)) == served


@pytest.mark.parametrize(
    ("before", "source", "directory"),
    [
        ("", f"{_DETR}/src/cuda/ms_deform_attn_cuda.cu", _DETR),
        ("", "/ops/src/cuda/ms_deform_attn_cuda.cu", "/ops"),
        ("", "/src/cuda/a.cu", "/src"),
        ("", "/a.cu", "."),
        ("", "/home/ada/det/ops/dcn/src/a.cpp", "/home/ada/det/ops/dcn"),
        ("", "/home/ada/det/csrc/deform/a.cpp", "/home/ada/det/csrc/deform"),
        (f"running build_ext\ng++ -I{_DETR}/src -I/usr/include -c", "src/vision.cpp", _DETR),
        ("g++ -I/home/ada/gd/net/csrc -c", "/home/ada/gd/net/csrc/MsDeform/a.cu", "/home/ada/gd/net"),
        (f'  File "{_DETR}/setup.py", line 60, in <module>', "src/vision.cpp", _DETR),
        ("python /home/ada/gd/setup.py build", "/home/ada/gd/net/csrc/a.cu", "/home/ada/gd"),
        ("python /home/ada/other/setup.py build", "/home/ada/gd/net/csrc/a.cu", "/home/ada/gd/net"),
        ("g++ -I/env/lib/python3.11/site-packages/x/src", "src/vision.cpp", "."),
        ('  File "/tmp/pip-req-build-abc12/setup.py", line 60', "src/vision.cpp", "."),
    ],
)  # fmt: skip
def test_the_directory_to_port_is_the_one_of_the_project(
    before: str, source: str, directory: str
) -> None:
    log = f"{before}\n{source}:3:3: error: ‘AT_CHECK’ was not declared in this scope"
    assert f"dcnbuild port {directory}" in fix(log).splitlines()
