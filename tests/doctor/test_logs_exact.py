"""Tests that a fix names the very file, directory, release or type that the log is about."""

from __future__ import annotations

import pytest
from doctor.reading import findings

ATOMIC = """a.cu(9): error: no instance of overloaded function "atomicAdd" matches the argument list
    argument types are: ({})"""
TORCH = '  File "/e/lib/python3.8/site-packages/torch/__init__.py", line 202, in <module>\n'
IMPIMPORTER = "AttributeError: module 'pkgutil' has no attribute 'ImpImporter'"
UV = """× Failed to build `pywavelets==1.4.1`
  File "/u/builds-v0/.tmpD/lib/python3.12/site-packages/pkg_resources/__init__.py", line 2191, in <module>
{}
help: `pywavelets` (v1.4.1) was included because `phm-tools` (v0.3.1) depends on `pywavelets==1.4.1`"""
INVALID = (
    "Requested {} from https://x/a.whl (from -r requirements.txt (line 3)) has invalid metadata: "
    ".* suffix can only be used with `==` or `!=` operators"
)
MEMBER = "d.cpp:{}:28: error: ‘struct cudaDeviceProp’ has no member named ‘{}’"
STACK = "ImportError: {}: cannot enable executable stack as shared object requires: Invalid argument"
SKIPS = "/usr/bin/ld: skipping incompatible {0} when searching for -l{1}\n/usr/bin/ld: cannot find -l{1}"
NO_DEVICE = "Call to cuInit results in CUDA_ERROR_NO_DEVICE (100)"
LINK = "LINK : fatal error LNK1104: cannot open file 'python313.lib'"
LONG = """p/d.c:40326:70: error: too few arguments to function call, expected 6, have 5
 1 | int ret = _PyLong_AsByteArray((PyLongObject *)v,"""


@pytest.mark.parametrize(
    ("log", "has", "has_not"),
    [
        (
            f"{TORCH}{STACK.format('libtorch_cpu.so')}",
            "-execstack /e/lib/python3.8/site-packages/torch/lib/libtorch_cpu.so",
            "",
        ),
        (STACK.format("/w/libx.so"), "--clear-execstack /w/libx.so", "find"),
        (STACK.format("libx.so"), "find / -name libx.so", "execstack libx.so"),
        (SKIPS.format("/usr/lib32/libcuda.so", "cuda"), "LIBRARY_PATH=/usr/local/cuda/lib64/stubs", "TRITON"),
        (f"triton/common/build.py\n{SKIPS.format('/usr/lib32/libcuda.so', 'cuda')}", "TRITON_LIBCUDA_PATH=", ""),
        (SKIPS.format("/usr/lib32/libz.so", "z"), "LIBRARY_PATH=/usr/lib/x86_64-linux-gnu", "stubs"),
        (LONG, "cython>=3.0.11", "grep"),
        (
            f"{MEMBER.format(1, 'deviceOverlap')}\n{MEMBER.format(2, 'kernelExecTimeoutEnabled')}",
            ")kernelExecTimeoutEnabled",
            "",
        ),
        (ATOMIC.format("half *, half"), "P100", "dcnbuild port"),
        (ATOMIC.format("c10::Half *, c10::Half"), "dcnbuild port", "P100"),
        (UV.format(IMPIMPORTER), "uv pip install --upgrade phm-tools", "install pywavelets"),
        (f"{INVALID.format('a==0.2.5')}", "requirements.txt", "setuptools<66"),
        ("RuntimeError: \"slow_conv2d_cpu\" not implemented for 'Half'", "to the GPU", "autocast"),
        ("RuntimeError: \"dcn_im2col_cpu\" not implemented for 'Half'", "autocast", "to the GPU"),
        ("cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", "ldconfig -p", "LAUNCH_BLOCKING"),
        (f"microsoft-standard-WSL2\nii  libnvidia-compute-550:amd64\n{NO_DEVICE}", "purge libnvidia-compute-550", ""),
        (f"microsoft-standard-WSL2\n{NO_DEVICE}", "", "purge"),
        (rf"link.exe /LIBPATH:C:\c\python_embeded\libs" f"\n{LINK}", r"into C:\c\python_embeded", "where"),
        (LINK, "sys.base_prefix", "embed"),
    ],
)
def test_the_fix_names_it(log: str, has: str, has_not: str) -> None:
    lines = "\n".join(("", *findings(log)[0].fix))
    assert has in lines
    assert not has_not or has_not not in lines
