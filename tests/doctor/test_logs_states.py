"""Tests that the lines of a fix serve the state of the machine that the log shows, and what other states take is a comment."""

from __future__ import annotations

import pytest
from doctor.reading import fix, told

TRACE = 'Traceback (most recent call last):\n  File "{}", line 9, in <module>\n    import einops\n'
MISSING = "ModuleNotFoundError: No module named 'einops'"
NO_CODE = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
DOCKER = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'
WHISPER = '  File "/w/lib/python3.11/site-packages/faster_whisper/transcribe.py", line 941, in encode\n'


def live(log: str) -> str:
    """The lines of the first fix that are pasted."""
    return "\n".join(told(log)[1])


@pytest.mark.parametrize(
    ("log", "has", "comment"),
    [
        (
            "Failed to initialize NVML: Driver/library version mismatch",
            "sudo rmmod nvidia_uvm",
            "# unset LD_LIBRARY_PATH",
        ),
        (
            "ValueError: invalid literal for int() with base 10: '90a'",
            "nvidia-smi --query-gpu",
            "# export TORCH_CUDA_ARCH_LIST=9.0",
        ),
        ("error: can't find Rust compiler", "pip install --upgrade pip", "# sudo apt-get install cargo"),
        (
            "TypeError: Descriptors cannot be created directly.",
            "pip install 'protobuf<3.21'",
            "# export PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python",
        ),
        ("OSError: ROCM_HOME environment variable is not set", "pip install torch", "# export ROCM_HOME=/opt/rocm"),
    ],
)
def test_what_another_state_of_the_machine_takes_is_a_comment(log: str, has: str, comment: str) -> None:
    assert has in live(log)
    assert comment in fix(log)
    assert comment[2:] not in live(log).splitlines()


@pytest.mark.parametrize(
    ("log", "has", "has_not"),
    [
        # a library of CUDA 12 is missing: the release that asks for it is there already
        (
            f"{WHISPER}RuntimeError: Library libcublas.so.12 is not found or cannot be loaded",
            "nvidia-cublas-cu12",
            "<4",
        ),
        (
            r"C:\w> python t.py" "\nRuntimeError: Library cublas64_12.dll is not found or cannot be loaded",
            "nvidia-cublas-cu12",
            "ctranslate2<4",
        ),
        # torch is for CUDA 11
        (
            f"torch 2.1.2+cu118\n{WHISPER}RuntimeError: Library libcublas.so.12 is not found or cannot be loaded",
            "pip install 'ctranslate2<4'",
            "nvidia-cublas-cu12",
        ),
        ("ImportError: libnvinfer.so.8: cannot open shared object file: No such file", "tensorrt<9", "tensorrt-cu1"),
    ],
)
def test_of_the_releases_for_each_cuda_one_is_installed(log: str, has: str, has_not: str) -> None:
    assert has in live(log)
    assert has_not not in "\n".join(fix(log))


@pytest.mark.parametrize(
    ("log", "ends", "after"),
    [
        (
            "a@box:~$ sudo modprobe nvidia\nmodprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
            "restart the machine",
            "# sudo modprobe nvidia",
        ),
        (
            "a@box:~$ python t.py\nRuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
            "Restart the machine",
            "# python t.py",
        ),
        ("a@box:~$ nvidia-smi\nFailed to initialize NVML: Insufficient Permissions", "log out", "# nvidia-smi"),
        ("a@box:~$ ./draw\nfailed to open /dev/dri/renderD128: Permission denied", "log out", "# ./draw"),
        (
            "NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
            "restart",
            "# modinfo -F license nvidia",
        ),
    ],
)
def test_nothing_after_a_restart_is_pasted_with_what_stands_before_it(log: str, ends: str, after: str) -> None:
    lines = fix(log)
    at = next(number for number, line in enumerate(lines) if ends in line)
    assert after in lines[at:]
    assert all(line.startswith("#") for line in lines[at:])
    assert any(not line.startswith("#") for line in lines[:at])


@pytest.mark.parametrize(
    ("log", "root"),
    [
        (f"$ docker run --gpus all -v ~/.cache/hf:/root/.cache/hf img\n{DOCKER}", False),
        (f"$ docker run --gpus all --volume=/data:/root/data img\n{DOCKER}", False),
        (f"docker run --gpus all \\\n  -e HF_HOME=/root/hf \\\n  img\n{DOCKER}", False),
        (f"    volumes:\n      - ./cache:/root/.cache\n{DOCKER}", False),
        (f"root@gpu01:~# docker run --gpus all -v /root/.cache:/root/.cache img\n{DOCKER}", True),
        (f"{TRACE.format('/root/t/run.py')}{DOCKER}", True),
    ],
)
def test_a_path_in_a_container_makes_nobody_root(log: str, root: bool) -> None:
    needing = [line for line in told(log)[1] if "apt-get" in line or "nvidia-ctk" in line or "systemctl" in line]
    assert len(needing) >= 4
    assert {line.startswith("sudo ") for line in needing} == {not root}


@pytest.mark.parametrize(
    ("log", "has"),
    [
        (
            r"C:\w> python run.py"
            "\n"
            r"C:\Users\A\AppData\Local\Temp\tmpab12cd34\x\a.cpp(10): error C2065: "
            "'AT_CHECK': undeclared identifier\nRuntimeError: Error building extension 'x'",
            "python run.py",
        ),
        (
            "a@box:~$ python run.py\n/tmp/tmpab12cd34/x/a.cpp:10:5: error: 'AT_CHECK' was not declared in this scope\n"
            "RuntimeError: Error building extension 'x'",
            "python run.py",
        ),
        (
            r"C:\w> pip install foo-ops"
            "\n"
            r"C:\Users\A\AppData\Local\Temp\pip-install-x_8a\foo-ops_0123456789abcdef\csrc\foo.cu(10): error: "
            'identifier "THCState" is undefined\nERROR: Failed building wheel for foo-ops',
            "pip install --no-build-isolation ./foo-ops-source",
        ),
    ],
)
def test_a_directory_that_is_gone_is_no_project(log: str, has: str) -> None:
    lines = told(log)[1]
    assert has in lines
    assert not [line for line in lines if "Temp" in line or "/tmp/" in line]


@pytest.mark.parametrize(
    ("ran", "file", "has"),
    [
        (
            "a@MacBook t % python3 run.py",
            "/Library/Frameworks/Python.framework/Versions/3.11/lib/python3.11/site-packages/x/a.py",
            "/Library/Frameworks/Python.framework/Versions/3.11/bin/python3 -m pip install einops",
        ),
        (
            "a@Mac-mini t % ./run.py",
            "/opt/homebrew/lib/python3.12/site-packages/x/a.py",
            "/opt/homebrew/bin/python3.12 -m pip install einops",
        ),
        (
            "a@box:~$ marker a.pdf",
            "/home/a/.local/share/pipx/venvs/marker/lib/python3.11/site-packages/x/a.py",
            "/home/a/.local/share/pipx/venvs/marker/bin/python -m pip install einops",
        ),
        (
            "a@box:~$ marker a.pdf",
            "/home/a/.local/share/uv/tools/marker/lib/python3.11/site-packages/x/a.py",
            "uv pip install einops --python /home/a/.local/share/uv/tools/marker/bin/python",
        ),
        (
            "(base) a@box:~$ ./run.sh",
            "/home/a/miniconda3/envs/sd/lib/python3.10/site-packages/x/a.py",
            "/home/a/miniconda3/envs/sd/bin/python -m pip install einops",
        ),
        (
            "a@box:~/w$ bash webui.sh",
            "/home/a/w/venv/lib/python3.10/site-packages/x/a.py",
            "/home/a/w/venv/bin/python -m pip install einops",
        ),
        # that of the shell
        (
            "(sd) a@box:~$ ./run.sh",
            "/home/a/miniconda3/envs/sd/lib/python3.10/site-packages/x/a.py",
            "pip install einops",
        ),
        ("a@box:~$ python run.py", "/opt/venv/lib/python3.10/site-packages/x/a.py", "pip install einops"),
        (
            "a@box:~$ . venv/bin/activate && ./run.sh",
            "/home/a/venv/lib/python3.10/site-packages/x/a.py",
            "pip install einops",
        ),
    ],
)
def test_the_python_of_the_traceback_installs(ran: str, file: str, has: str) -> None:
    assert has in told(f"{ran}\n{TRACE.format(file)}{MISSING}")[1]


@pytest.mark.parametrize(
    ("log", "index"),
    [
        (f"['sm_80', 'sm_90', 'sm_100', 'sm_120']\n(11, 0)\n{NO_CODE}", "cu130"),  # Jetson Thor
        (f"Found GPU0 NVIDIA Thor which is of cuda capability 11.0.\nnvidia@thor:~$ ./t\n{NO_CODE}", "cu130"),
        (f"['sm_80', 'sm_90', 'sm_90a'] (12, 1)\n{NO_CODE}", "cu128"),
        (f"(12, 0) ['sm_50', 'sm_80', 'sm_86', 'sm_90']\n{NO_CODE}", "cu128"),
        (f"['sm_75', 'sm_80', 'sm_90', 'compute_120']\nGPU 0: Tesla V100-PCIE-32GB (UUID: GPU-1)\n{NO_CODE}", "cu126"),
    ],
)
def test_a_torch_that_lists_no_code_for_the_gpu_is_exchanged(log: str, index: str) -> None:
    name, lines = told(log)
    assert name == "gpu-newer-than-torch"
    assert any(line.endswith(f"whl/{index}") for line in lines)
    assert not any("ARCH_LIST" in line for line in lines)


def test_a_torch_that_lists_code_for_the_gpu_stays() -> None:
    assert told(f"['sm_80', 'sm_90', 'sm_120']\n(12, 1)\n{NO_CODE}")[0] == "no-kernel-image"


@pytest.mark.parametrize(
    ("gpu", "override"),
    [("gfx1030", ""), ("gfx1100", ""), ("gfx942", ""), ("gfx1103", "11.0.0"), ("gfx1031", "10.3.0")],
)
def test_no_gpu_of_amd_passes_for_itself(gpu: str, override: str) -> None:
    lines = live(f"Name: {gpu}\nRuntimeError: HIP error: invalid device function")
    assert (f"HSA_OVERRIDE_GFX_VERSION={override}" in lines) == bool(override)
    assert ("whl/rocm" in lines) != bool(override)
    assert "PYTORCH_ROCM_ARCH" not in lines  # nothing is built
