"""CUDA: streams, device guards, device properties, atomics, cuBLAS handles."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments, arguments_of
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import Expressions, expressions
from dcnbuild.port.stable.options import options
from dcnbuild.port.stable.types import NAMES, SPACES, renames, scope_of
from dcnbuild.port.stream import Stream

_GUARDS = "CUDAGuard|OptionalCUDAGuard|DeviceGuard|OptionalDeviceGuard"


def qualified(stream: Stream, index: int) -> int:
    """The index where a qualified name begins, if it is one of torch's; else -1."""
    first = index
    while first >= 2 and stream[first - 1].text == "::" and stream[first - 2].kind == "name":
        first -= 2
    if first == index or stream[first].text not in SPACES or stream[first + 2].text in ("stable", "headeronly"):
        return -1
    return first - 1 if first and stream[first - 1].text == "::" else first


def rewrite_stable_stream(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(NAMES["cuda"])):
        first = qualified(stream, index)
        if first < 0 or not stream.follows(index, "("):
            continue
        yield stream.edit(first, index, NAMES["cuda"][stream[index].text])
        close = stream.partner[index + 1]
        if stream[index].text == "getCurrentCUDAStream" and stream.follows(close, ".", "stream", "("):
            yield Edit(stream[close].end, stream[close + 4].end, "")


def rewrite_stable_stream_variable(code: Code, scope: Scope) -> Iterable[Edit]:
    """Variables of the class CUDAStream hold a cudaStream_t from now on."""
    names: set[str] = set()
    for stream, index in code.names("CUDAStream"):
        first = qualified(stream, index)
        if first >= 0:
            names.add(stream[index + 1].text)
            yield stream.edit(first, index, "cudaStream_t")
    for stream, index in code.names("ported_current_stream|getCurrentCUDAStream"):
        start = index if stream[index].text[0] == "p" else qualified(stream, index)
        if start > 1 and stream[start - 1].text == "=" and stream[start - 2].kind == "name":
            names.add(stream[start - 2].text)
    for stream, index in code.names("stream"):
        mine = index > 1 and stream[index - 1].text == "." and stream[index - 2].text in names
        if mine and stream.follows(index, "(", ")") and stream[index - 3].text not in (".", "->"):
            yield stream.edit(index - 1, index + 2, "")


def rewrite_stable_device_guard(code: Code, scope: Scope) -> Iterable[Edit]:
    known = expressions(code, scope_of(scope).signatures)
    for stream, index in code.names(_GUARDS):
        first = qualified(stream, index)
        found = arguments(stream, index + 3) if stream.words(index + 2, 1) in (["("], ["{"]) else None
        if first < 0 or found is None or len(found[0]) != 1:
            continue
        start, end = found[0][0]
        value = _device(known, code, stream, start, end)
        if value:
            new = "torch::stable::accelerator::DeviceGuard"
            yield stream.edit(first, index, new)
            yield stream.edit(start, end - 1, value)


def _device(known: Expressions, code: Code, stream: Stream, start: int, end: int) -> str:
    """The index of a device that a guard is given; "" if it is not known."""
    words = [token.text for token in stream[start:end]]
    if "device_of" in words:
        at = start + words.index("device_of")
        close = stream.partner[at + 1]
        inner = code.written(stream, at + 2, close)
        return f"{inner}.get_device_index()" if close == end - 1 else ""
    if "?" in words:
        both = [start, start + words.index("?") + 1, len(words) - words[::-1].index(":") + start, end]
        sides = _device(known, code, stream, both[1], both[2] - 1), _device(known, code, stream, both[2], end)
        return f"{code.written(stream, start, both[1])} {sides[0]} : {sides[1]}" if all(sides) else ""
    if words[-3:] == ["device", "(", ")"] and words[-4:-3] in (["."], ["->"]):
        return f"{code.written(stream, start, end - 3)}get_device_index()"
    if words[-3:] in (["get_device", "(", ")"], ["get_device_index", "(", ")"]):
        return code.written(stream, start, end)
    if words[-3:] == ["index", "(", ")"] and "device" in words:
        return code.written(stream, start, end)
    if known.kind(stream, start, end) == "tensor":
        return f"{code.written(stream, start, end)}.get_device_index()"
    given = options(known, code, stream, start, end)
    held = f"{given.device}.index()" if given and given.device == words[0] else ""
    return words[0] if len(words) == 1 and stream[start].kind == "number" else held


def rewrite_stable_atomic(code: Code, scope: Scope) -> Iterable[Edit]:
    stable = scope_of(scope)
    has = stable.target.has_header("torch/headeronly/cuda/Atomic.h")
    for stream, index in code.names("gpuAtomicAdd|gpuAtomicAddNoReturn"):
        if stream[index].text in scope.own or not stream.follows(index, "("):
            continue
        if not has:
            yield stream.edit(index, index, "ported_atomic_add")
        elif stream[index].text != "gpuAtomicAdd":
            yield stream.edit(index, index, "gpuAtomicAdd")
    if has or "atomicAdd" in scope.own or code.has("PORTED_ATOMIC_ADD|ported_atomic_add") or not _half(code):
        return
    # ATen's headers have one for Half; CUDA's own has those for float, double and int
    for stream, index in code.names("atomicAdd"):
        member = index > 0 and stream[index - 1].text in (".", "->", "::")
        if stream.follows(index, "(") and not member:
            yield stream.edit(index, index, "ported_atomic_add")


def _half(code: Code) -> bool:
    """Whether a text's kernels are made for half precision, too."""
    places = code.names(r"k?Half|k?BFloat16|AT_DISPATCH_\w+_HALF")
    around = (code.layout.path_at(stream[index].start) for stream, index in places)
    return any(not any("PORTED_" in code.text[d.start : d.end] for d in lines) for lines in around)  # no helper's


def rewrite_stable_argument_check(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(NAMES["helped"])):
        first = qualified(stream, index)
        if first < 0:
            continue
        yield stream.edit(first, index, NAMES["helped"][stream[index].text])
        found = arguments_of(stream, index)
        two = stream[index].text in ("checkSameGPU", "checkSameType")
        if two and found and len(found[0]) == 3:  # they become the list that checkAll… takes
            start, end = stream[found[0][1][0]].start, stream[found[0][2][1] - 1].end
            yield Edit(start, start, "{")
            yield Edit(end, end, "}")


rewrite_stable_ceil_div = renames(NAMES["integers"])
rewrite_stable_parallel_for = renames(NAMES["threads"])
RULES = entries(__file__, globals())
