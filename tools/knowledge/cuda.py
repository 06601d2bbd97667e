"""Makes the table of CUDA's headers, functions, macros, types, enumerators and struct members."""

from __future__ import annotations

import re
from pathlib import Path

from tools.knowledge import toolkits
from tools.knowledge.lifetimes import Release, Row, read_header, rows
from tools.knowledge.table import Source, write

#: Paths of headers that are internal to a library.
_PRIVATE_PATH = re.compile(
    r"/(?:detail|__detail|ptx|impl|dispatch|nvtxDetail)/|/detail\.|^(?:CL|Openmp|Openacc|fatbinary)"
    r"|^(?:generated_\w+|\w*Typedefs|cupti_\w+_cbid|nvperf_\w+)\.h$|^cuda/std/__cccl/"
)
_PRIVATE_SCOPE = re.compile(r"(?:^|::)(?:\w*detail\w*|_\w*|\w+_ns|\w*impl)(?:::|$)|@")


def generate(cache: Path, target: Path) -> None:
    """Reads every release and writes the table."""
    releases: dict[str, Release] = {}
    sources: list[Source] = []
    for name in toolkits.RELEASES:
        releases[name] = release = Release()
        for component, archive in toolkits.archives(name, cache).items():
            sources.append(Source(name, component, archive.name))
            for path, text in archive.texts(r"/include/"):
                _header(release, path, text, component)
        release.resolve_names()
    write(target, list(toolkits.RELEASES), sources, [row for row in rows(releases) if _kept(row)])


def _header(release: Release, path: str, text: str, component: str) -> None:
    name = path.partition("/include/")[2]
    if name.startswith("cccl/"):
        folder, name = "include/cccl", name.removeprefix("cccl/")
    else:
        folder = "include"
    if component == "cuda-cccl" and name.endswith(".inl"):
        return
    public = _public(name)
    if not _PRIVATE_PATH.search(public):
        release.add_header(name, folder, component)
        read_header(release, public, text, component)


def _public(name: str) -> str:
    """Returns the public header for one of libcu++'s own: cuda/std/functional for cuda/std/__functional/invoke.h."""
    name = name.replace("cuda/std/detail/libcxx/include/", "cuda/std/")
    return re.sub(r"^(cuda(?:/std)?)/__([a-z_]+)/.*", r"\1/\2", name)


def _kept(row: Row) -> bool:
    if row.kind == "header":
        return "/__" not in row.header and "/detail/" not in row.header and row.key[:2] != "__"
    if _PRIVATE_SCOPE.search(row.scope):
        return False
    if row.component == "cuda-cccl":
        top, _, inner = row.scope.replace("cuda::std", "std").partition("::")
        if top not in ("cub", "thrust", "cuda", "std", "nv", "cooperative_groups", "nvcuda"):
            return row.kind == "macro" and not row.key.startswith("_")
        nested = row.kind == "type" and inner and row.key.endswith(("_type", "iterator", "pointer"))
        return not (row.key.startswith("_") or row.kind == "member" or row.key.isupper() or nested)
    return not re.match(r"_[A-Z]|__cuda_|__nv_|__internal|__CU|___", row.key)
