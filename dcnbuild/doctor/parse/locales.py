"""What gcc, glibc, Windows and MSVC say in other languages, and the English they say it for.

locales.tsv has both: what users' logs show of Windows and MSVC, and what tools/knowledge/locales.py reads
from the message catalogues of gcc, binutils, bash and glibc. gcc mixes languages: a phrase that its
catalogue lacks stays English, so single phrases are translated, not whole lines.
"""

from __future__ import annotations

import re
from pathlib import Path

from dcnbuild.doctor import wording
from dcnbuild.knowledge import cuda_errors

_LINES = Path(__file__).with_name("locales.tsv").read_text(encoding="utf-8").splitlines()
_ROWS = [line.replace("␣", " ").split("\t") for line in _LINES if not line.startswith("# ")]
#: English → what other languages say for it: locales.tsv.
PHRASES: dict[str, list[str]] = {}
for _english, *_others in (row for row in _ROWS if row[0] != "~"):
    PHRASES.setdefault(_english, []).extend(_others)
_ENGLISH = {phrase: english for english, phrases in PHRASES.items() for phrase in phrases}
_PHRASE = re.compile("|".join(sorted(map(re.escape, _ENGLISH), key=len, reverse=True)))

#: Sentences whose words change their order: (a part of it, the sentence, the English).
_REORDERED = tuple(
    (part, re.compile(sentence), english) for english, part, sentence in (row[1:] for row in _ROWS if row[0] == "~")
)
_OPENING, _CLOSING = wording.patterns("opening", "closing")
#: Scripts that write no spaces between words.
_NO_SPACES = re.compile(r"[\u3040-\u9fff\uac00-\ud7af]")
_QUOTES = re.compile(r"[\u00ab\u00bb\u201e\u300c\u300d]")
_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
_ENDS = ("", ":", ".", ",", "'", '"', "\u2019")
_SPOKEN = {word for english in PHRASES for word in english.split()}


def _telling(phrase: str) -> list[str]:
    """A word that only this phrase's language has, in the ways that it can end."""
    words = phrase.split()
    inner = [word for word in words[:-1] if word not in _SPOKEN and len(word) > 2]
    return [max(inner, key=len)] if inner else [words[-1] + end for end in _ENDS]


#: A line without any of these words has nothing to translate; it saves the work on English logs.
_FOREIGN = frozenset(word for phrase in (*_ENGLISH, *(part for part, _, _ in _REORDERED)) for word in _telling(phrase))


def to_english(line: str) -> str:
    """The line with every known phrase of a localised tool, and every bare number or name of CUDA, in plain English."""
    line = cuda_errors.in_words(line) if "uda" in line or "UDA" in line else line
    plain = line.isascii() or not (_NO_SPACES.search(line) or _QUOTES.search(line))
    if plain and _FOREIGN.isdisjoint(line.split()):
        return line.translate(_PLAIN)
    line = _CLOSING.sub("\u2019", _OPENING.sub("\u2018", line))
    for part, pattern, english in _REORDERED:
        if part in line:
            line = pattern.sub(english, line)
    return _PHRASE.sub(lambda found: _ENGLISH[found.group()], line).translate(_PLAIN)
