"""Checks and errors: TORCH_CHECK and its family, warnings, CUDA's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.pattern import arguments_of
from dcnbuild.port.rule import Scope, entries, rewrites
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.types import NAMES, scope_of

_COMPARED = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def _renames(names: Mapping[str, str]) -> Callable[[Code, Scope], Iterable[Edit]]:
    """Writes other macros for those that the project does not define itself."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        for stream, index in code.names("|".join(names)):
            if stream[index].text not in scope.own and stream.follows(index, "("):
                yield stream.edit(index, index, names[stream[index].text])

    return rewrite


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
            if words[-4:-3] in (["."], ["->"]) and words[-2:] == ["(", ")"]:
                if words[-3] in ("sizes", "strides"):
                    yield stream.before(start, "ported_text(")
                    yield stream.behind(end - 1, ")")
                elif words[-3] == "device" and known.kind(stream, start, end - 4) in ("tensor", "optional"):
                    member = stream[end - 3]
                    yield Edit(member.start, stream[end - 1].end, "get_device_index()")


rewrite_stable_check = _renames(NAMES["checks"])
rewrite_stable_cuda_check = _renames(NAMES["cuda_checks"])
rewrite_stable_warn = _renames(NAMES["warnings"])
RULES = entries(__file__, rewrites(globals()))
