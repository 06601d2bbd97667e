"""Drivers that are not built, not loaded or not right for the GPU, package managers that refuse, and runs on several GPUs."""

from __future__ import annotations

import re

import pytest
from doctor.reading import findings, fix, told

from dcnbuild.machine import repositories, xids

_MAKE_LOG = "Error! Bad return status for module build on kernel: {0} (x86_64)\nConsult /var/lib/dkms/{1}/build/make.log for more information.\n"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("Error! Your kernel headers for kernel 6.8.0-48-generic cannot be found.", "sudo sh -c 'apt-get install -y \"linux-headers-$(uname -r)\"'"),
        ("Error! Your kernel headers for kernel 6.12.1-arch1-1 cannot be found.", "sudo pacman -S linux-headers"),
        ("Error! Your kernel headers for kernel 6.4.1-zen1-1-zen cannot be found.", "sudo pacman -S linux-zen-headers"),
        ("Error! Your kernel headers for kernel 6.8.4-3-pve cannot be found.", "sudo sh -c 'apt-get install -y \"proxmox-headers-$(uname -r)\"'"),
        ("Error! Your kernel headers for kernel 6.4.0-150600.23.25-default cannot be found.", "sudo zypper install kernel-default-devel gcc make"),
        ("Could not find files needed to compile modules for 6.11.4-301.fc41.x86_64", "sudo akmods --force"),
        ("$ uname -r\n5.14.0-362.8.1.el9_3.x86_64\nERROR: Unable to find the kernel source tree for the currently running kernel.", "sudo sh -c 'dnf install -y \"kernel-devel-$(uname -r)\" gcc make'"),
    ],
)  # fmt: skip
def test_the_headers_of_a_kernel_are_packed_by_its_distribution(log: str, line: str) -> None:
    assert told(log)[0] == "driver-not-built" and line in fix(log)


@pytest.mark.parametrize(
    ("log", "cause", "line"),
    [
        (_MAKE_LOG.format("6.17.9-76061709-generic", "nvidia/580.119.02"), "driver 580.119.02", "tail -n 40 /var/lib/dkms/nvidia/580.119.02/build/make.log"),
        (_MAKE_LOG.format("6.14.0-24-generic", "amdgpu/6.10.5-2109964.24.04"), "AMD's module amdgpu", "sudo apt-get purge amdgpu-dkms"),
        (_MAKE_LOG.format("6.14.0-24-generic", "v4l2loopback/0.12.7"), "The module v4l2loopback", "sudo dpkg --configure -a"),
        ("FATAL: modpost: GPL-incompatible module nvidia.ko uses GPL-only symbol 'rcu_read_unlock_strict'", "under the GPL use rcu_read_unlock_strict", "sudo ubuntu-drivers install"),
        ("/var/lib/dkms/nvidia/470.239.06/build/nvidia-drm/nvidia-drm-drv.c:243:21: error: 'struct drm_mode_config_funcs' has no member named 'x'\nlinux-lts 6.12.7-1-lts\n", "do not compile for this kernel", "sudo pacman -S linux-lts linux-lts-headers"),
    ],
)  # fmt: skip
def test_a_driver_that_does_not_compile_is_older_than_the_kernel(log: str, cause: str, line: str) -> None:
    found = findings(log)[0]
    assert found.id == "driver-not-built" and cause in found.cause and line in found.fix


def test_wsl_gets_no_driver_for_linux() -> None:
    log = "u@PC:~$ sudo apt install nvidia-driver-535\nSetting up nvidia-dkms-535 (535.183.01) ...\nError! Your kernel headers for kernel 5.15.153.1-microsoft-standard-WSL2 cannot be found.\n"
    assert "needs no kernel module" in findings(log)[0].title
    assert "sudo apt-get purge nvidia-driver-535" in fix(log) and not any("headers" in line for line in fix(log))


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.\nii  nvidia-driver-575  575.51.03", "sudo apt-get install nvidia-driver-575-open"),
        ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.\n[u@fedora ~]$ rpm -q akmod-nvidia", "sudo akmods --force --rebuild"),
        ("NVRM: nvidia 0000:01:00.0: PCI ID: 10de:1b80 is not supported by open nvidia.ko", "sudo apt-get install nvidia-driver-580"),
        ("NVRM:  supported through the NVIDIA 470.xx Legacy drivers. Please", "sudo apt-get install nvidia-driver-470"),
        ("$ nvidia-smi\nNo devices were found\n01:00.0 VGA compatible controller: NVIDIA Corporation GB202 [GeForce RTX 5090]", "sudo apt-get install nvidia-driver-580-open"),
        ("[u@fedora ~]$ sudo modprobe nvidia\nmodprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n", "sudo mokutil --import /etc/pki/akmods/certs/public_key.der"),
        ("Public certificate (MOK): /var/lib/dkms/mok.pub\nmodprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n", "sudo mokutil --import /var/lib/dkms/mok.pub"),
    ],
)  # fmt: skip
def test_the_modules_are_those_for_the_gpu_and_the_firmware(log: str, line: str) -> None:
    assert line in fix(log), fix(log)


@pytest.mark.parametrize(
    ("number", "id", "says"),
    [("13", "kernel-crash", "fault of the program"), ("31", "kernel-crash", "fault of the program"), ("79", "gpu-hardware", "power, heat"), ("94", "gpu-hardware", "error of the hardware"), ("74", "gpu-hardware", "NVLink"), ("119", "gpu-hardware", "firmware"), ("999", "gpu-hardware", "list of Xid errors")],
)  # fmt: skip
def test_an_xid_tells_whose_fault_it_is(number: str, id: str, says: str) -> None:
    found = findings(f"[ 1.0] NVRM: Xid (PCI:0000:41:00): {number}, pid=3, name=python, Ch 00000008\nRuntimeError: CUDA error: an illegal memory access was encountered")[0]  # fmt: skip
    assert found.id == id and says in found.cause and f"Xid {number}" in found.cause
    kinds = {"program", "follows", "memory", "bus", "link", "firmware", "driver", "chip", "info"}
    assert xids.of(number).get("of", "bus") in kinds


@pytest.mark.parametrize(
    ("log", "title"),
    [
        ("NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)", "gave the GPU no addresses"),
        ("NVRM: RmInitAdapter: Cannot initialize GSP firmware RM", "firmware of the GPU does not start"),
        ("NVRM: GPU 0000:65:00.0: GPU does not have the necessary power cables connected.", "lacks power"),
        ("NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)", "cannot start the GPU"),
        ("NVRM: was loaded and obtained ownership of the NVIDIA device(s).", "Another driver holds the GPU"),
    ],
)
def test_what_the_kernel_says_of_the_gpu_is_told_apart(log: str, title: str) -> None:
    assert title in findings(log)[0].title


def test_what_the_driver_says_as_it_loads_is_no_fault() -> None:
    assert not findings(
        "[ 5.1] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  575.51.03\n[ 5.2] NVRM: GPU at PCI:0000:09:00: GPU-8f6d"
    )


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("Error:\n Problem 1: package nvidia-driver-3:545.23.08-1.fc37.x86_64 from cuda-fedora37-x86_64 conflicts with xorg-x11-drv-nvidia provided by xorg-x11-drv-nvidia-3:550.78-1.fc40.x86_64 from @System\n  - package x from rpmfusion-nonfree is filtered out by modular filtering", "sudo dnf module disable -y nvidia-driver"),
        ("# dnf install nvidia-driver\n Problem: package nvidia-driver-cuda-3:570.86.15-1.el9.x86_64 from cuda-rhel9-x86_64 requires nvidia-kmod-common = 3:570.86.15, but none of the providers can be installed\n  - package kmod-nvidia-open-dkms is filtered out by modular filtering", "sudo dnf module enable -y nvidia-driver:open-dkms"),
        (":: installing nvidia-utils (565.57.01-1) breaks dependency 'nvidia-utils=560.35.03' required by nvidia-dkms\nerror: failed to prepare transaction", "sudo pacman -Syu"),
        ("The following packages have unmet dependencies:\n nvidia-driver-510 : Depends: nvidia-kernel-common-510 (>= 510.73.05) but 510.47.03-0ubuntu1 is to be installed", "sudo apt-get install --allow-downgrades nvidia-driver-510=510.47.03-0ubuntu1"),
        ("$ sudo apt-get install cuda\nThe following packages have unmet dependencies:\n nsight-systems-2023.4.4 : Depends: libtinfo5 but it is not installable\n$ lsb_release -ds\nUbuntu 24.04.1 LTS\n$ cat cuda.list\ndeb https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/ /", "wget https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64/cuda-keyring_1.1-1_all.deb"),
        ("dpkg: error processing archive /a/libnvidia-compute-535_535.183.01_amd64.deb (--unpack):\n trying to overwrite '/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1', which is also in package libnvidia-compute-535-server:amd64 535.183.01", "sudo apt-get -o Dpkg::Options::=--force-overwrite -f install"),
        ("E: Unable to locate package nvidia-container-toolkit", "sudo apt-get install -y nvidia-container-toolkit"),
        ("E: Unable to locate package rocm-dev\nUbuntu 24.04", "sudo apt-get install -y ./amdgpu-install_7.2.70200-1_all.deb"),
        ("Error: GPG check FAILED\n GPG Keys are configured as: https://developer.download.nvidia.com/compute/cuda/repos/rhel8/x86_64/7fa2af80.pub", "sudo dnf config-manager --add-repo https://developer.download.nvidia.com/compute/cuda/repos/rhel8/x86_64/cuda-rhel8.repo"),
    ],
)  # fmt: skip
def test_packages_come_from_one_repository_that_is_right(log: str, line: str) -> None:
    assert line in fix(log), fix(log)


@pytest.mark.parametrize(
    ("says", "title", "line"),
    [
        ("transport/nvls.cc:254 NCCL WARN Cuda failure 1 'invalid argument'", "multicast", "export NCCL_NVLS_ENABLE=0"),
        ("ibvwrap.cc:262 NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory", "lock memory", "# On each machine, allow it to all users:"),
        ("net_ib.cc:1295 NCCL WARN NET/IB : Got completion from peer 10.0.0.2<4> with status=12 opcode=0", "InfiniBand", "# export NCCL_IB_DISABLE=1"),
        ("socket.cc:480 NCCL WARN socketStartConnect: Connect to 192.168.122.1<38007> failed : Software caused connection abort", "network", "export NCCL_SOCKET_IFNAME=eth0"),
        ("p2p.cc:243 NCCL WARN Cuda failure 'peer access is not supported between these two devices'", "direct access", "export NCCL_P2P_DISABLE=1"),
        ("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600061 milliseconds", "in time", "export NCCL_P2P_DISABLE=1"),
        ("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7753, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600061 milliseconds", "in time", "export TORCH_NCCL_TRACE_BUFFER_SIZE=2000"),
        ("torch.distributed.DistStoreError: use_libuv was requested but PyTorch was built without libuv support", "libuv", "export USE_LIBUV=0"),
        ("TimeoutError: The client socket has timed out after 60s while trying to connect to (10.1.2.3, 29400).", "do not meet", "ip -br addr"),
    ],
)  # fmt: skip
def test_processes_on_several_gpus_are_helped_by_what_fails(says: str, title: str, line: str) -> None:
    found = findings(f"u@n1:~$ torchrun train.py\nn1:99:120 [0] {says}")[0]
    assert re.search(title, found.title) and line in found.fix, found


@pytest.mark.parametrize(
    ("log", "torch"),
    [
        (
            "'1.13.1+cu117'\nGPU 0: NVIDIA GeForce RTX 4090\nRuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR",
            "/whl/cu118",
        ),
        (
            "torch 2.6.0+cu124\nGPU 0: NVIDIA GeForce RTX 5090\nRuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
            "/whl/cu128",
        ),
        (
            "torch 2.6.0+cu124\nGPU 0: NVIDIA GeForce RTX 4090\nRuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
            "",
        ),
    ],
)
def test_a_library_of_cuda_that_is_older_than_the_gpu_is_replaced(log: str, torch: str) -> None:
    assert (findings(log)[0].id == "gpu-newer-than-torch") == bool(torch)
    assert not torch or any(torch in line for line in fix(log))


@pytest.mark.parametrize(
    ("log", "id", "line"),
    [
        ("$ sudo sh cuda_12.4.1_550.54.15_linux.run --silent\n[ERROR]: Install of 550.54.15 failed, quitting", "driver-not-built", "sudo sh cuda_12.4.1_550.54.15_linux.run --silent --toolkit"),
        ("ERROR: You appear to be running an X server; please exit X before installing.", "driver-not-loaded", "sudo systemctl isolate multi-user.target"),
        ("NVRM: API mismatch: the client has the version 550.120, but\nNVRM: this kernel module has the version 550.107.02.  Please", "driver-library-mismatch", "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia"),
        ("u@box:~$ nvidia-smi\nbash: nvidia-smi: command not found", "no-driver", "sudo ubuntu-drivers install"),
        ("$ python train.py\nValueError: Error initializing torch.distributed using env:// rendezvous: environment variable RANK expected, but not set", "rendezvous", "torchrun --nproc-per-node=1 train.py"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1234.batch. Some of the step tasks have been OOM Killed.", "out-of-memory", "# Ask for more memory in the job, such as --mem=64G, or --mem-per-cpu. This shows what a job has used, by its number:"),
        ("u@PC:~$ uname -r\n6.6.87.2-microsoft-standard-WSL2\nRuntimeError: No HIP GPUs are available", "rocm", "export HSA_ENABLE_DXG_DETECTION=1"),
        ("ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in KV cache (35120).", "gpu-out-of-memory", "# --max-model-len 35120"),
        ("C:\\a\\cccl\\cuda/std/__cccl/preprocessor.h(23): fatal error C1189: #error:  MSVC/cl.exe with traditional preprocessor is used.", "msvc", "set CL=/Zc:preprocessor"),
        ("docker: Error response from daemon: nvidia-container-cli: initialization error: change root failed: no such file or directory: unknown.", "container-driver", "sudo nvidia-ctk config --set nvidia-container-cli.root=/ --in-place"),
        ("- package cudatoolkit-11.0.3-h15472ef_6 has constraint __cuda >=11.0 conflicting with __cuda-10.2-0", "driver-too-old", "# Ask for packages of CUDA 10.2 or older: by cuda-version=10.2 with conda-forge, cudatoolkit=10.2 in an older environment"),
    ],
)  # fmt: skip
def test_what_asks_for_a_driver_is_told_what_helps(log: str, id: str, line: str) -> None:
    found = findings(log)[0]
    assert found.id == id and line in found.fix, found


def test_a_distribution_has_its_repository() -> None:
    assert [repositories.of(name) for name in ("debian 12", "ubuntu 22.04", "fedora 40", "")] == [
        "debian12",
        "ubuntu2204",
        "fedora39",
        "",
    ]
