"""Whether an #if is true with every torch and CUDA that sources are ported to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.tokens import Token

Interval = tuple[float, float]
_UNKNOWN: Interval = (-math.inf, math.inf)
_FACTS = beside(__file__, "conditions.yaml")
#: What the macros for versions may be, and what they are today.
RANGES: Mapping[str, Interval] = _FACTS["ranges"]
TODAY: Mapping[str, Interval] = {**RANGES, **_FACTS["today"]}
#: Macros of builds for other platforms, a project's own among them: USE_ROCM, MMCV_WITH_HIP, __MUSACC__.
#: Sources are ported for CUDA and the CPU, and what is for another platform stays as it is.
OTHER_PLATFORM = re.compile(r"(?:\w*_)?(?:ROCM|HIP|HIPCC|HIPIFY|MUSA|MUSACC|MLU|NPU|ASCEND|SYCL|XPU|HCC)(?:_\w*)?")
#: `-DVERSION_GE_1_3`, as apex and its descendants pass it: whether torch is that new.
_VERSION_FLAG = re.compile(r"(?:TORCH_|PYTORCH_)?VERSION_GE_(\d+)_(\d+)")
#: Headers that `__has_include` may ask for and that no torch 2 has, but for two forwarders.
_GONE_HEADER = re.compile(r"<(?:TH|THNN|THCUNN|THC)/(?!THCAtomics\.cuh|THCDeviceUtils\.cuh)")
#: How strongly each operator binds. "<" and ">" shift nowhere: tokens do not join them.
_STRENGTHS = {sign: strength for strength, signs in enumerate(_FACTS["operators"]) for sign in signs}


def is_defined(name: str, own: frozenset[str] = frozenset()) -> bool | None:
    """Whether a macro is defined; None if that depends on the build.

    Args:
        name: the macro.
        own: the macros that the project defines itself.
    """
    if name in own:
        return None
    if name in _FACTS["defined"] or name == "__cplusplus":
        return True
    if name in _FACTS["gone"] or OTHER_PLATFORM.fullmatch(name):
        return False
    flag = _VERSION_FLAG.fullmatch(name)
    return True if flag and (int(flag[1]), int(flag[2])) <= (2, 0) else None


def evaluate(
    tokens: Sequence[Token], own: frozenset[str] = frozenset(), ranges: Mapping[str, Interval] = RANGES
) -> bool | None:
    """The truth of an #if or #elif from the solid tokens behind its name; None if it depends."""
    parser = _Parser([token.text for token in tokens], own, ranges)
    try:
        value = parser.conditional()
    except (IndexError, ValueError, RecursionError):
        return None
    return _truth(value) if parser.position == len(parser.words) else None


def _truth(value: Interval) -> bool | None:
    low, high = value
    return False if low == high == 0 else True if low > 0 or high < 0 else None


def _interval(truth: bool | None) -> Interval:
    return (0, 1) if truth is None else (int(truth), int(truth))


@dataclass
class _Parser:
    """Recursive descent over intervals; raises ValueError for what it does not know, IndexError at the end."""

    words: Sequence[str]
    own: frozenset[str]
    ranges: Mapping[str, Interval]
    position: int = 0

    def peek(self) -> str:
        """The next word, "" at the end. Single "<" and ">" signs are not joined."""
        return self.words[self.position] if self.position < len(self.words) else ""

    def take(self, wanted: str = "") -> str:
        """The next word, which has to be the wanted one."""
        word = self.words[self.position]
        self.position += 1
        if wanted and word != wanted:
            raise ValueError(f"{word} instead of {wanted}")
        return word

    def conditional(self) -> Interval:
        condition = self.expression()
        if self.peek() != "?":
            return condition
        self.take("?")
        yes = self.conditional()
        self.take(":")
        no = self.conditional()
        truth = _truth(condition)
        return _UNKNOWN if truth is None else yes if truth else no

    def expression(self, weakest: int = 0) -> Interval:
        """Operands between operators that bind as strongly as `weakest`, or stronger."""
        value = self.unary()
        while (strength := _STRENGTHS.get(self.peek(), -1)) >= weakest:
            operator = self.take()
            value = _combined(operator, value, self.expression(strength + 1))
        return value

    def unary(self) -> Interval:
        text = self.take()
        if text == "!":
            return _interval(_not(_truth(self.unary())))
        if text == "-":
            low, high = self.unary()
            return (-high, -low)
        if text == "(":
            value = self.conditional()
            self.take(")")
            return value
        if text == "defined":
            bracket = self.peek() == "("
            name = [self.take() for _ in range(1 + bracket)][-1]
            if bracket:
                self.take(")")
            # defined(CUDA_VERSION) && CUDA_VERSION >= 13000 asks for the number where there is one
            asked = self.ranges is TODAY and name in TODAY and self.words.count(name) > 1
            return _interval(True if asked else is_defined(name, self.own))
        if text[0].isdigit():
            number = int(text.replace("'", "").rstrip("uUlL"), 0)
            return (number, number)
        if self.peek() == "(":  # a function-like macro, or __has_include
            argument, depth = "", 0
            while depth or not argument:
                piece = self.take()
                depth += (piece == "(") - (piece == ")")
                argument += piece
            gone = text == "__has_include" and _GONE_HEADER.match(argument[1:].strip())
            return (0, 0) if gone else _UNKNOWN
        if _VERSION_FLAG.fullmatch(text):
            return _interval(is_defined(text, self.own))
        return (0, 0) if OTHER_PLATFORM.fullmatch(text) else self.ranges.get(text, _UNKNOWN)


def _combined(operator: str, left: Interval, right: Interval) -> Interval:
    """What an operator makes of two operands."""
    sides = _truth(left), _truth(right)
    if operator in ("||", "&&"):
        decides = operator == "||"
        return _interval(decides if decides in sides else None if None in sides else not decides)
    if operator in ("+", "-"):
        ends = sorted(right if operator == "+" else (-right[0], -right[1]))
        return left[0] + ends[0], left[1] + ends[1]
    if operator in ("*", "/", "%"):
        known = operator == "*" and min(*left, *right) >= 0 and math.inf not in (*left, *right)
        return (left[0] * right[0], left[1] * right[1]) if known else _UNKNOWN
    if operator in ("==", "!="):
        same = left[0] == left[1] == right[0] == right[1]
        equal = True if same else False if left[1] < right[0] or right[1] < left[0] else None
        return _interval(equal if operator == "==" else _not(equal))
    less, more = (left, right) if operator in ("<", ">=") else (right, left)
    smaller = True if less[1] < more[0] else False if less[0] >= more[1] else None
    return _interval(smaller if operator in ("<", ">") else _not(smaller))


def _not(truth: bool | None) -> bool | None:
    return None if truth is None else not truth
