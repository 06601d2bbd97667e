"""Tests that a fix does no harm: what it deletes, exchanges, installs and asks for is the right one."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.doctor.fixes import set_env
from dcnbuild.doctor.fixes.fix import Target, by_hand

MAC = "/Users/m/w/.venv/lib/python3.11/site-packages/{}'"
WRONG_CPU = (
    f"OSError: dlopen({MAC}, 0x0A): tried: '{MAC} (mach-o file, but is an incompatible architecture "
    "(have 'x86_64', need 'arm64'))"
)
NUMPY = "src/e.c:860:58: error: ‘PyArray_Descr’ {aka ‘struct _PyArray_Descr’} has no member named ‘elsize’"
PTXAS = """  File "/w/.venv/lib/python3.12/site-packages/{}/compiler.py", line 468, in make_cubin
triton.runtime.errors.PTXASError: PTXAS error: Internal Triton PTX codegen error
ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"""
BEYOND = "nvcc fatal   : Unsupported gpu architecture 'compute_110a'"
UV = """error: Distribution `{} @ registry+x` can't be installed because it doesn't have a source distribution or wheel

hint: You're on {}, but `x` (v1) only has wheels for the following platforms: {}"""
OBJECT = "[ 35%] Building CUDA object src/CMakeFiles/k.dir/clamp.cu.o"
OVERFLOW = "(.init+0xb): relocation truncated to fit: R_X86_64_PC32 against `.nv_fatbin'"
WARNED = "a.h:4:9: error: template-id not allowed for constructor in C++20 [-Werror=template-id-cdtor]"
HALF = 'a.cu(11): error: more than one conversion function from "const half" to a built-in type applies: __half'
EXTRAS = (
    "error in gym setup command: 'extras_require' must be a dictionary whose values are strings or lists of strings "
    "containing valid project/version requirement specifiers."
)


@pytest.mark.parametrize(
    ("log", "has", "has_not"),
    [
        # the build of a directory is deleted only where the log is of a build in it
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "# rm -rf build", ""),
        (
            WRONG_CPU.format("torch/lib/libtorch.dylib", "torch/lib/libtorch.dylib"),
            "pip install --force-reinstall --no-cache-dir torch",
            "rm -rf build",
        ),
        (
            WRONG_CPU.format("x_y/_c.so", "x_y/_c.so"),
            "pip install --force-reinstall --no-cache-dir --no-deps x-y",
            "rm -rf build",
        ),
        ("Illegal instruction (core dumped)\nModel name: Common KVM processor", "CPU type host", "rm -rf build"),
        # what is built from a directory is not installed from an index, what is collected is
        (
            f"Processing /home/a/edgekit\nBuilding wheel for edgekit (pyproject.toml): started\n{NUMPY}",
            "cd /home/a/edgekit",
            "isolation edgekit",
        ),
        (
            f"$ uv pip install .\nFailed to build `edgekit @ file:///home/a/edgekit`\n{NUMPY}",
            "uv pip install --no-build-isolation .",
            "isolation edgekit",
        ),
        (
            f"Processing /home/a/k\nCollecting foolib (from k)\nBuilding wheel for foolib (setup.py): started\n{NUMPY}",
            "isolation foolib",
            "cd /home",
        ),
        # what asks for one torch takes no other
        (PTXAS.format("vllm"), "pip install --upgrade vllm", "--upgrade torch"),
        (PTXAS.format("triton"), "pip install --upgrade torch", "vllm="),
        # an architecture that nobody asked for is left out, one that somebody did takes a newer toolkit
        (f"TORCH_CUDA_ARCH_LIST: 8.7\n{BEYOND}", "# TORCH_CUDA_ARCH_LIST is already set to 8.7", "cuda-13"),
        (
            f"TORCH_CUDA_ARCH_LIST=8.7\npython3 -m flashinfer.aot\n{BEYOND}",
            "export FLASHINFER_CUDA_ARCH_LIST=8.7",
            "cuda-13",
        ),
        (f"TORCH_CUDA_ARCH_LIST='8.7;11.0a'\n{BEYOND}", "cuda-13.0", "ARCH_LIST=8.7"),
        (
            "Device: AMD Radeon (gfx1031)\nRuntimeError: HIP error: invalid device function",
            "GFX_VERSION=10.3.0",
            "ROCM_ARCH",
        ),
        # no setuptools that does not run on this Python
        (f"Python 3.12.3\n{EXTRAS}", "python=3.11", ""),
        (f"Python 3.9.3\n{EXTRAS}", "'setuptools<66'", "python=3.11"),
        # no compiler of Unix on Windows
        (
            r"C:\src> python setup.py install" "\nnvcc fatal   : Host compiler targets unsupported OS.",
            "x64 Native Tools",
            "/usr/bin",
        ),
        # another Python, or another system
        (
            UV.format("torch==2.6.0", "macOS (`macosx_15_0_x86_64`)", "`macosx_11_0_arm64`, `win_amd64`"),
            "macos-aarch64",
            "rem ",
        ),
        (
            UV.format("onnx==1", "Linux (`musllinux_1_2_x86_64`)", "`manylinux_2_27_x86_64`, `win_amd64`"),
            "Debian or Ubuntu",
            "rem ",
        ),
    ],
)
def test_it_does_no_harm(log: str, has: str, has_not: str) -> None:
    lines = "\n".join(findings(log)[0].fix)
    assert has in lines
    assert not has_not or has_not not in lines


@pytest.mark.parametrize(
    ("log", "has", "has_not"),
    [
        (f"{OBJECT}\n{OVERFLOW}", "cmake -B build -DCMAKE_CUDA_ARCHITECTURES=native", "TORCH_CUDA"),
        (f"cmake -B out\n{OBJECT}\n{OVERFLOW}", "cmake -B out -DCMAKE_CUDA_ARCHITECTURES=native", "TORCH_CUDA"),
        (f"Building wheel for k\n{OBJECT}\n{OVERFLOW}", "CMAKE_ARGS=-DCMAKE_CUDA_ARCHITECTURES=native", "cmake -B"),
        (f"import torch\n{OVERFLOW}", "TORCH_CUDA_ARCH_LIST", "cmake"),
        (f"{OBJECT}\n{WARNED}", "-DCMAKE_CXX_FLAGS=-Wno-error=template-id-cdtor", "export CXXFLAGS"),
        (WARNED, "export CXXFLAGS=-Wno-error=template-id-cdtor", "cmake"),
        (f"{OBJECT}\n{HALF}", "__half2float", "-U__CUDA_NO_HALF"),
        (f"torch/include/a.h\n{OBJECT}\n{HALF}", "-U__CUDA_NO_HALF", "__half2float"),
        (
            f"{OBJECT}\nCUDA error: no kernel image is available for execution on the device",
            "cmake --build build",
            "pip",
        ),
    ],
)
def test_a_build_of_cmake_is_mended_by_cmake(log: str, has: str, has_not: str) -> None:
    lines = "\n".join(findings(log)[0].fix)
    assert has in lines and has_not not in lines


def test_by_hand_are_comments() -> None:
    assert by_hand(set_env("A_B", "1")).lines(Target("cmd", "Windows")) == ("rem set A_B=1",)


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("help: set `FOO_BAR_MODE=1` to skip the check", ["export FOO_BAR_MODE=1"]),
        ("help: set `LD_PRELOAD=/tmp/x.so` to skip the check", []),
        ("help: set `FOO_BAR_MODE=$(reboot)` to skip the check", []),
    ],
)
def test_a_variable_that_a_tool_advises(said: str, lines: list[str]) -> None:
    fix = findings(f"error: it failed\n{said}\nError: The process 'foo' failed with exit code 1")[0].fix
    assert [line for line in fix if not line.startswith("#")] == lines
