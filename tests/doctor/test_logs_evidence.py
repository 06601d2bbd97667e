"""What a log shows by itself decides: where a library lies, what is installed, how a disk is mounted."""

from __future__ import annotations

import re

import pytest
from doctor.machines import machine
from doctor.reading import findings, fix, told

from dcnbuild.doctor.logs import read_log

_NEEDS = "./app: error while loading shared libraries: {}: cannot open shared object file: No such file or directory\n"
_GLIBC = "ImportError: /lib64/libc.so.6: version `GLIBC_2.34' not found (required by {})"
_CUDNN = "RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH\n"
_LNK = "LINK : fatal error LNK1181: "
_MAC = "(e) u@MacBook-Pro net % pip install {0}\n  Building wheel for {0} (setup.py) ... error\nclang: error: unsupported option '-fopenmp'"
_NEWER = (
    "NVIDIA GeForce RTX 5080 with CUDA capability sm_120 is not compatible with the current PyTorch installation.\n"
)


@pytest.mark.parametrize(
    "path",
    [
        "/opt/amazon/efa/lib64/libfabric.so.1",
        "/cvmfs/soft/nccl/2.18/lib/libnccl.so.2",
        "/opt/MATLAB/R2024a/bin/glnxa64/libmwfl.so",
        "/home/u/.triton/cache/3f/cuda_utils.so",
        "/tmp/torchinductor_u/ab/cx.so",
        "/.singularity.d/libs/libEGL.so.1",
        "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    ],
)
def test_no_directory_of_a_library_is_installed_as_a_project(path: str) -> None:
    for log in (_GLIBC.format(path), f"ImportError: {path}: file too short"):
        lines = "\n".join(fix(log))
        assert not re.search(r"\bcd |rm -rf build|pip install (?:\S+ )*\.$|git-lfs", lines, re.MULTILINE), lines
    assert "cd /home/u/net" in fix(_GLIBC.format("/home/u/net/ops/_ext.cpython-38-x86_64-linux-gnu.so"))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/home/u/.cache/numba/x/y.so", "rm -rf /home/u/.cache/numba"),
        ("/home/u/.cache/vllm/torch_compile_cache/a/k.so", "rm -rf /home/u/.cache/vllm"),
        ("/root/.triton/cache/9a/launcher.so", "rm -rf /root/.triton/cache"),
    ],
)
def test_what_a_program_compiles_for_itself_is_deleted(path: str, line: str) -> None:
    assert line in fix(f"ImportError: {path}: file too short")


def test_a_library_of_the_host_is_told_from_one_of_the_image() -> None:
    log = "$ apptainer exec --nv a.sif python3 d.py\n" + _GLIBC.format("/.singularity.d/libs/libGLX.so.0")
    assert "library of the host" in findings(log)[0].cause
    assert any("--nvccli" in line for line in fix(log))


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            _NEEDS.format("libcublas.so.12") + "$ find / -name 'libcublas.so*'\n/opt/c/lib/libcublas.so.12\n",
            'export LD_LIBRARY_PATH=/opt/c/lib:"$LD_LIBRARY_PATH"',
        ),
        (
            _NEEDS.format("libcudart.so.11.0")
            + "(x) u@h:~$ find $CONDA_PREFIX -name 'libcudart*'\n/home/u/miniconda3/envs/x/lib/libcudart.so.11.0\n",
            'export LD_LIBRARY_PATH=/home/u/miniconda3/envs/x/lib:"$LD_LIBRARY_PATH"',
        ),
        (
            _NEEDS.format("libcusolver.so.11") + "$ ls /usr/local/cuda-12.2/lib64 | grep solver\nlibcusolver.so.11\n",
            'export LD_LIBRARY_PATH=/usr/local/cuda-12.2/lib64:"$LD_LIBRARY_PATH"',
        ),
        (
            _NEEDS.format("libnvJitLink.so.12")
            + "$ ls -l /opt/h/lib64/ | grep Jit\nlrwxrwxrwx 1 root root 9 May 1 libnvJitLink.so.12 -> libnvJitLink.so.12.4.127\n",
            'export LD_LIBRARY_PATH=/opt/h/lib64:"$LD_LIBRARY_PATH"',
        ),
        (
            "RuntimeError: nvrtc: error: failed to open libnvrtc-builtins.so.12.4.\n"
            "$ find / -name 'libnvrtc-b*'\n/e/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.4\n",
            'export LD_LIBRARY_PATH=/e/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib:"$LD_LIBRARY_PATH"',
        ),
        (
            _NEEDS.format("libc10.so") + "$ find / -name libc10.so\n/home/u/libtorch/lib/libc10.so\n",
            'export LD_LIBRARY_PATH=/home/u/libtorch/lib:"$LD_LIBRARY_PATH"',
        ),
        (
            _NEEDS.format("libcuda.so") + "$ ldconfig -p | grep libcuda\n\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1\n",
            "sudo ln -s /lib/x86_64-linux-gnu/libcuda.so.1 /lib/x86_64-linux-gnu/libcuda.so",
        ),
    ],
)  # fmt: skip
def test_a_library_is_used_where_the_log_lists_it(log: str, line: str) -> None:
    assert line in fix(log), fix(log)
    assert not any("pip install" in one for one in fix(log)), fix(log)


def test_what_ls_does_not_find_is_not_listed() -> None:
    gone = "$ ls /usr/local/cuda/lib64/libcublas.so.11\nls: cannot access '/usr/local/cuda/lib64/libcublas.so.11': No such file\n"
    assert "does not look" not in findings(_NEEDS.format("libcublas.so.11") + gone)[0].cause


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            "ImportError: /e/site-packages/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommShrink\n"
            "$ pip list\nnvidia-nccl-cu12 2.27.5\nnvidia-nccl-cu13 2.28.9\ntorch 2.11.0+cu130\n",
            ["pip uninstall -y nvidia-nccl-cu12 nvidia-nccl-cu13", "pip install --no-deps nvidia-nccl-cu13==2.28.9"],
        ),
        (
            _CUDNN + "[pip3] nvidia-cublas==13.1.0.3\n[pip3] nvidia-cudnn-cu12==9.10.2.21\n[pip3] nvidia-cudnn-cu13==9.20.0.48\n",
            ["pip uninstall -y nvidia-cudnn-cu12 nvidia-cudnn-cu13", "pip install --no-deps nvidia-cudnn-cu13==9.20.0.48"],
        ),
        (_CUDNN + "$ dpkg -l | grep cudnn\nii  libcudnn9-cuda-12  9.8.0.87-1  amd64  cuDNN\n", ["sudo apt-get remove -y libcudnn9-cuda-12"]),
        (_CUDNN + "[u@rocky ~]$ rpm -qa | grep cudnn\nlibcudnn9-cuda-12-9.8.0.87-1.x86_64\n", ["sudo dnf remove -y libcudnn9-cuda-12"]),
    ],
)  # fmt: skip
def test_packages_that_the_log_lists_are_the_ones_to_uninstall(log: str, lines: list[str]) -> None:
    assert told(log)[1] == lines


@pytest.mark.parametrize(
    "says",
    [
        "Driver Version: 560.35.03\n",
        "zoe@lab:~$ python t.py\n",
        '  File "/opt/conda/lib/python3.12/site-packages/torch/cuda/__init__.py", line 319, in _lazy_init\n',
    ],
)
def test_a_log_of_another_machine_takes_nothing_of_this_one(says: str) -> None:
    here = machine(package_manager="zypper", distribution="opensuse 15.6")
    log = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    own = f'  File "{here.python.prefix}/lib/python3.11/site-packages/cv2/__init__.py", line 9, in <module>\n'
    assert "zypper" in "\n".join(read_log(own + log, here)[0].fix)
    assert "zypper" not in "\n".join(read_log(says + log, here)[0].fix)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("ImportError: /home/u/.triton/cache/9a/a.so: failed to map segment from shared object", "export TRITON_CACHE_DIR=/var/tmp/triton"),
        (
            "torch._dynamo.exc.BackendCompilerFailed: backend='inductor' raised:\n"
            "ImportError: /root/.triton/cache/9a/a.so: failed to map segment from shared object",
            "export TRITON_CACHE_DIR=/var/tmp/triton",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/data/e/bin/ninja'\n/data /dev/sdb1 xfs rw,nosuid,noexec,relatime", "export TMPDIR=/var/tmp"),
    ],
)  # fmt: skip
def test_a_file_system_that_runs_no_program_is_left(log: str, line: str) -> None:
    assert line in fix(log) and "noexec" in findings(log)[0].cause


@pytest.mark.parametrize(
    "log",
    [
        f"{_LNK}cannot open input file 'C:\\Program.obj'",
        f"{_LNK}impossible d'ouvrir le fichier en entr\u00e9e 'C:\\Users\\Ana.obj'",
        "LINK : fatal error LNK1104: cannot open file 'Files.lib'",
        "g++: error: /home/First: No such file or directory\ng++: error: Last/a.o: No such file or directory",
        "/bin/sh: 1: /mnt/c/Program: not found\nninja: build stopped: subcommand failed.",
        "C:\\Users\\Jo Doe\\net>nvcc -c a.cu -IC:\\Program Files\\x\nnvcc fatal   : A single input file is required for a non-link phase when an outputfile is specified",
    ],
)  # fmt: skip
def test_a_path_that_is_cut_at_its_blank_is_recognized(log: str) -> None:
    assert findings(log)[0].id == "path-with-blank"
    assert findings(f"{_LNK}cannot open input file 'C:\\net\\a.obj'")[0].id == "msvc"


def test_the_variable_with_the_blank_is_named() -> None:
    assert "set LINK=" in fix(
        f"C:\\>set LINK\nLINK=C:\\Program Files\\VC\\link.exe\n{_LNK}cannot open input file 'C:\\Program.obj'"
    )


@pytest.mark.parametrize("package", ["torch-scatter", "xformers", "scikit-learn"])
def test_openmp_on_a_mac_has_nothing_to_do_with_cuda(package: str) -> None:
    assert findings(_MAC.format(package))[0].id == "compiler-option"
    assert findings(_MAC.format("flash-attn"))[0].id == "no-cuda-on-mac"
    assert "pip install flash-attn" not in fix(_MAC.format("flash-attn"))  # it would fail again


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("$ uv run t.py\n", "uv add --index pytorch-cu128=https://download.pytorch.org/whl/cu128 'torch>=2.7'"),
        ("$ uv add torch torchvision\n$ uv run t.py\n", "uv add --index pytorch-cu128=https://download.pytorch.org/whl/cu128 'torch>=2.7' 'torchvision>=0.22'"),
        ("$ poetry run python t.py\n", "poetry add --source pytorch-cu128 torch@latest"),
        ("$ pip list\nnumpy 1.26.4\ntorch 2.3.0\n$ python t.py\n", "pip install torch --index-url https://download.pytorch.org/whl/cu128"),
        ("$ python t.py\n", "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu128"),
    ],
)  # fmt: skip
def test_a_torch_takes_along_what_is_there(log: str, line: str) -> None:
    assert line in fix(
        log + _NEWER + "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    )


@pytest.mark.parametrize(("error", "torch"), [("1114", "2.9.1"), ("126", "2.9.1"), ("1114", "2.5.1")])
def test_a_dll_of_torch_needs_no_other_torch(error: str, torch: str) -> None:
    log = f'C:\\> pip list\ntorch {torch}\nOSError: [WinError {error}] Error loading "C:\\e\\Lib\\site-packages\\torch\\lib\\c10.dll" or one of its dependencies.'
    assert told(log)[1] == ["winget install Microsoft.VCRedist.2015+.x64"]
    assert any("2.8.0" in line for line in fix(log)) == ((error, torch) == ("1114", "2.9.1"))


def test_the_light_remedy_stands_first() -> None:
    log = "triton.runtime.errors.PTXASError: x\nptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"
    assert "export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas" in told(log)[1]
    assert not any(line.startswith("pip ") for line in told(log)[1])


def test_what_the_loader_ignores_is_no_failure() -> None:
    log = "ERROR: ld.so: object '/usr/lib/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.\n"
    assert not findings(log + "done")


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        ("", "apt-file search libqux.so.3"),
        ("[u@fedora ~]$ ls\n", "dnf provides '*/libqux.so.3'"),
        ("[u@arch ~]$ sudo pacman -Syu\n", "pacman -F libqux.so.3"),
        ("u@suse:~> zypper ref\n", "zypper what-provides '*/libqux.so.3'"),
    ],
)
def test_the_package_of_a_file_is_asked_by_the_manager_of_the_log(shown: str, line: str) -> None:
    assert line in fix(shown + _NEEDS.format("libqux.so.3"))
