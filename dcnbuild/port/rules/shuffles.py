"""Warp shuffles of at::Half: CUDA has them for float and for __half, and cannot choose."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.helpers import SHUFFLES
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rewrite, Rule, Scope
from dcnbuild.port.stream import Stream

_HALF = r"AT_DISPATCH_\w*HALF\w*|kHalf"
_BETWEEN = frozenset({"*", "&", "const", "__restrict__", "__restrict"})


def _rewrite(old: str, new: str) -> Rewrite:
    """The rewrite for one shuffle: where a scalar_t is shuffled in a file that dispatches at::Half."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        if not any(True for _ in code.names(_HALF)):
            return
        for stream, index in code.names(old):
            found = arguments(stream, index + 2) if follows(stream, index, "(") else None
            if found and len(found[0]) > 2 and _is_scalar(stream, stream[found[0][1][0]].text):
                yield Edit(stream[index].start, stream[index].end, new)

    return rewrite


def _is_scalar(stream: Stream, name: str) -> bool:
    """Whether a name is declared as a scalar_t, or a pointer to some, anywhere in the file."""
    for index in stream.places.get(name, ()):
        before = index - 1
        while before > 0 and stream[before].text in _BETWEEN:
            before -= 1
        if before >= 0 and stream[before].text == "scalar_t":
            return True
    return False


def _rule(old: str, new: str) -> Rule:
    before = (
        f"template <typename scalar_t> __device__ scalar_t f(scalar_t x) {{ return {old}(~0u, x, 1); }}\n"
        'void g(at::Tensor x) { AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "g", [&] { h(); }); }\n'
    )
    return Rule(
        id="half-" + old.strip("_").replace("_", "-"),
        need="deprecated",
        gone="CUDA 9.2, which has it for __half too",
        since="CUDA 9",
        pattern=f"{old}(mask, x, …) of a scalar_t that may be at::Half",
        replacement=f"{new}(mask, x, …), which goes over float",
        before=before,
        after=before.replace(old, new),
        untouched=(before.replace("_AND_HALF", ""), before.replace("scalar_t x", "float x"), f"// {old}(m, x, 1)\n"),
        why="The compiler finds it ambiguous: at::Half turns into both.",
        rewrite=_rewrite(old, new),
        helper=new,
    )


RULES = tuple(_rule(old, new) for old, new in SHUFFLES.items())
