"""What a log states of releases, drivers, flags and copies decides what its first finding says, and what it proposes."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_ENV = "/home/u/env/lib/python3.11/site-packages/"
_NO_CUDA = "\n$ python a.py\nAssertionError: Torch not compiled with CUDA enabled"
_OLD_WSL = "u@PC:~$ uname -r\n4.4.0-22621-Microsoft\n"
_ORDINAL = "\nRuntimeError: CUDA error: invalid device ordinal"
_ON_CPU = (
    "Could not run '{}' with arguments from the 'CUDA' backend. x\n\nCPU: registered at /__w/x/nms.cpp:112 [kernel]\n"
)
_CUBLAS = "\nRuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"

_TOO_OLD = "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 11020). Please update (Triggered internally at c10/cuda/CUDAFunctions.cpp:108.)\n"
_NO_SMI = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n"
_MIXED = "The following packages have unmet dependencies:\n nvidia-driver-{0} : Depends: nvidia-kernel-common-{0} (>= {0}.41) but {0}.30-0ubuntu1 is to be installed\nE: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution)."
_IMAGE = (
    " => CACHED [stage-1 12/13] RUN python3 /docker/info.py    0.0s\n => => naming to docker.io/library/a:1    0.0s\n"
)
_CONTAINER = "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown"
_HIP = "RuntimeError: HIP error: invalid device function\n"
_BF16 = "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. You can use float16 instead by explicitly setting the`dtype` flag in CLI, for example: --dtype=half."
_LAUNCHED = 'Traceback (most recent call last):\n  File "{}", line 85, in _run_code\n    exec(code, run_globals)\n  File "{}", line 4, in <module>\nModuleNotFoundError: No module named \'{}\''
_DLL = 'PS C:\\w> {}\n[E:onnxruntime] FAIL : Error loading "C:\\w\\onnxruntime_providers_cuda.dll" which depends on "cublasLt64_12.dll" which is missing. (Error 126)\nPS C:\\w> nvcc -V\nCuda compilation tools, release 13.0, V13.0.88'
_MMCV = "(e) u@pc:~$ pip install {0}=={1}\n  building 'mmcv._ext' extension\n  /usr/local/cuda-11.8/include/crt/host_config.h:132:2: error: #error -- unsupported GNU version! gcc versions later than 11 are not supported!\n  ERROR: Failed building wheel for {0}\n(e) u@pc:~$ gcc --version\ngcc (GCC) 12.3.1\n(e) u@pc:~$ python --version\nPython 3.8.18\n(e) u@pc:~$ pip list\ntorch   {2}"
_UV_PIP = "$ cat pyproject.toml\n[project]\nname = 'a'\n[tool.uv.pip]\nextra-index-url = [\n    'https://download.pytorch.org/whl/cu124',\n]\n$ {}\n  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of torch==2.4.0+cu124 and your project depends on torch==2.4.0+cu124, we can conclude that your project's requirements are unsatisfiable."
_LINKED = "c++ a.o -shared -L/c/envs/e/lib/python3.8/site-packages/torch/lib -lc10 -L/c/envs/e/lib64 -lcudart -o a.so\n/usr/bin/ld: cannot find -lcudart\n"


def _raised(file: str, error: str, *listed: str) -> str:
    table = "\n".join(listed)
    return (
        f'Traceback (most recent call last):\n  File "{_ENV}{file}", line 9, in <module>\n{error}\n$ pip list\n{table}'
    )


def _driver(version: str, cuda: str) -> str:
    return f"| NVIDIA-SMI {version}    Driver Version: {version}    CUDA Version: {cuda} |"


def _check(said: str) -> str:
    where = "../aten/src/ATen/native/cuda/Loss.cu:250: kernel: block: [0,0,0], thread: [5,0,0]"
    return f"{where} Assertion `{said}` failed.\nRuntimeError: CUDA error: device-side assert triggered"


@pytest.mark.parametrize(
    ("log", "id", "said", "line"),
    [
        # packages of one release
        (_raised("jax/x.py", "AttributeError: module 'jaxlib.xla_client' has no attribute 'f'", "jaxlib  0.4.35", "jax-cuda12-plugin  0.5.0"), "library-version", "jax-cuda12-plugin 0.5.0 does not go with jaxlib 0.4.35", "pip install --upgrade 'jax[cuda12]'"),
        (_raised("flashinfer/x.py", "ImportError: cannot import name 'f' from 'flashinfer_cubin.g' (/x)", "flashinfer-cubin  0.4.0", "flashinfer-python  0.5.2"), "library-version", "flashinfer-cubin 0.4.0 does not go with", "pip install 'flashinfer-cubin==0.5.2.*'"),
        (_raised("cuml/x.py", "ImportError: cannot import name 'B' from 'cudf.core.b' (/x)", "cudf-cu12  25.8.0", "cuml-cu12  24.12.0"), "library-version", "cuml-cu12 24.12.0 does not go with cudf-cu12 25.8.0", "pip install 'cuml-cu12==25.8.*'"),
        (_raised("transformer_engine/x.py", f"ImportError: {_ENV}transformer_engine_torch.so: undefined symbol: _ZN18transformer_engine6getenvE", "transformer_engine  2.9.0", "transformer_engine_torch  2.5.0"), "library-version", "transformer-engine-torch 2.5.0", "pip install 'transformer-engine-torch==2.9.*'"),
        (_raised("jax/x.py", "AttributeError: module 'jaxlib.xla_client' has no attribute 'f'", "jaxlib  0.5.0", "jax-cuda12-plugin  0.5.0"), "python-api-changed", "for another release", "pip check"),
        # the driver limits the index
        (_driver("470.82.01", "11.4") + _NO_CUDA, "cpu-only-torch", "CPU-only", "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu118"),
        (_driver("470.82.01", "11.4") + "\ntorch 2.4.0+cpu" + _NO_CUDA, "cpu-only-torch", "CPU-only", "pip install torch==2.4.0 'torchvision==0.19.*' 'torchaudio==2.4.*' --index-url https://download.pytorch.org/whl/cu118"),
        (_driver("535.104.05", "12.2") + _NO_CUDA, "cpu-only-torch", "CPU-only", "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu128"),
        # WSL 1
        (_OLD_WSL + "u@PC:~$ python a.py\nImportError: libcuda.so.1: cannot open shared object file: No such file or directory", "no-driver", "This is WSL 1", "wsl.exe --list --verbose"),
        (_OLD_WSL + "u@PC:~$ nvidia-smi\nbash: nvidia-smi: command not found", "no-driver", "This is WSL 1", "wsl.exe --list --verbose"),
        ("PS C:\\> wsl -l -v\n  NAME            STATE           VERSION\n* Ubuntu-20.04    Running         1\nPS C:\\> wsl\nu@PC:~$ python a.py\nRuntimeError: No CUDA GPUs are available", "no-driver", "This is WSL 1", "wsl.exe --list --verbose"),
        # what leaves a process one GPU
        ("#SBATCH --ntasks-per-node=8\n#SBATCH --gpus-per-task=1" + _ORDINAL, "device-ordinal", "--gpus-per-task=1 gives each task one GPU", "# In the job script, write --gpus-per-node=8 in place of --gpus-per-task=1, so that each task sees all GPUs of the job on its node"),
        ("$ docker run --gpus device=1 img python a.py --device 1" + _ORDINAL, "device-ordinal", "device 1 of the host, which is number 0 in it", "# Let the program use GPU 0, as --device 0 or cuda:0, or start the container with all of them: docker run --gpus all"),
        ("$ CUDA_VISIBLE_DEVICES=0 torchrun --nproc_per_node 4 a.py" + _ORDINAL, "device-ordinal", "CUDA_VISIBLE_DEVICES=0 leaves the program one GPU", "unset CUDA_VISIBLE_DEVICES"),
        # which check of a kernel it was
        (_check("srcIndex < srcSelectDimSize") + "\ntokenizer.json" + _CUBLAS, "device-assert", "CUBLAS_STATUS_NOT_INITIALIZED only follows", "# This shows which id it is:"),
        (_check("t >= 0 && t < n_classes"), "device-assert", "A class label is not between 0", "export CUDA_LAUNCH_BLOCKING=1"),
        (_check("input_val >= zero && input_val <= one"), "device-assert", "wants numbers from 0 to 1", "export CUDA_LAUNCH_BLOCKING=1"),
        (_check("idx_dim >= 0 && idx_dim < index_size"), "device-assert", "a gather, a scatter", "export CUDA_LAUNCH_BLOCKING=1"),
        # for what an operator is registered
        ("$ uname -m\naarch64\n" + _raised("torchvision/ops/x.py", "NotImplementedError: " + _ON_CPU.format("torchvision::nms"), "torch  2.6.0+cu126", "torchvision  0.21.0"), "torchvision-mismatch", "is a build for the CPU", "pip install --force-reinstall --no-deps 'torchvision==0.21.*' --index-url https://download.pytorch.org/whl/cu126"),
        (_raised("torch_scatter/x.py", "NotImplementedError: " + _ON_CPU.format("torch_scatter::f"), "torch  2.6.0+cu126"), "operator-missing", "built without CUDA", "export FORCE_CUDA=1"),
        # two copies of a library, and who loads it
        ("ImportError: /usr/lib/x86_64-linux-gnu/libcudnn_engines_precompiled.so.9: undefined symbol: _ZN5cudnn3fooE, version libcudnn_graph.so.9\n$ dpkg -l\nii  libcudnn9-cuda-12   9.8.0.87-1   amd64\n$ pip list\nnvidia-cudnn-cu12   9.10.2.21", "undefined-symbol", "libcudnn9-cuda-12 9.8.0.87 of the system and nvidia-cudnn-cu12 9.10.2.21 of pip", "# sudo apt-get remove --allow-change-held-packages libcudnn9-cuda-12"),
        ("$ pip list\nonnxruntime   1.20\nctranslate2   4.6.0\n$ python a.py\nLoading faster-whisper\nUnable to load any of {libcudnn_ops.so.9.1.0, libcudnn_ops.so.9}", "libcudart-not-found", "ctranslate2 needs", "pip install nvidia-cublas-cu12 'nvidia-cudnn-cu12==9.*'"),
        ("OMP: Error #15: Initializing libiomp5.so, but found libiomp5.so already initialized.\n$ find / -name libiomp5.so\n/home/u/x/lib/libiomp5.so\n/home/u/x/lib/python3.11/site-packages/c.libs/libiomp5.so", "openmp-twice", "/home/u/x/lib/libiomp5.so and /home/u/x/lib/python3.11", "mv /home/u/x/lib/python3.11/site-packages/c.libs/libiomp5.so /home/u/x/lib/python3.11/site-packages/c.libs/libiomp5.so.old"),
        ("Cannot dlopen some GPU libraries. Please make sure\n$ pip list\nnvidia-cudnn-cu12   9.3.0\ntensorflow   2.18.0", "libcudart-not-found", "does not find them", "# pip install --upgrade 'tensorflow[and-cuda]'"),
        ("C:\\w>pip install bitsandbytes==0.41.1\nC:\\w>python a.py\nRuntimeError: CUDA Setup failed despite GPU being available.", "no-binary-for-cuda", "bitsandbytes 0.41.1 has no library for Windows", "pip install --upgrade bitsandbytes"),
        # whose torch it is, and where a line goes
        ("$ nvidia-docker run -it yuan:v1 bash\nroot@7f1ad2c1e0b4:/w# python a.py\nUserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 11000). (Triggered internally at /opt/pytorch/pytorch/c10/cuda/CUDAFunctions.cpp:108.)\nAssertionError: Megatron requires CUDA.", "driver-too-old", "CUDA 11.0 at most", "# Install the newest NVIDIA driver on the host, not in the container, then restart the host"),
        ("PS C:\\w> docker compose up --build\n => [7/9] RUN uv sync   171.0s\napp-1  | NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.\napp-1  | RuntimeError: CUDA error: no kernel image is available for execution on the device", "gpu-newer-than-torch", "RTX 5090", "RUN uv add --index pytorch-cu128=https://download.pytorch.org/whl/cu128 'torch>=2.7'"),
        ("C:\\w>webui.bat\nRuntimeError: operator torchvision::nms does not exist\nC:\\w>pip list\ntorch                     2.4.0\ntorchvision               0.20.1+cu124", "torchvision-mismatch", "does not go with torch 2.4.0", 'pip install "torch==2.4.0" "torchvision==0.19.*" --index-url https://download.pytorch.org/whl/cu124'),
        # a run that hangs in its first operation
        ("h:1:2 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\nh:1:2 [0] NCCL INFO Connected all rings\n^C\n$ nvidia-smi -L\nGPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)", "nccl", "GeForce RTX 4090 has no direct access", "export NCCL_P2P_DISABLE=1"),
        ("h:1:2 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\nh:1:2 [0] NCCL INFO Connected all rings\n^C\n$ nvidia-smi -L\nGPU 0: NVIDIA RTX A6000 (UUID: GPU-1)", "nccl", "does not work on this machine", "export NCCL_P2P_DISABLE=1"),
        # a compiler that was killed, in each tool's words
        ("1189.4 [2/49] /usr/bin/nvcc -c a.cu -o a.o\n1189.4 FAILED: a.o\n1189.4 Killed\n1203.9 ninja: build stopped: subcommand failed.\nDockerfile:104\n 104 | >>> RUN make", "out-of-memory", "a compiler was killed", "ENV MAX_JOBS=1"),
        ("make[2]: *** [Makefile:10: a.o] Error 137", "out-of-memory", "a compiler was killed", "export MAX_JOBS=1"),
        ("FAILED: [code=137] a.o\n/usr/bin/nvcc -c a.cu -o a.o\nninja: build stopped: subcommand failed.", "out-of-memory", "a compiler was killed", "export MAX_JOBS=1"),
        ("The command '/bin/sh -c pip install .' returned a non-zero code: 137", "out-of-memory", "a compiler was killed", "ENV MAX_JOBS=1"),
        # torch has said why there is no GPU before the program stops
        (_TOO_OLD + "RuntimeError: CUDA is not available in torch", "driver-too-old", "CUDA 11.2 at most", "sudo ubuntu-drivers install"),
        (_TOO_OLD + "Exception: CUDA is not available", "driver-too-old", "CUDA 11.2 at most", "sudo ubuntu-drivers install"),
        (_TOO_OLD + "AssertionError: No CUDA runtime is found. Please check", "driver-too-old", "CUDA 11.2 at most", "sudo ubuntu-drivers install"),
        (_TOO_OLD + '  File "setup.py", line 40, in get_extensions\nNotImplementedError: Cuda is not available', "cuda-home-unset", "Before it compiles", "export FORCE_CUDA=1"),
        # a driver that is installed by halves does not answer
        (_NO_SMI + _MIXED.format(530), "apt-dependencies", "two releases", "sudo apt-get purge 'nvidia-*530*' 'libnvidia-*530*'"),
        (_MIXED.format(550) + "\n" + _NO_SMI, "apt-dependencies", "two releases", "sudo apt-get install nvidia-driver-550"),
        # a container that does not start, after its image was made
        (_IMAGE + _CONTAINER + "\n$ docker version\n Context:           desktop-linux", "container-driver", "Docker Desktop on Linux gives containers no GPU", "docker context use default"),
        (_IMAGE + _CONTAINER + "\n$ nvidia-smi -L\nGPU 0: NVIDIA A40 (UUID: GPU-1)", "container-driver", "does not find libnvidia-ml.so.1", "docker context use default"),
        (_IMAGE + _CONTAINER, "container-driver", "does not find libnvidia-ml.so.1", "sudo ubuntu-drivers install"),
        (_IMAGE + 'docker: Error response from daemon: could not select device driver "nvidia" with capabilities: [[gpu]].', "container-toolkit-missing", "", "sudo systemctl restart docker"),
        # the integrated GPU is number 0
        (_HIP + "  Name:   gfx902\n  Name:   gfx1032", "rocm", "gfx1032, is number 1", "export HIP_VISIBLE_DEVICES=1"),
        (_HIP + "  Name:   gfx1036\n  Name:   gfx1100", "rocm", "gfx1100, is number 1", "export HIP_VISIBLE_DEVICES=1"),
        ("  Device 0: AMD Radeon Graphics, gfx1036 (0x1036), VMM: no\n  Device 1: AMD Radeon RX 6700 XT, gfx1031 (0x1031), VMM: no\n" + _HIP, "rocm", "gfx1031, is number 1", "export HSA_OVERRIDE_GFX_VERSION=10.3.0"),
        (_HIP + "  Name:   gfx1032\n  Name:   gfx1036", "rocm", "has no code for this AMD GPU", "export HSA_OVERRIDE_GFX_VERSION=10.3.0"),
        # a full GPU
        (_CUBLAS + "\n$ nvidia-smi\n| 31%   42C    P2     61W / 450W|  23988MiB / 24564MiB |      0%      Default |", "gpu-out-of-memory", "23988 of 24564 MiB", "nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv"),
        ("\nRuntimeError: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR\n$ nvidia-smi\n| N/A   42C    P0     61W / 300W |  80100MiB / 81559MiB |      0%      Default |", "gpu-out-of-memory", "80100 of 81559 MiB", "nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv"),
        (_CUBLAS + "\n$ nvidia-smi\n| 31%   42C    P2     61W / 450W|    988MiB / 24564MiB |      0%      Default |", "library-status", "an earlier kernel has failed", "export CUDA_LAUNCH_BLOCKING=1"),
        # bfloat16
        ("$ vllm serve org/model --port 8000\n" + _BF16, "gpu-too-old", "bfloat16, for which a GPU needs compute capability 8.0, and this GPU has 7.5", "vllm serve org/model --port 8000 --dtype half"),
        (_BF16, "gpu-too-old", "In float16 it runs", "nvidia-smi --query-gpu=name,compute_cap --format=csv"),
        # a launcher of another environment
        (_LAUNCHED.format("/w/old/lib/python3.10/runpy.py", "/w/new/bin/ninja", "ninja"), "python-path", "the Python of another environment, /w/old", "python -m pip install --force-reinstall --no-deps --no-cache-dir ninja"),
        (_LAUNCHED.format("C:\\Python39\\lib\\runpy.py", "D:\\w\\venv\\Scripts\\accelerate.exe\\__main__.py", "accelerate"), "python-path", "another environment, C:\\Python39", "python -m pip install --force-reinstall --no-deps --no-cache-dir accelerate"),
        ('Traceback (most recent call last):\n  File "/opt/env/bin/deepspeed", line 3, in <module>\n    from deepspeed.launcher.runner import main\nModuleNotFoundError: No module named \'deepspeed\'', "python-path", "starts a Python that has no module deepspeed", "python -m pip install --force-reinstall --no-deps --no-cache-dir deepspeed"),
        (_LAUNCHED.format("C:\\env\\lib\\runpy.py", "C:\\env\\Scripts\\yolo.exe\\__main__.py", "ultralytics"), "module-missing", "ultralytics", "pip install ultralytics"),
        # a library of a CUDA that is not installed
        (_DLL.format("go run .\\cmd\\server"), "library-not-found", "the toolkit that is installed is CUDA 13", "winget install -e --id Nvidia.CUDA --version 12.9"),
        (_DLL.format("dotnet run -c Release"), "library-not-found", "the toolkit that is installed is CUDA 13", "winget install -e --id Nvidia.CUDA --version 12.9"),
        (_DLL.format(".\\server.exe --gpu"), "library-not-found", "the toolkit that is installed is CUDA 13", "winget install -e --id Nvidia.CUDA --version 12.9"),
        (_DLL.format("python app.py"), "library-not-found", "the toolkit that is installed is CUDA 13", "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.21'"),
        # mmcv 1 stays mmcv 1
        (_MMCV.format("mmcv-full", "1.7.1", "2.0.1+cu118"), "gcc-too-new", "gcc 12", "sudo apt-get install g++-11"),
        (_MMCV.format("mmcv-full", "1.7.1", "2.1.2+cu118"), "gcc-too-new", "gcc 12", "pip install --no-cache-dir mmcv-full==1.7.0 -f https://download.openmmlab.com/mmcv/dist/cu117/torch1.13.0/index.html"),
        (_MMCV.format("mmcv", "1.6.0", "2.1.2+cu118"), "gcc-too-new", "gcc 12", "pip install --no-cache-dir mmcv-full==1.7.0 -f https://download.openmmlab.com/mmcv/dist/cu117/torch1.13.0/index.html"),
        (_MMCV.format("mmcv", "2.1.0", "2.6.0+cu118"), "gcc-too-new", "gcc 12", "pip install --no-cache-dir mmcv==2.1.0 -f https://download.openmmlab.com/mmcv/dist/cu121/torch2.1.0/index.html"),
        # where the library lies that the linker misses
        (_LINKED + "$ ls /c/envs/e/lib/libcudart*\n/c/envs/e/lib/libcudart.so\n", "library-missing", "whose libcudart.so lies in /c/envs/e/lib", "export LIBRARY_PATH=/c/envs/e/lib"),
        # the loader, cmake and uv are told of places
        ("$ echo $LD_LIBRARY_PATH\n/usr/local/cuda-12.4/lib64\n$ python -c 'import jax'\nRuntimeError: Unable to load cuSPARSE. Is it installed?\n$ pip list\njax   0.6.2\nnvidia-cusparse-cu12   12.5.10.65", "library-version", "LD_LIBRARY_PATH names /usr/local/cuda-12.4/lib64", "unset LD_LIBRARY_PATH"),
        ("$ export LD_LIBRARY_PATH=/opt/cuda-11.8/lib64:/x\n$ python -c 'import jax'\nOutdated cuDNN installation found.\n$ pip freeze\njax==0.6.2\nnvidia-cudnn-cu12==9.10.2.21", "library-version", "LD_LIBRARY_PATH names /opt/cuda-11.8/lib64", "unset LD_LIBRARY_PATH"),
        ("$ cmake ./third/ngp -B build_ngp\nCMake Error at CMakeDetermineCUDACompiler.cmake:277 (message):\n  CMAKE_CUDA_ARCHITECTURES must be non-empty if set.", "cmake-architectures", "is empty", "rm -rf build_ngp"),
        ("$ cmake -G Ninja -DX=1 -S . -B out\nCMake Error at CMakeDetermineCUDACompiler.cmake:277 (message):\n  CMAKE_CUDA_ARCHITECTURES must be non-empty if set.", "cmake-architectures", "is empty", "rm -rf out"),
        (_UV_PIP.format("uv sync"), "torch-version-unavailable", "which only the commands uv pip read", "uv sync"),
        (_UV_PIP.format("uv lock"), "torch-version-unavailable", "uv lock reads the section tool.uv", "uv lock"),
        ("(e) u@pc:~$ pip install -r requirements.txt\nCollecting deepspeed==0.12.4\n  error: subprocess-exited-with-error\n      op_builder.builder.MissingCUDAException: CUDA_HOME does not exist, unable to compile CUDA op(s)\n(e) u@pc:~$ pip list\ntorch   2.3.0+cu121", "cuda-home-unset", "there is no toolkit in /usr/local/cuda", "# No toolkit is installed, so install CUDA 12.1:"),
        ("$ uname -r\n5.10.102.1-microsoft-standard-WSL2\n$ python a.py\nException: CUDA SETUP: ERROR! libcuda.so not found! Do you have a CUDA driver installed?", "no-driver", "In WSL", "# pip install --upgrade bitsandbytes"),
    ],
)  # fmt: skip
def test_what_the_log_states_decides(log: str, id: str, said: str, line: str) -> None:
    first = findings(log)[0]
    assert first.id == id and said in first.cause, (first.id, first.cause)
    assert line in first.fix, first.fix


def test_what_a_tuner_tries_and_leaves_is_no_fault() -> None:
    tried = "W1115 11:42:22.0 torch/_inductor/select_algorithm.py:1469] [16/384] out of resource: shared memory, Required: 122880, Hardware limit: 101376. Reducing block sizes"
    assert findings(tried) == ()


def test_what_pip_says_of_other_packages_is_not_why_the_program_fails() -> None:
    said = "ERROR: pip's dependency resolver does not currently take into account all the packages.\ncuml 24.8.0 requires treelite==4.3.0, but you have treelite 4.2.1 which is incompatible."
    failed = "ImportError: /c/lib/python3.10/site-packages/nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    assert [found.id for found in findings(f"$ pip install torch\n{said}\n$ python a.py\n{failed}")] == [
        "undefined-symbol"
    ]
