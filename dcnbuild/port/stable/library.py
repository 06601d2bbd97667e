"""Reads PYBIND11_MODULE and TORCH_LIBRARY: what each of their statements becomes, or why it stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple

from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.pattern import arguments, arguments_of
from dcnbuild.port.result import Remark
from dcnbuild.port.stable.facts import StableScope, signatures
from dcnbuild.port.stable.pointers import MEMORY
from dcnbuild.port.stable.schema import NoSchema, boxed, default_of, value_of
from dcnbuild.port.stream import Stream

_FUNCTION = re.compile(r"&?\s*((?:::)?\w+(?:::\w+)*(?:\s*<[^()]+>)?)")
_LAMBDA = re.compile(r"\[\s*\]\s*\((?P<parameters>[^{]*?)\)\s*(?:->(?P<returns>[^{]+))?(?P<body>\{.*\})", re.DOTALL)
_RETURNED = re.compile(r"\breturn\s+(?:(?:\w+)?::)*(\w+)\s*\(")
_FN = re.compile(r"TORCH_FN\((.+)\)")
_ARGUMENT = re.compile(r'(?:py|pybind11)::arg\("(\w+)"\)(?:\s*=\s*(.+))?', re.DOTALL)
_SUFFIXED = re.compile(r'"(\w+)"_a(?:\s*=\s*(.+))?', re.DOTALL)
_KERNEL, _COMPOSITE = "CompositeExplicitAutograd", "CompositeImplicitAutograd"


@dataclass(frozen=True)
class Statement:
    """One statement of a module's body, and what it becomes.

    Attributes:
        start, end: its span.
        line: where it is.
        schema: of the operator that it defines; "" if it defines none.
        name: of the operator.
        function: what is boxed for it; "" for a schema alone.
        key: the dispatch key of the function.
        wrapper: the text of a function that is boxed instead.
        reason: why it stays as it is.
        gone: whether it just goes.
    """

    start: int
    end: int
    line: int
    schema: str = ""
    name: str = ""
    function: str = ""
    key: str = ""
    wrapper: str = ""
    reason: str = ""
    gone: bool = False


@dataclass(frozen=True)
class Module:
    """One PYBIND11_MODULE or TORCH_LIBRARY: its macro, arguments and statements."""

    macro: str
    values: tuple[str, ...]
    start: int
    opening: int
    closing: int
    statements: tuple[Statement, ...]

    @property
    def variable(self) -> str:
        """What its library is called inside."""
        return self.values[-1]


def modules(code: Code, scope: StableScope) -> Iterator[Module]:
    """The modules of a text."""
    stream = code.live
    for name in ("PYBIND11_MODULE", "TORCH_LIBRARY", "TORCH_LIBRARY_FRAGMENT", "TORCH_LIBRARY_IMPL"):
        for index in stream.places.get(name, ()):
            found = arguments_of(stream, index)
            if found is None or not stream.follows(found[1], "{"):
                continue
            opening = found[1] + 1
            close = stream.partner[opening]
            if close < 0:
                continue
            values = tuple(code.written(stream, *span) for span in found[0])
            statements = tuple(_statements(code, scope, stream, opening, close, name, values))
            yield Module(name, values, stream[index].start, stream[opening].end, stream[close].start, statements)


def _statements(
    code: Code, scope: StableScope, stream: Stream, opening: int, close: int, macro: str, values: tuple[str, ...]
) -> Iterator[Statement]:
    index = opening + 1
    taken: set[str] = set()
    while index < close:
        end = stream.ends[index]
        if end < 0 or end > close:
            break
        span = (stream[index].start, stream[end].end)
        line = line_of(code.text, span[0])
        words = [token.text for token in stream[index : index + 4]]
        found = None
        if words[:1] == [values[-1]] and words[1:4] in ([".", "def", "("], [".", "impl", "("]):
            found = arguments(stream, index + 4)
        if words[:3] == [values[-1], ".", "doc"]:
            yield Statement(*span, line, gone=True)
        elif found is None or found[1] + 1 != end or not found[0]:
            subject = code.written(stream, index, min(index + 6, end))
            yield Statement(*span, line, reason=f"the stable library has no word for {subject} …")
        else:
            arguments_ = [code.written(stream, *span) for span in found[0]]
            try:
                made = _registered(code, scope, macro, values, words[2], arguments_)
                if made.schema and made.name in taken:
                    raise NoSchema(f"{made.name} is defined twice, with other parameters")
                taken.add(made.name if made.schema else "")
                yield Statement(*span, line, *made)
            except NoSchema as error:
                yield Statement(*span, line, reason=str(error))
        index = end + 1


class _Made(NamedTuple):
    """The fields of a Statement from its schema on."""

    schema: str
    name: str
    function: str
    key: str
    wrapper: str = ""


def _registered(
    code: Code, scope: StableScope, macro: str, values: tuple[str, ...], member: str, arguments_: list[str]
) -> _Made:
    """What m.def(…) or m.impl(…) becomes. Raises NoSchema."""
    word = arguments_[0]
    if not re.fullmatch(r'(?:"[^"]*"\s*)+', word):
        raise NoSchema(f"the name {word[:40]} is no string")
    text = "".join(re.findall(r'"([^"]*)"', word))
    if macro == "PYBIND11_MODULE":
        return _from_signature(code, scope, text, arguments_[1] if len(arguments_) > 1 else "", arguments_[2:], _KERNEL)
    if len(arguments_) > 2:
        raise NoSchema(f"{text}: the stable library takes a name and a function")
    name = text.partition("(")[0].strip()
    if len(arguments_) == 1:
        return _Made(text, name, "", "")
    function = _function(arguments_[1])
    key = values[1] if macro == "TORCH_LIBRARY_IMPL" else _COMPOSITE
    if member == "impl":
        return _Made("", text, f"&{function}", key)
    if "(" in text:
        return _Made(text, name, f"&{function}", key)
    return _from_signature(code, scope, text, arguments_[1], [], key)


def _function(written: str) -> str:
    plain = _FN.fullmatch(written)
    match = _FUNCTION.fullmatch(plain[1] if plain else written)
    if match is None:
        shown = " ".join(written.split())[:40]
        raise NoSchema(f"{shown} is no function's name: TORCH_BOX takes a plain function")
    return f"({match[1]})" if "," in match[1] else match[1]


def _from_signature(code: Code, scope: StableScope, name: str, written: str, more: list[str], key: str) -> _Made:
    wrapper = f"boxed_{re.sub(r'[^0-9A-Za-z_]', '_', name)}"
    anonymous = _LAMBDA.fullmatch(written.lstrip("+ "))
    if anonymous:  # it becomes a function
        function = bare = f"{wrapper}_body"
        returns = (anonymous["returns"] or "").strip() or _returned(code, scope, anonymous["body"])
        text = f"static {returns} {function}({anonymous['parameters']}) {anonymous['body']}\n"
        found = signatures({PurePosixPath(): Code(text)})[function]
        if any(word in scope.opaque or MEMORY.fullmatch(word) for word in re.findall(r"\w+", anonymous["body"])):
            scope = replace(scope, opaque=scope.opaque | {function})
    else:
        text, function = "", _function(written)
        bare = function.partition("<")[0].rpartition("::")[2].strip(" (")
        found = signatures({PurePosixPath(): code}).get(bare, ()) or scope.signatures.get(bare, ())
    if not found:
        raise NoSchema(f"the project neither defines nor declares {function} where it can be read")
    if len(found) > 1:
        raise NoSchema(f"{function} has {len(found)} signatures: which one is meant cannot be told")
    signature = found[0]
    if signature.template and "<" not in function:
        raise NoSchema(f"{function} is a template: TORCH_BOX takes a plain function")
    given = [m for text in more for m in [_ARGUMENT.fullmatch(text) or _SUFFIXED.fullmatch(text)] if m]
    names = [m[1] for m in given]
    defaults: list[str | None] = []
    for match, parameter in zip(given, signature.parameters, strict=False):
        default = default_of(match[2], value_of(parameter.type).schema.rstrip("?")) if match[2] else None
        if match[2] and default is None:
            raise NoSchema(f"{name}: the default {match[2]} has no counterpart in a schema")
        defaults.append(default)
    mutated = [(bare, number) in scope.mutated for number in range(len(signature.parameters))]
    made = boxed(name, signature, names, defaults, mutated, wrapper)
    if key == _KERNEL and bare not in scope.opaque:
        key = _COMPOSITE  # operators of torch alone: tracing and derivatives go through it
    boxer = made.wrapper.replace(f"{bare}(", f"{function}(") if function != bare else made.wrapper
    return _Made(made.schema, name, f"&{wrapper if boxer else function}", key, text + boxer)


def _returned(code: Code, scope: StableScope, body: str) -> str:
    """What a lambda returns that does not say it. Raises NoSchema."""
    mine = signatures({PurePosixPath(): code})
    called = _RETURNED.findall(body)
    found = {s.returns for name in called for s in mine.get(name, ()) or scope.signatures.get(name, ())} or {"void"}
    if len(found) != 1 or len(called) != len(re.findall(r"\breturn\b(?!\s*;)", body)):
        raise NoSchema("what the lambda returns is not written out")
    return found.pop()


def remarks(code: Code, scope: StableScope) -> Iterator[Remark]:
    """What of a module stays, and why."""
    for module in modules(code, scope):
        for statement in module.statements:
            if statement.reason:
                yield Remark(
                    "stable-registration",
                    (statement.line,),
                    " ".join(code.text[statement.start : statement.end].split())[:60],
                    f"no operator can be made of it: {statement.reason}",
                    "write a plain function over tensors and numbers and register that, or do this part in Python",
                    "broken",
                )
