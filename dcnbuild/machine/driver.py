"""Finds the NVIDIA driver and GPUs, by the kernel's files, libcuda in a child process, and nvidia-smi."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import Driver, Gpu

_CHILD = Path(__file__).with_name("libcuda_child.py")
_SMI_FIELDS = "driver_version,name,memory.total,compute_cap,mig.mode.current"
_NVIDIA_VENDOR = "0x10de"
#: PCI classes of display controllers, 3D controllers included.
_DISPLAY_CLASS = "0x03"
#: With several GPUs, cuInit can take a second if no other process uses them.
_SECONDS = 4.0


def find_driver(env: Mapping[str, str], root: Path = Path("/")) -> Driver:
    """Returns the known facts of driver and GPUs.

    It reads the kernel's files and asks libcuda first. It runs nvidia-smi, which is slower, only if facts are still
    missing. It ignores CUDA_VISIBLE_DEVICES, which hides GPUs from programs but does not remove them.
    """
    env = {name: value for name, value in env.items() if name != "CUDA_VISIBLE_DEVICES"}
    kernel = _kernel_version(root)
    found_by = [kernel[1]] if kernel else []
    version = kernel[0] if kernel else None
    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    problem: str | None = None
    error: int | None = None
    mig = 0
    if _has_libcuda(env, root):
        answer = parse_libcuda(files.run([sys.executable, "-I", "-S", str(_CHILD)], env, timeout=_SECONDS))
        if answer is not None:
            cuda, gpus, problem, error = answer
            found_by.append("libcuda")
    if version is None or not gpus:
        smi = _ask_smi(env, root)
        if smi is not None:
            smi_version, smi_gpus, smi_problem, mig = smi
            version, gpus = version or smi_version, gpus or smi_gpus
            problem = smi_problem or problem
            found_by.append("nvidia-smi")
    devices = _pci_devices(root)
    return Driver(version, cuda, tuple(found_by), gpus, devices, problem, error, mig)


def _kernel_version(root: Path) -> tuple[str, str] | None:
    for name in ("proc/driver/nvidia/version", "sys/module/nvidia/version"):
        match = re.search(r"\b\d{3}\.\d{1,3}(?:\.\d{1,3})?\b", files.read_text(root / name) or "")
        if match:
            return match[0], f"/{name}"
    return None


def _has_libcuda(env: Mapping[str, str], root: Path) -> bool:
    """Whether there is a libcuda for the child process to ask."""
    listed = files.split_paths(env.get("LD_LIBRARY_PATH", ""))
    usual = [
        "lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/aarch64-linux-gnu",
        "usr/lib64",
        "usr/lib",
        "usr/lib/wsl/lib",
        "usr/local/nvidia/lib64",
        "usr/lib/aarch64-linux-gnu/tegra",
        "run/opengl-driver/lib",
    ]
    return any(files.is_file(directory / "libcuda.so.1") for directory in [*listed, *(root / name for name in usual)])


def parse_libcuda(
    output: str | None,
) -> tuple[str | None, tuple[Gpu, ...], str | None, int | None] | None:
    """Returns CUDA version, GPUs, error text and CUresult from the child's output; None if it has none."""
    try:
        answer = json.loads(output or "")
        number = int(answer["cuda"])
        error = None if answer["error"] is None else int(answer["error"])
        gpus = tuple(
            Gpu(
                str(gpu["name"]),
                (int(gpu["capability"][0]), int(gpu["capability"][1])),
                int(gpu["memory_mib"]),
            )
            for gpu in answer["gpus"]
        )
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None
    cuda = f"{number // 1000}.{number % 1000 // 10}" if number > 0 else None
    # 100 is CUDA_ERROR_NO_DEVICE: a driver without a GPU, which the empty list already says
    if error in (None, 100):
        return cuda, gpus, None, None
    return cuda, gpus, f"cuInit failed with error {error}", error


def _ask_smi(env: Mapping[str, str], root: Path) -> tuple[str | None, tuple[Gpu, ...], str | None, int] | None:
    places = [root / "usr/bin/nvidia-smi", root / "usr/lib/wsl/lib/nvidia-smi"]
    program = next(files.on_path(env, "nvidia-smi"), None) or next(filter(files.is_file, places), None)
    if program is None:
        return None
    known = _SMI_FIELDS.split(",")
    for count in (5, 4, 3):  # an old nvidia-smi knows neither MIG nor compute_cap
        fields = ",".join(known[:count])
        query = [str(program), f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
        output = files.run(query, env, timeout=_SECONDS, failing_too=True)
        if output is None or "is not a valid field" not in output:
            break
    return parse_smi(output or "")


def parse_smi(output: str) -> tuple[str | None, tuple[Gpu, ...], str | None, int]:
    """Returns driver version, GPUs, error text and the number of GPUs in MIG mode, from nvidia-smi's `_SMI_FIELDS`."""
    version, gpus, mig = None, [], 0
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < 3 or not re.fullmatch(r"\d{3}\.\d+(\.\d+)?", cells[0], re.ASCII):
            continue
        version = cells[0]
        mig += len(cells) > 4 and cells[4] == "Enabled"
        capability = re.fullmatch(r"(\d{1,2})\.(\d)", cells[3], re.ASCII) if len(cells) > 3 else None
        gpus.append(
            Gpu(
                cells[1],
                (int(capability[1]), int(capability[2])) if capability else None,
                int(cells[2]) if re.fullmatch(r"\d{1,9}", cells[2], re.ASCII) else None,
            )
        )
    if gpus:
        return version, tuple(gpus), None, mig
    first_line = next(
        (line.strip() for line in output.splitlines() if line.strip() and "ld.so: object" not in line),
        None,
    )
    return None, (), first_line, 0


def _pci_devices(root: Path) -> int | None:
    bus = root / "sys/bus/pci/devices"
    if not files.is_dir(bus):
        return None
    return sum(
        (files.read_text(device / "vendor") or "").strip() == _NVIDIA_VENDOR
        and (files.read_text(device / "class") or "").startswith(_DISPLAY_CLASS)
        for device in files.children(bus)
    )
