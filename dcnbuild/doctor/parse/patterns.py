"""The shapes in which compilers say the same thing, as patterns for rules."""

from __future__ import annotations

#: (a literal part that a matching line always holds, the regular expression). The literal part is
#: looked for first, which keeps reading fast; the reader asks that it contains one of its WORDS.
Pattern = tuple[str, str]

#: One quotation mark of any tool and language.
QUOTE = r"[\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a]"
#: Where a path or a word can begin. A pattern that starts with a run of characters starts with this,
#: or a long run would be searched again from each of its characters.
START = r"(?<![^\s:'\"(<>=\[])"
#: One letter of a path after START: none of those behind which another path can begin, so that a run of
#: them is read once.
LETTER = r"[^\s:'\"(<>=\[]"


#: A line of these kinds tells of something without being why the build stopped.
ASIDE = r"\b(?:warning|note)\b ?[:#]"
#: What a shell puts before its own messages: "/bin/sh: 1: ", "bash: line 3: ".
SHELL = r"(?:^|[\s/])(?:ba|da|z|k)?sh: (?:line )?(?:\d+: )?"
