"""What a log shows beside its message, and the fix has to use: releases, files, interpreters, nodes, images, tools."""

from __future__ import annotations

import pytest
from doctor.reading import findings

#: kind → a log, the finding's id, words of its cause, lines of its fix, lines that are not in it.
AT_HAND: dict[str, tuple[str, str, str, list[str], list[str]]] = {
    "the PTX that the driver takes": (
        "$ srun python a.py\n/home/j/.conda/envs/n/lib/python3.11/site-packages/numba_cuda/driver.py\n"
        "numba.cuda.cudadrv.driver.LinkerError: [222] Call to cuLinkAddData results in CUDA_ERROR_UNSUPPORTED_PTX_VERSION\n"
        "ptxas application ptx input, line 9; fatal   : Unsupported .version 8.7; current version is '8.4'\n",
        "ptx-toolchain", "CUDA 12.4", ["conda install -y -c conda-forge cuda-version=12.4"], ["nvidia-smi"],
    ),
    "the same of wheels": (
        "(v) a@b:~$ python a.py\nnumba.cuda.cudadrv.driver.LinkerError: [222] Call to cuLinkAddData\n"
        "ptxas application ptx input, line 9; fatal   : Unsupported .version 8.8; current version is '8.4'\n"
        "(v) a@b:~$ pip list\nnvidia-cuda-nvcc-cu12      12.9.86\n",
        "ptx-toolchain", "(12.9)", ["pip install 'nvidia-cuda-nvcc-cu12==12.4.*'", "python a.py"], [],
    ),
    "a kernel module of GPUDirect": (
        "root@h:/w# python3 t.py\nibrc.cpp:1851: neither nv_peer_mem, or nvidia_peermem detected. Skipping transport.\n"
        "transport.cpp:287: Unable to initialize any transports. returning error.\ntorch.multiprocessing.spawn.ProcessExitedException: process 3 terminated with exit code 255\n",
        "driver-not-loaded", "nvidia_peermem", ["modprobe nvidia_peermem"], [],
    ),
    "that of GDRCopy": (
        "a@h:~$ ./copybw\nERROR: gdrdrv driver is not loaded\n",
        "driver-not-loaded", "gdrdrv", ["sudo modprobe gdrdrv"], [],
    ),
    "that of AMD": ("a@h:~$ rocminfo\nROCk module is NOT loaded, possibly no GPU devices\n",
                    "driver-not-loaded", "amdgpu", ["sudo modprobe amdgpu"], []),
    "a node of a cluster": (
        " * Job 632653 on dgk713, started Fri 3 May\nRuntimeError: CUDA error: uncorrectable ECC error encountered\n"
        "/var/spool/slurmd/job632653/slurm_script: line 21: 118904 Aborted\n",
        "gpu-hardware", "dgk713", [], ["nvidia-smi -q -d ECC,PAGE_RETIREMENT"],
    ),
    "a library under a name with a hash": (
        "root@a:/b# ./app\nnvrtc: error: failed to open libnvrtc-builtins.so.11.3.\n"
        "root@a:/b# ls ../libtorch/lib | grep nvrtc\nlibnvrtc-builtins-4730a239.so.11.3\n",
        "library-not-found", "a hash into its name",
        ["ln -s libnvrtc-builtins-4730a239.so.11.3 ../libtorch/lib/libnvrtc-builtins.so.11.3", "./app"], [],
    ),
    "any library under such a name": (
        "$ python a.py\nImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory\n"
        "$ ls /opt/venv/lib/python3.8/site-packages/torch/lib\nlibcudart-80664282.so.11.0\n",
        "libcudart-not-found", "a hash into its name",
        ["ln -s libcudart-80664282.so.11.0 /opt/venv/lib/python3.8/site-packages/torch/lib/libcudart.so.11.0"], [],
    ),
    "a library of another release": (
        "$ python a.py\nImportError: libsycl.so.7: cannot open shared object file: No such file or directory\n"
        "$ ldd /opt/intel/oneapi/2025.0/bin/sycl-ls\n\tlibsycl.so.8 => /opt/intel/oneapi/compiler/2025.0/lib/libsycl.so.8\n",
        "library-not-found", "libsycl.so.8", [], ["source /opt/intel/oneapi/setvars.sh"],
    ),
    "a gcc without its g++": (
        "a@b:~/net$ pip install -e .\n/home/a/miniconda3/envs/n/lib/python3.10\n"
        "gcc: fatal error: cannot execute ‘cc1plus’: execvp: No such file or directory\n"
        "a@b:~$ gcc --version\ngcc (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0\ng++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\n",
        "compiler-missing", "that of gcc 11", ["export CXX=/usr/bin/g++-11"], [],
    ),
    "relocatable device code": (
        "nvcc a.cu -rdc=true -o a.o\nnvlink error   : Undefined reference to 'helper' in 'a.o'\n",
        "device-link", "none of the files", ["grep -rn helper ."], [],
    ),
    "a crate for another libtorch": (
        "$ cargo build\nerror: failed to run custom build command for `torch-sys v0.20.0`\n  --- stderr\n"
        "  Error: this tch version expects PyTorch 2.7.0, got 2.2.2, this check can be bypassed by setting "
        "the LIBTORCH_BYPASS_VERSION_CHECK environment variable\n",
        "wheel-for-another-torch", "libtorch 2.7.0", ["cargo add tch@0.15", "cargo build"], [],
    ),
    "a framework before torch": (
        '(p) C:\\w>python run.py\nTraceback (most recent call last):\n  File "C:\\w\\run.py", line 1, in <module>\n'
        '  File "C:\\p\\Lib\\site-packages\\tensorflow\\__init__.py", line 4, in <module>\n'
        '  File "C:\\p\\Lib\\site-packages\\torch\\__init__.py", line 281, in <module>\n'
        'OSError: [WinError 127] The specified procedure could not be found. Error loading '
        '"C:\\p\\Lib\\site-packages\\torch\\lib\\shm.dll" or one of its dependencies.\n',
        "dll-load-failed", "tensorflow was imported before torch", ["python run.py"],
        ["pip uninstall -y torch torchvision torchaudio"],
    ),
    "a Python that a program has brought": (
        'J:\\iw3>python -m waifu2x\n  File "J:\\iw3\\python\\lib\\site-packages\\torchvision\\__init__.py", line 6\n'
        "A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.0.0 as it may crash.\n"
        "RuntimeError: Numpy is not available\n",
        "numpy2", "numpy", ['J:\\iw3\\python\\python.exe -m pip install "numpy<2"'], [],
    ),
    "the image of somebody else": (
        "$ docker run -it --gpus all lab/fiji:1 run\nnvidia-container-cli: mount error: file creation failed: "
        "/var/lib/docker/overlay2/6/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists: unknown.\n",
        "container-driver", "lab/fiji:1", ["docker run -it --gpus all lab/fiji:1-fixed run"], [],
    ),
    "a job of Slurm": (
        "[a@login exp]$ srun -p a2 --pty bash\n[a@a2 exp]$ python t.py\nRuntimeError: No CUDA GPUs are available\n",
        "scheduler", "did not request", ["srun --gres=gpu:1 -p a2 --pty bash"], [],
    ),
    "a prompt of zsh, and its command": (
        "(base) ➜  pytorch git:(main) ✗ python setup.py develop\n"
        "/Users/k/pytorch/aten/src/ATen/ParallelOpenMP.h:9:10: fatal error: 'omp.h' file not found\n"
        "ninja: build stopped: subcommand failed.\n",
        "header-missing", "omp.h", ["brew install libomp", "python setup.py develop"], ["cd /Users/k/pytorch/aten"],
    ),
    "variables and extras of the command": (
        "#13 [ 9/12] RUN WITH_NCCL=1 pip install --no-cache-dir horovod[pytorch]==0.28.1\n"
        "#13 74.9 /usr/bin/c++ -std=c++14 -c /tmp/pip-install-q0/horovod_7d8/horovod/torch/mpi_ops_v2.cc\n"
        "#13 81.7 torch/include/c10/util/C++17.h:27:2: error: #error You need C++17 to compile PyTorch\n"
        "#13 89.4   ERROR: Failed building wheel for horovod\n",
        "cxx-standard", "C++17",
        ["RUN WITH_NCCL=1 pip install --no-cache-dir --no-build-isolation "
         "'horovod[pytorch] @ git+https://github.com/horovod/horovod'"], [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", AT_HAND)
def test_what_the_log_shows_is_used(kind: str) -> None:
    log, id, said, lines, absent = AT_HAND[kind]
    found = findings(log)[0]
    assert found.id == id
    assert said in found.cause
    assert [line for line in lines if line not in found.fix] == [], found.fix
    assert not set(absent) & set(found.fix)
