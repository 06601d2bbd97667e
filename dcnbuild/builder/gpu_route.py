"""What decides between the CUDA libraries: the GPUs that are there, and whether NVRTC can serve them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from dcnbuild.base.versions import numbers
from dcnbuild.builder.record import LibraryRecord
from dcnbuild.machine.architectures import best_match


def unfit(library: LibraryRecord) -> str | None:
    """Why a library does not serve this machine's GPUs and driver, or None if it does.

    None too for a library without code of its own, and where there is no GPU to ask.
    """
    gpus = _capabilities() if library.architectures else []
    if not gpus:
        return None
    return too_new(library.toolkit, driver_cuda()) or lacking(library.architectures, gpus)


def too_new(toolkit: str | None, driver: tuple[int, int] | None) -> str | None:
    """Says that a driver is too old for the CUDA runtime inside a library, which every call would report.

    Args:
        toolkit: that built the library, such as "CUDA 13.0". A runtime works with every driver of its major version.
        driver: the newest CUDA that the driver knows.
    """
    if toolkit is None or driver is None or driver[:1] >= numbers(toolkit.rpartition(" ")[2])[:1]:
        return None
    return f"it was built by {toolkit}, and this driver knows CUDA up to {driver[0]}.{driver[1]}"


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


def driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA that the driver knows, such as (12, 8); None where no driver can be asked."""
    version = ctypes.c_int()
    try:
        error = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if error else (version.value // 1000, version.value % 1000 // 10)


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
