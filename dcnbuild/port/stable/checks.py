"""Checks and errors: TORCH_CHECK and its family, warnings, CUDA's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.options import settings
from dcnbuild.port.stable.types import NAMES, scope_of
from dcnbuild.port.stream import Stream

_COMPARED = {"EQ": "==", "NE": "!=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}


def _renames(names: Mapping[str, str]) -> Callable[[Code, Scope], Iterable[Edit]]:
    """Writes other macros for those that the project does not define itself."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        for stream, index in code.names("|".join(names)):
            if stream[index].text not in scope.own and stream.follows(index, "("):
                yield stream.edit(index, index, names[stream[index].text])

    return rewrite


def rewrite_stable_check_comparison(code: Code, scope: Scope) -> Iterable[Edit]:
    for stream, index, spans, close in code.calls(r"TORCH_D?CHECK_(?:EQ|NE|LT|LE|GT|GE)"):
        if len(spans) != 2 or stream[index].text in scope.own:
            continue
        left, right = (code.written(stream, start, end) for start, end in spans)
        sign = _COMPARED[stream[index].text[-2:]]
        new = f"STD_TORCH_CHECK(({left}) {sign} ({right}))"
        yield stream.edit(index, close, new)


def rewrite_stable_check_message(code: Code, scope: Scope) -> Iterable[Edit]:
    """What a message of STD_TORCH_CHECK holds and a stream of the standard library cannot print."""
    known = expressions(code, scope_of(scope).signatures)
    for stream, _, spans, _ in code.calls("STD_TORCH_CHECK"):
        for start, end in spans[1:]:
            words = [token.text for token in stream[start:end]]
            if len(words) == 1 and _is_list(code, stream, start):
                yield stream.edit(start, start, f"ported_text({words[0]})")
            elif words[-4:-3] in (["."], ["->"]) and words[-2:] == ["(", ")"]:
                if words[-3] in ("sizes", "strides"):
                    yield stream.before(start, "ported_text(")
                    yield stream.behind(end - 1, ")")
                elif words[-3] == "device" and known.kind(stream, start, end - 4) in ("tensor", "optional"):
                    member = stream[end - 3]
                    yield Edit(member.start, stream[end - 1].end, "get_device_index()")


def _is_list(code: Code, stream: Stream, index: int) -> bool:
    """Whether a variable holds the sizes of a tensor."""
    function = code.function_at(stream[index].start)
    types = {p.name: p.type for p in function.parameters} if function else {}
    sets = [stream.words(end - 3, 3) for _, end in settings(code, stream, index)]
    return "ArrayRef" in types.get(stream[index].text, "") or sets[:1] in (
        [[x, "(", ")"]] for x in ("sizes", "strides")
    )


rewrite_stable_check = _renames(NAMES["checks"])
rewrite_stable_cuda_check = _renames(NAMES["cuda_checks"])
rewrite_stable_warn = _renames(NAMES["warnings"])
RULES = entries(__file__, globals())
