"""What CMake and the CMake files of torch and pybind11 stop with: each message is explained."""

from __future__ import annotations

import pytest

from dcnbuild import explain

#: What stands below "CMake Error at FILE:LINE (message):" → a part of the cause.
_MESSAGES = {
    "Your installed Caffe2 version uses glog but the glog library  cannot be found. Did you accidentally remove it, or have you set  the right CMAKE_PREFIX_PATH and/or GFLAGS_ROOT_DIR?": "a library that its CMake files look for",
    "Your installed Caffe2 version uses XPU but I cannot find the XPU runtime\n  libraries.  Please set the proper oneAPI paths and / or install oneAPI.": "oneAPI",
    "Some (but not all) targets in this export set were already defined.\n\n  Targets Defined: c10, torch_cpu\n\n  Targets not yet defined: torch": "two copies",
    'The imported target "torch" references the file\n\n     "/usr/local/cuda/lib64/libnvToolsExt.so"\n\n  but this file does not exist.  Possible reasons include:\n\n  * The file was deleted, renamed, or moved to another location.': "libnvToolsExt.so",
    'The imported target "pybind11::pybind11" references the file\n\n     "/opt/env/include/pybind11"\n\n  but this file does not exist.': "/opt/env/include/pybind11",
    "FindCUDA says CUDA version is 12.4 (usually determined by nvcc), but the CUDA\n  headers say the version is 11.8.  This often occurs when you set both CUDA_HOME\n  and CUDA_NVCC_EXECUTABLE to non-standard locations, without also setting PATH to\n  point to the correct nvcc.": "two toolkits",
    "PyTorch requires cuDNN 8.1 and above.": "older than this torch",
    "PyTorch: CUDA was explicitly requested (USE_CUDA=1) but cannot be found.\n  Please check your CUDA installation, ensure CUDA toolkit is installed,  and that CUDA_HOME or CMAKE_CUDA_COMPILER is set correctly.": "no CUDA toolkit",
    "ROCM_PATH environment variable is set to /opt/rocm but does not exist.\n\n  Set a valid ROCM_PATH or unset ROCM_PATH environment variable to fix.": "does not exist",
    "HIP compiler not found at /opt/rocm/llvm/bin/clang++": "does not find ROCm",
    "No GPU arch specified for ROCm build.  Please use PYTORCH_ROCM_ARCH\n  environment variable to specify GPU archs to build for.": "No AMD GPU",
    "Could not find the compiler specified in the environment variable\n  CUDAHOSTCXX:\n\n    g++-99": "CUDAHOSTCXX",
    "Could not find the compiler specified in the environment variable CUDACXX:\n\n  /usr/local/cuda/bin/nvcc.": "CUDACXX",
    "Could not find the compiler specified in the variable\n  CMAKE_CUDA_HOST_COMPILER:\n\n    /usr/bin/g++-11": "CMAKE_CUDA_HOST_COMPILER",
    'CUDA language not currently supported by "MinGW Makefiles" generator': "generator",
    "The HIPCXX environment variable is set to the hipcc wrapper:\n\n   /opt/rocm/bin/hipcc\n\n  This is not supported.": "clang of ROCm",
    "Python config failure: Python is 64-bit, chosen compiler is 32-bit": "another kind of program",
    "Python libraries not found": "headers and library",
    "pybind11 could not query the module file extension, likely the 'distutils'\n  package is not installed.  Full error message:\n  Traceback...": "distutils",
    "Failed to find a default HIP architecture.": "No AMD GPU",
    "Failed to find HIP root directory.": "does not find ROCm",
    "CMAKE_CUDA_ARCHITECTURES:\n\n    native\n\n  do not all work with this compiler.  Try:\n\n    52\n\n  instead.": "not ones of this nvcc",
}


@pytest.mark.parametrize("message", _MESSAGES)
def test_each_message_is_explained(message: str) -> None:
    log = (
        "-- The CXX compiler identification is GNU 11.4.0\n"
        f"CMake Error at cmake/Find.cmake:4 (message):\n  {message}\n"
        "Call Stack (most recent call first):\n  CMakeLists.txt:12 (find_package)\n\n\n"
        "-- Configuring incomplete, errors occurred!\n"
    )
    (found, *_) = explain(log)
    assert _MESSAGES[message] in found.cause
    assert found.fix
