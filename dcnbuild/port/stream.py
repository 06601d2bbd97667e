"""A run of tokens with its brackets matched, so that no reader has to look for a partner."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from functools import cached_property

from dcnbuild.port.edits import Edit
from dcnbuild.port.tokens import Token

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = frozenset(OPENING.values())
#: How many tokens before and behind a name tell what it is.
NEAR = 60
#: Words that may stand in front of a name which begins with "::".
_BEFORE_NAMES = frozenset({"return", "case", "else", "new", "delete", "throw", "typename", "const", "static", "inline"})


def between(places: list[int], start: int, end: int) -> bool:
    """Whether any of some places, in order, is one from a first index up to a last."""
    at = bisect.bisect_left(places, start)
    return at < len(places) and places[at] < end


class Stream(list[Token]):
    """Solid tokens. Each table is made once, in one pass, and is as long as the stream."""

    @cached_property
    def _brackets(self) -> tuple[list[int], list[int]]:
        """For each bracket its partner or -1, and for each token the bracket it stands in or -1."""
        partner, around = [-1] * len(self), [-1] * len(self)
        waiting: list[int] = []
        counts = dict.fromkeys(CLOSING, 0)
        for index, token in enumerate(self):
            text = token.text if token.kind == "punct" else ""
            if text in CLOSING:
                # what was opened since and not closed has no partner
                while counts[text] and OPENING[self[waiting[-1]].text] != text:
                    counts[OPENING[self[waiting.pop()].text]] -= 1
                if counts[text]:
                    opening = waiting.pop()
                    counts[text] -= 1
                    partner[opening], partner[index] = index, opening
                else:  # it closes nothing: what is open around it cannot be told from here on
                    waiting.clear()
                    counts = dict.fromkeys(CLOSING, 0)
            around[index] = waiting[-1] if waiting else -1
            if text in OPENING:
                waiting.append(index)
                counts[OPENING[text]] += 1
        return partner, around

    @property
    def partner(self) -> list[int]:
        """The index of each bracket's partner; -1 where it has none, and for other tokens."""
        return self._brackets[0]

    @property
    def around(self) -> list[int]:
        """The index of the innermost bracket that is open at each token; -1 outside all."""
        return self._brackets[1]

    @cached_property
    def angles(self) -> dict[int, int]:
        """The "<" that may open a template list, and the ">" that closes it."""
        found: dict[int, int] = {}
        levels: list[list[int]] = [[]]  # the "<" of each open bracket
        for index, token in enumerate(self):
            text = token.text
            if text == "<":
                levels[-1].append(index)
            elif text == ">":
                if levels[-1]:
                    found[levels[-1].pop()] = index
            elif text in OPENING and token.kind == "punct" and self.partner[index] > 0:
                if text == "{":
                    levels[-1].clear()
                levels.append([])
            elif text in CLOSING and token.kind == "punct" and self.partner[index] >= 0:
                levels.pop()
            elif text in ("(", ")", "[", "]", "{", "}", ";", "&&", "||"):
                levels[-1].clear()
        return found

    @cached_property
    def openings(self) -> dict[int, int]:
        """The "<" of each ">" that may close a template list."""
        return {close: opening for opening, close in self.angles.items()}

    @cached_property
    def ends(self) -> list[int]:
        """For each token the ";" that ends its statement, over brackets that open on the way; -1
        where a bracket closes first."""
        found = [-1] * (len(self) + 1)
        for index in range(len(self) - 1, -1, -1):
            text = self[index].text if self[index].kind == "punct" else ""
            if text == ";":
                found[index] = index
            elif text in OPENING:
                partner = self.partner[index]
                found[index] = found[partner + 1] if partner >= 0 else -1
            elif text not in CLOSING:
                found[index] = found[index + 1]
        return found

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Each name's indices, in order."""
        found: dict[str, list[int]] = {}
        for index, token in enumerate(self):
            if token.kind == "name":
                found.setdefault(token.text, []).append(index)
        return found

    def words(self, start: int, count: int) -> list[str]:
        """The texts of some tokens, fewer at the ends of the stream."""
        return [token.text for token in self[max(start, 0) : max(start + count, 0)]]

    def follows(self, index: int, *texts: str) -> bool:
        """Whether these tokens stand behind the one at an index."""
        return self.words(index + 1, len(texts)) == list(texts)

    def preceded(self, index: int, *texts: str) -> bool:
        """Whether these tokens stand before the one at an index."""
        return self.words(index - len(texts), len(texts)) == list(texts)

    def around_name(self, index: int, place: str) -> tuple[int, int] | None:
        """The first and last index of what goes with a name that stands at such a place; None where it does not.

        `place` is a regular expression for tokens with single spaces between them, where "@" stands for the name; the
        name alone is meant, or what a group of it matches.
        """
        near = [*self.words(index - NEAR, NEAR), "@", *self.words(index + 1, NEAR)]
        found = re.search(rf"(?<!\S)(?:{place})(?!\S)", " ".join("".join(word.split()) for word in near))
        if found is None:
            return None
        taken = found[found.lastindex or 0].split() if found.lastindex else ["@"]
        first = index - taken.index("@")
        return first, first + len(taken) - 1

    def edit(self, first: int, last: int, new: str) -> Edit:
        """The edit that writes something else for the tokens from one index to another."""
        return Edit(self[first].start, self[last].end, new)

    def before(self, index: int, new: str) -> Edit:
        """The edit that writes something right in front of a token."""
        return Edit(self[index].start, self[index].start, new)

    def behind(self, index: int, new: str) -> Edit:
        """The edit that writes something right behind a token."""
        return Edit(self[index].end, self[index].end, new)

    def qualified(self, index: int) -> int:
        """The index where the name at an index begins, with the namespaces and the "::" in front of it."""
        while index and self[index - 1].text == "::":
            outer = self[index - 2] if index > 1 else None
            if outer is None or outer.kind != "name" or outer.text in _BEFORE_NAMES:
                return index - 1
            index -= 2
        return index

    def statement(self, index: int, *ends: str) -> int:
        """The index where the statement of a token begins; also behind what else is said to end one."""
        while index and self[index - 1].text not in (";", "{", "}", *ends):
            index -= 1
        return index

    def first_of(self, index: int, *texts: str) -> int:
        """The index where the tokens begin that stand in front of one and are any of these."""
        while index and self[index - 1].text in texts:
            index -= 1
        return index

    def parts(self, index: int, end: int) -> Iterator[tuple[int, int]]:
        """What stands between the commas from one index to another, as (start, end), over brackets and templates."""
        start = index
        while index < end:
            if self[index].text == ",":
                yield start, index
                start = index + 1
            index = max(self.partner[index], self.angles.get(index, index)) + 1
        yield start, end

    def close_of(self, name: int) -> int:
        """The index of the ")" of the call of the name at an index; -1 where it is not called, or never closed."""
        return self.partner[name + 1] if self.words(name + 1, 1) == ["("] else -1

    def used(self, name: str, start: int, end: int) -> bool:
        """Whether a name stands anywhere from one index to another."""
        return between(self.places.get(name, []), start, end)

    def has_long(self, start: int, end: int) -> bool:
        """The same of a number like 512L."""
        return between(self._longs, start, end)

    @cached_property
    def _longs(self) -> list[int]:
        return [n for n, token in enumerate(self) if token.kind == "number" and token.text[-1] in "lL"]

    @cached_property
    def starts(self) -> list[int]:
        """The offset of each token."""
        return [token.start for token in self]

    def at(self, offset: int) -> int:
        """The index of the first token that starts at an offset or behind it."""
        return bisect.bisect_left(self.starts, offset)
