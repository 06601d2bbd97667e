"""Finds the wheels with the headers of a CUDA release: `cuda-toolkit` of that release pins them."""

from __future__ import annotations

import re
from pathlib import Path

from tools.knowledge.wheels import Archive, Wheel, fetch

RELEASES = (
    "11.7",
    *("11.8", "12.0", "12.1", "12.2", "12.3", "12.4", "12.5", "12.6", "12.8", "12.9"),
    *("13.0", "13.1", "13.2", "13.3", "13.4", "13.5"),
)

#: Small wheels, read for every release. The names are those of CUDA 13, without "-cu12".
#: Until 12.9, cuda-nvcc had the headers of cuda-crt.
COMPONENTS = (
    *("cuda-runtime", "cuda-cccl", "nvtx", "cuda-nvrtc", "cuda-cupti", "nvml-dev"),
    *("cuda-profiler-api", "cuda-crt", "cuda-nvcc", "nvjitlink", "curand", "cufile", "nvjpeg"),
)

#: Wheels of hundreds of megabytes, read only for releases in which their major version changed.
LARGE = ("cublas", "cusparse", "cusolver", "cufft")
LARGE_RELEASES = ("11.8", "12.0", "13.0")

#: `cuda-toolkit` starts with 11.8; these are the wheels of 11.7, the oldest release with wheels.
_ELEVEN_SEVEN = {
    "cuda-runtime": "11.7.99",
    "nvtx": "11.7.91",
    "cuda-nvrtc": "11.7.99",
    "cuda-cupti": "11.7.101",
    "curand": "10.2.10.91",
}

KEEP = r"\.(h|hpp|cuh|inl|hxx)$|(?:^|/)include/(?:cccl/)?(?:cuda|nv)/[^.]*$"


def archives(release: str, cache: Path) -> dict[str, Archive]:
    """Returns the components of a release, by their names without "nvidia-" and "-cu12"."""
    pins = dict(_ELEVEN_SEVEN) if release == "11.7" else _pins(release, cache)
    wanted = [*COMPONENTS, *(LARGE if release in LARGE_RELEASES else ())]
    suffix = "" if release.startswith("13") else f"-cu{release.split('.')[0]}"
    return {
        name: fetch(Wheel(f"nvidia-{name}{suffix}", pins[name]), cache, KEEP)
        for name in wanted
        if name in pins and not (name == "cuda-nvcc" and "cuda-crt" in pins)
    }


def _pins(release: str, cache: Path) -> dict[str, str]:
    toolkit = fetch(Wheel("cuda-toolkit", f"{release}.*", platform=""), cache, r"METADATA$")
    pins = {}
    for line in toolkit.requirements():
        match = re.match(r"nvidia-([a-z0-9-]+?)(?:-cu1\d)?==([\d.]+?)(?:\.\*)?\s*;", line)
        if match:
            pins[match[1]] = match[2] + ".*"
    return pins
