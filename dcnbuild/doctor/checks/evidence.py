"""What several checks ask of the facts, and how what there is becomes a line of evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dcnbuild.base.versions import same_minor
from dcnbuild.machine.facts import Compiler, Driver, Facts, Gpu, Python, Toolkit, TorchInstall
from dcnbuild.machine.gpus import driver_cuda
from dcnbuild.machine.toolkit_choice import build_toolkit

_LINES: dict[type, Callable[[Any], str]] = {
    Compiler: lambda it: f"{it.kind} {it.version}: {it.path} (found by {it.found_by})",
    Driver: lambda it: f"driver {describe_driver(it)} ({', '.join(it.found_by)})",
    Gpu: lambda it: f"GPU: {it.name}{f', compute capability {it.number}' if it.capability else ''}",
    Python: lambda it: f"Python {it.version}: {it.executable}",
    Toolkit: lambda it: f"CUDA {it.version}: {it.root} (found by {', '.join(it.found_by)})",
    TorchInstall: lambda it: f"torch {it.version} ({compiled_for(it)}): {it.root}",
}


def described(value: Any) -> str:
    """The text of a fact, "" for what is not there; those of a list with commas between them."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(described, value))
    return _LINES.get(type(value), str)(value) if value else ""


def builds_cuda(facts: Facts) -> bool:
    """Whether CUDA code can be meant to be compiled: a CUDA torch is there, and nobody said no."""
    return facts.torch is not None and facts.torch.cuda is not None and facts.wants_cuda is not False


def compiling_toolkit(facts: Facts) -> Toolkit | None:
    """The toolkit of a build, where CUDA code can be meant to be compiled."""
    return build_toolkit(facts) if builds_cuda(facts) else None


def compiled_for(torch: TorchInstall) -> str:
    """What a torch was built with."""
    return f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else "CPU only"


def what_is_of_cuda(facts: Facts) -> list[TorchInstall | Toolkit]:
    """What there is of CUDA."""
    return [*([facts.torch] if facts.torch and facts.torch.cuda else []), *facts.toolkits[:1]]


def describe_driver(driver: Driver) -> str:
    """Its version, or that it is unknown, and what it runs."""
    cuda = driver_cuda(driver)
    return f"{driver.version or 'of unknown version'}{f', runs up to CUDA {cuda}' if cuda else ''}"


def smi_note(facts: Facts, toolkit: Toolkit | None) -> str:
    """What nvidia-smi's "CUDA Version" means, where it may mislead."""
    cuda = facts.driver.cuda
    if cuda is None or (toolkit is not None and same_minor(cuda, toolkit.version)):
        return ""
    return (
        f'nvidia-smi\'s "CUDA Version: {cuda}" is the newest CUDA that the driver runs; '
        "it says nothing about installed toolkits"
    )
