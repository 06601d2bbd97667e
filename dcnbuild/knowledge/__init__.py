"""What is known of names: in which releases they stand, who owns them, how that is installed.

    >>> from dcnbuild import knowledge
    >>> [entry.removed for entry in knowledge.cuda.find("cub::TransformInputIterator")]
    ['13.0']

Each module is one table with one lookup, `find` in most; docs/knowledge.md lists them. Tables are
read when they are first asked, and of the large ones only the part that holds the name. A name
that no table holds gives an empty list: whoever asks then says nothing.
"""

from dcnbuild.knowledge import (
    compilers,
    cuda,
    headers,
    manylinux,
    modules,
    numpy,
    owners,
    python,
    setuptools,
    sonames,
    torch_cpp,
    torch_python,
)
from dcnbuild.knowledge.entry import Entry

__all__ = [
    "Entry",
    "compilers",
    "cuda",
    "headers",
    "manylinux",
    "modules",
    "numpy",
    "owners",
    "python",
    "setuptools",
    "sonames",
    "torch_cpp",
    "torch_python",
]
