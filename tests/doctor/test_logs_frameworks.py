"""Tests that what brings GPUs to other programs than torch is told by its own names, and what packages and compilers say."""

from __future__ import annotations

import pytest
from doctor.reading import told


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            "$ python -c 'import jax; print(jax.devices())'\nWARNING:2025-03-03 10:00:00,000:jax._src.xla_bridge:969: An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed. Falling back to cpu.\n[CpuDevice(id=0)]",
            "not-compiled-with-gpu",
            [
                "pip uninstall -y jax jaxlib jax-cuda12-plugin jax-cuda12-pjrt jax-cuda13-plugin jax-cuda13-pjrt",
                "pip install --upgrade 'jax[cuda12]'",
            ],
        ),
        (
            "$ python train.py\nE0304 11:22:33.123456   99 cuda_dnn.cc:454] Loaded runtime CuDNN library: 8.9.2 but source was compiled with: 9.8.0.  CuDNN library needs to have matching major version and equal or higher minor version.\njaxlib.xla_extension.XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed.",
            "library-version",
            [
                "unset LD_LIBRARY_PATH",
                "pip uninstall -y jax jaxlib jax-cuda12-plugin jax-cuda12-pjrt jax-cuda13-plugin jax-cuda13-pjrt",
                "pip install --upgrade 'jax[cuda12]'",
            ],
        ),
        (
            'Traceback (most recent call last):\n  File "t.py", line 4, in <module>\n    clf.fit(X, y)\nxgboost.core.XGBoostError: [10:00:00] /workspace/src/gbm/../common/common.h:239: XGBoost version not compiled with GPU support.',
            "not-compiled-with-gpu",
            [
                "python -m pip install --upgrade pip",
                "pip uninstall -y xgboost-cpu",
                "pip install --upgrade --force-reinstall --no-deps --no-cache-dir xgboost",
            ],
        ),
        (
            "$ python b.py\n[LightGBM] [Fatal] CUDA Tree Learner was not enabled in this build.\nPlease recompile with CMake option -DUSE_CUDA=1\nlightgbm.basic.LightGBMError: CUDA Tree Learner was not enabled in this build.",
            "not-compiled-with-gpu",
            [
                "pip install --force-reinstall --no-deps --no-cache-dir --no-binary lightgbm --config-settings=cmake.define.USE_CUDA=ON lightgbm",
                "python b.py",
            ],
        ),
        (
            "$ pip install faiss-gpu==1.7.2\nCollecting faiss-gpu==1.7.2\n  Downloading faiss-gpu-1.7.2.tar.gz (40 kB)\n      error: command 'swig' failed: No such file or directory\n  ERROR: Failed building wheel for faiss-gpu\nFailed to build faiss-gpu",
            "package-not-found",
            ["pip uninstall -y faiss-gpu", "pip install faiss-gpu-cu12"],
        ),
        (
            "$ uv pip install cupy\n  × Failed to build `cupy==13.4.1`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)\n      nvcc fatal: Unsupported gpu architecture 'compute_50'",
            "package-not-found",
            ["uv pip uninstall cupy", "uv pip install cupy-cuda12x"],
        ),
        (
            "poetry add cupy\n  - Installing cupy (13.3.0): Failed\n  ChefBuildError\n  Backend subprocess exited when trying to invoke build_wheel\n  CUDA_PATH        : None\n  **************************************************\n  *** WARNING: Unable to detect CUDA installation.\n  Exception: Your CUDA environment is invalid. Please check above error log.\nNote: This error originates from the build backend, and is likely not a problem with poetry but with cupy (13.3.0) not supporting PEP 517 builds.",
            "package-not-found",
            ["poetry add --lock cupy-cuda12x@latest", "poetry add cupy"],
        ),
        (
            "$ pip install pycuda\n      src/cpp/cuda.hpp:14:10: fatal error: cuda.h: No such file or directory\n         14 | #include <cuda.h>\n      error: command '/usr/bin/x86_64-linux-gnu-gcc' failed with exit code 1\n  ERROR: Failed building wheel for pycuda",
            "cuda-header-missing",
            [
                "sh -c 'ls -d /usr/local/cuda*'",
                "export CUDA_HOME=/usr/local/cuda",
                'export PATH=/usr/local/cuda/bin:"$PATH"',
            ],
        ),
        (
            "$ pip install tokenizers==0.13.3\n  Building wheel for tokenizers (pyproject.toml): finished with status 'error'\n      error: the configured Python interpreter version (3.13) is newer than PyO3's maximum supported version (3.12)\n      = help: please check if an updated version of PyO3 is available.\n      💥 maturin failed\n        Caused by: Failed to build a native library through cargo\n  ERROR: Failed building wheel for tokenizers",
            "python-version",
            ["conda create -n py312 python=3.12", "conda activate py312", "pip install tokenizers==0.13.3"],
        ),
        (
            "$ pip install torch\nCould not fetch URL https://index.example/simple/torch/: There was a problem confirming the ssl certificate: [SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:590) - skipping\nNo matching distribution found for torch",
            "network",
            ["conda create -n py312 python=3.12", "conda activate py312", "pip install torch"],
        ),
        (
            "$ git clone --recursive https://github.com/NVlabs/tiny-cuda-nn\nCloning into 'tiny-cuda-nn'...\nfatal: unable to access 'https://github.com/NVlabs/tiny-cuda-nn/': gnutls_handshake() failed: A TLS fatal alert has been received.",
            "network",
            ["sudo apt-get install git", "git clone --recursive https://github.com/NVlabs/tiny-cuda-nn"],
        ),
        (
            "ptxas fatal   : Unresolved extern function '_Z3absf'",
            "device-link",
            ["grep -rnE '\\babs *\\(' '--include=*.cu' '--include=*.cuh' ."],
        ),
        (
            "/usr/include/c++/6/tuple: In instantiation of 'static constexpr bool std::_TC<<anonymous>, _Elements>::_MoveConstructibleTuple() [with _UElements = {const at::Tensor&}]':\n/usr/include/c++/6/tuple:484:67: error: mismatched argument pack lengths while expanding 'std::is_constructible<_Elements, _UElements&&>'",
            "gcc-too-new",
            ["sudo apt-get install g++-5", "export CC=/usr/bin/gcc-5", "export CXX=/usr/bin/g++-5"],
        ),
        (
            '/w/k.cuh(12): error: more than one operator "*" matches these operands:\n            function "operator*(const __nv_bfloat16 &, const __nv_bfloat16 &)" (declared at line 900 of /usr/local/cuda/include/cuda_bf16.hpp)\n            function "operator*(__nv_bfloat16, __nv_bfloat16)" (declared at line 7)\n            operand types are: __nv_bfloat16 * __nv_bfloat16',
            "half-operators",
            [],
        ),
        (
            "      building 'ops' extension\n      creating build\\temp.win32-3.8\\Release\n      error: command 'C:\\\\Program Files (x86)\\\\Microsoft Visual Studio\\\\2019\\\\BuildTools\\\\VC\\\\Tools\\\\MSVC\\\\14.29.30133\\\\bin\\\\HostX86\\\\x86\\\\cl.exe' failed with exit status 2\n      C:\\p\\torch\\include\\c10/core/Device.h(1): fatal error C1083: x",
            "msvc",
            ["set DISTUTILS_USE_SDK=1"],
        ),
        (
            "$ uv pip install vllm torchmetrics --extra-index-url https://download.pytorch.org/whl/cu126\n  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of markupsafe==3.0.3 and jinja2==3.1.6 depends on markupsafe==3.0.3, we can conclude that jinja2==3.1.6 cannot be used.",
            "package-not-found",
            [
                "uv pip install vllm torchmetrics --extra-index-url https://download.pytorch.org/whl/cu126 --index-strategy unsafe-best-match"
            ],
        ),
        (
            "$ conda install pytorch==2.0.1 torchvision==0.15.2 pytorch-cuda=12.1 -c pytorch -c nvidia\nSolving environment: failed\n\nLibMambaUnsatisfiableError: Encountered problems while solving:\n  - package pytorch-2.0.1-py3.10_cuda11.7_cudnn8.5.0_0 requires pytorch-cuda 11.7.*, but none of the providers can be installed",
            "version-conflict",
            ["conda install pytorch==2.0.1 torchvision==0.15.2 pytorch-cuda=11.7 -c pytorch -c nvidia"],
        ),
        (
            "src/a.cu:3:10: fatal error: THCUNN.h: No such file or directory",
            "thc-headers",
            ["dcnbuild port --in-place ."],
        ),
        (
            "$ python -c 'from mpi4py import MPI'\nImportError: libmpi.so.12: cannot open shared object file: No such file or directory",
            "library-not-found",
            ["pip install mpich", "python -c 'from mpi4py import MPI'"],
        ),
        (
            "$ pip install faiss-cpu==1.7.3\n  Using cached faiss-cpu-1.7.3.tar.gz (57 kB)\n      faiss/faiss/python/swigfaiss_wrap.cpp:1: fatal error: 'faiss/impl/platform_macros.h' file not found\n  ERROR: Failed building wheel for faiss-cpu",
            "package-not-found",
            ["pip install --only-binary faiss-cpu 'faiss-cpu>=1.8'"],
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1\nModuleNotFoundError: No module named 'numba.errors'",
            "python-api-changed",
            ["grep -rn errors ."],
        ),
        ("ImportError: Numba needs NumPy 2.0 or less. Got NumPy 2.1.", "version-required", ["pip install 'numpy<2.1'"]),
        (
            "$ clinfo\nNumber of platforms                               0\n$ python -c 'import pyopencl as cl; cl.get_platforms()'\npyopencl._cl.LogicError: clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR",
            "opencl-missing",
            ["sudo apt-get install ocl-icd-libopencl1", "pip install 'pyopencl[pocl]'"],
        ),
        (
            "$ python infer.py\nValueError: The device should not be 'gpu', since PaddlePaddle is not compiled with CUDA",
            "not-compiled-with-gpu",
            [
                "pip uninstall -y paddlepaddle paddlepaddle-gpu",
                "pip install paddlepaddle-gpu -i https://www.paddlepaddle.org.cn/packages/stable/cu126/",
                "python infer.py",
            ],
        ),
        ("src/rt.cpp:4:10: fatal error: optix_stubs.h: No such file or directory", "header-missing", []),
        (
            "CMake Error at modules/core/CMakeLists.txt:52 (message):\n  CUDA: OpenCV requires enabled 'cudev' module from 'opencv_contrib'\n  repository: https://github.com/opencv/opencv_contrib",
            "cmake-package-missing",
            ["git clone --branch 4.x https://github.com/opencv/opencv_contrib"],
        ),
    ],
)
def test_the_fix_names_the_package_or_the_option_that_helps(log: str, id: str, lines: list[str]) -> None:
    found, fix = told(log)
    assert found == id
    assert [line for line in fix if line in lines] == lines
