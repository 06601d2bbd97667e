"""The machine, Python and torch that an audit is for."""

from __future__ import annotations

from dataclasses import dataclass, field

from dcnbuild.machine.facts import Driver


@dataclass(frozen=True)
class Target:
    """The machine, Python and torch that an audit is for.

    Attributes:
        torch: "2.14.1+cu130", or "2.11" for any version of that release; None without torch.
        cuda: the CUDA of that torch, "13.0" or "12"; None if it has none or is not known.
        cpu_only: whether that torch is known to have no CUDA.
        python: "3.11.7".
        machine: "x86_64".
        glibc: "2.36"; None if it is not known.
        driver: the driver and its GPUs.
        here: whether it is this machine with its own torch, so that searches on this machine count.
    """

    python: str
    machine: str
    torch: str | None = None
    cuda: str | None = None
    cpu_only: bool = False
    glibc: str | None = None
    driver: Driver = field(default_factory=Driver)
    here: bool = True
