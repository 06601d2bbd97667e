"""Failing logs in the surroundings of many machines: each fault once, as its tools would have printed it there.

Example: `log("compiler", "uv")` is what `uv sync` prints in the project of somebody whose gcc is too new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a log is made.

    Attributes:
        site: the directory of the installed packages; `project` is that of the project.
        prompt: what stands before a command.
        builds: the command that builds the project; `runs` the one that runs train.py.
        above: what stands above it in the log, and `below` below.
        style: who prints: "pip", "uv", "poetry", "pdm", or "image" and "job", which run pip.
    """

    site: str
    project: str = "/home/ada/net"
    prompt: str = "(.venv) ada@box:~/net$ "
    builds: str = "pip install --no-build-isolation -e ."
    runs: str = "python train.py"
    above: str = ""
    below: str = ""
    style: str = "pip"

    @property
    def windows(self) -> bool:
        """Whether paths are those of Windows."""
        return self.project[1:2] == ":"


_VENV = "/home/ada/net/.venv/lib/python3.11/site-packages"
_WINDOWS = {"site": r"C:\Users\ada\net\.venv\Lib\site-packages", "project": r"C:\Users\ada\net"}
_PORTABLE = r"D:\ComfyUI_windows_portable"

PLACES = {
    "venv": Place(_VENV, above="Ubuntu 22.04.4 LTS"),
    "conda": Place("/home/ada/miniconda3/envs/net/lib/python3.11/site-packages", prompt="(net) ada@box:~/net$ "),
    "uv": Place(_VENV, prompt="ada@box:~/net$ ", builds="uv sync", runs="uv run train.py", style="uv"),
    "uv pip": Place(_VENV, builds="uv pip install --no-build-isolation -e .", style="uv"),
    "poetry": Place(
        "/home/ada/.cache/pypoetry/virtualenvs/net-8fK2-py3.11/lib/python3.11/site-packages",
        prompt="ada@box:~/net$ ",
        builds="poetry install",
        runs="poetry run python train.py",
        style="poetry",
    ),
    "pdm": Place(_VENV, prompt="ada@box:~/net$ ", builds="pdm install", runs="pdm run python train.py", style="pdm"),
    "image": Place("/usr/local/lib/python3.11/site-packages", "/app", "", style="image"),
    "container": Place("/usr/local/lib/python3.11/dist-packages", "/workspace/net", "root@3f2a91bc77de:/workspace/net# "),
    "colab": Place(
        "/usr/local/lib/python3.12/dist-packages",
        "/content/net",
        "!",
        builds="pip install --no-build-isolation -e /content/net",
    ),
    "github": Place(
        "/opt/hostedtoolcache/Python/3.11.9/x64/lib/python3.11/site-packages", "/home/runner/work/net/net", style="job"
    ),
    "slurm": Place(
        "/home/ada/envs/net/lib/python3.11/site-packages",
        "/scratch/ada/net",
        "+ ",
        above="#!/bin/bash\n#SBATCH --gres=gpu:1\n+ module load python/3.11",
        below="srun: error: gpu017: task 0: Exited with exit code 1",
    ),
    "not in sudoers": Place(
        "/home/ada/envs/net/lib/python3.11/site-packages",
        prompt="(net) [ada@login02 net]$ ",
        above="(net) [ada@login02 net]$ sudo -l\nada is not in the sudoers file.  This incident will be reported.",
    ),
    "cmd": Place(**_WINDOWS, prompt="(.venv) C:\\Users\\ada\\net>"),
    "powershell": Place(**_WINDOWS, prompt="(.venv) PS C:\\Users\\ada\\net> "),
    "git bash": Place(**_WINDOWS, prompt="(.venv)\nada@DESKTOP-7QK MINGW64 ~/net (main)\n$ "),
    "portable": Place(
        rf"{_PORTABLE}\python_embeded\Lib\site-packages",
        rf"{_PORTABLE}\ComfyUI\custom_nodes\net",
        rf"{_PORTABLE}>",
        builds=r".\python_embeded\python.exe -s -m pip install -e .\ComfyUI\custom_nodes\net",
        runs=r".\python_embeded\python.exe -s train.py",
    ),
    "arch": Place(_VENV, prompt="(.venv) [ada@archlinux net]$ "),
    "fedora": Place(_VENV, prompt="(.venv) ada@fedora:~/net$ ", above="Fedora Linux 41 (Workstation Edition)"),
    "rocky": Place(_VENV, prompt="(.venv) [ada@rocky9 net]$ ", above="Rocky Linux release 9.4 (Blue Onyx)"),
    "opensuse": Place(_VENV, prompt="(.venv) ada@opensuse:~/net> ", above="openSUSE Tumbleweed"),
    "nix": Place(_VENV, prompt="[nix-shell:~/net]$ "),
    "grace": Place(_VENV, above="ada@gh200:~$ uname -m\naarch64\nNVIDIA GH200 480GB"),
    "rocm": Place(_VENV, above="torch 2.5.1+rocm6.2 on an AMD Radeon RX 7900 XTX"),
}  # fmt: skip

#: Faults of a build, by what the compiler or setup.py prints, and of a program, by the end of its traceback.
BUILDS = {
    "compiler": "/usr/local/cuda/include/crt/host_config.h:132:2: error: #error -- unsupported GNU version! gcc versions"
    " later than 11 are not supported!",
    "header": "{site}/torch/include/torch/csrc/python_headers.h:12:10: fatal error: Python.h: No such file or directory",
    "crypt": "/usr/include/python3.11/Python.h:44:10: fatal error: crypt.h: No such file or directory",
    "toolkit": "RuntimeError:\nThe detected CUDA version (11.8) mismatches the version that was used to compile\n"
    "PyTorch (12.8). Please make sure to use the same CUDA versions.",
    "no toolkit": "torch.__version__  = 2.6.0+cu124\nOSError: CUDA_HOME environment variable is not set. Please set it"
    " to your CUDA install root.",
    "killed": "nvcc error   : 'cicc' died due to signal 9 (Kill signal)",
    "sources": "{project}/csrc/op.cu:8:10: fatal error: THC/THC.h: No such file or directory",
}
RUNS = {
    "cpu": "AssertionError: Torch not compiled with CUDA enabled",
    "module": "ModuleNotFoundError: No module named 'einops'",
    "setuptools": "ModuleNotFoundError: No module named 'pkg_resources'",
    "numpy": "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header",
    "driver": "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU"
    " driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx",
    "no driver": "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
    "library": "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
    "old wheel": "RuntimeError: CUDA error: no kernel image is available for execution on the device",
}


#: Those that no Windows has.
OF_LINUX = ("compiler", "header", "crypt", "killed", "sources", "library")


def logs() -> list[tuple[str, str]]:
    """Each fault with each place that has it."""
    return [(fault, where) for fault in (*BUILDS, *RUNS) for where in PLACES if has(fault, where)]


def has(fault: str, where: str) -> bool:
    """Whether a place can have a fault."""
    return not (PLACES[where].windows and fault in OF_LINUX)


def log(fault: str, where: str) -> str:
    """The log of a fault at a place."""
    place = PLACES[where]
    if fault in BUILDS:
        body = BUILDS[fault].format(site=place.site, project=place.project)
        return _around(place, place.builds, _built(place, body.replace("/", "\\") if place.windows else body))
    frames = [f"{place.project}/train.py", f"{place.site}/flash_attn/flash_attn_interface.py"]
    lines = [f'  File "{path}", line 4, in <module>\n    import it' for path in frames[: 1 + (fault == "old wheel")]]
    text = "\n".join(["Traceback (most recent call last):", *lines])
    return _around(place, place.runs, (text.replace("/", "\\") if place.windows else text) + f"\n{RUNS[fault]}")


def _built(place: Place, body: str) -> str:
    """What who builds prints around the lines of a build."""
    inside = re.sub(
        "^", "      ", f"building 'net._C' extension\n{body}\nninja: build stopped: subcommand failed.", flags=re.M
    )
    if place.style == "uv":
        return (
            f"  × Failed to build `net @ file://{place.project}`\n  ├─▶ The build backend returned an error\n\n{inside}"
        )
    if place.style == "poetry":
        return f"  - Installing net (2.7.4): Failed\n\n  ChefBuildError\n\n{inside}"
    if place.style == "pdm":
        return f"  ✖ Install net 2.7.4 failed\n{inside}\npdm.exceptions.BuildError: Build backend raised error"
    return f"  Building editable for net (pyproject.toml) ... error\n  error: subprocess-exited-with-error\n{inside}"


def _around(place: Place, command: str, text: str) -> str:
    if place.style == "image" and "train.py" in command:
        return f"$ docker run --rm --gpus all net:latest {command}\n{text}"
    if place.style == "image":
        lines = "\n".join(f"#12 3.1 {line}" for line in text.split("\n"))
        step = f"#12 [6/6] RUN {command}\n{lines}\nDockerfile:14\n"
        return f'#9 [4/6] COPY . /app\n{step}ERROR: failed to solve: process "/bin/sh -c {command}" did not complete'
    if place.style == "job":
        return f"##[group]Run {command}\n{command}\n##[endgroup]\n{text}\n##[error]Process completed with exit code 1."
    return f"{place.above}\n{place.prompt}{command}\n{text}\n{place.below}".strip("\n")
