"""What decides between the CUDA libraries: the GPUs that are there, and whether NVRTC can serve them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.machine.architectures import best_match


def unfit(architectures: tuple[str, ...]) -> str | None:
    """Why a library with code for these architectures does not serve this machine's GPUs, or None if it does.

    None too for a library without code of its own, and where there is no GPU to ask.
    """
    return lacking(architectures, _capabilities()) if architectures else None


def lacking(architectures: tuple[str, ...], capabilities: Iterable[tuple[int, int]]) -> str | None:
    """Names the first GPU, by its compute capability such as (9, 0), that a library has no code for."""
    for major, minor in capabilities:
        if best_match(architectures, (major, minor)) is None:
            return f"it holds code for {' '.join(architectures)}, and this GPU is sm_{major}{minor}"
    return None


def _capabilities() -> list[tuple[int, int]]:
    """Of the GPUs that torch sees. This sets CUDA up in this process, which a call on a GPU has done before."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]


def refusal() -> str | None:
    """Why the route "nvrtc" cannot serve the running torch, or None if it can."""
    from dcnbuild.builder import kernels, lookup

    return kernels.refusal(lookup.running_torch(), os.environ)


def serve_kernels(library: Path) -> None:
    """Lets the loaded library of the route "nvrtc" ask for kernels. Raises OSError if it is none of ours."""
    from dcnbuild.builder import kernels, lookup

    try:
        kernels.serve_torch(library, lookup.running_torch(), os.environ)
    except AttributeError as error:
        raise OSError(f"it cannot ask for kernels: {error}") from error
