"""TensorOptions, read from the text: which tensor they come from, which dtype and device they set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dcnbuild.port.code import Code
from dcnbuild.port.stable.expressions import Expressions
from dcnbuild.port.stable.types import CONSTANTS, SPACES
from dcnbuild.port.stream import Stream

_DEVICES = frozenset({"kCUDA", "kCPU", "kMeta"})
#: How often options may be made of options.
_DEEPEST = 8


@dataclass(frozen=True)
class Options:
    """What options say; "" for what they leave open."""

    like: str = ""
    dtype: str = ""
    device: str = ""

    @property
    def plain(self) -> Options:
        """The same without the tensor: its dtype and its device, where they are left open."""
        like = self.like
        return Options("", self.dtype or f"{like}.scalar_type()", self.device or f"{like}.device()") if like else self

    def over(self, more: Options) -> Options:
        """These, where others leave something open."""
        return Options(more.like or self.like, more.dtype or self.dtype, more.device or self.device)

    def arguments(self, *before: str) -> str:
        """Behind some arguments: dtype, layout and device, as far as they are needed."""
        words = list(before)
        if self.dtype or self.device:
            words.append(self.dtype or "std::nullopt")
        if self.device:
            words += ["std::nullopt", self.device]
        return ", ".join(words)


def options(known: Expressions, code: Code, stream: Stream, start: int, end: int, depth: int = 0) -> Options | None:
    """The options that an expression is; None if it is something else or sets what is not known."""
    if start >= end or depth > _DEEPEST:
        return None
    text = code.written(stream, start, end)
    last = stream[end - 1]
    words = [token.text for token in stream[start:end]]
    if end - start == 1 and last.kind == "name":
        return _variable(known, code, stream, start, depth)
    if last.kind == "name" and words[-2] == "::":
        if words[0] in SPACES and last.text in CONSTANTS or "ScalarType" in words:
            return Options(device=text) if last.text in _DEVICES else Options(dtype=text)
        return Options(device=text) if "DeviceType" in words else None
    if last.text != ")":
        return None
    opening = stream.partner[end - 1]
    if opening <= start:
        return None
    name = stream[opening - 1].text
    value = code.written(stream, opening + 1, end - 1)
    if opening - 2 > start and stream[opening - 2].text in (".", "->"):
        like = code.written(stream, start, opening - 2)
        if name == "options" and not value:
            kind = known.kind(stream, start, opening - 2)
            held = like if stream[opening - 2].text == "." else f"(*{like})"
            return Options(like=held) if kind in ("tensor", "optional", None) else None
        if name in ("scalar_type", "dtype") and not value:
            return Options(dtype=f"{like}{stream[opening - 2].text}scalar_type()")
        if name == "device" and not value:
            return Options(device=text)
        base = options(known, code, stream, start, opening - 2, depth + 1)
        return _with(base, name, value) if base else None
    if words[0] not in SPACES or opening - start != 3:
        return None
    if name == "TensorOptions" and not value:
        return Options()
    if name in ("dtype", "device"):
        return _with(Options(), name, value)
    return Options(device=text) if name == "Device" else None


def _with(base: Options, name: str, value: str) -> Options | None:
    if name == "dtype" and value:
        return replace(base, dtype=value)
    if name == "device" and value:
        several = "," in value and "(" not in value
        return replace(base, device=f"torch::stable::Device({value})" if several else value)
    same = (name, value) in (("requires_grad", "false"), ("layout", "at::kStrided"))
    return base if same or (name, value) == ("layout", "torch::kStrided") else None


def _variable(known: Expressions, code: Code, stream: Stream, index: int, depth: int) -> Options | None:
    """What a variable was last set to before a place, where no condition comes between."""
    name = stream[index].text
    found = settings(code, stream, index)
    before = [(at, end) for at, end in found if end < index]
    function = code.function_at(stream[index].start)
    for parameter in function.parameters if function and not found else ():
        type = parameter.type.replace("&", "").split("::")[-1].strip()
        if parameter.name == name and type in ("ScalarType", "Dtype", "Device"):
            return Options(device=name) if type == "Device" else Options(dtype=name)
    if not before or any(stream.around[at] != stream.around[found[0][0]] for at, _ in before):
        first = found[0][0] if found else 0
        return _named(stream, first, name) if before else None
    plain = _named(stream, found[0][0], name)
    if plain is not None:
        return plain
    at, end = before[-1]
    if stream[at + 1].text == "=":
        return options(known, code, stream, at + 2, end, depth + 1)
    return options(known, code, stream, at + 2, stream.partner[at + 1], depth + 1)


def settings(code: Code, stream: Stream, index: int) -> list[tuple[int, int]]:
    """Where a variable is set in its function: the index of its name, and that of the ";"."""
    name = stream[index].text
    function = code.function_at(stream[index].start)
    if function is None:
        return []
    first, last = map(stream.at, function.body)
    found = []
    for at in stream.places.get(name, ()):
        if first <= at < last and stream[at - 1].text not in (".", "->", "::"):
            declared = stream[at - 1].kind == "name" and stream[at - 1].text != "return"
            if stream[at + 1].text == "=" or (stream[at + 1].text in ("(", "{") and declared):
                found.append((at, stream.ends[at]))
    return [(at, end) for at, end in found if end > 0]


def _named(stream: Stream, at: int, name: str) -> Options | None:
    """The options that a variable is itself, where it holds a dtype or a device."""
    if stream[at - 1].text in ("ScalarType", "Dtype"):
        return Options(dtype=name)
    if stream[at - 1].text == "Device":
        return Options(device=name)
    end = stream.ends[at]
    words = [token.text for token in stream[max(at, end - 4) : end]]
    if stream[at - 1].text in ("auto", "&") and words[:1] == ["."] and words[2:] == ["(", ")"]:
        if words[1] in ("scalar_type", "dtype"):
            return Options(dtype=name)
        if words[1] == "device":
            return Options(device=name)
    return None
