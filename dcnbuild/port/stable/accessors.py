"""Accessors: x.accessor<T, N>(), x.packed_accessor32<T, N, Traits>() and their types."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import template_arguments
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.cuda import qualified
from dcnbuild.port.stable.spans import tensor_before

_INDEX = {"32": "int32_t", "64": "int64_t"}
_PACKED = "packed_accessor32|packed_accessor64|generic_packed_accessor|packed_accessor"
_TYPES = "PackedTensorAccessor32|PackedTensorAccessor64|GenericPackedTensorAccessor|PackedTensorAccessor"
_NEW = "torch::headeronly::HeaderOnlyGenericPackedTensorAccessor"


def rewrite_stable_accessor(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(f"accessor|{_PACKED}"):
        angle = stream.angles.get(index + 1) if stream.follows(index, "<") else None
        asked = tensor_before(code, stream, index)
        if angle is None or not stream.follows(angle, "(", ")") or asked is None:
            continue
        start, before = asked
        values = template_arguments(code.text, stream, index + 1)
        name = stream[index].text
        if name == "accessor" and len(values) == 2:
            new = f"ported_accessor<{', '.join(values)}>({before})"
        elif name[-2:] in _INDEX and 2 <= len(values) <= 3:
            new = f"ported_packed<{', '.join([_INDEX[name[-2:]], *values])}>({before})"
        elif name[-2:] not in _INDEX and name != "accessor" and 2 <= len(values) <= 4:
            width = values[3] if len(values) == 4 else "int64_t"
            new = f"ported_packed<{', '.join([width, *values[:3]])}>({before})"
        else:
            continue
        yield stream.edit(start, angle + 2, new)


def rewrite_stable_accessor_type(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(f"TensorAccessor|{_TYPES}"):
        first = qualified(stream, index)
        angle = stream.angles.get(index + 1) if first >= 0 and stream.follows(index, "<") else None
        if angle is None:
            continue
        name = stream[index].text
        if name == "TensorAccessor":
            new = "torch::headeronly::HeaderOnlyTensorAccessor"
            yield stream.edit(first, index, new)
            continue
        values = template_arguments(code.text, stream, index + 1)
        if name[-2:] in _INDEX:
            values = [*values[:2], *(values[2:3] or ["torch::headeronly::DefaultPtrTraits"])]
            values.append(_INDEX[name[-2:]])
        new = f"{_NEW}<{', '.join(values)}>"
        yield stream.edit(first, angle, new)


RULES = entries(__file__, globals())
