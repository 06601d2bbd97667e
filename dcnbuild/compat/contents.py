"""Finds, in the source of a repository's file, the extensions that it imports and that ours stand in for.

A file of any name and place may hold an autograd.Function on an old extension: nets/deform_conv/deform_conv.py,
cvpods/layers/deform_conv.py. With our raw calls it imports and computes; but many of these Functions refuse a tensor of
the CPU before they call the extension. loading.py replaces those.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from dcnbuild.compat.names import EXTENSION_TAILS

#: Our raw calls → our modules with the Functions that old packages wrote around them.
FUNCTIONS = {
    "deform_conv_ext": ("mmdet",),
    "deform_pool_ext": ("mmdet",),
    "larger_ext": ("mmdet", "ms_deform_attn"),
    "dcn_v2_ext": ("dcn_v2",),
    "ms_deform_attn_ext": ("ms_deform_attn",),
    "mdconv_ext": ("mdconv",),
}

#: What a Function says to a tensor of the CPU.
REFUSES_THE_CPU = "is_cuda"

_MENTIONS = re.compile(rf"\b({'|'.join(map(re.escape, sorted(EXTENSION_TAILS)))})\b")


def functions_for(source: str, name: str, is_package: bool, ours_for: Callable[[str], str | None]) -> list[str]:
    """The full names of our modules whose functions may replace those of a file that refuse the CPU; mostly none.

    Args:
        source, name, is_package: of the module.
        ours_for: returns the full name of our module that stands in for a module.
    """
    if REFUSES_THE_CPU not in source or not _MENTIONS.search(source):
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    package = name if is_package else name.rpartition(".")[0]
    found = [ours_for(imported) for imported in _imports(tree, package) if _MENTIONS.search(imported)]
    tails = [ours.rpartition(".")[2] for ours in found if ours]
    return list(dict.fromkeys(f"dcnbuild.compat.{module}" for tail in tails for module in FUNCTIONS.get(tail, ())))


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yields the full names of the modules that are imported, or may be (`from package import module`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
