"""Calls of TH and THC with their tensors, in C glue."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, whole_line
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.stream import Stream

#: Element type of TH → (C++ type, at::ScalarType). "" is what THCudaTensor has.
_ELEMENTS = {
    **{"": ("float", "at::kFloat"), "Float": ("float", "at::kFloat")},
    **{"Double": ("double", "at::kDouble"), "Half": ("at::Half", "at::kHalf")},
    **{"Byte": ("uint8_t", "at::kByte"), "Char": ("int8_t", "at::kChar")},
    **{"Short": ("int16_t", "at::kShort"), "Int": ("int", "at::kInt")},
    "Long": ("int64_t", "at::kLong"),
}
_NAMED = "|".join(filter(None, _ELEMENTS))
#: THTensor alone is a macro of generic files, for each element type in turn.
TYPES = rf"TH(?:Cuda(?:{_NAMED})?|{_NAMED})Tensor"
#: Function behind "…Tensor_", without its state → what to write. {0} is its first argument, {a} the
#: others in a row, {type} and {options} those of the elements. Source: TH/generic/THTensor*.h of torch 0.4.
_FUNCTIONS = {
    "data": "{0}.data_ptr<{type}>()",
    "size": "{0}.size({1})",
    "stride": "{0}.stride({1})",
    "nDimension": "{0}.dim()",
    **dict.fromkeys(("nElement", "numel"), "{0}.numel()"),
    "storageOffset": "{0}.storage_offset()",
    "isContiguous": "{0}.is_contiguous()",
    "isSameSizeAs": "({0}.sizes() == {1}.sizes())",
    "resizeAs": "{0}.resize_as_({1})",
    **{f"resize{n}d": "{0}.resize_({{{a}}})" for n in range(1, 6)},
    **{f"newWithSize{n}d": "at::empty({{{all}}}, {options})" for n in range(1, 5)},
    "new": "at::empty({{0}}, {options})",
    "newContiguous": "{0}.contiguous()",
    "newClone": "{0}.clone()",
    "newSelect": "{0}.select({1}, {2})",
    "newNarrow": "{0}.narrow({1}, {2}, {3})",
    "newTranspose": "{0}.transpose({1}, {2})",
    "select": "{0} = {1}.select({2}, {3})",
    "narrow": "{0} = {1}.narrow({2}, {3}, {4})",
    "transpose": "{0} = {1}.transpose({2}, {3})",
    "fill": "{0}.fill_({1})",
    "zero": "{0}.zero_()",
    "copy": "{0}.copy_({1})",
    **{
        f: f"at::{f}_out({{0}}, {{1}}, at::scalar_tensor({{2}}, {{1}}.options()))"
        for f in ("add", "sub", "mul", "div", "pow")
    },
    "cadd": "at::add_out({0}, {1}, {3}, {2})",
    "cmul": "at::mul_out({0}, {1}, {2})",
    "csub": "at::sub_out({0}, {1}, {3}, {2})",
    "cdiv": "at::div_out({0}, {1}, {2})",
    **{f: f"at::{f}_out({{0}}, {{1}})" for f in ("abs", "sqrt", "exp", "log", "neg", "sigmoid", "tanh", "sign")},
    "sumall": "{0}.sum().item<double>()",
    "normall": "{0}.norm({1}).item<double>()",
    "dot": "{0}.flatten().dot({1}.flatten()).item<double>()",
    "addmm": "at::addmm_out({0}, {2}, {4}, {5}, {1}, {3})",
    "addmv": "at::addmv_out({0}, {2}, {4}, {5}, {1}, {3})",
    "addr": "at::addr_out({0}, {2}, {4}, {5}, {1}, {3})",
    "get1d": "{0}.data_ptr<{type}>()[{1} * {0}.stride(0)]",
    **{f"get{n}d": "{0}" + "".join(f"[{{{i}}}]" for i in range(1, n + 1)) + ".item<{type}>()" for n in (2, 3, 4)},
    **{f"set{n}d": "{0}" + "".join(f"[{{{i}}}]" for i in range(1, n + 1)) + f" = {{{n + 1}}}" for n in (1, 2, 3, 4)},
    **{f"{which}all": f"{{0}}.{which}().item<{{type}}>()" for which in ("min", "max")},
    "meanall": "{0}.mean().item<double>()",
    "newWithTensor": "{0}.alias()",
    "set": "{0}.set_({1})",
}
#: `copyCuda`, `copyFloat`, `copyAsyncCPU`, …: one copy_ does what they did.
_COPY = re.compile(r"copy(?:Async)?(?:CPU|Cuda)?\w*")
_IN_STORAGE = re.compile(r"newWithStorage\dd")
#: Types whose pointers C takes for each other, and C++ does not: what the project calls its own is not judged.
_BUILT_IN = frozenset({"unsigned", "signed", "long", "int", "short", "char", "float", "double"})
_SAME = {
    "int64_t": ("long", "long int"),
    "uint8_t": ("unsigned char",),
    "int8_t": ("signed char", "char"),
    "int16_t": ("short",),
}
#: They count references, which at::Tensor does itself.
_DROPPED = frozenset({"free", "retain"})


def _calls(code: Code, scope: Scope) -> Iterable[Edit]:
    """`THCudaTensor_size(state, x, 0)` and its like; those inside others are found when they are done."""
    for stream, index in code.names(rf"{TYPES}_\w+"):
        head, _, function = stream[index].text.partition("_")
        found = arguments(stream, index + 2) if follows(stream, index, "(") else None
        if found is None:
            continue
        on_gpu = head.startswith("THCuda")
        close = stream[found[1]]
        values = [code.text[stream[a].start : stream[b - 1].end] for a, b in found[0] if b > a]
        if on_gpu or values[:1] == ["state"]:  # what copies between CPU and GPU has it, too
            values = values[1:]
        function = "copy" if _COPY.fullmatch(function) else function
        if function == "storage" and is_condition(stream, index, found[1]):
            function = "numel"  # no elements, no storage
        if function in _DROPPED and follows(stream, found[1], ";"):
            yield Edit(*whole_line(code.text, stream[index].start, stream[found[1] + 1].end), "")
        elif function in _FUNCTIONS or _IN_STORAGE.fullmatch(function):
            form = _FUNCTIONS.get(function) or _in_storage(values)
            new = _filled(form, head, values, on_gpu)
            if function == "data":
                new = _cast(stream, index, head) + new
            if new:
                yield Edit(stream[index].start, close.end, new)


def _in_storage(values: Sequence[str]) -> str:
    """`newWithStorage2d(x->storage, offset, size, stride, size, stride)`; -1 is the stride of what is contiguous."""
    sizes, strides, below = values[2::2], [], "1"
    for size, stride in zip(reversed(sizes), reversed(values[3::2])):
        strides.insert(0, below if stride == "-1" else stride)
        part = size if size.isidentifier() else f"({size})"
        below = part if strides[0] == "1" else f"{part} * {strides[0]}"
    name, _, field = values[0].partition("->")
    form = f"{name}.as_strided({{{{{', '.join(sizes)}}}}}, {{{{{', '.join(strides)}}}}}, {{1}})"
    return form if name.isidentifier() and field == "storage" else ""


def _cast(stream: Stream, index: int, head: str) -> str:
    """The cast that C++ wants in `unsigned long long* p = THLongTensor_data(x)`."""
    written, type = _pointed_to(stream, index), element_of(head)[0]
    same = (type, *_SAME.get(type, ()))
    known = written and set(written.split()) <= _BUILT_IN
    return f"({written}*)" if known and written not in same else ""


def _pointed_to(stream: Stream, index: int) -> str:
    """The T of `T* p = …`, or of the `T* p` before a `p = …`, where … begins at this index; else the empty text."""
    if index < 4 or stream[index - 1].text != "=" or stream[index - 2].kind != "name":
        return ""
    places = stream.places[stream[index - 2].text]
    for place in reversed(places[: bisect.bisect(places, index)]):
        first = place - 1
        while first and stream[first - 1].kind == "name" and stream[first - 1].text != "return":
            first -= 1
        if stream[place - 1].text == "*" and stream[place - 2].text != "*":
            return " ".join(t.text for t in stream[first : place - 1] if t.text != "const")
    return ""


def _allocations(code: Code, scope: Scope) -> Iterable[Edit]:
    """`float *p = malloc(n)`, which is C: in C++ a void* is no other pointer."""
    if not any(True for _ in code.names(TYPES)):
        return
    for stream, index in code.names("malloc|calloc|realloc"):
        type = _pointed_to(stream, index)
        if type and follows(stream, index, "("):
            yield Edit(stream[index].start, stream[index].start, f"({type} *)")


def element_of(head: str) -> tuple[str, str]:
    """The C++ type and the at::ScalarType of THCudaLongTensor's elements."""
    return _ELEMENTS[head.removeprefix("THCuda").removeprefix("TH").removesuffix("Tensor")]


def is_condition(stream: Stream, first: int, last: int) -> bool:
    """Whether what stands there is asked for its truth: `if (x)`, `!x`, `a && x`, `x ? a : b`."""
    before, behind = (t.text for t in (stream[first - 1], stream[min(last + 1, len(stream) - 1)]))
    if behind == "?":
        return before in ("(", "=", ",", "return", "!", "&&", "||")
    opened = before == "(" and first > 1 and stream[first - 2].text in ("if", "while")
    return behind in (")", "&&", "||") and (opened or before in ("!", "&&", "||"))


def _filled(form: str, head: str, values: Sequence[str], on_gpu: bool) -> str:
    type, scalar = element_of(head)
    options = f"at::device({'at::kCUDA' if on_gpu else 'at::kCPU'}).dtype({scalar})"
    rest = ", ".join(values[1:])
    try:
        return form.format(*values, a=rest, all=", ".join(values), type=type, options=options)
    except IndexError:  # fewer arguments than it has
        return ""


def _same_gpu(code: Code, scope: Scope) -> Iterable[Edit]:
    """`THCAssertSameGPU(THCudaTensor_checkGPU(state, n, a, b));`"""
    for stream, index in code.names("THCAssertSameGPU|THAssert"):
        close = stream.partner[index + 1] if follows(stream, index, "(") else -1
        inside = stream[index + 2].text if close > 0 else ""
        if inside.endswith("Tensor_checkGPU") and follows(stream, close, ";"):
            yield Edit(*whole_line(code.text, stream[index].start, stream[close + 1].end), "")


RULES = (
    Rule(
        id="c-allocation",
        gone="glue in C becomes C++",
        pattern="float *p = malloc(n), in a .c file",
        replacement="float *p = (float *)malloc(n)",
        before="void f(THFloatTensor *x, int n) { float *p = malloc(n); struct A *a; a = calloc(n, 2); }\n",
        after="void f(THFloatTensor *x, int n) { float *p = (float *)malloc(n); struct A *a; a = (struct A "
        "*)calloc(n, 2); }\n",
        untouched=(
            "void f(int n) { float *p = malloc(n); }\n",
            "void f(THFloatTensor *x, int n) { float *p = (float *)malloc(n); g(malloc(n)); }\n",
        ),
        rewrite=_allocations,
    ),
    Rule(
        id="th-tensor-gpu",
        gone="torch 1.11",
        pattern="THCAssertSameGPU(THCudaTensor_checkGPU(state, n, a, b));",
        replacement="nothing",
        before="void f() {\n  THCAssertSameGPU(THCudaTensor_checkGPU(state, 2, a, b));\n  g();\n}\n",
        after="void f() {\n  g();\n}\n",
        untouched=("// THCAssertSameGPU(THCudaTensor_checkGPU(state, 2, a, b));\n",),
        rewrite=_same_gpu,
    ),
    Rule(
        id="th-tensor-call",
        gone="torch 1.11",
        since="torch 1.3",
        pattern="THCudaTensor_size(state, x, 0), THFloatTensor_data(x), THCudaTensor_resize2d(state, x, a, b), …",
        replacement="x.size(0), x.data_ptr<float>(), x.resize_({a, b}), …",
        before="int f() {\n  g(THCudaTensor_data(state, x), THIntTensor_size(y, 1));\n"
        "  THCudaLongTensor_resize2d(state, z, 2, n);\n  THCudaTensor_free(state, x);\n  return 1;\n}\n",
        after="int f() {\n  g(x.data_ptr<float>(), y.size(1));\n  z.resize_({2, n});\n  return 1;\n}\n",
        untouched=("int f() { return THCudaTensor_unfold(state, x, y, 1, 2, 3); }\n",),
        rewrite=_calls,
    ),
)
