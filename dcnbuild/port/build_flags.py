"""What a project's build scripts pass to its compilers, as far as compiling a source hangs on it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.port.source import PYTHON_SUFFIXES, Unreadable, find_sources, read_source

_DEFINE = re.compile(r"-D(\w+(?:=\w+)?)")
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

    Macros are `('NAME', None)` in any list of them, and -DNAME flags; WITH_CUDA is always among them, and none
    that is for a build without it.
    """
    macros, nvcc = {"WITH_CUDA": None}, dict[str, None]()
    for path in find_sources(root):
        if path.suffix not in PYTHON_SUFFIXES:
            continue
        try:
            text = read_source(path)[0]
            if path != root / "setup.py" and "cpp_extension" not in text:
                continue
            tree = ast.parse(text)
        except (OSError, Unreadable, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            macros |= dict.fromkeys(_macros(node))
            if isinstance(node, ast.Constant) and _NVCC.fullmatch(str(node.value)):
                nvcc[str(node.value)] = None
    return BuildFlags(tuple(name for name in macros if not _WITHOUT_CUDA.fullmatch(name)), tuple(nvcc))


def _macros(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        name, value = node.elts
        if isinstance(name, ast.Constant) and isinstance(value, ast.Constant):
            text = str(name.value)
            if re.fullmatch(r"[A-Z_][A-Z0-9_]*", text):
                return [text if value.value is None else f"{text}={value.value!s}"]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        match = _DEFINE.fullmatch(node.value)
        return [match[1]] if match else []
    return []
