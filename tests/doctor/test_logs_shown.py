"""What a log shows beside the error decides: a variable that nobody exported, a group's number, a copy that hides another."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told

_HOME = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.\n"
_GFX = "u@h:~$ rocminfo | grep gfx\n  Name:                    gfx1103\n"
_HIP = "RuntimeError: HIP error: invalid device function\n"
_TE = "/e/lib/python3.11/site-packages/transformer_engine/libtransformer_engine.so"
_LISTED = "$ pip list\nnvidia-cudnn-cu12   9.1.0.70\ntorch 2.5.1+cu124\n"
_FILES = "undefined symbol: _ZNSt10filesystem7__cxx1116create_directoryERKNS0_4pathE\n"
_FOO = f"$ python a.py\nImportError: /e/lib/python3.9/site-packages/foo/_foo.so: {_FILES}"
_KFD = "Unable to open /dev/kfd read-write: Permission denied\n"
_LS = "crw-rw---- 1 0 109 235,   0 Oct 26 08:11 /dev/kfd\n"
_SM = "ImportError: /home/u/k/k/_C.so: undefined symbol: _Z24scaled_mm_blockwise_sm90RN2at6TensorE\n"
_BUILT = "u@h:~/k$ export TORCH_CUDA_ARCH_LIST='{}'\nu@h:~/k$ pip install -e .\nu@h:~/k$ python -c 'import k'\n"
_WSL = "u@DESKTOP-1:~$ uname -r\n5.15.90.1-microsoft-standard-WSL2\n"
_NV = "[a@n1 ~]$ apptainer exec --nv m.sif python g.py\nOSError: libnvidia-ml.so: cannot open shared object file\n"


@pytest.mark.parametrize(
    ("log", "said", "line"),
    [
        (
            f"~/p ❯ set -U CUDA_HOME /usr/local/cuda-12.4\n~/p ❯ pip install ./ops\n{_HOME}",
            "but not exported",
            "set -gx CUDA_HOME /usr/local/cuda-12.4",
        ),
        (
            f"u@h:~/p$ CUDA_HOME=/usr/local/cuda-12.4\nu@h:~/p$ pip install ./ops\n{_HOME}",
            "but not exported",
            "export CUDA_HOME=/usr/local/cuda-12.4",
        ),
        (
            f"u@h:~$ HSA_OVERRIDE_GFX_VERSION=11.0.0\nu@h:~$ python a.py\n{_HIP}{_GFX}",
            "but not exported",
            "export HSA_OVERRIDE_GFX_VERSION=11.0.0",
        ),
        (
            f"{_LISTED}$ python a.py\nOSError: {_TE}: undefined symbol: cudnnNewX, version libcudnn.so.9\n",
            "the one that is installed, nvidia-cudnn-cu12 9.1.0.70",
            "pip install --upgrade --no-deps nvidia-cudnn-cu12",
        ),
        (
            f"$ pip install ./foo\nSuccessfully built foo\n$ gcc --version\ngcc (Ubuntu 8.4.0-1) 8.4.0\n{_FOO}",
            "libstdc++fs",
            "export CXX=/usr/bin/g++-11",
        ),
        (f"{_BUILT.format('8.0;8.6')}{_SM}", "of compute capability 9.0", "export TORCH_CUDA_ARCH_LIST='8.0;8.6;9.0'"),
        (
            f"$ docker run -it --device=/dev/kfd rocm/x bash\nu@5f3b5b1b8d0e:~$ rocminfo\n{_KFD}{_LS}",
            "the group 109 of the host",
            "docker run --group-add 109 -it --device=/dev/kfd rocm/x bash",
        ),
        (
            f"u@DESKTOP-1:~$ python a.py\nRuntimeError: No CUDA GPUs are available\n$ ldconfig -p | grep cuda\n"
            f"\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1\n{_WSL}",
            "loads /lib/x86_64-linux-gnu/libcuda.so.1 in its place",
            "sudo apt-get purge 'libnvidia-compute-*'",
        ),
        (
            f"{_NV}[a@n1 ~]$ apptainer exec --nv m.sif ls /.singularity.d/libs\nlibnvidia-ml.so.1\n",
            "--nv brings only",
            "apptainer exec --bind /usr/lib64/libnvidia-ml.so.1:/.singularity.d/libs/libnvidia-ml.so"
            " --nv m.sif python g.py",
        ),
        (
            "[u@nixos:~/p]$ python train.py\nOSError: libcudnn.so.9: cannot open shared object file: No such file\n",
            "cudaPackages.cudnn.lib",
            "export NIXPKGS_ALLOW_UNFREE=1",
        ),
        (
            "u@h:~$ ls /opt/rocm\nbin lib\nu@h:~$ vllm serve m\nUsing Python 3.11\n"
            '  File "/h/lib/python3.11/site-packages/vllm/config/device.py", line 58, in f\n'
            "RuntimeError: Failed to infer device type\n",
            "for Python 3.12 only",
            "uv venv --python 3.12 --seed vllm-rocm",
        ),
    ],
)
def test_what_is_shown_is_the_cause(log: str, said: str, line: str) -> None:
    first = findings(log)[0]
    assert said in first.cause and line in first.fix


def test_what_is_not_shown_is_not_claimed() -> None:
    exported = f"u@h:~/p$ export CUDA_HOME=/usr/local/cuda-12.4\nu@h:~/p$ pip install ./ops\n{_HOME}"
    assert "not exported" not in findings(exported)[0].cause
    assert "compute capability" not in findings(f"{_BUILT.format('8.0;9.0a')}{_SM}")[0].cause
    assert "libstdc++fs" not in findings(_FOO)[0].cause
    linked = "/usr/lib/x86_64-linux-gnu/libcuda.so -> /usr/lib/wsl/lib/libcuda.so.1\n"
    assert "purge" not in " ".join(told(f"RuntimeError: No CUDA GPUs are available\n{linked}{_WSL}")[1])
    asked = "$ python -c \"import ctypes; ctypes.CDLL('libcuda.so').nope\"\n"
    assert findings(f"{asked}AttributeError: /lib/libcuda.so: undefined symbol: nope\n")[0].id != "undefined-symbol"
