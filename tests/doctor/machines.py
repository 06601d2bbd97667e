"""Makes facts for the checks to judge: parts of machines, and changes to a healthy one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dcnbuild.base.quoting import Shell
from dcnbuild.doctor.checks import all_checks, examine
from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.errors import Finding
from dcnbuild.machine.facts import Compiler, Driver, Facts, Gpu, Toolkit, TorchInstall

#: The newest torch of compatibility.yaml, which many fixes name.
NEWEST = "2.15.0"
_SITE = Path("/home/ada/venv/lib/python3.11/site-packages")


def toolkit(version: str, *found_by: str) -> Toolkit:
    """A complete toolkit in /usr/local/cuda-<version>."""
    root = Path(f"/usr/local/cuda-{version}")
    return Toolkit(
        root=root,
        nvcc=root / "bin/nvcc",
        version=version,
        found_by=found_by or (f"PATH: {root}/bin/nvcc", str(root)),
        include=(root / "include",),
        libraries=(root / "lib64",),
        headers_version=version,
    )


def torch(version: str, cuda: str | None, *architectures: str, **fields: Any) -> TorchInstall:
    """A torch from pip."""
    install = TorchInstall(_SITE / "torch", version, cuda, True, architectures, "pip")
    return replace(install, **fields)


def gcc(version: str, name: str = "g++", found_by: str = "PATH") -> Compiler:
    """A gcc in /usr/bin."""
    return Compiler(Path("/usr/bin", name), "gcc", version, found_by)


def gpu_driver(version: str, cuda: str, *gpus: Gpu) -> Driver:
    """A driver at work, by default with one RTX 4090."""
    found_by = ("/proc/driver/nvidia/version", "libcuda")
    return Driver(version, cuda, found_by, gpus or (RTX_4090,), devices=len(gpus) or 1)


RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24564)
RTX_5090 = Gpu("NVIDIA GeForce RTX 5090", (12, 0), 32607)
V100 = Gpu("Tesla V100-SXM2-16GB", (7, 0), 16384)
A100 = Gpu("NVIDIA A100-SXM4-80GB", (8, 0), 81920)


def broken(**changes: Any) -> Facts:
    """The machine in good order with these fields instead."""
    return replace(HEALTHY, **changes)


def machine(**changes: Any) -> Facts:
    return broken(machine=replace(HEALTHY.machine, **changes))


def python(**changes: Any) -> Facts:
    return broken(python=replace(HEALTHY.python, **changes))


def variables(**changes: str) -> dict[str, str]:
    return {**HEALTHY.variables, **changes}


def found(facts: Facts, id: str) -> list[Finding]:
    """The findings of one check."""
    return examine(facts, [check for check in all_checks() if check.id == id])


def one(facts: Facts, id: str) -> Finding:
    """The only finding of one check."""
    (finding,) = found(facts, id)
    return finding


def target(shell: Shell, **fields: object) -> Target:
    """Where the commands of a shell are pasted."""
    system = "Windows" if shell in ("cmd", "powershell") else "Linux"
    return Target(shell, system, **fields)  # type: ignore[arg-type]
