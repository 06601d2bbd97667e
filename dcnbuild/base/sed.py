"""What runs where sed and grep are not installed: on Windows, outside of Git Bash."""

from __future__ import annotations

import re
from collections.abc import Sequence

_READS = "import pathlib, re, sys; f = pathlib.Path(sys.argv[1]); "
_WRITES = "f.write_text(re.sub(*sys.argv[2:], f.read_text(), 0, re.M))"
_SUBSTITUTES = re.compile(r"s(?P<by>[/|])(?P<old>(?:(?!(?P=by)).)+)(?P=by)(?P<new>(?:(?!(?P=by)).)*)(?P=by)g?")

#: What a recursive grep of a checkout is about.
_SOURCES = ("*.cpp", "*.cc", "*.h", "*.hpp", "*.cu", "*.cuh", "*.py", "CMakeLists.txt")


def for_windows(words: Sequence[str]) -> list[str]:
    """The words of sed by Python, of grep by findstr; the same words where it is another use of them."""
    return in_findstr(words) if words[0] == "grep" else in_python(words)


def in_findstr(words: Sequence[str]) -> list[str]:
    """The words of a grep for plain texts for findstr of Windows.

    Example: ["grep", "-rnw", "THCState", "."] → ["findstr", "/s", "/n", "/c:THCState", "*.cpp", …].
    """
    marked = [words[number] for number in range(1, len(words)) if words[number - 1] == "-e"]
    others = [word for word in words[1:] if word not in marked]
    options = "".join(word[1:] for word in others if re.fullmatch("-[a-zA-Z]+", word))
    globs = [word.partition("=")[2] for word in others if word.startswith("--include=")]
    bare = [word for word in others if not re.match(r"--include=|-[a-zA-Z]+$", word)]
    places = bare if marked else bare[1:]
    texts = marked or (bare[0].split("|") if "E" in options else bare[:1])
    if set(options) - set("rnwEe") or not places or any(re.search(r"[\\\[\](){}*?^$\"]", text) for text in texts):
        return list(words)
    if "E" in options:
        texts = [text.replace("[+]", "+") for text in texts]
    files: list[str] = []
    for place in places:
        folder = "" if place == "." else place.replace("/", "\\").rstrip("\\") + "\\"
        one = not globs and re.search(r"\.\w{1,4}$", place) is not None
        files += [place.replace("/", "\\")] if one else [folder + glob for glob in globs or _SOURCES]
    return ["findstr", *(["/s"] if "r" in options else []), "/n", *(f"/c:{text}" for text in texts), *files]


def in_python(words: Sequence[str]) -> list[str]:
    r"""The words of `sed -i -E 's/old/new/' FILE` for Python; the same words where it is another use of sed.

    Example: ["sed", "-i", "-E", "s/a+/b/", "f.txt"] → ["python", "-c", "import …", "f.txt", "a+", "b"].
    """
    found = _SUBSTITUTES.fullmatch(words[-2]) if len(words) > 3 and words[1].startswith("-i") else None
    if found is None or "[:" in found["old"]:
        return list(words)
    new = re.sub(r"(?<!\\)&", r"\\g<0>", found["new"]).replace(r"\&", "&")
    old = found["old"] if "-E" in words else re.escape(found["old"])
    return ["python", "-c", _READS + _WRITES, words[-1], old, new]
