"""Warns once about an installation without CUDA, since pip hides the output of its build."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from dcnbuild.builder.record import FILE, file_digest, read_record
from dcnbuild.machine.cache import cache_home, make_directory

#: If one of these exists, there is an NVIDIA GPU. Asking CUDA would make it impossible to fork this process.
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


def cuda_left_out(prebuilt: Path, env: Mapping[str, str]) -> None:
    """Warns, once for each build, if there is a GPU and the installation has no CUDA kernels, and says why.

    It does not warn users who chose this by DCNBUILD_CUDA=off.
    """
    built = read_record(prebuilt)
    if built is None or not built.cuda_left_out or "DCNBUILD_CUDA=off" in built.cuda_left_out:
        return
    if "nvrtc" in built.libraries:  # which does without them
        return
    if not any(map(os.path.exists, GPU_DEVICES)):
        return
    home = cache_home(env)
    said = home / "said" / f"no-cuda-{file_digest(prebuilt / FILE)}" if home else None
    if said and said.exists():
        return
    warnings.warn(
        f"dcnbuild was installed without its CUDA kernels: {built.cuda_left_out} They are compiled on first use on a "
        "GPU if that is possible by then. `dcnbuild doctor` says what is missing, `dcnbuild build --cuda on` compiles "
        "them now. This is said once.",
        RuntimeWarning,
        stacklevel=2,
    )
    if said:
        with contextlib.suppress(OSError):  # the warning is then repeated
            make_directory(said.parent)
            said.touch()
