"""What loads and runs: libraries of two releases, GPUs of each maker, encoders, Vulkan, MPI, and prompts of other machines."""

from __future__ import annotations

import pytest
from doctor.reading import findings, fix, told

_TESLA = "| NVIDIA-SMI 550.54.14              Driver Version: 550.54.14      CUDA Version: 12.4     |\n|   0  NVIDIA A100-SXM4-80GB          On  |   00000000:07:00.0 Off |                    0 |\n"
_TCC = "|   0  NVIDIA L40S                  TCC   |   00000000:61:00.0 Off |                    0 |\n"
_EXCLUSIVE = "| N/A   39C    P0    72W / 300W |   1092MiB / 16152MiB |      0%   E. Process |\n"
_PTX = "LinkerError: [222] Call to cuLinkAddData results in CUDA_ERROR_UNSUPPORTED_PTX_VERSION\nptxas application ptx input, line 9; fatal   : Unsupported .version {0}; current version is '{1}'\n"


@pytest.mark.parametrize(
    ("log", "said", "line"),
    [
        ("ImportError: /opt/intel/oneapi/compiler/2025.2/lib/libur_loader.so.0: version `LIBUR_LOADER_0.11' not found (required by /v/lib/python3.11/site-packages/torch/lib/../../../../libsycl.so.8)", "of Intel oneAPI", "unset LD_LIBRARY_PATH"),
        ("ImportError: /lib/x86_64-linux-gnu/libz.so.1: version `ZLIB_1.2.9' not found (required by /opt/conda/lib/libpng16.so.16)", "which has no ZLIB_1.2.9", "# conda install -c conda-forge libzlib"),
        ("OSError: /opt/amazon/efa/lib/libfabric.so.1: version `FABRIC_1.7' not found (required by /opt/conda/lib/libnccl-net.so)", "another release of libfabric.so.1", "unset LD_LIBRARY_PATH"),
        ("ImportError: /usr/local/cuda/lib64/libcublas.so.12: version `libcublas.so.12' not found (required by /v/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn_ops.so.9)", "/usr/local/cuda/lib64/libcublas.so.12", "unset LD_LIBRARY_PATH"),
    ],
)  # fmt: skip
def test_a_library_of_another_release_is_told_whatever_its_versions_are_called(log: str, said: str, line: str) -> None:
    found = findings(log)[0]
    assert found.id == "library-version" and said in found.cause and line in fix(log)


@pytest.mark.parametrize(
    ("log", "title", "line"),
    [
        ("[h264_nvenc @ 0x5] Driver does not support the required nvenc API version. Required: 11.1 Found: 11.0", "older than the NVENC", "# That needs driver 471.41 or newer, on Linux as on Windows:"),
        ("  0%|   | 0/2724 [00:00<?, ?it/s]ERROR:libav.h264_nvenc:Driver does not support the required nvenc API version. Required: 13.0 Found: 12.2\nError on export [Errno 40] Function not implemented: 'avcodec_open2(h264_nvenc)'\nPS C:\\lada> nvidia-smi", "older than the NVENC", "# That needs driver 570.00 or newer, on Linux as on Windows:"),
        ("[h264_nvenc @ 0x55e] OpenEncodeSessionEx failed: out of memory (10): (no details)", "video encoder", "nvidia-smi"),
    ],
)  # fmt: skip
def test_an_encoder_that_does_not_start_is_not_a_fault_of_the_disk(log: str, title: str, line: str) -> None:
    assert title in findings(log)[0].title and line in fix(log)


@pytest.mark.parametrize(
    "log",
    [
        "FATAL OptiX call optixInit() failed with code 7804: \"Library not found\"\nAborted (core dumped)\nroot@saturn:/app# cat /.dockerenv",
        "[Error] [carb.graphics-vulkan.plugin] VkResult: ERROR_INCOMPATIBLE_DRIVER\nroot@4f3c2a1b5d6e:/# ls",
        "ERROR at ./vulkaninfo/vulkaninfo.h:649:vkCreateInstance failed with ERROR_INCOMPATIBLE_DRIVER\nroot@a26235e4fd7f:/opt# nvidia-smi -L",
        "RuntimeError: vk::Instance::enumeratePhysicalDevices: ErrorInitializationFailed\nroot@a26235e4fd7f:/opt# nvidia-smi -L",
    ],
)  # fmt: skip
def test_a_container_without_graphics_is_started_with_it(log: str) -> None:
    assert told(log)[0] == "driver-capabilities" and any(
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics" in line for line in fix(log)
    )


def test_a_gpu_without_rt_cores_is_no_fault_of_the_driver() -> None:
    log = "2025-05-08 12:28:30 [821ms] [Error] [carb.graphics-vulkan.plugin] VkResult: ERROR_INCOMPATIBLE_DRIVER\nGPU 0: NVIDIA A100-PCIE-40GB (UUID: GPU-1)\n"
    assert "RT cores" in findings(log)[0].cause and not any("libnvidia-gl" in line for line in fix(log))


@pytest.mark.parametrize(
    ("log", "ident", "line"),
    [
        (f"RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable\n{_EXCLUSIVE}", "gpu-busy", "sudo nvidia-smi -c 0"),
        ("$ srun python t.py\nRuntimeError: cuda runtime error (46) : all CUDA-capable devices are busy or unavailable at THCGeneral.cpp:50\n", "gpu-busy", "# If it is not yours, request a GPU of your own from the scheduler, or tell whoever runs the machine"),
        ("Last error:\nncclSocketInit: connecting to address  with family 59936 is neither AF_INET(2) nor AF_INET6(10)\nNCCL INFO NCCL_SOCKET_IFNAME set by environment to eth2\ntorch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3384, internal error", "nccl", "unset NCCL_SOCKET_IFNAME"),
        ("RuntimeError: [enforce fail at gloo/transport/tcp/device.cc:83] ifa != nullptr. Unable to find interface for: eth2", "nccl", "unset GLOO_SOCKET_IFNAME"),
        ("NET/Plugin: libnccl-net-ofi.so: /opt/hpcx/lib/libibverbs.so.1: version `IBVERBS_PRIVATE_34' not found (required by /usr/lib/x86_64-linux-gnu/libefa.so.1)\n[0] init.cc:1390 NCCL WARN Failed to initialize any NET plugin", "nccl", "# export NCCL_NET=Socket"),
        ("NCCL WARN NET/OFI OFI fi_getinfo() call failed: No data available", "nccl", "fi_info -p efa"),
        ("orted: error while loading shared libraries: libopen-rte.so.40: cannot open shared object file: No such file or directory", "library-not-found", "sh -c 'command -v mpirun'"),
        ("ImportError: libmpi.so.12: cannot open shared object file: No such file or directory\n$ conda list mpi\nmpich                     4.1.2           external_0    conda-forge", "library-not-found", "# conda install -c conda-forge 'mpich=*=h*'"),
        ("Resolving Linux kernel version...\nCould not resolve Linux kernel version", "driver-not-built", "# or install the driver on the node itself, and set driver.enabled of the chart to false"),
    ],
)  # fmt: skip
def test_what_several_processes_and_machines_need(log: str, ident: str, line: str) -> None:
    assert told(log)[0] == ident and line in fix(log)


@pytest.mark.parametrize(
    ("log", "said", "line"),
    [
        ("RuntimeError: No XPU devices are available.", "Level Zero", "sudo apt-get install -y libze-intel-gpu1 libze1 intel-opencl-icd"),
        ("RuntimeError: No XPU devices are available.\n[u@archlinux ~]$ pacman -Q mesa", "Level Zero", "sudo pacman -S intel-compute-runtime level-zero-loader"),
        ("PS C:\\c> python main.py\n  File \"C:\\c\\venv\\lib\\site-packages\\torch\\xpu\\__init__.py\", line 120, in _lazy_init\nRuntimeError: No XPU devices are available.", "Level Zero", "# Install the newest Intel graphics driver from intel.com, then restart Windows"),
        ("$ docker run -it intel/vllm:xpu python t.py\nUserWarning: XPU device count is zero! (Triggered internally at c10/xpu/XPUFunctions.cpp:115.)", "without their devices", "docker run --device /dev/dri --group-add video -it intel/vllm:xpu python t.py"),
        ("$ rocminfo\nROCk module is NOT loaded, possibly no GPU devices", "is not loaded", "sudo modprobe amdgpu"),
        ("root@1f2e3d4c5b6a:~# rocminfo\nROCk module version 6.7.0 is loaded\nUnable to open /dev/kfd read-write: Invalid argument", "the kernel refuses it (Invalid argument)", "rocminfo"),
        ('time=2025-02-23 level=INFO source=gpu.go:620 msg="no nvidia devices detected by library /usr/lib64/libcuda.so.550.144.03"', "nvidia_uvm is not loaded", "sudo modprobe nvidia_uvm"),
        ("NVRM: installed in this vGPU host system is not supported by\nNVRM: proprietary nvidia.ko kernel module.", "guest driver of NVIDIA vGPU", "# Before you install it, remove the driver that is there:"),
    ],
)  # fmt: skip
def test_a_gpu_that_its_runtime_does_not_find(log: str, said: str, line: str) -> None:
    found = findings(log)[0]
    assert said in found.cause and line in fix(log)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (f"(base) [jp@gpu-18 ~]$ python a.py\n{_PTX.format('8.7', '8.4')}", "conda install -c conda-forge cuda-version=12.4"),
        (f"$ pip install numba-cuda\n{_PTX.format('8.5', '8.4')}  File numba_cuda/numba/cuda/cudadrv/driver.py", "pip install 'numba-cuda[cu12]' 'nvidia-cuda-nvcc-cu12==12.4.*' 'nvidia-cuda-nvrtc-cu12==12.4.*'"),
        (f"(base) u@b:~$ python a.py\n{_PTX.format('7.3', '7.1')}", "conda install -c conda-forge cudatoolkit=11.1"),
    ],
)  # fmt: skip
def test_code_that_is_made_while_a_program_runs_is_made_by_an_older_cuda(log: str, line: str) -> None:
    assert (
        told(log)[0] == "ptx-toolchain"
        and line in fix(log)
        and not any("--no-build-isolation" in one for one in fix(log))
    )


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("dyld[1]: Library not loaded: @rpath/libomp.dylib\n  Referenced from: <A671> /Users/t/libtorch/lib/libtorch_cpu.dylib\n  Reason: tried: '/Users/runner/work/_temp/anaconda/envs/wheel_py38/lib/libomp.dylib' (no such file)", "sh -c 'ln -s \"$(brew --prefix libomp)/lib/libomp.dylib\" /Users/t/libtorch/lib/'"),
        ("OSError: dlopen(/Users/x/v/lib/python3.9/site-packages/lightgbm/lib_lightgbm.so, 0x6): Library not loaded: /opt/homebrew/opt/libomp/lib/libomp.dylib\n  Referenced from: /Users/x/v/lib/python3.9/site-packages/lightgbm/lib_lightgbm.so", "brew install libomp"),
        ("ImportError: dlopen(/Users/x/v/lib/python3.9/site-packages/a/b.so, 2): Library not loaded: @rpath/libgfortran.5.dylib\n  Referenced from: /Users/x/v/lib/python3.9/site-packages/a/b.so", "brew install gcc"),
        ("dyld: Library not loaded: /usr/local/opt/openssl@1.1/lib/libssl.1.1.dylib\n  Referenced from: /usr/local/bin/cmake\nann@MacBook ~ % sw_vers", "brew upgrade"),
    ],
)  # fmt: skip
def test_a_library_of_macos_comes_from_homebrew(log: str, line: str) -> None:
    assert told(log)[0] == "library-not-found" and line in fix(log)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("[root@test-rocky8-kvm63 ~]# journalctl -u nvidia-fabricmanager\nfabric manager NVIDIA GPU driver interface version 510.73.08 don't match with driver version 510.47.03.\n", "dnf install -y nvidia-fabric-manager-510.47.03"),
        ("[user@cn07 ~]$ gcc k.c -lzstd\n/usr/bin/ld: cannot find -lzstd\n", "dnf provides '*/libzstd.so'"),
        ("[user@cn07 ~]$ lsb_release -d\nUbuntu 22.04\n[user@cn07 ~]$ gcc k.c -lzstd\n/usr/bin/ld: cannot find -lzstd\n", "sudo apt-get install libzstd-dev"),
        ("nvidia-fabricmanager.service: Failed with result 'exit-code'.\n$ nvidia-smi -L\nGPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-4d6a9a5e)", "sudo systemctl disable --now nvidia-fabricmanager"),
    ],
)  # fmt: skip
def test_a_prompt_shows_the_package_manager_and_a_gpu_its_needs(log: str, line: str) -> None:
    assert line in fix(log)


@pytest.mark.parametrize(
    ("log", "idents"),
    [
        (f"u@wsl:~$ nvidia-smi\nFailed to initialize NVML: GPU access blocked by the operating system\nPS C:\\Users\\jk> nvidia-smi\n{_TESLA}", ["no-driver"]),
        (f"root@1f2e3d4c5b6a:/# nvidia-smi\nFailed to initialize NVML: Unknown Error\nu@host:~$ nvidia-smi\n{_TESLA}", ["no-driver"]),
        (f"u@host:~$ nvidia-smi\nFailed to initialize NVML: Driver/library version mismatch\nu@host:~$ sudo reboot\nu@host:~$ nvidia-smi\n{_TESLA}", []),
        (f"$ nvidia-smi\nFailed to initialize NVML: Driver/library version mismatch\n$ nvidia-smi\n{_TESLA}", []),
    ],
)  # fmt: skip
def test_what_works_on_another_machine_mends_nothing(log: str, idents: list[str]) -> None:
    assert [found.id for found in findings(log)] == idents


def test_a_gpu_in_tcc_is_not_one_for_wsl() -> None:
    log = f"jk@W:~$ nvidia-smi\nFailed to initialize NVML: GPU access blocked by the operating system\nPS C:\\> nvidia-smi\n{_TCC}"
    assert "TCC" in findings(log)[0].cause and "nvidia-smi.exe -i 0 -dm 2" in fix(log)


def test_a_wheel_that_wants_a_newer_system_is_compiled_instead() -> None:
    log = "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found (required by /opt/conda/lib/python3.10/site-packages/flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so)\nflash-attn                2.7.4.post1\ntorch                     2.2.0+cu121\n"
    assert not any(".whl" in line for line in fix(log)) and any("--no-binary flash-attn" in line for line in fix(log))


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("CuPy failed to load nvrtc64_120_0.dll: FileNotFoundError: Could not find module 'nvrtc64_120_0.dll' (or one of its dependencies).", "pip install --upgrade 'cupy-cuda12x[ctk]'"),
        ("  File \"/v/lib64/python3.9/site-packages/cupy/_core/__init__.py\", line 3, in <module>\nImportError: libcudart.so.12: cannot open shared object file: No such file or directory\nCuda compilation tools, release 11.2, V11.2.152", "pip install cupy-cuda11x"),
        ("  File \"/v/lib/python3.12/site-packages/sgl_kernel/__init__.py\", line 5, in <module>\nImportError: libnvrtc.so.12: cannot open shared object file: No such file or directory\n./v/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13", "pip install --force-reinstall --no-deps sgl-kernel --index-url https://docs.sglang.ai/whl/cu130/"),
        ("u@x:~$ docker run --runtime nvidia -it dustynv/ros:foxy-pytorch-l4t-r32.5.0\nOSError: libcurand.so.10: cannot open shared object file: No such file or directory\n# R32 (release), REVISION: 3.1, BOARD: t186ref", "# On the Jetson, start the image whose tag names its release, r32.3, with --runtime nvidia, or update JetPack to that of the image"),
        ("ImportError: /v/cupy/_core/_memory_range.cpython-312-x86_64-linux-gnu.so: undefined symbol: __gxx_personality_v0\n  File \"/v/lib/python3.12/site-packages/cupy/__init__.py\", line 16", ""),
        ("  File \"/opt/envs/pytorch/lib/python3.9/site-packages/tensorrt/__init__.py\", line 67, in <module>\nImportError: libnvinfer.so.8: cannot open shared object file: No such file or directory\n(pytorch) u@b:~$ ls /opt/TensorRT-8.2.5.1/lib\nlibnvinfer.so.8", 'export LD_LIBRARY_PATH=/opt/TensorRT-8.2.5.1/lib:"$LD_LIBRARY_PATH"'),
    ],
)  # fmt: skip
def test_a_library_of_cuda_comes_the_way_its_package_takes_it(log: str, line: str) -> None:
    assert findings(log) and (not line or line in fix(log))
