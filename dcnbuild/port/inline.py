"""C++ and CUDA that Python sources hold as texts, for torch.utils.cpp_extension.load_inline."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from dcnbuild.port.edits import line_of
from dcnbuild.port.python.module import Modules
from dcnbuild.port.python.setup_script import text_of
from dcnbuild.port.result import FileResult

#: Where a text stands: its Python file, and the offsets of its begin and end.
Place = tuple[PurePosixPath, int, int]

_QUOTED = re.compile(r"""[rRuU]?(\"{3}|'{3})(?:\\?\r?\n)?((?:(?!\1).)*)\1""", re.S)
_CPP = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"](?:torch|ATen|c10|THC?)/|\b(?:at|torch)::Tensor\b[^;]*;", re.M)
_CUDA = re.compile(r"__global__|<<<|\bcuda")


def places_in(modules: Modules) -> dict[PurePosixPath, Place]:
    """The texts of a project that has any compiled, each by the name of a file that could hold it."""
    holding = modules.holding("Tensor") if any(modules.holding("load_inline")) else ()
    nodes = ((path, m, node) for path, m in holding for node in m.of(ast.Constant) if _CPP.search(text_of(node)))
    quoted = ((path, module.start(node), _QUOTED.fullmatch(module.source(node))) for path, module, node in nodes)
    names = {}
    for path, start, end in sorted((path, at + q.start(2), at + q.end(2)) for path, at, q in quoted if q):
        text = modules.texts[path]
        suffix = "cu" if _CUDA.search(text, start, end) else "cpp"
        names[path.with_name(f"{path.name}.{line_of(text, start)}.{suffix}")] = (path, start, end)
    return names


def folded(
    results: Iterable[FileResult],
    places: Mapping[PurePosixPath, Place],
    python: Mapping[PurePosixPath, tuple[str, str]],
) -> tuple[list[FileResult], dict[PurePosixPath, FileResult]]:
    """The results that are files, and the Python files with the others in their places, which come in order."""
    files: list[FileResult] = []
    holders: dict[PurePosixPath, FileResult] = {}
    for result in results:
        if result.path not in places:
            files.append(result)
            continue
        path, start, end = places[result.path]
        text, encoding = python[path]
        holder = holders.get(path) or FileResult(path, text, text, encoding)
        above = line_of(text, start) - 1
        start, end = (offset + len(holder.new) - len(text) for offset in (start, end))
        now_above = line_of(holder.new, start) - 1
        holders[path] = holder.then(
            holder.new[:start] + result.new + holder.new[end:],
            (replace(c, line=c.line + above) for c in result.changes),
            (replace(r, lines=tuple(line + now_above for line in r.lines)) for r in result.remarks),
        )
    return files, holders


def joined(results: Iterable[FileResult], holders: Mapping[PurePosixPath, FileResult]) -> list[FileResult]:
    """The results for Python files, of which some hold texts that were ported before."""
    done = {result.path: result for result in results}
    for path, holder in holders.items():
        own = done.get(path)
        done[path] = holder.then(own.new, own.changes, own.remarks) if own else holder
    return list(done.values())
