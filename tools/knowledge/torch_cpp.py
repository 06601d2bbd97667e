"""Makes the table of torch's C++ API: headers, functions, macros, types and members."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dcnbuild.machine.compatibility import table
from tools.knowledge import torch_wheels
from tools.knowledge.lifetimes import Release, Row, read_header, rows
from tools.knowledge.table import Source, write

_ROOT = re.compile(r"^torch/(?:lib/)?include/(?:torch/csrc/api/include/)?")
#: Headers whose names are listed; those of bundled libraries (protobuf, fmt …) are not.
_OURS = re.compile(r"^(?:ATen|c10|torch|TH\w*|caffe2/core)/")
#: Headers whose names are internal to torch; the headers themselves are still recorded.
_PRIVATE = re.compile(
    r"^torch/csrc/(?:jit|lazy|distributed|dynamo|inductor(?!/aoti_torch/c)|functorch|onnx|profiler|monitor|deploy|export|"
    r"autograd/(?:generated|functions|utils|profiler\w*)|utils/pythoncapi_compat|fx|instruction_counter|mtia|multiprocessing|tensor)\b"
    r"|^ATen/(?:native|functorch|cpu|core/boxing|core/dispatch|cuda/tunable|templates|quantized|xpu|mps|hip|miopen|vulkan|metal)/"
    r"|^ATen/(?:\w+Functions_inl|\w+Functions|RegistrationDeclarations|VmapGeneratedPlumbing|MethodOperators|Operators|"
    r"TypeDefault|(?:Sparse|Quantized|Mkldnn|Vulkan|MPS)?(?:CPU|CUDA|HIP|Meta)?Type)\.h$"
    r"|^c10/(?:test|mobile|hip|xpu|metal)/|/(?:mps|hip|xpu|miopen|vulkan|metal|detail|templates)/|^caffe2/(?!core/)"
)
_ALWAYS = re.compile(
    r"^ATen/Functions\.h$|^torch/csrc/jit/(?:api/module|custom_operator|runtime/custom_operator|script/module)\.h$|^ATen/native/cuda/(?:KernelUtils|Loops)\.cuh$"
)
_PRIVATE_SCOPE = re.compile(
    r"(?:^|::)(?:\w*detail\w*|_\w+|impl|\w*[iI]nternal|native|meta|redispatch|_ops|compositeimplicit\w*)(?:::|$)"
)
_MEMBERS = re.compile(
    r"^(?:ATen/(?:core/|cuda/|Context|Tensor|TensorIterator)|c10/(?:core|cuda|util)/|torch/(?:library|csrc/stable)|TH\w*/)"
)


def generate(cache: Path, target: Path) -> None:
    """Reads every release and writes the table."""
    releases: dict[str, Release] = {}
    sources: list[Source] = []
    for row in table().torch:
        releases[row.release] = release = Release()
        archive = torch_wheels.archive(row, cache)
        sources.append(Source(row.release, "torch", archive.name))
        for path, text in archive.texts(r"/include/"):
            _header(release, path, text, "torch")
        for wheel in torch_wheels.LINUX:
            if wheel.version.rpartition(".")[0] == row.release:
                linux = torch_wheels.fetch(wheel, cache, torch_wheels.KEEP_CUDA)
                sources.append(Source(row.release, "torch for Linux", linux.name))
                for path, text in linux.texts(r"/include/TH"):
                    _header(release, path, text, "torch for Linux")
        release.resolve_names()
        for (scope, name), found in list(release.names.items()):
            if scope == "at::TensorBase":  # at::Tensor derives from it since 1.10
                release.add("at::Tensor", name, replace(found))
    names = [row.release for row in table().torch]
    write(target, names, sources, [row for row in rows(releases) if _kept(row)])


def _header(release: Release, path: str, text: str, component: str) -> None:
    name = _ROOT.sub("", path)
    private = _PRIVATE.search(name) and not _ALWAYS.search(name)
    if not _OURS.match(name):
        return
    if "/ops/" not in name:
        release.add_header(name, "include", component)
    if not private:
        read_header(release, name, text, component)


def _kept(row: Row) -> bool:
    if row.kind == "header":
        return True
    if _PRIVATE_SCOPE.search(row.scope) or re.match(r"_|\w+_$(?<!__)", row.key):
        return False
    if row.kind == "member":
        return bool(_MEMBERS.search(row.header))
    return not (row.key.startswith("AT_FORALL") and row.kind != "macro")
