"""What Python runs where sed is not installed: on Windows, outside of Git Bash."""

from __future__ import annotations

import re
from collections.abc import Sequence

_READS = "import pathlib, re, sys; f = pathlib.Path(sys.argv[1]); "
_WRITES = "f.write_text(re.sub(*sys.argv[2:], f.read_text(), 0, re.M))"
_SUBSTITUTES = re.compile(r"s(?P<by>[/|])(?P<old>(?:(?!(?P=by)).)+)(?P=by)(?P<new>(?:(?!(?P=by)).)*)(?P=by)g?")


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
