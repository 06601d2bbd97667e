"""Warp shuffles of at::Half: CUDA has them for float and for __half, and cannot choose."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Rewrite, Scope, entries
from dcnbuild.port.stream import Stream

_HALF = r"AT_DISPATCH_\w*HALF\w*|kHalf"
_BETWEEN = frozenset({"*", "&", "const", "__restrict__", "__restrict"})


def _rewrite(name: str) -> Rewrite:
    """The rewrite for one shuffle: where a scalar_t is shuffled in a file that dispatches at::Half."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        if not code.has(_HALF):
            return
        for stream, index, given, _ in code.calls(f"__{name}"):
            if len(given) > 2 and _is_scalar(stream, stream[given[1][0]].text):
                yield stream.edit(index, index, f"ported_{name}")

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


_SHUFFLES = ("shfl", "shfl-up", "shfl-down", "shfl-xor")
RULES = entries(__file__, {f"half-{name}-sync": _rewrite(f"{name.replace('-', '_')}_sync") for name in _SHUFFLES})
