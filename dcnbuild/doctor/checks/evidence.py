"""What several checks ask of the facts."""

from __future__ import annotations

from collections.abc import Sequence

from dcnbuild.base.versions import same_minor
from dcnbuild.machine.facts import Facts, Gpu, Toolkit


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
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}" if torch.hip else "CPU only"
    return f"torch {torch.version} ({built}): {torch.root}"


def describe_gpu(gpu: Gpu) -> str:
    """One line of evidence."""
    if gpu.capability is None:
        return f"GPU: {gpu.name}"
    return f"GPU: {gpu.name}, compute capability {gpu.capability[0]}.{gpu.capability[1]}"


def architecture_names(names: Sequence[str]) -> str:
    """Architectures for a line of evidence."""
    return " ".join(names) or "none"


def smi_note(facts: Facts, toolkit: Toolkit | None) -> tuple[str, ...]:
    """What nvidia-smi's "CUDA Version" means, where it may mislead."""
    cuda = facts.driver.cuda
    if cuda is None or (toolkit is not None and same_minor(cuda, toolkit.version)):
        return ()
    return (
        f'nvidia-smi\'s "CUDA Version: {cuda}" is the newest CUDA that the driver runs; '
        "it says nothing about installed toolkits",
    )
