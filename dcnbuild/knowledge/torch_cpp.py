"""torch's C++ API, from its headers, for every minor release since 1.0.

Read from the wheels for macOS, which hold the headers of c10/cuda and ATen/cuda too; THC's are from
the wheels for Linux of 1.10 and 1.11, so that `first` says nothing about their beginning.
"""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

TABLE = Table(Path(__file__).with_name("torch_cpp.zip"), "::", of_table("torch_cpp"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "AT_CHECK", "at::symeig", "Tensor::type", "getCurrentCUDAStream"."""
    return TABLE.find(name)
