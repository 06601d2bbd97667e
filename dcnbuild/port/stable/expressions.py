"""Which expressions of a C++ text are tensors, and where an expression begins and ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal, get_args

from dcnbuild.base.plain_yaml import beside
from dcnbuild.knowledge import torch_calls
from dcnbuild.port.code import Code
from dcnbuild.port.functions import TENSOR, Signature
from dcnbuild.port.pattern import arguments
from dcnbuild.port.stream import Stream

_SIGNS = frozenset({"+", "-", "*", "/", "<", ">", "<=", ">=", "==", "!="})
#: "tuple" is of tensors alone, "other" is known to be no tensor; None is not known.
Kind = Literal["tensor", "tensors", "tuple", "optional", "other"]

#: Members and functions that give something else than one tensor.
_NAMES = beside(__file__, "names.yaml")
_NO_TENSOR, _SEVERAL, _TUPLES = (frozenset(_NAMES[key]) for key in ("no_tensor", "several", "tuples"))


class Expressions:
    """Answers for one text; what its project's functions return is in `signatures`."""

    def __init__(self, code: Code, signatures: Mapping[str, tuple[Signature, ...]]) -> None:
        self.code = code
        self.signatures = signatures

    def kind_of_name(self, name: str, offset: int) -> Kind | None:
        """What a variable is, by the last declaration of its name before an offset."""
        found = self._declared.get(name, [])
        function = self.code.function_at(offset, whole=True)
        inside = [kind for at, kind in found if function is not None and function.start <= at <= offset]
        if inside:
            return inside[-1]
        found = [] if name in self.code.defined else found  # `Tensor pad(…) {` declares no variable
        outside = [(at, kind) for at, kind in found if self.code.function_at(at) is None]
        before = [kind for at, kind in outside if at <= offset and not self._is_parameter(at)]
        return before[-1] if before else None

    def _is_parameter(self, offset: int) -> bool:
        stream = self.code.live
        around = stream.around[min(stream.at(offset), len(stream) - 1)]
        return around >= 0 and stream[around].text == "("

    def kind(self, stream: Stream, start: int, end: int) -> Kind | None:
        """What an expression is; `start` and `end` are indices of its first token and behind its last."""
        while start < end and stream[start].text == "(" and stream.partner[start] == end - 1:
            start, end = start + 1, end - 1
        if start < end and stream[start].text in ("*", "&"):
            pointed = self.kind(stream, start + 1, end)
            return "tensor" if (stream[start].text, pointed) == ("*", "optional") else pointed
        if start >= end:
            return None
        index, known = self._primary(stream, start, end)
        while index < end:
            text = stream[index].text
            if text in (".", "->") and index + 1 < end:
                name = stream[index + 1].text
                known = "tensor" if (text, known) == ("->", "optional") else known
                index += 3 if name == "template" else 2
                name = stream[index - 1].text
                if index < end and stream[index].text == "<":
                    index = stream.angles.get(index, index) + 1
                called = index < end and stream[index].text == "("
                if called:
                    index = stream.partner[index] + 1
                    if index <= 0:
                        return None
                known = self._member(known, name) if called else None
            elif text == "[":
                index = stream.partner[index] + 1
                if index <= 0:
                    return None
                known = "tensor" if known in ("tensor", "tensors") else None
            else:
                return self._operator(stream, index, end, known)
        return known

    def _operator(self, stream: Stream, index: int, end: int, left: Kind | None) -> Kind | None:
        """What `a + b` is: a tensor if one of its sides is."""
        if stream[index].text in _SIGNS and index + 1 < end and index not in stream.angles:
            sides = (left, self.kind(stream, index + 1, end))
            return "tensor" if "tensor" in sides else None
        if stream[index].text in ("?", "&&", "||"):
            colon = next(
                (i for i in range(index, end) if stream[i].text == ":" and stream.around[i] == stream.around[index]), 0
            )
            return self.kind(stream, colon + 1, end) if colon else None
        return None

    def _member(self, known: Kind | None, name: str) -> Kind | None:
        if known == "optional":
            return "tensor" if name in ("value", "value_or") else "other"
        if known != "tensor":
            return None
        return _given("at::Tensor", name)

    def _primary(self, stream: Stream, index: int, end: int) -> tuple[int, Kind | None]:
        """The index behind a name, a call or a bracket, and what that is."""
        if stream[index].text == "(":
            close = stream.partner[index]
            if close < 0:
                return end, None
            return close + 1, self.kind(stream, index + 1, close)
        first = index
        names = []
        while index < end and (stream[index].kind == "name" or stream[index].text == "::"):
            if stream[index].kind == "name":
                names.append(stream[index].text)
            index += 1
        if not names:
            return max(index, first + 1), None
        if index < end and stream[index].text == "<" and index in stream.angles:
            closing = stream.angles[index]
            if closing + 1 < end and stream[closing + 1].text == "(":
                index = closing + 1
        if index < end and stream[index].text == "(":
            close = stream.partner[index]
            return (close + 1 if close >= 0 else end), self._call(stream, names, index, close)
        if len(names) == 1:
            return index, self.kind_of_name(names[0], stream[first].start)
        return index, None

    def _call(self, stream: Stream, names: list[str], opening: int, close: int) -> Kind | None:
        name = names[-1]
        if names == ["std", "move"]:
            return self.kind(stream, opening + 1, close)
        if names == ["std", "get"]:
            return "tensor" if self.kind(stream, opening + 1, close) == "tuple" else None
        if name in ("Tensor", "Variable", "make_variable"):  # a Variable is one, too
            return "tensor"
        if names[0] in ("at", "torch") and names[-2:-1] and names[-2] in ("at", "torch", "stable"):
            return _given("at" if names[-2] in ("at", "torch") else "", name)
        if name in _NAMES["made"]:
            return "tensor"
        if name == "ported_call":
            first = stream.openings.get(opening - 1)
            return (
                "tensor" if first is None else kind_of_type(" ".join(t.text for t in stream[first + 1 : opening - 1]))
            )
        found = {kind_of_type(s.returns) for s in self.signatures.get(name, ())}
        if not found and len(names) == 1:
            spans, _ = arguments(stream, opening + 1) or ([], 0)
            tensors = any(self.kind(stream, *span) in ("tensor", "tensors") for span in spans)
            return (_given("at", name) if tensors else None) or self._lambda(stream, name, stream[opening].start)
        return found.pop() if len(found) == 1 else None

    def _lambda(self, stream: Stream, name: str, offset: int) -> Kind | None:
        """What a call of `auto name = [&](…) { … return x; };` gives, declared before an offset."""
        places = [i for i in stream.places.get(name, ()) if stream[i].start < offset and stream.follows(i, "=", "[")]
        body = stream.partner[places[-1] + 2] + 1 if places else 0
        while 0 < body < len(stream) and stream[body].text not in ("{", ";"):
            if stream[body].text == "->":
                end = next(i for i in range(body, len(stream)) if stream[i].text in ("{", ";"))
                return kind_of_type(self.code.written(stream, body + 1, end))
            body = stream.partner[body] + 1 if stream.partner[body] > body else body + 1
        close = stream.partner[body] if 0 < body < len(stream) else -1
        returns = [i for i in stream.places.get("return", ()) if body < i < close]
        kinds = {self.kind(stream, i + 1, stream.ends[i]) for i in returns}
        return kinds.pop() if len(kinds) == 1 else None

    @cached_property
    def _declared(self) -> dict[str, list[tuple[int, Kind | None]]]:
        found: dict[str, list[tuple[int, Kind | None]]] = {}
        self.__dict__["_declared"] = found  # `auto b = a.view(…)` asks for what is known by then
        for name, offset, kind in _declarations(self):
            found.setdefault(name, []).append((offset, kind))
        return found


def _given(owner: str, name: str) -> Kind | None:
    """What a method of a tensor, or a function of a namespace, gives; those of the stable ABI give tensors."""
    if name in _SEVERAL:
        return "tensors"
    if name in _TUPLES or name in _NO_TENSOR:
        return "tuple" if name in _TUPLES else "other"
    known = torch_calls.returns(f"{owner}::{name}") if owner else "tensor"
    return next((kind for kind in get_args(Kind) if kind == known), None)


def kind_of_type(type: str) -> Kind | None:
    """What a variable of this type is."""
    bare = " ".join(w for w in type.replace("&", " ").split() if w not in ("const", "constexpr", "static"))
    if TENSOR.fullmatch(bare):
        return "tensor"
    template, _, rest = bare.replace(" ", "").partition("<")
    if template.endswith("tuple"):
        return "tuple" if all(map(TENSOR.fullmatch, rest.removesuffix(">").split(","))) else "other"
    if TENSOR.fullmatch(rest.removesuffix(">")):
        if template.endswith("optional"):
            return "optional"
        return "tensors" if template.endswith(("vector", "ArrayRef", "array")) else None
    if bare.endswith("TensorList"):
        return "tensors"
    return "other"


def _declarations(known: Expressions) -> Iterator[tuple[str, int, Kind | None]]:
    """The variables and parameters of a text that are tensors, or `auto`, with their offsets."""
    stream = known.code.live
    for index, token in enumerate(stream):
        if token.text == "Tensor" and index + 1 < len(stream):
            yield from _of_type(known.code, stream, index)
        elif token.text == "TensorList" and stream[index + 1 : index + 2]:
            name = stream[index + 1]
            if name.kind == "name":
                yield name.text, name.start, "tensors"
        elif token.text == "*" and stream[index + 1 : index + 3] and stream.words(index + 2, 1) == ["="]:
            name, block = stream[index + 1], stream.partner[stream.around[index]] if stream.around[index] >= 0 else -1
            outer = known.kind_of_name(name.text, name.start)
            if outer is not None:  # T* x = …; hides it until its block ends
                yield name.text, name.start, "other"
                yield name.text, stream[block].start, outer
        elif token.text == "auto":
            after = index + 1
            while after < len(stream) and stream[after].text in ("&", "&&", "const"):
                after += 1
            if after < len(stream) and stream[after].text == "[":  # auto [a, b] = tuple;
                close, end = stream.partner[after], stream.ends[after]
                bound = close > 0 and end > 0 and known.kind(stream, close + 2, end) == "tuple"
                for name in stream[after + 1 : close] if bound else ():
                    if name.kind == "name":
                        yield name.text, name.start, "tensor"
            elif after + 1 < len(stream) and stream[after].kind == "name":
                if stream[after + 1].text == "=":
                    end = stream.ends[after]
                    kind = known.kind(stream, after + 2, end) if end > 0 else None
                    yield stream[after].text, stream[after].start, kind
                elif stream[after + 1].text == ":":  # for (auto x : tensors)
                    close = stream.partner[stream.around[after]] if stream.around[after] >= 0 else 0
                    kind = known.kind(stream, after + 2, close) if close > after else None
                    one: Kind | None = "tensor" if kind == "tensors" else None
                    yield stream[after].text, stream[after].start, one


def _of_type(code: Code, stream: Stream, index: int) -> Iterator[tuple[str, int, Kind | None]]:
    """The names that `Tensor` at this index declares."""
    kind: Kind = "tensor"
    after = index + 1
    if stream[after].text == ">":
        opening = stream.openings.get(after, 0)
        template = stream[opening - 1].text if opening else ""
        if template not in ("vector", "optional", "array", "ArrayRef", "HeaderOnlyArrayRef"):
            return
        kind = "optional" if template == "optional" else "tensors"
        after += 1
    while after < len(stream) and stream[after].text in ("&", "&&", "const"):
        after += 1
    if after >= len(stream) or stream[after].kind != "name" or stream.follows(after, "<"):
        return
    if stream.follows(after, "(") and code.function_at(stream[after].start) is None:
        return  # a function
    array: Kind = "tensors" if stream[after + 1 : after + 2] and stream[after + 1].text == "[" else kind
    yield stream[after].text, stream[after].start, array
    inside = stream.around[index] >= 0 and stream[stream.around[index]].text == "("
    end = stream.ends[after]
    while not inside and after < end and stream[after : after + 2] != [")", "{"]:  # Tensor a, b = x, c;
        after += 1
        if stream[after].text in ("(", "[", "{"):
            after = max(stream.partner[after], after)
        elif stream[after].text == "," and stream[after + 1].kind == "name":
            yield stream[after + 1].text, stream[after + 1].start, kind


def expressions(code: Code, signatures: Mapping[str, tuple[Signature, ...]]) -> Expressions:
    """The expressions of a text; made once for each text."""
    found = code.__dict__.get("_expressions")
    if not isinstance(found, Expressions) or found.signatures is not signatures:
        found = code.__dict__["_expressions"] = Expressions(code, signatures)
    return found
