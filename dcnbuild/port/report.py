"""The report: a table of files, what was done, what is left, and what compiles."""

from __future__ import annotations

import difflib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dcnbuild.base.printable import one_line
from dcnbuild.port.result import Build, FileResult, ProjectResult

_WORDS = {"broken": "fails", "deprecated": "old", "bug": "bug"}
_PARTS = re.compile(r"[^/]*/|[^/]+")
_COMPILED = {True: Text("yes"), False: Text("no", style="red"), None: Text("–")}


def print_report(console: Console, result: ProjectResult, out: Path | None) -> None:
    """Prints what was done to a project, and where the result is."""
    say = partial(console.print, markup=False, soft_wrap=True)
    shown = [file for file in result.files if file.changed or file.remarks or file.note]
    if shown:
        console.print(_table(shown, console.width))
    for line in chain.from_iterable(map(_left_in, shown)):
        say(line)
    for skipped in result.skipped:
        done = "copied, not looked into" if skipped.copied else "left out"
        say(f"{one_line(str(skipped.path))}: {done}: {skipped.reason}")
    if result.served:
        say(
            f"{', '.join(map(one_line, result.served[:3]))}: dcnbuild has these operators itself."
            " `python -m dcnbuild.compat SCRIPT` runs a script of yours with them under the names it"
            " imports, and compiles nothing of this tree; see docs/coming-from.md."
        )
    for line in _built(result.build, out) if result.build else ():
        say(line)
    if result.deprecated:
        console.print(
            f"Nothing in the C++ and CUDA sources fails today, so {result.deprecated} deprecated forms were"
            " left as they are; --deprecated rewrites them too."
        )
    count = len(result.changed)
    read = any(file.read for file in result.files)
    nothing = "Nothing to change" if read else "No C++, CUDA or Python source found: nothing to change"
    done = f"{count} file{'s' * (count != 1)} changed" if count else nothing
    console.print(f"{done}{f': {out}' if out and count else ''}.", highlight=False, soft_wrap=True)


def _table(files: list[FileResult], width: int) -> Table:
    """A line for each file; words are broken only where they alone are too long."""
    tried = any(file.compiled is not None or file.compiles is not None for file in files)
    titles = ["file", "rules applied", "left for you", *(["compiled before", "compiles"] if tried else [])]
    left_in = [Counter(f"{r.id} ({_WORDS[r.need]})" for r in file.remarks for _ in r.lines) for file in files]
    rows = [(one_line(str(f.path)), _counted(f.rules()), _counted(left, " ×1")) for f, left in zip(files, left_in)]
    columns = [[title, *(row[number] for row in rows if number < len(row))] for number, title in enumerate(titles)]
    words = [[word for text in column for word in text.split()] for column in columns]
    words[0] = [part for path in columns[0] for part in _PARTS.findall(path)]
    widths = [max(map(len, column)) for column in words]  # as narrow as can be
    room = width - 3 * len(titles) - 1
    widths[0] = min(widths[0], max(room - sum(widths[1:]), 16))
    table = Table(title=None, expand=False)
    for number, title in enumerate(titles):  # the first ones get what is left of the line
        more = max(map(len, columns[number])) - widths[number]
        widths[number] += max(min(more, room - sum(widths)), 0)
        table.add_column(title, overflow="fold", width=widths[number])
    for file, (path, rules, left) in zip(files, rows, strict=True):
        compiles = (_COMPILED[file.compiled], _COMPILED[file.compiles]) if tried else ()
        table.add_row(_wrapped(path, widths[0]), rules, left, *compiles)
    return table


def _counted(counts: Mapping[str, int], once: str = "") -> str:
    """Words with how often each is counted."""
    return ", ".join(f"{word} ×{times}" if times != 1 else f"{word}{once}" for word, times in counts.items()) or "–"


def _wrapped(path: str, width: int) -> str:
    """A path on lines of a width, broken behind slashes, or else where its names have parts."""
    lines = [""]
    for piece in _PARTS.findall(path):
        for part in [piece] if len(piece) <= width else re.findall(r"[^_.-]*[_.-]|[^_.-]+", piece):
            if lines[-1] and len(lines[-1]) + len(part) > width:
                lines.append("")
            lines[-1] += part
    return "\n".join(lines)


def _left_in(file: FileResult) -> Iterator[str]:
    """What is left in a file, why, and what to do; and what the compiler says."""
    path = one_line(str(file.path))
    for remark in file.remarks:
        lines = ",".join(map(str, remark.lines[:8])) + "…" * (len(remark.lines) > 8)
        yield f"{path}:{lines} {one_line(remark.subject)}"
        yield f"    why: {remark.reason or remark.id}"
        yield f"    do:  {remark.advice}"
    if file.output:
        yield f"{path}: does not compile"
        yield from (f"    {line}" for line in file.output.splitlines())
    if file.note:
        yield f"{path}: {file.note}"


def _built(build: Build, out: Path | None) -> Iterator[str]:
    """What building and importing came to."""
    if not build.built:
        yield f"setup.py: does not build\n{build.output}"
    for module, error in build.imported.items():
        yield f"setup.py: {module} " + (f"is not imported: {error}" if error else "is imported")
    if build.ok and out is not None:
        yield f"Install it with\n\n    {install_line(build, out)}\n"


def install_line(build: Build, out: Path) -> str:
    """The shell line that installs a ported project the way it was built here."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in build.variables.items()]
    start = "" if out.is_absolute() else "./"  # or pip looks for it on its index
    targets = [shlex.quote(f"{start}{out / folder}") for folder in build.folders]
    return " ".join([*variables, "pip install --no-build-isolation", *targets])


def diff(files: tuple[FileResult, ...]) -> Iterator[str]:
    """The changes as a unified diff, line by line, with the line ends of the sources."""
    for file in (file for file in files if file.changed):
        old, new = (text.splitlines(keepends=True) for text in (file.old, file.new))
        path = one_line(str(file.path))
        yield from difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
