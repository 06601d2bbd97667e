"""What a log shows that the build does not use: an environment, a toolkit, an option, the torch that is there."""

from __future__ import annotations

import pytest

from dcnbuild import explain

_MISMATCH = """RuntimeError:
The detected CUDA version ({}) mismatches the version that was used to compile
PyTorch ({}). Please make sure to use the same CUDA versions."""
_NO_WHEEL = "error: invalid command 'bdist_wheel'"
_ISOLATED = """  File "/tmp/pip-build-env-1a/overlay/lib/python3.10/site-packages/setuptools/build_meta.py", line 327, in get
  File "<string>", line 4, in <module>
ModuleNotFoundError: No module named 'packaging'
error: subprocess-exited-with-error"""
_NATIVE = """-- The CUDA compiler identification is NVIDIA {}
CMake Error in CMakeLists.txt:
  CUDA_ARCHITECTURES is set to "native", but no GPU was detected."""
_TYPENAME = """/usr/local/cuda-{}/bin/nvcc -std=c++17 -c a.cu -o a.o
net/box.cuh:133:17: error: need 'typename' before 'Reals::Item' because 'Reals' is a dependent scope"""


@pytest.mark.parametrize(
    ("log", "finding", "has", "lacks"),
    [
        # the nvcc on PATH fits, and a variable names another toolkit
        (
            f"$ which nvcc\n/opt/kit/bin/nvcc\n$ nvcc --version\nCuda compilation tools, release 12.1, V12.1.105\n"
            f"$ pip install ./ops\n{_MISMATCH.format('11.5', '12.1')}",
            "cuda-mismatch",
            "export CUDA_HOME=/opt/kit",
            "toolkit install",
        ),
        (
            f"$ nvcc --version\nCuda compilation tools, release 12.1, V12.1.105\n$ pip install ./ops\n{_MISMATCH.format('12.1', '11.8')}",
            "cuda-mismatch",
            "11.8",
            "/opt/kit",
        ),
        # the environment that a step of an image enters
        (
            f"Step 3/9 : RUN source /opt/venv/bin/activate && python setup.py bdist_wheel\n{_NO_WHEEL}",
            "setuptools-missing",
            "RUN /opt/venv/bin/python -m pip install wheel",
            "RUN pip install",
        ),
        (
            f"#9 [5/9] RUN conda run -n det python setup.py bdist_wheel\n#9 1.2 {_NO_WHEEL}",
            "setuptools-missing",
            "RUN conda run -n det python -m pip install wheel",
            "RUN pip install",
        ),
        (
            f"Step 3/9 : RUN python setup.py bdist_wheel\n{_NO_WHEEL}",
            "setuptools-missing",
            "RUN pip install wheel",
            "bin/python",
        ),
        # options of setup.py
        (
            f"$ pip install --global-option=--blas=openblas ./\nUsing pip 24.0 from /e (python 3.10)\n{_ISOLATED}",
            "build-dependency-missing",
            "--config-settings=--build-option=--blas=openblas",
            "--global-option",
        ),
        (
            f"$ pip install --global-option=--blas=openblas ./\nUsing pip 22.0 from /e (python 3.10)\n{_ISOLATED}",
            "build-dependency-missing",
            "--global-option=--blas=openblas",
            "config-settings",
        ),
        # a step of an image that does several things
        (
            f"Step 4/9 : RUN git clone https://github.com/a/b && cd b && cmake -B build && cmake --build build -j4\n{_NATIVE.format('12.8.61')}",
            "cmake-architectures",
            "cd b && cmake -B build '-DCMAKE_CUDA_ARCHITECTURES=70;75;80;86;89;90;100;120' && cmake --build build -j4",
            "before step 4:\nRUN",
        ),
        (
            f"$ cmake -B build\n{_NATIVE.format('13.0.48')}",
            "cmake-architectures",
            "cmake -B build '-DCMAKE_CUDA_ARCHITECTURES=75;80;86;89;90;100;120'",
            "RUN",
        ),
        # nvcc 13.3, and an older one that tells of a fault of the source
        (_TYPENAME.format("13.3"), "compile-error", "NVCC_APPEND_FLAGS=-std=c++20", "sed"),
        (_TYPENAME.format("12.4"), "compile-error", "", "NVCC_APPEND_FLAGS"),
        # headers that came later than the toolkit
        (
            "c/float8.h:83:10: fatal error: cuda_fp8.h: No such file or directory\ntorch 1.13.1+cu117",
            "cuda-header-missing",
            "11.8",
            "CUDA_HOME=/usr/local/cuda\n",
        ),
        (
            "c/a.h:8:10: fatal error: cuda_fp8.h: No such file or directory",
            "cuda-header-missing",
            "11.8",
            "CUDA_HOME=/usr/local/cuda\n",
        ),
        ("c/a.h:8:10: fatal error: cusparse.h: No such file or directory", "cuda-header-missing", "", "11.8"),
        # architectures
        (
            "-- Automatic GPU detection failed. Building for common architectures.\n-- Autodetected CUDA architecture(s):  8.0;9.0;9.0a;10.0a\n"
            "  Unknown CUDA Architecture Name 9.0a in CUDA_SELECT_NVCC_ARCH_FLAGS",
            "unknown-cuda-arch",
            "TORCH_CUDA_ARCH_LIST='8.0;9.0'",
            "10.0a'",
        ),
        (
            "release 11.0, V11.0.194\nValueError: Unknown CUDA arch (8.6) or GPU not supported",
            "unknown-cuda-arch",
            "7.5+PTX",
            "8.6+PTX",
        ),
        (
            "release 10.2, V10.2.89\nValueError: Unknown CUDA arch (8.9) or GPU not supported",
            "unknown-cuda-arch",
            "7.5+PTX",
            "8.6+PTX",
        ),
        (
            "torch==2.5.1\nrelease 12.4, V12.4.99\nValueError: Unknown CUDA arch (12.0) or GPU not supported",
            "unknown-cuda-arch",
            "9.0+PTX",
            "12.0+PTX",
        ),
        # a second torch
        (
            "$ pip install git+https://github.com/a/net\n  Installing build dependencies: started\n  × pip subprocess to install build dependencies did not run\n"
            "      Collecting torch>=2.3.1\n        Downloading torch-2.9.0-cp310-cp310-manylinux_2_28_x86_64.whl (899.8 MB)\n"
            "      ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "no-space",
            "--no-build-isolation",
            "",
        ),
        (
            "$ pip install torch\n  Downloading torch-2.9.0-cp310-cp310-manylinux_2_28_x86_64.whl (899.8 MB)\n"
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "no-space",
            "cache purge",
            "isolation",
        ),
    ],
)
def test_says_what_is_not_used(log: str, finding: str, has: str, lacks: str) -> None:
    found = explain(log)
    first = found[0]
    text = "\n".join((*first.fix, ""))

    assert first.id == finding
    assert has in text, text
    assert not lacks or lacks not in text, text
