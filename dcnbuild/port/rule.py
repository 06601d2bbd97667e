"""What a rule is: an entry that names an old form, what to write instead, and why; and how its table is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dcnbuild.base.plain_yaml import shipped
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.functions import Signature
from dcnbuild.port.pattern import fill, parts_of
from dcnbuild.port.stream import Stream, between

#: "broken": does not compile, link or run today. "deprecated": still compiles, with a warning or
#: with another meaning. "bug": compiles and does the wrong thing; only --fix-bugs changes it.
Need = Literal["broken", "deprecated", "bug"]


@dataclass(frozen=True)
class Scope:
    """What a file needs to know of the project around it.

    Attributes:
        suffix: of the file, e.g. ".cu".
        is_c: whether it is C.
        own: functions and macros that the file or the headers it includes define.
        functions: those that any file of the project defines.
        within: whether names of at:: stand alone in the file or a header that it includes.
        standard: the C++ standard that it is compiled with: 20 where a header of torch in the project needs it.
        headers: the headers, without brackets, that it gets from the project's headers.
        own_headers: those that it includes itself, as it writes them, and the project has.
        surroundings: for each source that compiles the file, all headers that are not the project's.
        copied_headers: those that it includes itself from a copy of CUB in the project.
        dispatchers: macros of the project that hand an argument on to AT_DISPATCH_*.
        state_parameters: functions of the project that take a THCState*: name → its position.
        checks: macros of the project that look at cudaGetLastError.
        guards: macros of the project that choose the GPU.
        signatures: functions, of the file and its headers, that may be operators: name → each way it is declared.
    """

    suffix: str = ".cu"
    is_c: bool = False
    own: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    within: bool = False
    standard: int = 17
    headers: frozenset[str] = frozenset()
    own_headers: frozenset[str] = frozenset()
    surroundings: frozenset[frozenset[str]] = frozenset()
    copied_headers: frozenset[str] = frozenset()
    dispatchers: frozenset[str] = frozenset()
    state_parameters: Mapping[str, int] = field(default_factory=dict)
    checks: frozenset[str] = frozenset()
    guards: frozenset[str] = frozenset()
    signatures: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)

    def is_torch(self, stream: Stream, index: int) -> bool:
        """Whether a name is one of at:: or torch::, behind them or where those are in use."""
        first, sign = ["", "", *stream.words(index - 2, 2)][-2:]
        known = first in ("at", "torch") if sign == "::" else self.within and stream[index].text not in self.own
        return known and sign not in (".", "->")


#: From (Code, Scope), or for a Python file from (Module, PythonScope), to what is to be changed.
Rewrite = Callable[[Any, Any], Iterable[Edit]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule, and its entry in docs/porting.md. The tables beside the rules' modules have these attributes as keys.

    Attributes:
        id: stable, kebab-case.
        need: what happens to code that keeps the old form.
        gone: since when it does, e.g. "torch 1.5"; for a bug, where it is met.
        since: the first torch or CUDA that has the replacement.
        pattern: the old form. Matched as `dcnbuild.port.pattern` says, unless there is a `rewrite`.
        replacement: what is written instead; the same remark holds.
        names: regular expressions for names → what is written for them, where they stand at such a place.
        place: that place, see `Stream.around_name`.
        before, after: a small example; porting `before` gives `after`.
        untouched: sources that look alike and stay as they are.
        why: what else a reader should know.
        rewrite: finds the edits where a pattern cannot say it.
        emits: a name that the replacement brings in, if its header has to be included for it.
        helper: the id of a block of code that the replacement calls, see `helpers`.
        language: which files it is for.
        standard: the C++ standard that breaks the old form.
        either: whether code that has the new form in another branch of an #if is left alone: it tells
            the two apart by a macro of its own.
    """

    id: str
    gone: str
    pattern: str
    replacement: str
    before: str
    after: str
    names: Mapping[str, str] = field(default_factory=dict)
    place: str = r"(?<!\. )(?<!-> )(?<!:: )@"
    untouched: tuple[str, ...] = ()
    need: Need = "broken"
    since: str = "any"
    why: str = ""
    rewrite: Rewrite | None = None
    emits: str = ""
    helper: str = ""
    language: Literal["C++", "Python"] = "C++"
    standard: int = 17
    either: bool = False

    def edits(self, code: Code, scope: Scope) -> list[Edit]:
        """What this rule changes in a C++ text. One text has one scope: it is looked for once."""
        if self.id not in code.edits:
            find = self.rewrite or (self._renamed if self.names else self._matched)
            found = find(code, scope) if self.standard <= scope.standard else ()
            code.edits[self.id] = [e for e in found if self.need != "broken" or not code.layout.is_past(e.start)]
        return code.edits[self.id]

    def _renamed(self, code: Code, scope: Scope) -> Iterator[Edit]:
        for name, new in self.names.items():
            for stream, index in code.names(name):
                found = stream.around_name(index, self.place) if stream[index].text not in scope.own else None
                if found:
                    if not new and stream[found[1]].text in (";", ":"):  # a statement or a label
                        yield code.without(stream, *found)
                    else:
                        yield stream.edit(*found, re.sub(rf"^{name}$", new, stream[index].text))

    def _matched(self, code: Code, scope: Scope) -> Iterator[Edit]:
        new = parts_of(self.replacement)[0]
        there = [m.start() for m in re.finditer(rf"\b{new}\b", code.text)] if self.either else []
        own = next(part for part in parts_of(self.pattern) if part.isidentifier()) in scope.own
        for match in code.find(self.pattern) if not own else ():
            spans = code.layout.alternatives(match.start) if there else ()
            if not any(between(there, *span) for span in spans):
                yield from fill(self.replacement, code.text, match)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table; one with `each` stands for as many, with the values of each in place of "{name}"."""
    for row in shipped(path):
        for values in row.get("each", ({},)):
            yield filled({key: value for key, value in row.items() if key != "each"}, values)


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """A value with "{name}" in its texts replaced."""
    if isinstance(value, dict):
        return {filled(key, values): filled(part, values) for key, part in value.items()}
    if isinstance(value, list):
        return tuple(filled(part, values) for part in value)
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def entries(path: str | Path, module: Mapping[str, Any] | None = None) -> tuple[Rule, ...]:
    """The rules of a table.

    Args:
        path: the file of the code beside the table, which is called alike; or the table.
        module: what the code defines: `rewrite_thc_state` finds the edits of "thc-state".
    """
    named = {n.removeprefix("rewrite_"): found for n, found in (module or {}).items() if n.startswith("rewrite_")}
    functions = {name.replace("_", "-"): found for name, found in named.items()}
    found = tuple(Rule(**row, rewrite=functions.pop(row["id"], None)) for row in rows(Path(path).with_suffix(".yaml")))
    if functions:
        raise ValueError(f"no entry for the rules {', '.join(functions)}")
    return found


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something that the tool finds and leaves to a human.

    Attributes:
        id: stable, kebab-case.
        names: a regular expression for the identifiers that give it away.
        reason: why it is not rewritten.
        advice: what to do.
        need: what happens to code that keeps it.
        example: a line that has it.
        untouched: lines that look alike and are not meant.
        place: where such a name is meant, see `Stream.around_name`.
        where: a name that the file has to hold as well, as a regular expression.
    """

    id: str
    names: str
    reason: str
    advice: str
    example: str
    need: Need = "broken"
    untouched: tuple[str, ...] = ()
    place: str = r"(?<!\. )(?<!-> )@"
    where: str = ""
