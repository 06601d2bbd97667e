"""Where an expression begins, and where a statement with its line does."""

from __future__ import annotations

from dcnbuild.port.code import Code
from dcnbuild.port.edits import behind_line_end
from dcnbuild.port.stream import Stream

_KEYWORDS = frozenset({"return", "if", "while", "for", "switch", "else", "case", "and", "or", "not"})


def receiver(stream: Stream, dot: int) -> int | None:
    """The index where the expression begins that stands before a "." or "->"."""
    index = dot - 1
    while index >= 0:
        text = stream[index].text
        if text in (")", "]"):
            index = stream.partner[index]
            if index < 0:
                return None
            before = stream[index - 1] if index else None
            if before is not None and before.text == ">" and text == ")":
                opening = stream.openings.get(index - 1)
                if opening is None:
                    return None
                index = opening - 1
                continue
            callee = before is not None and (
                (before.kind == "name" and before.text not in _KEYWORDS) or before.text in (")", "]")
            )
            if not callee:
                return index
            index -= 1
        elif stream[index].kind == "name":
            while index >= 2 and stream[index - 1].text == "::" and stream[index - 2].kind == "name":
                index -= 2
            if index and stream[index - 1].text == "::":
                index -= 1
            if index and stream[index - 1].text in (".", "->"):
                index -= 2
                continue
            return index
        else:
            return None
    return None


def tensor_before(code: Code, stream: Stream, index: int) -> tuple[int, str] | None:
    """What a member at an index is asked of: where that begins, and its text, `*x` for `x->`."""
    dot = index - 2 if stream[index - 1].text == "template" else index - 1
    start = receiver(stream, dot) if dot > 0 and stream[dot].text in (".", "->") else None
    if start is None:
        return None
    return start, ("*" if stream[dot].text == "->" else "") + code.written(stream, start, dot)


def with_line(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of a statement, with its line if it has one of its own."""
    line = text[:start].rstrip(" \t")
    if not line.endswith("\n") or text[end : end + 1] not in ("\n", "\r"):
        return start, end
    return len(line), behind_line_end(text, end)
