"""The THC runtime: its stream, memory and small helpers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries, rewrites


def rewrite_thc_ceil_div(code: Code, scope: Scope) -> Iterable[Edit]:
    """THCCeilDiv; with `long` literals in it, both it and a std::min around it become int64_t."""
    if "THCCeilDiv" in scope.own:
        return
    for stream, index, _, close in code.calls("THCCeilDiv"):
        name = stream[index]
        longs = stream.long_numbers
        at = bisect.bisect(longs, index)
        wide = at < len(longs) and longs[at] < close
        yield Edit(name.start, name.end, "at::ceil_div<int64_t>" if wide else "at::ceil_div")
        if wide and any(stream.preceded(index, "std", "::", outer, "(") for outer in ("min", "max")):
            yield stream.behind(index - 2, "<int64_t>")


#: Names that headers of THC brought without its prefix → where torch has them.
_MOVED = {
    **dict.fromkeys(("GET_BLOCKS", "CUDA_NUM_THREADS"), ("THCUNN/", "at::cuda::detail::")),
    **dict.fromkeys(("getApplyBlock", "getApplyGrid"), ("THC/", "at::cuda::")),
}


def rewrite_thcunn_launch_sizes(code: Code, scope: Scope) -> Iterable[Edit]:
    """GET_BLOCKS of THCUNN/common.h and its like, which torch keeps in a namespace now."""
    for stream, index in code.names("|".join(_MOVED)) if code.headers else ():
        from_header, namespace = _MOVED[stream[index].text]
        own = stream[index].text in scope.own or stream[index - 1].text == "::"
        if not own and any(header.startswith(from_header) for header in code.headers):
            yield stream.before(index, namespace)


RULES = entries(__file__, rewrites(globals()))
