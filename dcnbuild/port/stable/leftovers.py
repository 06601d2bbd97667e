"""What the target's ABI has no word for: found by what its headers hold, and named with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.result import Remark
from dcnbuild.port.rule import rows
from dcnbuild.port.stable import library
from dcnbuild.port.stable.arithmetic import SIGNS, compares, operand
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.facts import StableScope
from dcnbuild.port.stable.headers import UNSTABLE
from dcnbuild.port.stable.spans import receiver, tensor_before
from dcnbuild.port.stable.types import NAMES, SPACES
from dcnbuild.port.stream import Stream


@dataclass(frozen=True)
class Refusal:
    """A kind of name that stays: why, what to do, a line that has one, and which names."""

    id: str
    reason: str
    advice: str
    example: str
    names: str = ""


#: Those of members and signs are found by what they are asked of, and have no names.
ALL = tuple(Refusal(**row) for row in rows(Path(__file__).with_suffix(".yaml")))
REFUSALS = tuple(refusal for refusal in ALL if refusal.names)
_MEMBER, _SIGN = (refusal for refusal in ALL if not refusal.names)
_MACROS = re.compile(r"(?:AT|TORCH|C10|PYBIND11|THC)_[A-Z0-9_]+")
#: What a compiler's flags define, and what the names of a library are made of.
_FLAGS = frozenset({"TORCH_EXTENSION_NAME", "TORCH_TARGET_VERSION", "C10_CUDA_BUILD", "TORCH_CHECK"}) - {"TORCH_CHECK"}


def remarks(code: Code, scope: StableScope) -> Iterator[Remark]:
    """Every name of torch in a text that the target's headers do not hold, and what else stays."""
    said: dict[tuple[str, str], tuple[Refusal, set[int]]] = {}

    def note(refusal: Refusal, subject: str, offset: int) -> None:
        lines = said.setdefault((refusal.id, subject), (refusal, set()))[1]
        lines.add(line_of(code.text, offset))

    modules = [(m.start, m.closing) for m in library.modules(code, scope)]
    yield from library.remarks(code, scope)
    for stream, index in code.names(r"\w+"):
        token = stream[index]
        subject = _qualified(stream, index)
        if subject and not any(a <= token.start < b for a, b in modules):
            note(next(r for r in REFUSALS if re.fullmatch(r.names, subject)), subject, token.start)
        elif _MACROS.fullmatch(token.text) and token.text not in scope.own | _FLAGS:
            known = scope.target.has(token.text, "macro")
            registration = token.text in ("PYBIND11_MODULE", "TORCH_LIBRARY", "TORCH_LIBRARY_IMPL")
            if not known and not (registration and modules):
                note(REFUSALS[-1], token.text, token.start)
    for include in code.layout.includes:
        header = include.name
        if UNSTABLE.fullmatch(header) and header not in scope.own_headers:
            note(REFUSALS[-1], f"#include <{header}>", include.directive.start)
    for name, offset in _members(code, scope):
        note(_MEMBER, name, offset)
    for shown, offset in _arithmetic(code, scope):
        note(_SIGN, shown, offset)
    for (id, subject), (refusal, lines) in said.items():
        yield Remark(id, tuple(sorted(lines)), subject, refusal.reason, refusal.advice, "broken")


def _qualified(stream: Stream, index: int) -> str:
    """The whole name that ends here, if it is one of torch's unstable namespaces or pybind11's."""
    start = stream.qualified(index)
    start += stream[start].text == "::"
    words = stream.words(start, index - start + 1)
    mine = words[0] in (*SPACES, "py", "pybind11") and len(words) > 1 and not stream.follows(index, "::")
    stable = words[0] == "torch" and words[2:3] in (["stable"], ["headeronly"])
    return "".join(words) if mine and not stable else ""


def _members(code: Code, scope: StableScope) -> Iterator[tuple[str, int]]:
    known = expressions(code, scope.signatures)
    for stream, index in code.names(r"\w+"):
        name = stream[index]
        asked = tensor_before(code, stream, index) if stream.words(index + 1, 1) in (["("], ["<"]) else None
        kind = known.kind(stream, asked[0], index - 1) if asked else None
        surely = kind is None and name.text in NAMES["only_tensors"]
        if asked is None or not surely and kind != ("optional" if asked[1].startswith("*") else "tensor"):
            continue
        plain = name.text != "is_contiguous" or stream.follows(index, "(", ")")
        if not plain or not scope.target.has(f"Tensor::{name.text}", "member"):
            yield f".{name.text}", name.start


def _arithmetic(code: Code, scope: StableScope) -> Iterator[tuple[str, int]]:
    """Signs between tensors."""
    known = expressions(code, scope.signatures)
    stream = code.live
    for index in (i for name in scope.signed for i in stream.places.get(name, ())):
        found = arguments_of(stream, index)
        given = [known.kind(stream, *span) for span in found[0]] if found else []
        if any(kind == "tensor" and place in scope.signed[stream[index].text] for place, kind in enumerate(given)):
            yield f"{stream[index].text} of a tensor", stream[index].start
    for index, token in enumerate(stream):
        if token.text not in SIGNS or not index or index + 1 >= len(stream):
            continue
        if not compares(known, stream, index):
            continue
        number = stream[index - 1].kind == "number"
        left = index - 1 if number else receiver(stream, index)
        kind = known.kind(stream, left, index) if left is not None else None
        if left is not None and left and stream[left - 1].text == "*":
            kind = None
        if kind != "tensor" and token.text in ("+", "-", "*", "/", "%", "|", "^") and left is not None:
            end = operand(stream, index + 1)
            kind = known.kind(stream, index + 1, end) if end > index + 1 else None
        if kind == "tensor":
            yield f"{token.text} of a tensor", token.start
