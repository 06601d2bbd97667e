"""Bugs that old extensions carry. They are reported; --fix-bugs repairs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, indent_of, newline_of
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules.guards import launches
from dcnbuild.port.tokens import Token

#: pad_h, padH, pad_height, h_pad, ph … and their partner for the other direction.
_PADDING = re.compile(
    r"(?P<a>(?:\w*_)?pad(?:ding)?_?|p_?)(?P<h>h|H|height|Height|y|Y)(?P<b>_?)$"
    r"|(?P<h2>h|H|height)(?P<c>_?[pP]ad(?:ding)?)$"
)
_PARTNER = {"h": "w", "H": "W", "height": "width", "Height": "Width", "y": "x", "Y": "X"}
_LAUNCH_CHECK = "C10_CUDA_KERNEL_LAUNCH_CHECK();"
_PRINT = frozenset({"printf", "fprintf", "cout", "cerr"})
_LOOKS = re.compile(
    r"cudaGetLastError|cudaPeekAtLastError|C10_CUDA_KERNEL_LAUNCH_CHECK|TORCH_CUDA_KERNEL_LAUNCH_CHECK"
    r"|cuda(?:Device|Stream)Synchronize|POST_KERNEL_CHECK\w*|KERNEL_CHECK\w*|CUDA_POST\w*"
)


def _partner(name: str) -> str | None:
    match = _PADDING.fullmatch(name)
    if match is None:
        return None
    if match["h2"]:
        return _PARTNER[match["h2"]] + match["c"]
    return match["a"] + _PARTNER[match["h"]] + match["b"]


def _padding(code: Code, scope: Scope) -> Iterable[Edit]:
    """`pad_h, pad_h` in a call, where the function has a pad_w as well."""
    for function in code.functions:
        words = code.between(*function.body)
        known = {p.name for p in function.parameters} | {t.text for t in words if t.kind == "name"}
        for before, first, comma, second, after in zip(
            words, words[1:], words[2:], words[3:], words[4:], strict=False
        ):
            partner = _partner(second.text) if first.text == second.text else None
            alone = before.text in (",", "(") and comma.text == "," and after.text in (",", ")")
            if partner and alone and partner in known:
                yield Edit(second.start, second.end, partner)


def _silent_checks(code: Code, scope: Scope) -> Iterable[Edit]:
    """`err = cudaGetLastError(); if (err != cudaSuccess) { printf(…); }`"""
    for stream, index in code.names("cudaGetLastError|cudaPeekAtLastError"):
        found = _silent(stream, index)
        if found is not None:
            yield Edit(stream[found[0]].start, stream[found[1]].end, _LAUNCH_CHECK)


def _silent(stream: Sequence[Token], index: int) -> tuple[int, int] | None:
    """The first and last token of a check whose only answer is to print or to exit."""
    words = [token.text for token in stream]
    first = index
    while first and words[first - 1] not in (";", "{", "}", ")"):
        first -= 1
    if words[index + 1 : index + 4] != ["(", ")", ";"] or "=" not in words[first:index]:
        return None
    variable = words[words.index("=", first) - 1]
    test = index + 4
    if words[test : test + 2] != ["if", "("] or words[test + 5 : test + 6] != [")"]:
        return None
    compared = words[test + 2 : test + 5]
    if sorted(compared) != sorted([variable, "!=", "cudaSuccess"]):
        return None
    body = test + 6
    if body >= len(words):
        return None
    if words[body] == "{":
        close = _closing(words, body)
        end = close
        inside = stream[body + 1 : close] if close is not None else ()
    else:
        end = next((i for i in range(body, len(words)) if words[i] == ";"), None)
        inside = stream[body:end] if end is not None else ()
    names = {token.text for token in inside if token.kind == "name"}
    answers = {"throw", "return", "TORCH_CHECK", "AT_ERROR", "AT_ASSERTM", "AT_ASSERT", "THError"}
    if end is None or not names & _PRINT or names & answers:
        return None
    used_later = variable in words[end + 1 : _end_of_block(words, end + 1)]
    return None if used_later else (first, end)


def _closing(words: Sequence[str], index: int) -> int | None:
    depth = 0
    for position in range(index, len(words)):
        depth += (words[position] == "{") - (words[position] == "}")
        if not depth:
            return position
    return None


def _end_of_block(words: Sequence[str], index: int) -> int:
    depth = 0
    for position in range(index, len(words)):
        depth += (words[position] == "{") - (words[position] == "}")
        if depth < 0:
            return position
    return len(words)


def _unchecked(code: Code, scope: Scope) -> Iterable[Edit]:
    """Launches behind which nothing in the function looks at the error."""
    newline = newline_of(code.text)
    for function in code.functions:
        if {"__global__", "__device__"} & function.specifiers:
            continue
        words = code.between(*function.body)
        for index in launches(words):
            depth, end = 0, index
            while end < len(words) and (words[end].text != ";" or depth):
                depth += words[end].text in ("(", "{", "[")
                depth -= words[end].text in (")", "}", "]")
                end += 1
            rest = words[end:]
            if end == len(words) or any(
                _LOOKS.fullmatch(t.text) or t.text in scope.checks for t in rest if t.kind == "name"
            ):
                continue
            at = words[end].end
            if _is_lone_statement(words, index):
                continue
            indent = indent_of(code.text, _statement(words, index).start)
            yield Edit(at, at, f"{newline}{indent}{_LAUNCH_CHECK}")


def _statement(words: Sequence[Token], index: int) -> Token:
    """The first token of the statement that holds a launch."""
    while index and words[index - 1].text not in (";", "{", "}"):
        index -= 1
    return words[index]


def _is_lone_statement(words: Sequence[Token], index: int) -> bool:
    """Whether the launch is the braceless body of an if or a loop: nothing fits behind it."""
    first = _statement(words, index)
    return first.text in ("if", "for", "while", "else", "do", "case", "default")


def _exits(code: Code, scope: Scope) -> Iterable[Edit]:
    """`exit(…)` where a CUDA error is dealt with."""
    for stream, index in code.names("exit|abort"):
        if index + 1 >= len(stream) or stream[index + 1].text != "(":
            continue
        close = index + 2
        while close < len(stream) and stream[close].text != ")":
            close += 1
        near = {token.text for token in stream[max(0, index - 60) : index]}
        if close < len(stream) and near & {
            "cudaSuccess",
            "cudaGetErrorString",
            "CUDNN_STATUS_SUCCESS",
        }:
            text = 'throw std::runtime_error("a CUDA call failed, see above")'
            yield Edit(stream[index].start, stream[close].end, text)


RULES = (
    Rule(
        id="pad-h-twice",
        need="bug",
        gone="13 repositories, all from one ancestor",
        since="any",
        pattern="f(…, pad_h, pad_h, …)",
        replacement="f(…, pad_h, pad_w, …)",
        before="void f(int pad_h, int pad_w) { g(3, pad_h, pad_h, 1); }\n",
        after="void f(int pad_h, int pad_w) { g(3, pad_h, pad_w, 1); }\n",
        untouched=(
            "void f(int pad_h, int pad_w) { g(3, pad_h, pad_w, 1); }\n",
            "void f(int pad_h) { g(3, pad_h, pad_h, 1); }\n",
            "void f(int pad_h, int pad_w) { g(pad_h * pad_h); }  // pad_h, pad_h\n",
        ),
        why="The gradient of the input is wrong whenever the paddings differ.",
        rewrite=_padding,
    ),
    Rule(
        id="silent-cuda-error",
        need="bug",
        gone="25 repositories",
        since="torch 1.8",
        pattern="err = cudaGetLastError(); if (err != cudaSuccess) printf(…);",
        replacement=_LAUNCH_CHECK,
        before="void f() {\n  k<<<1, 32>>>();\n  cudaError_t err = cudaGetLastError();\n"
        '  if (err != cudaSuccess) {\n    printf("error in f: %s\\n", cudaGetErrorString(err));\n  }\n}\n',
        after="void f() {\n  k<<<1, 32>>>();\n  C10_CUDA_KERNEL_LAUNCH_CHECK();\n}\n",
        untouched=(
            "void f() {\n  k<<<1, 32>>>();\n  cudaError_t err = cudaGetLastError();\n"
            "  if (err != cudaSuccess) throw 1;\n}\n",
            "int f() {\n  k<<<1, 32>>>();\n  cudaError_t err = cudaGetLastError();\n"
            '  if (err != cudaSuccess) printf("x");\n  return err;\n}\n',
        ),
        why="The program goes on with whatever was in memory.",
        rewrite=_silent_checks,
        emits="C10_CUDA_KERNEL_LAUNCH_CHECK",
    ),
    Rule(
        id="cuda-error-exit",
        need="bug",
        gone="12 repositories",
        since="any",
        pattern="if (err != cudaSuccess) { …; exit(-1); }",
        replacement="throw std::runtime_error(…)",
        before="#define CHECK(x) do { if ((x) != cudaSuccess) { report(); exit(-1); } } while (0)\n",
        after="#define CHECK(x) do { if ((x) != cudaSuccess) { report();"
        ' throw std::runtime_error("a CUDA call failed, see above"); } } while (0)\n',
        untouched=("int main(int n) { if (n > 1) exit(-1); }\n",),
        why="exit() takes the user's Python process down with it.",
        rewrite=_exits,
        emits="runtime_error",
    ),
    Rule(
        id="unchecked-launch",
        need="bug",
        gone="met in most old extensions",
        since="torch 1.8",
        pattern="kernel<<<…>>>(…); with no look at the error behind it",
        replacement="kernel<<<…>>>(…); " + _LAUNCH_CHECK,
        before="void f() {\n  k<<<1, 32>>>();\n}\n",
        after="void f() {\n  k<<<1, 32>>>();\n  C10_CUDA_KERNEL_LAUNCH_CHECK();\n}\n",
        untouched=(
            "void f() {\n  k<<<1, 32>>>();\n  AT_CUDA_CHECK(cudaGetLastError());\n}\n",
            "// k<<<1, 32>>>();\n",
        ),
        why="A launch that fails (no kernel image for this GPU, say) leaves the output as it was.",
        rewrite=_unchecked,
        emits="C10_CUDA_KERNEL_LAUNCH_CHECK",
    ),
)
