"""Device guards: without one, a kernel runs on the GPU that happens to be current."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, line_of
from dcnbuild.port.result import Remark, remark
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.source import COMPILED_SUFFIXES
from dcnbuild.port.tokens import Token

#: What functions that launch kernels are made of.
NAMES = beside(__file__, "launch_names.yaml")
GUARDS, _STREAMS, _NVCC = (frozenset(NAMES[key]) for key in ("guards", "streams", "nvcc"))


def launches(words: Sequence[Token]) -> list[int]:
    """The indices of the `<<<` of kernel launches."""
    threes = enumerate(zip(words, words[1:], words[2:]))
    found = (i for i, (a, b, c) in threes if a.text == b.text == c.text == "<" and c.start == a.start + 2)
    return [index for index in found if not index or words[index - 1].text != "<"]


def rewrite_device_guard(code: Code, scope: Scope) -> Iterable[Edit]:
    """A guard behind the checks that a function begins with, where it launches a kernel or takes the stream."""
    stream = code.live
    for function in code.functions:
        words = code.between(*function.body) if function.tensors and not function.on_gpu else []
        names = {token.text for token in words}
        if not (launches(words) or names & _STREAMS) or names & (GUARDS | scope.guards):
            continue
        first, last = map(stream.at, function.body)
        behind = first
        while behind < last and stream[behind].text.startswith(tuple(NAMES["checks"])):  # whole statements only
            behind = min(max(stream.close_of(behind), behind + 1) + 1, last)
            behind = stream.ends[behind] if stream.words(behind, 2) == ["<", "<"] else behind  # CHECK(x) << "…";
            behind += behind < last and stream[behind].text == ";"
        offset = stream[behind - 1].end if behind > first else function.body[0]
        guard = f"const c10::cuda::OptionalCUDAGuard device_guard(at::device_of({function.tensors[0]}));"
        yield Edit(offset, offset, code.gap(function) + guard)


def host_launches(code: Code, scope: Scope) -> Iterator[Remark]:
    """A remark for kernel launches in a file whose suffix is C++'s: `k.cu.cc`, say."""
    for_host = scope.suffix in COMPILED_SUFFIXES - {".cu"} and "<<<" in code.text
    starts = [code.live[index].start for index in launches(code.live)] if for_host else []
    asked = ({token.text for line in code.layout.path_at(start) for token in line.tokens} for start in starts)
    lines = [line_of(code.text, start) for start, words in zip(starts, asked, strict=True) if not words & _NVCC]
    if lines:
        yield remark("launch-in-cpp", lines, f"kernel<<<…>>> in a {scope.suffix} file")


RULES = entries(__file__, globals())
