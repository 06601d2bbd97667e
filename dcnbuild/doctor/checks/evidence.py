"""What several checks ask of the facts."""

from __future__ import annotations

from dcnbuild.base.versions import same_minor
from dcnbuild.machine.compatibility import cuda_of_driver
from dcnbuild.machine.facts import Driver, Facts, Gpu, Toolkit, TorchInstall


def builds_cuda(facts: Facts) -> bool:
    """Whether CUDA code can be meant to be compiled: a CUDA torch is there, and nobody said no."""
    return facts.torch is not None and facts.torch.cuda is not None and facts.wants_cuda is not False


def describe_toolkit(toolkit: Toolkit) -> str:
    """One line of evidence."""
    return f"CUDA {toolkit.version}: {toolkit.root} (found by {', '.join(toolkit.found_by)})"


def describe_torch(facts: Facts) -> str:
    """One line of evidence."""
    torch = facts.torch
    assert torch is not None  # asked only where there is one
    return f"torch {torch.version} ({compiled_for(torch)}): {torch.root}"


def compiled_for(torch: TorchInstall) -> str:
    """What a torch was built with."""
    return f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else "CPU only"


def describe_cuda(facts: Facts) -> list[str]:
    """What there is of CUDA."""
    torch = [describe_torch(facts)] if facts.torch and facts.torch.cuda else []
    return [*torch, *map(describe_toolkit, facts.toolkits[:1])]


def describe_gpu(gpu: Gpu) -> str:
    """One line of evidence."""
    return f"GPU: {gpu.name}{f', compute capability {gpu.number}' if gpu.capability else ''}"


def driver_cuda(driver: Driver) -> str | None:
    """The newest CUDA that a driver runs: what libcuda says, else what its version tells."""
    return driver.cuda or (cuda_of_driver(driver.version) if driver.version else None)


def describe_driver(driver: Driver) -> str:
    """Its version, or that it is unknown, and what it runs."""
    cuda = driver_cuda(driver)
    return f"{driver.version or 'of unknown version'}{f', runs up to CUDA {cuda}' if cuda else ''}"


def smi_note(facts: Facts, toolkit: Toolkit | None) -> tuple[str, ...]:
    """What nvidia-smi's "CUDA Version" means, where it may mislead."""
    cuda = facts.driver.cuda
    if cuda is None or (toolkit is not None and same_minor(cuda, toolkit.version)):
        return ()
    return (
        f'nvidia-smi\'s "CUDA Version: {cuda}" is the newest CUDA that the driver runs; '
        "it says nothing about installed toolkits",
    )
