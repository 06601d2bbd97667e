"""What a project's build scripts pass to its compilers, as far as compiling a source hangs on it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.port.python.module import Module
from dcnbuild.port.source import PYTHON_SUFFIXES, Unreadable, find_sources, read_source

_DEFINE = re.compile(r"-D([A-Za-z_]\w*)(?:=(.*))?")
#: What lets nvcc accept more, or torch's headers offer more.
_NVCC = re.compile(r"--(?:expt-)?(?:extended-lambda|relaxed-constexpr)|-U__CUDA_NO_\w+")
#: What scripts define only where they build without CUDA, or for another platform.
_WITHOUT_CUDA = re.compile(
    r"(?:(?:\w+_)?CPU_ONLY|(?:NO|WITHOUT|DISABLE)_(?:CUDA|GPU)|(?:USE|WITH)_(?:ROCM|HIP)|__HIP_PLATFORM_\w+__)(?:=1)?"
)


@dataclass(frozen=True)
class BuildFlags:
    """Macros, as "WITH_CUDA" or "N=3", and further flags for nvcc."""

    macros: tuple[str, ...]
    nvcc: tuple[str, ...] = ()


def build_flags(root: Path) -> BuildFlags:
    """What setup.py and the scripts that call `torch.utils.cpp_extension` define and pass.

    WITH_CUDA is always among the macros, and none that is for a build without it.
    """
    found, nvcc = {"WITH_CUDA": None}, dict[str, None]()
    for path in (path for path in find_sources(root) if path.suffix in PYTHON_SUFFIXES):
        nodes: tuple[ast.AST, ...] = ()
        with suppress(OSError, Unreadable, SyntaxError):
            text = read_source(path)[0]
            nodes = Module(text).nodes if path == root / "setup.py" or "cpp_extension" in text else ()
        found |= {name if value is None else f"{name}={value}": None for name, value in macros(nodes)}
        constants = (str(node.value) for node in nodes if isinstance(node, ast.Constant))
        nvcc |= dict.fromkeys(filter(_NVCC.fullmatch, constants))
    return BuildFlags(tuple(name for name in found if not _WITHOUT_CUDA.fullmatch(name)), tuple(nvcc))


def macros(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str | None]]:
    """The macros that a build script defines, with their values: `('NAME', None)` in any list, and -DNAME flags."""
    for node in nodes:
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            values = [str(e.value) if e.value is not None else None for e in node.elts if isinstance(e, ast.Constant)]
            if len(values) == 2 and values[0] and values[0].isidentifier() and values[0].isupper():
                yield values[0], values[1]
        elif isinstance(node, ast.Constant) and (flag := _DEFINE.fullmatch(str(node.value))):
            yield flag[1], flag[2]
