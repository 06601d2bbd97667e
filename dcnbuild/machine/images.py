"""Images of containers with a toolkit, by tags that exist: NVIDIA and PyTorch delete some, and name others anew.

Asks images.yaml; "" stands for what it does not have.
"""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers
from dcnbuild.machine.compatibility import torch_release

_NVIDIA = re.compile(r"(?:docker\.io/)?nvidia/(?:cuda|cudagl)(?::(?P<tag>[\w.-]*))?")
_PYTORCH = re.compile(r"(?:docker\.io/)?pytorch/pytorch:(?P<torch>\d+\.\d+(?:\.\d+)?)-cuda(?P<cuda>\d+\.\d+)\S*")
_FLAVOUR = re.compile(r"devel|runtime|base")


def _rows() -> Any:
    return plain_yaml.beside(__file__, "images.yaml")


def living(image: str) -> str:
    """The tag that there is in place of one that is gone: "nvidia/cuda:11.3.0-devel-ubuntu20.04" → "…:11.3.1-devel-…".

    The next CUDA where all images of one are gone, a newer system where those for an old one are. "" where the table
    has just the tag that was asked for, or nothing like it.
    """
    kind = flavour[0] if (flavour := _FLAVOUR.search(image)) else ""
    if found := _PYTORCH.fullmatch(image):
        named = _of_pytorch(found["torch"], found["cuda"], kind or "runtime")
    elif found := _NVIDIA.fullmatch(image):
        named = _of_nvidia(found["tag"] or "", kind or "base")
    else:
        return ""
    return "" if named == image.removeprefix("docker.io/") else named


def devel(torch: str, cuda: str) -> str:
    """The image of PyTorch that has this torch and its toolkit, by default that of PyPI's; of NVIDIA for no torch."""
    row = torch_release(torch)
    cuda = cuda or (row.default if row and "+" not in torch else "") or ""
    if cuda and len(numbers(torch)) == 3:
        return _of_pytorch(torch, cuda, "devel")
    return _of_nvidia(f"{cuda}-devel", "devel") if cuda in _rows()["cuda"] else ""


def _of_pytorch(torch: str, cuda: str, kind: str) -> str:
    row, release = torch_release(torch), ".".join(map(str, numbers(torch)))
    if row and release not in row.versions:
        release = row.newest
    if row and cuda not in row.variants:
        cuda = row.default or cuda
    return f"pytorch/pytorch:{release}-cuda{cuda}-cudnn{9 if numbers(release) >= (2, 4) else 8}-{kind}"


def _of_nvidia(tag: str, kind: str) -> str:
    known, wanted = _rows()["cuda"], ".".join(map(str, numbers(tag)[:2]))
    newer = (cuda for cuda in known if numbers(cuda) >= numbers(wanted or _rows()["without_number"]))
    cuda = next(newer, list(known)[-1])
    row, system = known[cuda], tag.rpartition("-")[2]
    family = system.rstrip("0123456789.")
    alike = sorted(name for name in row["systems"] if family and name.startswith(family) and name >= system)
    on = alike[0] if alike else row["systems"][0]
    numbered = numbers(cuda) < numbers(_rows()["cudnn_without_number"])
    cudnn = ("-cudnn8" if numbered else "-cudnn") if "cudnn" in tag and kind != "base" else ""
    return f"nvidia/cuda:{row['patch']}{cudnn}-{kind}-{on}"
