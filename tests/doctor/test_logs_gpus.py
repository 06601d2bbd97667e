"""GPUs that a program does not get: in a container, a job, a notebook, WSL, and on a machine of its own."""

from __future__ import annotations

import re

import pytest
from doctor.reading import findings, fix, told

_TOO_OLD = "RuntimeError: The NVIDIA driver on your system is too old (found version 11080)."
_WARNS = "/e/torch/cuda/__init__.py:174: UserWarning: CUDA initialization: {} (Triggered internally at CUDAFunctions.cpp:109.)\n"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("u@h:~$ podman exec -it work bash\nroot@0a1b2c3d4e5f:/# nvidia-smi\n", "podman restart work"),
        ("root@9f8e7d6c5b4a:/app# nvidia-smi\n", "docker restart 9f8e7d6c5b4a"),
        ("$ docker compose exec worker nvidia-smi\n", "docker compose restart worker"),
        ("$ kubectl -n ml exec infer-7f -- nvidia-smi\n", "kubectl delete pod -n ml infer-7f"),
    ],
)
def test_a_container_that_lost_its_gpus_is_restarted(log: str, line: str) -> None:
    found = findings(log + "Failed to initialize NVML: Unknown Error")[0]
    assert "lost its GPUs" in found.title and line in found.fix
    assert not re.search("modprobe|ubuntu-drivers|newest NVIDIA driver", "\n".join(found.fix))


@pytest.mark.parametrize(
    ("says", "title"),
    [
        ("Failed to initialize NVML: Insufficient Permissions", "This user may not open the GPUs"),
        ("pynvml.nvml.NVMLError_FunctionNotFound: Function Not Found", "The NVIDIA driver has no such function"),
        ("Failed to initialize NVML: Driver Not Loaded", "No NVIDIA driver or GPU was found"),
        ("Failed to initialize NVML: Unknown Error", "No NVIDIA driver or GPU was found"),  # no container is shown
    ],
)
def test_the_answers_of_nvml_are_told_apart(says: str, title: str) -> None:
    assert findings(f"u@h:~$ nvidia-smi\n{says}")[0].title == title


@pytest.mark.parametrize(
    "prompt",
    [
        "root@c7e3f1:/workspace# ",
        "Apptainer> ",
        "\u2b22 [u@toolbx ~]$ ",
        "vscode \u279c /workspaces/net (main) $ ",
        "(base) jovyan@jupyter-u:~$ ",
        "$ kubectl exec -it pod-1 -- ",
    ],
)
def test_no_driver_is_installed_in_a_container(prompt: str) -> None:
    lines = "\n".join(fix(f"{prompt}python t.py\n{_TOO_OLD}"))
    assert "on the host, not in the container" in lines and "ubuntu-drivers" not in lines
    assert "ubuntu-drivers" in "\n".join(fix(f"u@box:~$ python t.py\n{_TOO_OLD}"))


@pytest.mark.parametrize(
    ("warning", "after", "severity"),
    [
        ("Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized", "Driver Version: 535.183.01\nFalse", "error"),
        ("CUDA unknown error - this may be due to an incorrectly set up environment", "Using device: cpu", "error"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "GPU available: False, used: False\nEpoch 1: 100%", "error"),
        ("Found no NVIDIA driver on your system. Please check", "- PyTorch version (GPU?): 2.5.1+cu124 (False)", "error"),
        ("Found no NVIDIA driver on your system. Please check", "loaded model\ndone", ""),
    ],
)  # fmt: skip
def test_cuda_that_does_not_start_is_a_failure_where_it_was_wanted(warning: str, after: str, severity: str) -> None:
    assert next((found.severity for found in findings(_WARNS.format(warning) + after)), "") == severity


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            "[u@fedora ~]$ docker run --gpus all x\ndocker: Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]]",
            ["sudo dnf install -y nvidia-container-toolkit", "sudo systemctl restart docker"],
        ),
        (
            "docker: Error response from daemon: could not select device driver \"cdi\" with capabilities: []",
            ["sudo nvidia-ctk runtime configure --runtime=docker --cdi.enabled", "sudo systemctl restart docker"],
        ),
        (
            'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "nvidia" is configured',
            ["sudo nvidia-ctk runtime configure --runtime=containerd", "sudo systemctl restart containerd"],
        ),
        (
            "NVIDIA Container Toolkit CLI version 1.17.3\ndocker: Error response from daemon: unknown or invalid runtime name: nvidia.",
            ["sudo nvidia-ctk runtime configure --runtime=docker", "sudo systemctl restart docker"],
        ),
    ],
)  # fmt: skip
def test_each_runtime_is_told_of_the_gpus_in_its_own_way(log: str, lines: list[str]) -> None:
    made = told(log)[1]
    assert all(line in made for line in lines), made
    assert ("apt-get" in "\n".join(made)) == any("apt-get" in line for line in lines)


@pytest.mark.parametrize(
    ("log", "groups"),
    [
        ("failed to open /dev/dri/renderD128: Permission denied", "render,video"),
        ("Unable to open /dev/kfd read-write: Permission denied", "render,video"),
        ("nvbufsurface: open /dev/nvhost-gpu: Permission denied", "video"),
        ("PermissionError: [Errno 13] Permission denied: '/dev/ttyUSB0'", "dialout"),
    ],
)
def test_a_device_is_opened_by_its_group(log: str, groups: str) -> None:
    assert f"sudo sh -c 'usermod -aG {groups} \"$SUDO_USER\"'" in fix(log)
    assert any("log out and in again" in line for line in fix(log))


_CLI = "docker: Error response from daemon: OCI runtime create failed: nvidia-container-cli: {}: unknown."


@pytest.mark.parametrize(
    ("says", "told_of"),
    [
        ("mount error: file creation failed: /d/overlay2/ab/merged/usr/lib/libnvidia-ml.so.1: file exists", "left in the image"),
        ("mount error: failed to add device rules: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted", "no-cgroups"),
        ("initialization error: WSL environment detected but no adapters were found", "wsl.exe --update"),
        ("initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file", "snap list docker"),
        ("initialization error: driver rpc error: timed out", "nvidia-persistenced"),
        ("device error: 3: unknown device", "nvidia-smi -L"),
        ("initialization error: nvml error: driver not loaded", "nvidia-ctk runtime configure"),
    ],
)  # fmt: skip
def test_what_the_container_toolkit_says_has_a_remedy_of_its_own(says: str, told_of: str) -> None:
    found = findings(_CLI.format(says))[0]
    assert found.id == "container-driver" and told_of in "\n".join(found.fix), found


@pytest.mark.parametrize(
    ("log", "id", "said"),
    [
        ("$ docker run img python t.py\nOSError: /usr/lib/x86_64-linux-gnu/libcuda.so.1: file too short", "no-driver", "docker run --gpus all img"),
        ("u@h:~$ nvidia-smi\nUnable to determine the device handle for GPU0: 0000:01:00.0: GPU requires reset", "gpu-hardware", "--gpu-reset"),
        ("The code execution cannot proceed because VCRUNTIME140_1.dll was not found.", "dll-load-failed", "VCRedist"),
        ("$ docker run l4t python t.py\nImportError: libnvdla_compiler.so: cannot open shared object file: No such file or directory", "driver-capabilities", "--runtime nvidia"),
        ("RuntimeError: unable to write to file </torch_7_1>: No space left on device (28)", "shared-memory", "--ipc=host"),
        ("In [3]: t.cuda()\nRuntimeError: No CUDA GPUs are available\n/content/sample_data", "no-driver", "settings of the notebook"),
        ("+ srun python t.py\nRuntimeError: No CUDA GPUs are available\n#SBATCH --gres=gpu:1\nCUDA_VISIBLE_DEVICES=NoDevFiles", "no-driver", "srun --gres=gpu:1"),
        ("$ podman run --device nvidia.com/gpu=0 x\nError: stat nvidia.com/gpu=0: no such file or directory", "cdi-spec", "podman 4.1"),
        ("ImportError: libtorch_cuda.so: failed to map segment from shared object", "library-unloadable", "ulimit -v"),
        ("libGL error: failed to open swrast: /usr/lib/dri/swrast_dri.so: cannot open shared object file: No such file or directory", "library-not-found", "libgl1-mesa-dri"),
    ],
)  # fmt: skip
def test_the_remedy_is_of_the_place_where_it_failed(log: str, id: str, said: str) -> None:
    found = findings(log)[0]
    assert found.id == id and said in "\n".join(found.fix), found


@pytest.mark.parametrize(
    ("shown", "never"),
    [
        ("00:02.0 VGA compatible controller: VMware SVGA II Adapter\n", "modprobe|ubuntu-drivers"),
        ("5.15.167.4-microsoft-standard-WSL2\n", "modprobe|ubuntu-drivers"),
        ("root@9f8e7d6c5b4a:/app# ls\n", "modprobe|ubuntu-drivers"),
        ("#SBATCH --gres=gpu:1\n", "^modprobe|ubuntu-drivers"),
    ],
)
def test_no_module_is_loaded_where_none_can_be(shown: str, never: str) -> None:
    says = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    assert not re.search(never, "\n".join(fix(shown + says)), re.MULTILINE)
    assert "sudo modprobe nvidia" in fix(f"u@box:~$ nvidia-smi\n{says}")
