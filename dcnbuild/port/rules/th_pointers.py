"""Tensors of TH and THC as pointers, in C glue: their type, their fields, their truth, and NULL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.result import Remark, by_subject, remark
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.rules.th_tensors import TYPES, element_of, is_condition
from dcnbuild.port.stream import Stream

#: The fields of TH's struct.
_STRUCT = "size|stride|nDimension|storage|storageOffset|refcount|flag"
#: Those that a method without arguments says; what has no elements has no storage.
_METHODS = {"storage": "numel", "nDimension": "dim", "storageOffset": "storage_offset"}
#: The end of `x->storage->data + x->storageOffset`, which is replaced as a whole.
_ADDED = ("+", "storageOffset")


def rewrite_th_tensor_type(code: Code, scope: Scope) -> Iterable[Edit]:
    """`THCudaTensor *x` as a parameter or a variable, and what treats it as a pointer."""
    names: dict[str, str] = {}
    for stream, index in code.names(TYPES):
        if stream.follows(index, "*") and not stream.follows(index + 1, "*"):
            end = stream[index + 1].end
            first = index - 1 if index and stream[index - 1].text == "const" else index
            following = stream[index + 2] if index + 2 < len(stream) else None
            named = following is not None and following.kind == "name"
            glued = named and following is not None and following.start == end
            yield Edit(stream[first].start, end, "at::Tensor " if glued else "at::Tensor")
            if named and following is not None:
                names[following.text] = element_of(stream[index].text)[0]
                for star in _further(stream, index + 2):
                    names[stream[star + 1].text] = names[following.text]
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
                start = f"({data} - {name}.storage_offset())"
                yield stream.edit(index, index + 4, start)
        elif asks and field in _METHODS and not stream.follows(index + 2, "->") and (before, field) != _ADDED:
            yield Edit(stream[index].end, stream[index + 2].end, f".{_METHODS[field]}()")
        elif stream.follows(index, "->", "size", "[") or stream.follows(index, "->", "stride", "["):
            close = stream.partner[index + 3]
            if close > 0:
                yield Edit(stream[index].end, stream[index + 3].end, f".{field}(")
                yield stream.edit(close, close, ")")
        elif is_condition(stream, index, index):
            yield stream.behind(index, ".defined()")
        for sign, new in (("==", "!{}.defined()"), ("!=", "{}.defined()")):
            if any(stream.follows(index, sign, null) for null in ("NULL", "nullptr", "0")):
                text = new.format(stream[index].text)
                yield stream.edit(index, index + 2, text)


def rewrite_th_tensor_null(code: Code, scope: Scope) -> Iterable[Edit]:
    """`f(NULL)` of a function of this file whose parameter is a tensor."""
    pointer = re.compile(rf"(?:const )?{TYPES} ?\*")
    takes = {
        function.name: {
            place for place, parameter in enumerate(function.parameters) if pointer.fullmatch(parameter.type)
        }
        for function in code.functions
    }
    for stream, index, given, _ in code.calls("|".join(map(re.escape, takes)) or "(?!)"):
        for place, (start, end) in enumerate(given):
            alone = end == start + 1 and stream[start].text in ("NULL", "nullptr")
            if alone and place in takes[stream[index].text]:
                yield stream.edit(start, start, "at::Tensor()")


def left_fields(code: Code) -> Iterator[Remark]:
    """What still reads a field of TH's struct from what is at::Tensor: `x->size` without an index, say."""
    found = (
        (f"{stream[index - 2].text}->{stream[index].text}", stream[index - 2].start)
        for stream, index in code.names(_STRUCT)
        if index > 1 and stream[index - 1].text == "->" and code.is_tensor(stream[index - 2])
    )
    return (remark("th-tensor", lines, subject) for subject, lines in by_subject(code.text, found).items())


RULES = entries(__file__, rewrites(globals()))
