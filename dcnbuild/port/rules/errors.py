"""Checks and error messages: AT_CHECK, AT_ERROR, AT_ASSERTM, THArgCheck and their printf formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.layout import Macro
from dcnbuild.port.pattern import arguments, follows
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.stream import Stream
from dcnbuild.port.tokens import Token

#: What tells a source that uses torch.
_TORCH = r"at|torch|c10|AT_[A-Z_]+|TORCH_[A-Z_]+|TH\w+"
_TORCH_HEADER = re.compile(r"(?:torch|ATen|c10|THC?)/")
_CHECKS = r"TORCH_CHECK|TORCH_INTERNAL_ASSERT|AT_ASSERTM|AT_CHECK"
#: Checks that had braces of their own, and are `do … while (false)` today. TORCH_CHECK has braces.
_STATEMENTS = ("AT_ASSERT", "AT_ASSERTM", "AT_ERROR")
#: Conversions that print the same through operator<<. %x, %o, %e and %p do not.
_CONVERSION = re.compile(r"%[-+ 0]*\d*(?:\.\d+)?(?:hh|h|ll|l|z|j|t)?([a-zA-Z%])")
_SAME = frozenset("diufgsc")


def _messages(code: Code, scope: Scope) -> Iterable[Edit]:
    """Messages with as many conversions as arguments, taken apart."""
    for stream, index in code.names(_CHECKS):
        if index + 1 >= len(stream) or stream[index + 1].text != "(":
            continue
        found = arguments(stream, index + 2)
        if found is None:
            continue
        for position, (start, end) in enumerate(found[0]):
            if not position or start == end or stream[start].kind != "string":
                continue
            literal = stream[start:end]
            if all(token.kind == "string" for token in literal):
                edit = _split(code.text, stream, literal, found[0][position + 1 :])
                if edit:
                    yield edit
                break


def _split(text: str, stream: Sequence[Token], literal: Sequence[Token], values: list[tuple[int, int]]) -> Edit | None:
    if any(not token.text.startswith('"') for token in literal):
        return None
    joined = "".join(token.text[1:-1] for token in literal)
    conversions = [match for match in _CONVERSION.finditer(joined) if match[1] != "%"]
    if not conversions or len(conversions) != len(values):
        return None
    if any(match[1] not in _SAME for match in conversions):
        return None
    pieces, position = [], 0
    for match, (start, end) in zip(conversions, values, strict=True):
        pieces.append(joined[position : match.start()])
        pieces.append(text[stream[start].start : stream[end - 1].end])
        position = match.end()
    pieces.append(joined[position:])
    words = [
        piece if number % 2 else '"' + piece.replace("%%", "%") + '"'
        for number, piece in enumerate(pieces)
        if number % 2 or piece
    ]
    last = stream[values[-1][1] - 1]
    return Edit(literal[0].start, last.end, ", ".join(words))


def _comparisons(code: Code, scope: Scope) -> Iterable[Edit]:
    """CHECK_EQ and its like, which torch's logging header had without a prefix."""
    there = scope.headers | {include.header[1:-1] for include in code.layout.includes}
    uses = any(map(_TORCH_HEADER.match, there)) or any(True for _ in code.names(_TORCH))
    if not uses or any("glog" in header for header in there):
        return
    for stream, index in code.names(r"D?CHECK_(?:EQ|NE|LT|LE|GT|GE|NOTNULL)"):
        name = stream[index]
        if name.text not in scope.own and follows(stream, index, "("):
            yield Edit(name.start, name.start, "TORCH_")


def _before_else(code: Code, scope: Scope) -> Iterable[Edit]:
    """`if (a) TORCH_CHECK(…); else …`: the macro is an if itself, and would take the else."""
    stream = code.live
    for index, token in enumerate(stream):
        if token.text != "TORCH_CHECK" or not follows(stream, index, "("):
            continue
        close = stream.partner[index + 1]
        if close < 0 or not follows(stream, close, ";", "else"):
            continue
        end = stream[close + 1].end
        yield Edit(token.start, end, "{ " + code.text[token.start : end] + " }")


def _semicolon(code: Code, scope: Scope) -> Iterable[Edit]:
    """`AT_ASSERT(a)` and the project's macros around it, as statements that no ";" ends."""
    ends = (macro for macro in code.layout.macros if macro.parameters is not None and _ends_in_check(macro))
    stream = code.live
    for name in (*_STATEMENTS, *(macro.name for macro in ends)):
        for index in stream.places.get(name, ()):
            close = stream.partner[index + 1] if follows(stream, index, "(") else -1
            if (
                close <= 0
                or close + 1 == len(stream)
                or not index
                or stream[index - 1].text not in (";", "{", "}", ")")
            ):
                continue
            following = stream[close + 1]
            begins = following.text == "}" or (following.kind == "name" and following.text != "else")
            if begins and "\n" in code.text[stream[close].end : following.start]:
                yield Edit(stream[close].end, stream[close].end, ";")


def _ends_in_check(macro: Macro) -> bool:
    """Whether a macro's body is one call of a check, with no ";" behind it."""
    body = Stream(macro.body)
    whole = len(body) > 2 and body[0].text in _STATEMENTS and body[1].text == "("
    return whole and body.partner[1] == len(body) - 1


RULES = (
    Rule(
        id="at-check",
        gone="torch 1.5",
        since="torch 1.2",
        pattern="AT_CHECK",
        replacement="TORCH_CHECK",
        before='#define CHECK_CUDA(x) AT_CHECK(x.is_cuda(), #x " must be a CUDA tensor")\n',
        after='#define CHECK_CUDA(x) TORCH_CHECK(x.is_cuda(), #x " must be a CUDA tensor")\n',
        untouched=(
            'const char* name = "AT_CHECK";\n',
            "#ifndef AT_CHECK\n#define AT_CHECK TORCH_CHECK\n#endif\nvoid f(int n) { AT_CHECK(n > 0); }\n",
            "#ifndef TORCH_CHECK\n#define TORCH_CHECK AT_CHECK\n#endif\n",
        ),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="check-semicolon",
        gone="torch 1.5",
        pattern="AT_ASSERT(…) as a statement, without a semicolon",
        replacement="AT_ASSERT(…);",
        before="#define CHECK_CPU(x) AT_ASSERT(x.is_cpu())\n"
        "void f(at::Tensor x) {\n  AT_ASSERT(x.dim() == 2)\n  CHECK_CPU(x)\n  g(x);\n}\n",
        after="#define CHECK_CPU(x) AT_ASSERT(x.is_cpu())\n"
        "void f(at::Tensor x) {\n  AT_ASSERT(x.dim() == 2);\n  CHECK_CPU(x);\n  g(x);\n}\n",
        untouched=(
            "void f(at::Tensor x) {\n  AT_ASSERT(x.dim() == 2);\n  g(x);\n}\n",
            "#define CHECK_CPU(x) AT_ASSERT(x.is_cpu());\nvoid f(at::Tensor x) {\n  CHECK_CPU(x)\n  g(x);\n}\n",
            "bool f(at::Tensor x) {\n  return AT_ASSERT(x)\n  || g(x);\n}\n",
            "void f(at::Tensor x) {\n  TORCH_CHECK(x.dim() == 2)\n  g(x);\n}\n",
        ),
        why="The macros had braces of their own once, and are one statement today.",
        rewrite=_semicolon,
    ),
    Rule(
        id="check-comparison",
        gone="torch 1.13",
        since="torch 1.13",
        pattern="CHECK_EQ, CHECK_NE, CHECK_LT, …, DCHECK_EQ, CHECK_NOTNULL",
        replacement="TORCH_CHECK_EQ, …",
        before="#include <ATen/ATen.h>\nvoid f(int n) { CHECK_GT(n, 0); }\n",
        after="#include <ATen/ATen.h>\nvoid f(int n) { TORCH_CHECK_GT(n, 0); }\n",
        untouched=(
            "#include <ATen/ATen.h>\n#include <glog/logging.h>\nvoid f(int n) { CHECK_GT(n, 0); }\n",
            "#include <ATen/ATen.h>\n#define CHECK_GT(a, b) check((a) > (b))\nvoid f(int n) { CHECK_GT(n, 0); }\n",
            "void f(int n) { CHECK_GT(n, 0); }  // of another library\n",
        ),
        why="They were in torch's own logging header, as long as no glog was there.",
        rewrite=_comparisons,
        emits="TORCH_CHECK_EQ",
    ),
    Rule(
        id="at-warn",
        gone="deprecated in torch 1.5, not in torch 2.14.1",
        since="torch 1.5",
        pattern="AT_WARN",
        replacement="TORCH_WARN",
        before='void f() { AT_WARN("slow path"); }\n',
        after='void f() { TORCH_WARN("slow path"); }\n',
        untouched=("// AT_WARN(x)\n",),
        emits="TORCH_WARN",
    ),
    Rule(
        id="at-index-error",
        gone="deprecated in torch 1.5, not in torch 2.14.1",
        since="torch 1.5",
        pattern="AT_INDEX_ERROR($$message)",
        replacement="TORCH_CHECK_INDEX(false, $$message)",
        before='void f(int i) { if (i < 0) AT_INDEX_ERROR("index ", i); }\n',
        after='void f(int i) { if (i < 0) TORCH_CHECK_INDEX(false, "index ", i); }\n',
        untouched=("/* AT_INDEX_ERROR(x) */\n",),
        emits="TORCH_CHECK_INDEX",
    ),
    Rule(
        id="at-error",
        need="deprecated",
        gone="deprecated in torch 1.2",
        since="torch 1.2",
        pattern="AT_ERROR($$message)",
        replacement="TORCH_CHECK(false, $$message)",
        before='void f() { AT_ERROR("Not compiled with GPU support"); }\n',
        after='void f() { TORCH_CHECK(false, "Not compiled with GPU support"); }\n',
        untouched=('/* AT_ERROR("x"); */\n',),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="at-assertm",
        need="deprecated",
        gone="deprecated in torch 1.2",
        since="torch 1.2",
        pattern="AT_ASSERTM",
        replacement="TORCH_CHECK",
        before='void f(int n) { AT_ASSERTM(n > 0, "n must be positive"); }\n',
        after='void f(int n) { TORCH_CHECK(n > 0, "n must be positive"); }\n',
        untouched=('auto s = "AT_ASSERTM(x)";\n',),
        why="AT_ASSERTM tells the user that torch itself is at fault and asks for a bug report.",
        emits="TORCH_CHECK",
    ),
    Rule(
        id="th-arg-check",
        gone="torch 1.11",
        since="torch 1.2",
        pattern="THArgCheck($condition, $number, $$message)",
        replacement="TORCH_CHECK($condition, $$message)",
        before='void f(at::Tensor x) { THArgCheck(x.is_contiguous(), 1, "x has to be contiguous"); }\n',
        after='void f(at::Tensor x) { TORCH_CHECK(x.is_contiguous(), "x has to be contiguous"); }\n',
        untouched=("// THArgCheck(a, 1, b);\n",),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="th-error",
        gone="torch 1.11",
        since="torch 1.2",
        pattern="THError($$message)",
        replacement="TORCH_CHECK(false, $$message)",
        before='void f(int n) { if (n < 0) THError("n is negative"); }\n',
        after='void f(int n) { if (n < 0) TORCH_CHECK(false, "n is negative"); }\n',
        untouched=('log("THError(x)");\n',),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="th-assert",
        gone="torch 1.11",
        since="torch 1.2",
        pattern="THAssert($$condition)",
        replacement="TORCH_CHECK($$condition)",
        before="void f(int n) { THAssert(n > 0); }\n",
        after="void f(int n) { TORCH_CHECK(n > 0); }\n",
        untouched=("#define THAssert(x) assert(x)\nvoid f(int n) { THAssert(n > 0); }\n",),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="th-assert-message",
        gone="torch 1.11",
        since="torch 1.2",
        pattern="THAssertMsg",
        replacement="TORCH_CHECK",
        before='void f(int n) { THAssertMsg(n > 0, "n must be positive"); }\n',
        after='void f(int n) { TORCH_CHECK(n > 0, "n must be positive"); }\n',
        untouched=("// THAssertMsg\n",),
        emits="TORCH_CHECK",
    ),
    Rule(
        id="check-before-else",
        gone="since TORCH_CHECK is an if statement",
        pattern="if (a) TORCH_CHECK(…); else …",
        replacement="if (a) { TORCH_CHECK(…); } else …",
        before='void f(int n) { if (n < 0) TORCH_CHECK(false, "n < 0"); else g(n); }\n',
        after='void f(int n) { if (n < 0) { TORCH_CHECK(false, "n < 0"); } else g(n); }\n',
        untouched=('void f(int n) { if (n < 0) { TORCH_CHECK(false, "n < 0"); } else g(n); }\n',),
        why="AT_ERROR and AT_ASSERTM were statements of their own.",
        rewrite=_before_else,
    ),
    Rule(
        id="printf-message",
        need="deprecated",
        gone="never worked",
        since="torch 1.2",
        pattern='TORCH_CHECK(condition, "%d of %d", a, b)',
        replacement='TORCH_CHECK(condition, a, " of ", b)',
        before='void f(int a, int b) { TORCH_CHECK(a == b, "%d is not %d.", a, b); }\n',
        after='void f(int a, int b) { TORCH_CHECK(a == b, a, " is not ", b, "."); }\n',
        untouched=(
            'void f(int a) { TORCH_CHECK(a > 50, "50% of", a); }\n',
            'void f(int a) { TORCH_CHECK(a > 0, "%x", a); }\n',
            'void f(int a) { printf("%d", a); }\n',
        ),
        why="TORCH_CHECK strings its arguments together and knows no conversions, so that the text"
        ' reads "%d is not %d.12".',
        rewrite=_messages,
    ),
)
