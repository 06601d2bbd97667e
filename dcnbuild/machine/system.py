"""Reads the facts of the system: cores, memory, space for temporary files, the user."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.facts import Machine

_PACKAGE_MANAGERS = ("apt-get", "dnf", "yum", "zypper", "pacman", "apk")
#: A memory cgroup without a limit reports this number or a larger one.
_NO_LIMIT = 1 << 60


def architecture() -> str:
    """Returns the machine that this Python, its torch and what is built for them run on: "x86_64", "aarch64".

    Under qemu it is the emulated one.
    """
    return platform.machine()


def find_machine(env: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """Returns the facts of this machine; `root` is the directory of /proc, /sys, /etc and /usr/bin."""
    meminfo = parse_meminfo(files.read_text(root / "proc/meminfo") or "")
    memory = meminfo.get("MemTotal")
    limit = _memory_limit(root)
    if memory is not None and limit is not None:
        memory = min(memory, limit)
    temporary = Path(env.get("TMPDIR") or "/tmp")
    return Machine(
        system=platform.system(),
        architecture=architecture(),
        distribution=parse_os_release(files.read_text(root / "etc/os-release") or ""),
        package_manager=next((name for name in _PACKAGE_MANAGERS if files.is_file(root / "usr/bin" / name)), None),
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        sudo_user=env.get("SUDO_USER"),
        cores=_cores(root),
        memory=memory,
        swap=meminfo.get("SwapTotal"),
        temporary=temporary,
        temporary_free=_free_space(temporary),
        container=_container(env, root),
        jetson=_first_line(root / "etc/nv_tegra_release"),
        secure_boot=_secure_boot(root),
        wsl="microsoft" in (files.read_text(root / "proc/version") or "").lower(),
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """Returns the lines of /proc/meminfo as name → bytes."""
    found = re.findall(r"^(\w+):\s+(\d{1,15}) kB$", text, re.MULTILINE | re.ASCII)
    return {name: int(kilobytes) * 1024 for name, kilobytes in found}


def parse_os_release(text: str) -> str | None:
    """Returns ID and VERSION_ID of an os-release, "ubuntu 22.04"."""
    found = dict(re.findall(r"""^(ID|VERSION_ID)=["']?([^"'\n]*)""", text, re.MULTILINE))
    return f"{found.get('ID', '')} {found.get('VERSION_ID', '')}".strip() or None


def _container(env: Mapping[str, str], root: Path) -> str | None:
    """Returns the kind of this container, by the marks that container runtimes leave; None outside one."""
    if env.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if files.is_file(root / ".dockerenv"):
        return "docker"
    if files.is_file(root / "run/.containerenv"):
        return "podman"
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        if env.get(name):
            return "apptainer"
    groups = files.read_text(root / "proc/1/cgroup") or ""
    found = re.search(r"\b(docker|kubepods|containerd|lxc|libpod)\b", groups)
    return found[1] if found else None


def _first_line(path: Path) -> str | None:
    """Returns the first line of a file, e.g. of /etc/nv_tegra_release: "# R36 (release), REVISION: 4.3, …"."""
    text = files.read_text(path, 400)
    return text.strip("# \n").partition("\n")[0] if text else None


def _secure_boot(root: Path) -> bool | None:
    """Returns whether Secure Boot is on, from the last byte of the firmware's variable."""
    variables = files.children(root / "sys/firmware/efi/efivars", "SecureBoot-*")
    text = files.read_text(variables[0]) if variables else None
    return text.endswith("\x01") if text else None


def _memory_limit(root: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup v2, v1
        text = (files.read_text(root / "sys/fs/cgroup" / name) or "").strip()
        if re.fullmatch(r"\d{1,20}", text, re.ASCII) and int(text) < _NO_LIMIT:
            return int(text)
    return None


def _cores(root: Path) -> int | None:
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not every system has this function
        return os.cpu_count()
    text = files.read_text(root / "sys/fs/cgroup/cpu.max") or ""
    quota = re.match(r"(\d{1,12}) (\d{1,12})\b", text, re.ASCII)
    if quota and int(quota[2]) > 0:
        cores = min(cores, max(1, -(-int(quota[1]) // int(quota[2]))))
    return cores


def _free_space(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except (OSError, ValueError):
        return None
