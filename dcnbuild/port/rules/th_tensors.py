"""Tensors of TH and THC in C glue: calls of their functions, their type, their fields, their truth, and NULL."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.result import Remark, remark, remarks
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

#: Element types, functions with what to write for them, and words of C and C++.
_TABLES = beside(__file__, "th_functions.yaml")
_NAMED = "|".join(filter(None, _TABLES["elements"]))
#: THTensor alone is a macro of generic files, for each element type in turn.
TYPES = rf"TH(?:Cuda(?:{_NAMED})?|{_NAMED})Tensor"
#: `copyCuda`, `copyFloat`, `copyAsyncCPU`, …: one copy_ does what they did.
_COPY = re.compile(r"copy(?:Async)?(?:CPU|Cuda)?\w*")
_IN_STORAGE = re.compile(r"newWithStorage\dd")
#: The end of `x->storage->data + x->storageOffset`, which is replaced as a whole.
_ADDED = ("+", "storageOffset")


def rewrite_th_tensor_call(code: Code, scope: Scope) -> Iterable[Edit]:
    """`THCudaTensor_size(state, x, 0)` and its like; those inside others are found when they are done."""
    for stream, index, given, last in code.calls(rf"{TYPES}_\w+"):
        head, _, function = stream[index].text.partition("_")
        on_gpu = head.startswith("THCuda")
        values = [code.written(stream, *span) for span in given if span[0] < span[1]]
        if on_gpu or values[:1] == ["state"]:  # what copies between CPU and GPU has it, too
            values = values[1:]
        function = "copy" if _COPY.fullmatch(function) else function
        if function == "storage" and _is_condition(stream, index, last):
            function = "numel"  # no elements, no storage
        if function in _TABLES["dropped"] and stream.follows(last, ";"):
            yield code.without(stream, index, last + 1)
        elif function in _TABLES["functions"] or _IN_STORAGE.fullmatch(function):
            new = _filled(_TABLES["functions"].get(function) or _in_storage(values), head, values, on_gpu)
            if function == "data":
                new = _cast(stream, index, head) + new
            if new:
                yield stream.edit(index, last, new)


def _in_storage(values: Sequence[str]) -> str:
    """`newWithStorage2d(x->storage, offset, size, stride, size, stride)`; -1 is the stride of what is contiguous."""
    sizes, below = values[2::2], "1"
    strides: list[str] = []
    for size, stride in zip(reversed(sizes), reversed(values[3::2])):
        strides.insert(0, below if stride == "-1" else stride)
        part = size if size.isidentifier() else f"({size})"
        below = part if strides[0] == "1" else f"{part} * {strides[0]}"
    name, _, field = values[0].partition("->")
    form = f"{name}.as_strided({{{{{', '.join(sizes)}}}}}, {{{{{', '.join(strides)}}}}}, {{1}})"
    return form if name.isidentifier() and field == "storage" else ""


def _cast(stream: Stream, index: int, head: str) -> str:
    """The cast that C++ wants in `unsigned long long* p = THLongTensor_data(x)`."""
    written, type = _pointed_to(stream, index), _element_of(head)[0]
    same = (type, *_TABLES["same"].get(type, ()))
    written = written.removeprefix("const ")
    known = written and set(written.split()) <= set(_TABLES["built_in"])
    return f"({written}*)" if known and written not in same else ""


def _pointed_to(stream: Stream, index: int) -> str:
    """The T of `T* p = …`, or of the `T* p` before a `p = …`, where … begins at this index; else the empty text."""
    if index < 4 or stream[index - 1].text != "=" or stream[index - 2].kind != "name":
        return ""
    places = stream.places[stream[index - 2].text]
    for place in reversed(places[: bisect.bisect(places, index)]):
        last = star = place - 1
        while stream[last - 1].text == "*":
            last -= 1  # `T **p`
        while stream[place - 2].text == "," and star and stream[star].text not in (";", "{", "}"):
            star -= 1  # `T *o = …, *p`
        star = min(last, star + [*stream.words(star, place - star), "*"].index("*"))
        first = star
        while first and stream[first - 1].kind == "name" and stream[first - 1].text != "return":
            first -= 1
        declared = stream[place - 1].text == "*" and stream.around[star] == stream.around[place]
        if declared and first < star:
            return _type(stream[first:star]) + " " * (last < place - 1) + "*" * (place - 1 - last)
    return ""


def _type(tokens: Iterable[Token]) -> str:
    """The type in a declaration, without how it is stored."""
    return " ".join(t.text for t in tokens if t.text not in _TABLES["storage"])


def _wanted(code: Code, stream: Stream, index: int) -> str:
    """The type that `p->x[i] = …` or `return …` takes, where … begins at this index."""
    function = code.function_at(stream[index].start)
    if function and stream.preceded(index, "return"):
        return _type(takewhile(lambda token: token.text != function.name, stream[stream.at(function.start) :]))
    if stream.preceded(index, ")", "[", *stream.words(index - 3, 1), "]", "="):  # `float (*p)[3] = malloc(n)`
        return f"decltype({stream[index - 6].text})"
    first = index - 1
    while first and (stream[first - 1].kind == "name" or stream[first - 1].text in ("->", ".", "]", "*")):
        first = stream.partner[first - 1] if stream[first - 1].text == "]" else first - 1
    text = "".join(stream.words(first, index - 1 - first))
    known = stream.preceded(index, "=") and text[:1] not in ("", "[") and stream[first - 1].text in (*";{}(),=",)
    return f"std::decay_t<decltype({text})>" if known else ""


def rewrite_c_allocation(code: Code, scope: Scope) -> Iterable[Edit]:
    """`float *p = malloc(n)`, `void *p = make(n)`, which is C: in C++ a void* is no other pointer."""
    in_c = scope.is_c or code.has(TYPES)
    for stream, index in code.names("malloc|calloc|realloc") if in_c else ():
        type = _pointed_to(stream, index)
        type = f"{type} *".replace("* *", "**") if type else _wanted(code, stream, index)
        if type and stream.follows(index, "("):
            yield stream.before(index, f"({type})")
    stream = code.live
    untyped = [
        (f, p) for f in code.functions if in_c for p in f.parameters if re.fullmatch(r"(const )?void ?\*", p.type)
    ]
    for index in (index for function, parameter in untyped for index in code.uses(function, parameter.name)):
        type = _pointed_to(stream, index)
        if type and (stream.follows(index, ";") or stream.follows(index, ",")):
            yield stream.before(index, f"({type} *)")
    for index in stream.places.get("void", ()) if scope.is_c else ():
        star, name, sign, called, opening = (stream.words(index + 1, 5) + [""] * 5)[:5]
        once = [stream.follows(place, "=") for place in stream.places.get(name, ())].count(True) == 1
        if [star, sign, opening] == ["*", "=", "("] and not called.endswith("alloc") and once:
            yield Edit(stream[index].start, stream[index + 2].start, "auto ")


def rewrite_c_word(code: Code, scope: Scope) -> Iterable[Edit]:
    """Names that are words of C++: `int *new = p; new[0] = 1;`."""
    in_c = scope.is_c and "__cplusplus" not in code.text
    for stream, index in code.names("|".join(_TABLES["words"])) if in_c or code.has(TYPES) else ():
        before, word, behind = [*stream.words(index - 1, 3), ""][:3] if index else ("", "", "")
        in_template = before in ("<", ",") and behind in (",", "=")
        is_word = (
            behind[:1].isidentifier() or behind in _TABLES["behind_words"] or word in ("this", "delete") or in_template
        )
        if in_c or behind and not is_word and before != "operator":
            yield stream.behind(index, "_")
    for stream, index in code.names("restrict") if in_c else ():
        yield stream.edit(index, index, "__restrict__")


def _element_of(head: str) -> tuple[str, str]:
    """The C++ type and the at::ScalarType of THCudaLongTensor's elements."""
    type, scalar = _TABLES["elements"][head.removeprefix("THCuda").removeprefix("TH").removesuffix("Tensor")]
    return type, scalar


def _is_condition(stream: Stream, first: int, last: int) -> bool:
    """Whether what stands there is asked for its truth: `if (x)`, `!x`, `a && x`, `x ? a : b`."""
    before, behind = (t.text for t in (stream[first - 1], stream[min(last + 1, len(stream) - 1)]))
    if behind == "?":
        return before in ("(", "=", ",", "return", "!", "&&", "||")
    opened = before == "(" and first > 1 and stream[first - 2].text in ("if", "while")
    return behind in (")", "&&", "||") and (opened or before in ("!", "&&", "||"))


def _filled(form: str, head: str, values: Sequence[str], on_gpu: bool) -> str:
    type, scalar = _element_of(head)
    options = f"at::device({'at::kCUDA' if on_gpu else 'at::kCPU'}).dtype({scalar})"
    rest = ", ".join(values[1:])
    try:
        return form.format(*values, a=rest, all=", ".join(values), type=type, options=options)
    except IndexError:  # fewer arguments than it has
        return ""


def rewrite_th_tensor_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`THCudaTensor *x` as a parameter or a variable, and what treats it as a pointer."""
    names: dict[str, str] = {}
    for stream, index in code.names(TYPES):
        takes = index > 1 and stream[index - 2].kind == "name" and stream[index - 2].text != "return"  # f(THTensor*)
        cast = stream.preceded(index, "(") and stream.follows(index, "*", ")") and not takes
        if stream.follows(index, "*") and not stream.follows(index + 1, "*") and not cast:
            end = stream[index + 1].end
            first = index - 1 if index and stream[index - 1].text == "const" else index
            named = index + 2 < len(stream) and stream[index + 2].kind == "name"
            glued = named and stream[index + 2].start == end
            yield stream.edit(first, index + 1, "at::Tensor " if glued else "at::Tensor")
            if named:
                names[stream[index + 2].text] = type = _element_of(stream[index].text)[0]
                for star in _further(stream, index + 2):
                    names[stream[star + 1].text] = type
                    yield stream.edit(star, star, "")
    yield from _fields(code, names)


def _further(stream: Stream, index: int) -> Iterator[int]:
    """The "*" of each further variable in `THCudaTensor *x = f(a, b), *y, *z;`, where x is at this index."""
    if stream.around[index] >= 0 and stream[stream.around[index]].text != "{":
        return  # a parameter
    while index < len(stream) and stream[index].text not in (";", "{", "}", ")"):
        index = max(stream.partner[index], index)
        if stream.follows(index, ",", "*") and stream[index + 3].kind == "name":
            yield index + 2
        index += 1


def _fields(code: Code, names: Mapping[str, str]) -> Iterable[Edit]:
    """`x->size[i]`, `x->nDimension`, `x->storage->data`, and `x == NULL`."""
    stream = code.live
    for index, type in ((i, t) for name, t in names.items() for i in stream.places.get(name, ())):
        name, before = stream[index].text, stream[index - 1].text
        asks, field = stream.follows(index, "->"), "".join(stream.words(index + 2, 1))
        if stream.follows(index, "->", "storage", "->", "data"):
            data = f"{name}.data_ptr<{type}>()"
            if stream.follows(index + 4, "+", name, "->", "storageOffset"):
                yield stream.edit(index, index + 8, data)
            elif not stream.follows(index + 4, "+"):
                yield stream.edit(index, index + 4, f"({data} - {name}.storage_offset())")
        elif asks and field in _TABLES["methods"] and not stream.follows(index + 2, "->") and (before, field) != _ADDED:
            yield Edit(stream[index].end, stream[index + 2].end, f".{_TABLES['methods'][field]}()")
        elif stream.follows(index, "->", "size", "[") or stream.follows(index, "->", "stride", "["):
            close = stream.partner[index + 3]
            if close > 0:
                yield Edit(stream[index].end, stream[index + 3].end, f".{field}(")
                yield stream.edit(close, close, ")")
        elif _is_condition(stream, index, index):
            yield stream.behind(index, ".defined()")
        for sign, new in (("==", "!{}.defined()"), ("!=", "{}.defined()")):
            if any(stream.follows(index, sign, null) for null in ("NULL", "nullptr", "0")):
                yield stream.edit(index, index + 2, new.format(name))


def rewrite_th_tensor_null(code: Code, scope: Scope) -> Iterable[Edit]:
    """`f(NULL)` of a function of this file whose parameter is a tensor."""
    pointer = re.compile(rf"(?:const )?{TYPES} ?\*")
    takes = {
        f.name: {place for place, parameter in enumerate(f.parameters) if pointer.fullmatch(parameter.type)}
        for f in code.functions
    }
    for stream, index, given, _ in code.calls("|".join(map(re.escape, takes)) or "(?!)"):
        for place, (start, end) in enumerate(given):
            alone = end == start + 1 and stream[start].text in ("NULL", "nullptr")
            if alone and place in takes[stream[index].text]:
                yield stream.edit(start, start, "at::Tensor()")


def left_fields(code: Code, scope: Scope) -> Iterator[Remark]:
    """What still reads a field of TH's struct from what is at::Tensor: `x->size` without an index, say."""
    found = (
        (f"{stream[index - 2].text}->{stream[index].text}", stream[index - 2].start)
        for stream, index in code.names("|".join(_TABLES["struct"]))
        if index > 1 and stream[index - 1].text == "->" and code.is_tensor(stream[index - 2])
    )
    return remarks(partial(remark, "th-tensor"), code.text, found)


RULES = entries(__file__, globals())
