"""Checks and errors: TORCH_CHECK and its family, warnings, CUDA's checks."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.types import NAMES, scope_of

_PLAIN = (
    r"TORCH_CHECK|TORCH_CHECK_(?:INDEX|VALUE|TYPE|NOT_IMPLEMENTED|LINALG|ARG)|TORCH_INTERNAL_ASSERT"
    r"|TORCH_INTERNAL_ASSERT_DEBUG_ONLY|AT_ASSERT|AT_ASSERTM"
)
_COMPARED = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def rewrite_stable_check(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(_PLAIN):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, "STD_TORCH_CHECK")


def rewrite_stable_check_comparison(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names(r"TORCH_D?CHECK_(?:EQ|NE|LT|LE|GT|GE)"):
        found = arguments_of(stream, index)
        if found is None or len(found[0]) != 2 or stream[index].text in scope.own:
            continue
        left, right = (code.written(stream, start, end) for start, end in found[0])
        sign = _COMPARED[stream[index].text[-2:]]
        new = f"STD_TORCH_CHECK(({left}) {sign} ({right}))"
        yield stream.edit(index, found[1], new)


def rewrite_stable_check_message(code: Code, scope: Scope) -> Iterable[Edit]:
    """What a message of STD_TORCH_CHECK holds and a stream of the standard library cannot print."""
    known = expressions(code, scope_of(scope).signatures)
    for stream, index in code.names("STD_TORCH_CHECK"):
        found = arguments_of(stream, index)
        for start, end in found[0][1:] if found else ():
            words = [token.text for token in stream[start:end]]
            if words[-4:-3] == ["."] and words[-2:] == ["(", ")"]:
                if words[-3] in ("sizes", "strides"):
                    yield stream.before(start, "ported_text(")
                    yield stream.behind(end - 1, ")")
                elif words[-3] == "device" and known.kind(stream, start, end - 4) == "tensor":
                    member = stream[end - 3]
                    yield Edit(member.start, stream[end - 1].end, "get_device_index()")


def rewrite_stable_cuda_check(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("|".join(NAMES["cuda_checks"])):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, NAMES["cuda_checks"][stream[index].text])


def rewrite_stable_warn(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index in code.names("TORCH_WARN|TORCH_WARN_ONCE"):
        if stream[index].text not in scope.own and stream.follows(index, "("):
            yield stream.edit(index, index, "PORTED_WARN")


RULES = entries(__file__, rewrites(globals()))
