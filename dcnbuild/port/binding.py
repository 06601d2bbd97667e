"""For torch.utils.ffi projects: a pybind11 binding of the C functions that start the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from dcnbuild.port.code import Code, Parameter, parameters_of
from dcnbuild.port.pattern import skip
from dcnbuild.port.result import Change, FileResult
from dcnbuild.port.rule import Rule

#: C type of the elements → (type of the tensor's elements, whether a cast is needed).
_ELEMENTS = {
    "float": ("float", False),
    "double": ("double", False),
    "int": ("int", False),
    "long": ("int64_t", True),
    "long long": ("int64_t", True),
    "int64_t": ("int64_t", False),
    "unsigned long long": ("int64_t", True),
    "unsigned char": ("uint8_t", False),
    "uint8_t": ("uint8_t", False),
    "bool": ("bool", False),
}
_SCALARS = frozenset({"float", "double", "int", "long", "long long", "int64_t", "bool", "size_t"})
_GLUE = frozenset({".c", ".cc", ".cpp"})
_RETURNS = _SCALARS | {"void"}
_QUALIFIERS = frozenset({"const", "__restrict__", "__restrict", "extern", "static", "inline"})

_HEAD = """\
// Written by `dcnbuild port` in place of torch.utils.ffi: the functions of {header} that start the
// kernels, for Python. A pointer is a contiguous CUDA tensor; the stream is the current one of torch.
#include <torch/extension.h>

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "{header}"

namespace {{

template <typename T>
T* elements(const at::Tensor& tensor, const char* name) {{
  TORCH_CHECK(tensor.is_cuda(), name, " must be a CUDA tensor, but is on ", tensor.device());
  TORCH_CHECK(tensor.is_contiguous(), name, " must be contiguous");
  return tensor.data_ptr<T>();
}}
"""


@dataclass(frozen=True)
class Launcher:
    """A function that starts kernels: what it returns, its name and its parameters."""

    returns: str
    name: str
    parameters: tuple[Parameter, ...]


def bindings(texts: Mapping[PurePosixPath, str]) -> Iterator[FileResult]:
    """A new `*_binding.cpp` beside each header that declares launchers for C glue.

    Args:
        texts: the project's C, C++ and CUDA files, ported. It counts as an ffi project if a C or C++
            file of it takes TH tensors.
    """
    codes = {path: Code(text) for path, text in texts.items()}
    glue = [p for p, code in codes.items() if p.suffix in _GLUE and _takes_th_tensors(code)]
    if not glue:
        return
    kernels = {
        function.name
        for path, code in codes.items()
        if path.suffix == ".cu"
        for function in code.functions
    }
    for path, code in codes.items():
        target = path.with_name(f"{path.stem}_binding.cpp")
        found = [f for f in launchers(code) if f.name in kernels] if path.suffix == ".h" else []
        if found and target not in texts:
            text = binding(path.name, found)
            change = Change(RULE.id, 1, "", f"{len(found)} functions of {path.name}")
            yield FileResult(target, "", text, changes=(change,))


def _takes_th_tensors(code: Code) -> bool:
    return any(True for _ in code.names(r"TH(?:Cuda)?(?:Float|Double|Int|Long|Byte)?Tensor"))


def launchers(code: Code) -> Iterator[Launcher]:
    """The declared functions whose parameters are pointers, numbers and a stream."""
    stream = code.live
    for index in range(1, len(stream) - 2):
        if stream[index].kind != "name" or stream[index + 1].text != "(":
            continue
        close = skip(stream, index + 2)
        if close is None or close + 1 >= len(stream) or stream[close + 1].text != ";":
            continue
        first = index
        while first and stream[first - 1].kind == "name":
            first -= 1
        words = [token.text for token in stream[first:index] if token.text not in _QUALIFIERS]
        parameters = tuple(parameters_of(code.text, stream, index + 2, close))
        pointers = [p for p in parameters if _element(p.type)]
        known = all(_element(p.type) or _scalar(p.type) or _stream(p.type) for p in parameters)
        if " ".join(words) in _RETURNS and pointers and known and all(p.name for p in parameters):
            yield Launcher(" ".join(words), stream[index].text, parameters)


def _words(type: str) -> str:
    return " ".join(word for word in type.replace("*", " * ").split() if word not in _QUALIFIERS)


def _element(type: str) -> str:
    """What a pointer points to, "" if the type is no pointer to elements of tensors."""
    words = _words(type)
    return (
        words.removesuffix(" *") if words.removesuffix(" *") in _ELEMENTS and "*" in words else ""
    )


def _scalar(type: str) -> bool:
    return _words(type) in _SCALARS


def _stream(type: str) -> bool:
    return _words(type) == "cudaStream_t"


def binding(header: str, functions: list[Launcher]) -> str:
    """The text of a binding."""
    parts = [_HEAD.format(header=header)]
    parts += [_wrapper(function) for function in functions]
    defined = "".join(_definition(function) for function in functions)
    parts.append(f"}}  // namespace\n\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{\n{defined}}}\n")
    return "\n".join(parts)


def _wrapper(function: Launcher) -> str:
    takes, passes = [], []
    for parameter in function.parameters:
        element = _element(parameter.type)
        if element:
            type, cast = _ELEMENTS[element]
            value = f'elements<{type}>({parameter.name}, "{parameter.name}")'
            takes.append(f"const at::Tensor& {parameter.name}")
            passes.append(f"reinterpret_cast<{element}*>({value})" if cast else value)
        elif _stream(parameter.type):
            passes.append("c10::cuda::getCurrentCUDAStream()")
        else:
            takes.append(f"{_words(parameter.type)} {parameter.name}")
            passes.append(parameter.name)
    first = next(p.name for p in function.parameters if _element(p.type))
    return (
        f"{function.returns} bound_{function.name}(\n    {_lines(takes)}) {{\n"
        f"  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of({first}));\n"
        f"  return {function.name}(\n      {_lines(passes, 6)});\n}}\n"
    )


def _lines(items: list[str], indent: int = 4) -> str:
    return f",\n{' ' * indent}".join(items)


def _definition(function: Launcher) -> str:
    names = [f'py::arg("{p.name}")' for p in function.parameters if not _stream(p.type)]
    arguments = "".join(f",\n        {name}" for name in names)
    return f'  m.def("{function.name}", &bound_{function.name}{arguments});\n'


_EXAMPLE = "void scale_cuda(const float* input, float* output, int n, cudaStream_t stream);\n"
RULE = Rule(
    id="ffi-binding",
    need="broken",
    gone="torch 1.0",
    since="torch 1.0",
    pattern="a header of C functions that start kernels, in a project with torch.utils.ffi glue",
    replacement="a new file HEADER_binding.cpp",
    before=_EXAMPLE,
    after=binding("scale.h", list(launchers(Code(_EXAMPLE)))),
    why="The glue itself (the C files that take THCudaTensor*) is left to you: the binding offers what"
    " the glue called, on tensors. Allocate the outputs in Python.",
)
