"""torch's Python API, from the sources and stubs in its wheels, for every minor release since 1.0.

Names that torch makes when it is imported are not in it, apart from those that its stubs list
(torch.add, torch.Tensor.type …), which came with 1.6: before, `first` of such a name can be too late.
"""

from __future__ import annotations

from pathlib import Path

from dcnbuild.knowledge.entry import Entry
from dcnbuild.knowledge.replacements import of_table
from dcnbuild.knowledge.store import Table

TABLE = Table(Path(__file__).with_name("torch_python.zip"), ".", of_table("torch_python"))


def find(name: str) -> list[Entry]:
    """Every entry of a name, e.g. "torch._six", "torch.symeig", "Tensor.type"."""
    return TABLE.find(name)
