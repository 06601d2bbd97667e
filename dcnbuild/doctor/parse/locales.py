"""What gcc, glibc, Windows and MSVC say in other languages, and the English they say it for.

Source: the message catalogues of gcc 12.2 (gcc-12.mo, cpplib-12.mo) and glibc 2.36 (libc.mo) as
Debian 12 ships them; for Windows and MSVC the texts that users' logs show. gcc mixes languages: a
phrase that its catalogue lacks stays English, so single phrases are translated, not whole lines.
"""

from __future__ import annotations

import re
from pathlib import Path

#: English → what other languages say for it: locales.tsv.
PHRASES: dict[str, tuple[str, ...]] = {
    english: tuple(others)
    for line in Path(__file__).with_name("locales.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for english, *others in [line.replace("␣", " ").split("\t")]
}

_ENGLISH = {phrase: english for english, phrases in PHRASES.items() for phrase in phrases}
_PHRASE = re.compile("|".join(sorted(map(re.escape, _ENGLISH), key=len, reverse=True)))

#: Sentences whose words change their order: (a part of it, the sentence, the English).
_REORDERED = tuple(
    (part, re.compile(sentence), english)
    for part, sentence, english in (
        (
            "umgewandelt",
            r"(?<!\S)(\S{1,200}) kann nicht nach (\S{1,200}) umgewandelt werden",
            r"cannot convert \1 to \2",
        ),
        ("beendet", r"Signal (\w+) hat Programm (\w+) beendet", r"\1 signal terminated program \2"),
        ("转换", r"无法(?:从|将)(.{1,200}?)转换(?:到|为|成)(.{1,200})", r"cannot convert \1 to \2"),
        ("nicht finden", r"kann (-l\S{1,100}) nicht finden", r"cannot find \1"),
        ("找不到", r"找不到 ?(-l\S{1,100})", r"cannot find \1"),
        (
            "нет декларации",
            r"нет декларации (\S{1,200}) в этой области",
            r"\1 was not declared in this scope",
        ),
        (
            "未定义的引用",
            r"对[‘“'`]?(.{1,200}?)[’”']?未定义的引用",
            r"undefined reference to '\1'",
        ),
    )
)

#: Quotation marks, with the space that French puts inside.
_OPENING = re.compile(
    r"(?:[\u300c\u201e]|\u00ab[ \u00a0\u202f]?|\u00bb(?=[^\s\u00ab\u00bb]{1,200}\u00ab))"
)
_CLOSING = re.compile(
    r"(?:\u300d|[ \u00a0\u202f]?\u00bb(?![^\s\u00ab\u00bb]{1,200}\u00ab)|(?<=\S)\u00ab)"
)

#: An ASCII line without any of these has nothing to translate; it saves the work on English logs.
_FOREIGN = re.compile(
    r"Fehler|Warnung|Datei|nicht |Verweis|Modul |Prozedur|keinen Typ|Bezeichner|passende|Das |Kann |Befehl"
    r"|Kommando|Berechtigung|Zugriff|Anmerkung|Es steht|beendet|geschrieben|erreur|attention ?:"
    r"|Aucun |commande|ne nomme|fonction correspondant|Permission non|aviso|nota: |No existe|No queda"
    r"|No se |no se |no nombra|error fatal|error interno|Permiso|Processus|Ne peut|non d"
)


def to_english(line: str) -> str:
    """The line with every known phrase of a localised tool in English, the rest as it was."""
    if line.isascii() and not _FOREIGN.search(line):
        return line
    line = _OPENING.sub("\u2018", _CLOSING.sub("\u2019", line))
    for part, pattern, english in _REORDERED:
        if part in line:
            line = pattern.sub(english, line)
    return _PHRASE.sub(lambda found: _ENGLISH[found.group()], line)
