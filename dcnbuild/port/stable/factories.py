"""New tensors: at::zeros(sizes, x.options()) → torch::stable::new_zeros(x, sizes), and x.to(…)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.cuda import qualified
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.options import Options, options, settings
from dcnbuild.port.stable.spans import tensor_before, with_line
from dcnbuild.port.stable.types import scope_of

_NEW = ("empty", "zeros", "ones", "full")
_LIKE = tuple(f"{name}_like" for name in _NEW)
_STABLE = "torch::stable::"


def _made(name: str, sizes: str, fill: str, given: Options) -> str:
    """The call that makes a tensor."""
    if given.like and name in ("empty", "zeros"):
        return f"{_STABLE}new_{name}({given.arguments(given.like, sizes)})"
    if name == "empty":
        return f"{_STABLE}empty({given.plain.arguments(sizes)})"
    value = {"zeros": "0", "ones": "1"}.get(name, fill)
    return f"{_STABLE}full({given.plain.arguments(sizes, value)})"


def rewrite_stable_factory(code: Code, scope: Scope) -> Iterable[Edit]:
    yield from disjoint(_each(code, scope))


def _each(code: Code, scope: Scope) -> Iterable[list[Edit]]:
    known = expressions(code, scope_of(scope).signatures)
    names = "|".join((*_NEW, *_LIKE, *(f"new_{name}" for name in _NEW)))
    for stream, index, spans, close in code.calls(names):
        name = stream[index].text
        base = name.removeprefix("new_").removesuffix("_like")
        needed = 2 if base == "full" else 1
        asked = tensor_before(code, stream, index) if name.startswith("new_") else None
        start = asked[0] if asked else qualified(stream, index)
        given: Options | None = Options()
        for span in spans[needed:]:
            more = options(known, code, stream, *span)
            given = given.over(more) if given and more else None
        if start < 0 or given is None or not needed <= len(spans) <= needed + 2:
            continue
        values = [code.written(stream, *span) for span in spans]
        sizes, like = values[0], asked[1] if asked else values[0] if name in _LIKE else ""
        like = f"({like})" if like.startswith("*") else like
        if name in _LIKE and len(values) == 1:
            new = f"{_STABLE}empty_like({sizes})" if name == "empty_like" else ""
        else:
            given = replace(given if given.like == like else given.plain, like=like) if like else given
            new = _made(base, f"{like}.sizes()" if like and not asked else sizes, values[needed - 1], given)
        if new:
            yield [stream.edit(start, close, new)]


def rewrite_stable_from_blob(code: Code, scope: Scope) -> Iterable[Edit]:
    known = expressions(code, scope_of(scope).signatures)
    for stream, index, spans, close in code.calls("from_blob"):
        first = qualified(stream, index)
        if first < 0 or len(spans) not in (2, 3, 4):
            continue
        values = [code.written(stream, *span) for span in spans]
        given = options(known, code, stream, *spans[-1]) if len(spans) > 2 else Options()
        if given is None:
            continue
        dtype, device = given.plain.dtype or "at::kFloat", given.plain.device or "at::kCPU"
        strides = values[2:3] if len(values) == 4 else []
        passed = ", ".join([values[0], values[1], *strides, device, dtype])
        name = "torch::stable::from_blob" if strides else "ported_from_blob"
        yield stream.edit(first, close, f"{name}({passed})")


def rewrite_stable_conversion(code: Code, scope: Scope) -> Iterable[Edit]:
    yield from disjoint(_each_conversion(code, scope))


def _each_conversion(code: Code, scope: Scope) -> Iterable[list[Edit]]:
    known = expressions(code, scope_of(scope).signatures)
    for stream, index, spans, close in code.calls("to|toType|cpu|cuda"):
        asked = tensor_before(code, stream, index)
        kind = known.kind(stream, asked[0], index - 1) if asked else None
        if asked is None or kind != ("optional" if asked[1][0] == "*" else "tensor"):
            continue
        start, before = asked
        name = stream[index].text
        how = [code.written(stream, *span) for span in spans if stream[span[0]].text in ("true", "false")]
        spans = spans[: len(spans) - len(how)]
        if name in ("cpu", "cuda") and not spans:
            yield [stream.edit(start, close, f"{_STABLE}to({before}, at::k{name.upper()})")]
        if not spans or len(spans) > 2 or known.kind(stream, *spans[0]) == "tensor":
            continue  # the dispatcher's to.other
        given: Options | None = Options()
        for span in spans:
            more, value = options(known, code, stream, *span), code.written(stream, *span)
            more = Options(dtype=value) if more is None and name == "to" and "scalar_type" in value else more
            given = given.over(more) if given and more else None
        given = given and given.plain
        if given and (given.dtype or given.device):
            words = [given.device] if given.device and not given.dtype else [given.arguments()]
            if how and given.dtype:
                words += ["std::nullopt"] * (1 if given.device else 3)
            yield [stream.edit(start, close, f"{_STABLE}to({', '.join([before, *words, *how])})")]


def rewrite_stable_unused_options(code: Code, scope: Scope) -> Iterable[Edit]:
    """Options that nothing asks for any more."""
    known = expressions(code, scope_of(scope).signatures)
    stream = code.live
    for index, token in enumerate(stream):
        if token.text not in ("auto", "TensorOptions") or index + 2 >= len(stream):
            continue
        at = index + 2 if stream[index + 1].text in ("&", "const") else index + 1
        function = code.function_at(token.start)
        if function is None or stream[at].kind != "name":
            continue
        sets = settings(code, stream, at)
        spans = [(stream.statement(place), end) for place, end in sets]
        places = stream.places.get(stream[at].text, [])
        used = [p for p in places if function.body[0] <= stream[p].start < function.body[1]]
        if sets[:1] != [(at, stream.ends[at])] or any(not any(start <= p <= end for start, end in spans) for p in used):
            continue
        if token.text == "auto":
            if not _OPTIONS & {t.text for t in stream[at + 2 : sets[0][1]]}:
                continue
            given = options(known, code, stream, at + 2, sets[0][1])
            if given is None or [stream[sets[0][1] - 3].text] in (["device"], ["scalar_type"]):
                continue
        for start, end in spans:
            yield Edit(*with_line(code.text, stream[start].start, stream[end].end), "")


_OPTIONS = frozenset({"options", "TensorOptions", "dtype", "device"})


RULES = entries(__file__, globals())
