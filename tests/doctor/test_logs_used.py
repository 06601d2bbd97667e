"""Tests that a fix uses what the log shows already, and that its lines are of the machine that the log is of."""

from __future__ import annotations

import pytest
from doctor.machines import machine
from doctor.reading import findings, fix, told

from dcnbuild.doctor.logs import read_log

HELD = "modprobe: ERROR: could not insert 'nvidia': No such device\n"
NO_TOOLSET = "  CMake Error at CMakeDetermineCompilerId.cmake:563 (message):\n    No CUDA toolset found.\n"
LCUDA = (
    '/usr/bin/ld: cannot find -lcuda: No such file or directory\n  File "/e/triton/compiler.py", line 1471, in _build\n'
)
GCC = "-- Found CUDAToolkit: /opt/cuda/include\nerror: #error -- unsupported GNU version! gcc versions later than 14 are not supported!\n"
CMAKE = "CMake Error at CMakeDetermineCUDACompiler.cmake:139\n"
SNAP = (
    "$ docker run --gpus all x\nnvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: "
    "cannot open shared object file: no such file or directory: unknown\n$ which docker\n/snap/bin/docker\n"
)
KILLED = "FAILED: k.o\n/usr/bin/nvcc -c k.cu -o k.o\nKilled\nninja: build stopped: subcommand failed.\n"
PIP = "  Building wheel for x (pyproject.toml): started\n"
CONDA = "$ conda install {}\n  - nothing provides {}\n"
SOCKET = (
    "n1:1:1 [0] NCCL INFO NET/Socket : Using [0]{}:10.0.0.4<0> [1]{}:172.19.0.1<0>\n"
    "n1:1:9 [0] include/socket.h:423 NCCL WARN Net : Connect to 172.19.0.1<41173> failed : Connection refused\n"
    "RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:1191, unhandled system error, NCCL version 2.10.3\n"
)
NO_MEMBER = (
    "/w/{0}/csrc/ops/nms.cpp:22:5: error: ‘class torch::Library’ has no member named ‘set_python_module’\n"
    "$ python3 -c 'import torch; print(torch.__version__)' 2>/dev/null\n{1}\n"
)
PLUGIN = "E0121 20:28:50.87 1 factory.go:116] If this is a GPU node, did you configure the NVIDIA Container Toolkit?\n"


@pytest.mark.parametrize(
    ("log", "has", "has_not"),
    [
        # which driver has the GPU
        (f"{HELD}NVRM: GPU 0000:01:00.0 is already bound to NovaCore.\n", "blacklist nova_core", "vfio"),
        (f"{HELD}01:00.0 VGA\n\tKernel driver in use: nouveau\n", "blacklist nouveau", "nova_core"),
        (f"{HELD}01:00.0 VGA\n\tKernel driver in use: nouveau\n$ dnf list\n", "dracut --force", "update-initramfs"),
        (f"{HELD}01:00.0 VGA\n\tKernel driver in use: vfio-pci\n", "/etc/modprobe.d", "blacklist"),
        # the network interface
        (SOCKET.format("bond0", "br-05ab"), "NCCL_SOCKET_IFNAME=bond0", "eth0"),
        (SOCKET.format("ens5", "docker0"), "NCCL_SOCKET_IFNAME=ens5", "eth0"),
        (SOCKET.format("docker0", "ib0"), "ip -br addr", "IFNAME=docker0"),
        # where libcuda lies
        (f"{LCUDA}Singularity> ls /.singularity.d/libs\nlibcuda.so\n", "LIBRARY_PATH=/.singularity.d/libs", "ln -s"),
        (f"{LCUDA}\tlibcuda.so.1 (libc6,x86-64) => /usr/lib64/libcuda.so.1\n", "LIBRARY_PATH=/usr/lib64", "x86_64-linux"),
        (f"{LCUDA}$ find / -name 'libcuda.so*'\n/run/nvidia/driver/libcuda.so.1\n", "=/run/nvidia/driver", "ln -s"),
        # the toolkit of the containers is there
        (f"{SNAP}ii  nvidia-container-toolkit  1.15.0-1  amd64  x\n", "snap remove docker", "keyring"),
        (f"{SNAP}NVIDIA Container Toolkit CLI version 1.15.0\n", "nvidia-ctk runtime configure", "keyring"),
        (SNAP, "nvidia-container-toolkit-keyring", "rmmod"),
        # the channel of conda that is missing, or is not
        (CONDA.format("pytorch pytorch-cuda=11.8 -c pytorch", "cuda 11.8.* needed by pytorch-cuda-11.8-h8"), "-c pytorch -c nvidia", "search"),
        (CONDA.format("cudatoolkit=11.8 -c pytorch", "requested cudatoolkit 11.8**"), "-c pytorch -c conda-forge", "search"),
        (CONDA.format("pytorch-scatter -c pytorch", "requested pytorch-scatter"), "-c pytorch -c pyg", "conda search"),
        (CONDA.format("pytorch3d -c pytorch3d", "requested pytorch3d"), "pytorch3d", "-c pytorch3d -c pytorch3d"),
        # the release of the source for the torch that is there
        (NO_MEMBER.format("torchvision", "2.3.0"), "git checkout v0.18.0", "v0.19"),
        (NO_MEMBER.format("torchvision", "2.0.1+cu118"), "git checkout v0.15.2", "v0.15.0"),
        (NO_MEMBER.format("torchaudio", "2.2.1"), "git checkout v2.2.0", "v0.17"),
        (NO_MEMBER.format("mine", "2.3.0"), "install --upgrade torch", "git checkout"),
        # what isolates the build has torch, and the build ran
        (f"{PIP}/tmp/pip-build-env-x/overlay/lib/python3.9/site-packages/torch/utils/cpp_extension.py\n{KILLED}", "MAX_JOBS", "--no-build-isolation"),
        # what packs the program runs CMake
        (f"{CMAKE}{GCC}==> ERROR: A failure occurred in build().\n", "makepkg -Cf", "cmake -B"),
        (f"{CMAKE}{GCC}dh_auto_configure: error: cd obj && cmake returned exit code 1\n", "dpkg-buildpackage -us -uc -b", "cmake -B"),
        (f"{CMAKE}{GCC} * ERROR: app-misc/x-1.2::gentoo failed (configure phase):\n", "emerge --resume", "cmake -B"),
        # the plugin's own words come before the pod that waits
        (f"$ kubectl logs nvidia-device-plugin-daemonset-tq4wz\n{PLUGIN}$ kubectl describe pod t\n  Warning  FailedScheduling  72s   default-scheduler  0/3 nodes are available: 3 Insufficient nvidia.com/gpu.\n", "--runtime=containerd --set-as-default", "RUN kubectl"),
        (f"$ kubectl logs nvidia-device-plugin-daemonset-tq4wz\n{PLUGIN}k3s agent\n", "systemctl restart k3s", "--runtime=containerd"),
        # the pin of a cell
        ("!pip install -q bitsandbytes==0.39.0 peft\nRuntimeError: CUDA Setup failed despite GPU being available.\n", "%pip install -q --upgrade peft bitsandbytes", "==0.39"),
        ("!pip install -q bitsandbytes peft\nRuntimeError: CUDA Setup failed despite GPU being available.\n", "%pip install --upgrade bitsandbytes", "peft"),
    ],
)  # fmt: skip
def test_a_fix_uses_what_the_log_shows(log: str, has: str, has_not: str) -> None:
    lines = "\n".join(fix(log))
    live = "\n".join(told(log)[1])
    assert has in lines
    assert has_not not in live


@pytest.mark.parametrize(
    ("log", "has"),
    [
        (f'PS I:\\llm> pip install x\n  -- Found Git: C:/Program Files/Git/cmd/git.exe (found version "2.47.1")\n{NO_TOOLSET}', "$env:CMAKE_GENERATOR"),
        (f"I:\\llm> pip install x\n{NO_TOOLSET}", "set CMAKE_GENERATOR=Ninja"),
        ("Error! Bad return status for module build on kernel: 6.4.0-rc1-1-mainline (x86_64)\n:: Running post-transaction hooks...\n==> dkms install nvidia/530.41.03\n", "pacman -Syu"),
        ("(3/5) Install DKMS modules\n==> dkms install nvidia/530.41.03\nError! Bad return status for module build on kernel: 6.9.1-1-mainline (x86_64)\n", "pacman -Syu"),
    ],
)  # fmt: skip
def test_the_lines_are_of_the_shell_and_the_system_of_the_log(log: str, has: str) -> None:
    assert has in "\n".join(fix(log))


def test_a_bare_prompt_does_not_show_that_a_log_is_of_this_machine() -> None:
    log = "$ sudo modprobe nvidia\nmodprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n"
    here = machine(root=True, distribution="debian 12")
    assert read_log(log, here)[0].fix == findings(log)[0].fix
    assert any("shim-signed" in line for line in findings(log)[0].fix)


def test_nccl_is_not_out_of_memory_where_its_shared_memory_fails() -> None:
    log = (
        "ws:1:1 [0] NCCL INFO NCCL version {}+cuda12.2\nws:1:8 [0] include/alloc.h:114 NCCL WARN Cuda failure 2 'out of "
        "memory'\nws:1:8 [0] NCCL INFO {} -> 1\ntorch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:77\n"
    )
    assert "export NCCL_CUMEM_HOST_ENABLE=0" in fix(log.format("2.26.2", "transport/shm.cc:590"))
    for other in (("2.21.5", "transport/shm.cc:590"), ("2.26.2", "channel.cc:40")):
        assert not any("CUMEM" in line for line in fix(log.format(*other)))


def test_a_warning_of_xformers_comes_after_what_stops_the_program() -> None:
    log = (
        "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was built for:\n"
        "    PyTorch 2.3.0+cu121 with CUDA 1201 (you have 2.2.2+cu121)\n"
        "[E:onnxruntime:Default, x.cc:1] Failed to load library libonnxruntime_providers_cuda.so with error: "
        "libcublasLt.so.11: cannot open shared object file: No such file or directory\n"
        "RuntimeError: face analysis must run on CUDAExecutionProvider\n"
    )
    assert findings(log)[0].id == "libcudart-not-found"
    assert any("onnxruntime-gpu==1.18.0" in line for line in fix(log))


def test_a_name_that_was_given_up_is_told_to_whoever_asks_for_it() -> None:
    log = (
        "$ pip install {}\n  \u2570\u2500> [10 lines of output]\n      THIS PROJECT 'nvidia-curand-cu13' IS DEPRECATED.\n"
        "      Please use 'nvidia-curand' instead.\n      [end of output]\n"
        "  ERROR: Failed building wheel for nvidia-curand-cu13\nerror: failed-wheel-build-for-install\n"
    )
    assert "pip install --upgrade some-engine" in fix(log.format("some-engine"))
    assert "some-engine asks for nvidia-curand-cu13" in findings(log.format("some-engine"))[0].cause
    assert fix(log.format("nvidia-curand-cu13")) == ["pip install --no-build-isolation nvidia-curand"]


def test_packages_that_share_a_module_are_no_fault_where_another_library_is_loaded() -> None:
    log = (
        "$ pip list\nnvidia-nccl-cu11         2.14.3\nnvidia-nccl-cu12         2.19.3\ntorch                    2.2.0\n"
        "$ python t.py\n{}ImportError: /e/lib/python3.10/site-packages/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommRegister\n"
    )
    ldd = "$ ldd libtorch_cuda.so\n        libnccl.so.2 => /usr/lib/x86_64-linux-gnu/libnccl.so.2 (0x00007f0c1d000000)\n$ python t.py\n"
    assert [found.id for found in findings(log.format(ldd))] == ["undefined-symbol"]
    text = (
        'Traceback (most recent call last):\n  File "/e/lib/python3.10/site-packages/nvidia/nccl/__init__.py", line 1\n'
    )
    assert "pip install --no-deps nvidia-nccl-cu12==2.19.3" in fix(log.format(text))
