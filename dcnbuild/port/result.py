"""What porting a file, or a project, comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.edits import line_of
from dcnbuild.port.rule import Need, filled
from dcnbuild.port.source import Skipped

#: What is said of what no rule rewrites.
_SAID = beside(__file__, "remarks.yaml")


@dataclass(frozen=True)
class Change:
    """One edit that was made: the rule, the line of the old file, and both texts."""

    rule: str
    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Remark:
    """Something that is left for the user.

    Attributes:
        id: of the rule or leftover.
        lines: where it is in the ported file.
        subject: the name or the piece of code in question.
        reason: why it is a problem, or why it was not rewritten.
        advice: what to do.
        need: whether the code fails today, is deprecated, or has a bug.
    """

    id: str
    lines: tuple[int, ...]
    subject: str
    reason: str
    advice: str
    need: Need


def remark(id: str, lines: Iterable[int], subject: str = "", **values: str) -> Remark:
    """The remark that the table has under an id, with `values` in its texts."""
    row = filled(_SAID[id], values)
    places, need = tuple(sorted(set(lines))), row.get("need", "broken")
    return Remark(id, places, subject or row["subject"], row["reason"], row["advice"], need)


def remarks(
    make: Callable[[tuple[int, ...], str], Remark], text: str, found: Iterable[tuple[str, int]]
) -> Iterator[Remark]:
    """A remark for each subject, made of its lines and itself, from pairs with the offsets where they are in a text."""
    lines: dict[str, set[int]] = {}
    for subject, offset in found:
        lines.setdefault(subject, set()).add(line_of(text, offset))
    return (make(tuple(sorted(places)), subject) for subject, places in lines.items())


@dataclass(frozen=True)
class FileResult:
    """One file of a project.

    Attributes:
        path: relative to the project.
        old, new: its text before and after; `old` is "" for a file that porting adds.
        encoding: how both are written.
        changes: what was done.
        remarks: what was not.
        compiled: whether it compiled before; None if that was not tried.
        compiles: whether it compiles now; None if that was not tried.
        output: what the compiler said where it does not.
        note: why it was not looked at, or not tried.
        read: whether it was looked at.
    """

    path: PurePosixPath
    old: str
    new: str
    encoding: str = "utf-8"
    changes: tuple[Change, ...] = ()
    remarks: tuple[Remark, ...] = ()
    compiled: bool | None = None
    compiles: bool | None = None
    output: str = ""
    note: str = ""
    read: bool = True

    @property
    def changed(self) -> bool:
        """Whether the ported file differs, in its text or in its encoding."""
        return self.old != self.new or bool(self.changes)

    def then(self, new: str, changes: Iterable[Change], remarks: Iterable[Remark]) -> FileResult:
        """The file after a further step: its text then, and what that step did and left."""
        return replace(self, new=new, changes=(*self.changes, *changes), remarks=(*self.remarks, *remarks))

    def rules(self) -> dict[str, int]:
        """How often each rule was applied."""
        return dict(Counter(change.rule for change in self.changes))


@dataclass(frozen=True)
class Build:
    """What building the ported project with its setup.py came to.

    Attributes:
        built: whether setup.py went through.
        imported: module → "" if it was imported, else the error.
        output: the end of what was printed, where it failed.
        variables: the environment variables that it was built with and that the user had not set.
        folders: where the setup.py is, or each of them where there are several.
    """

    built: bool
    imported: dict[str, str] = field(default_factory=dict)
    output: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = (".",)

    def and_also(self, other: Build) -> Build:
        """What two of them came to together."""
        output = "\n".join(filter(None, (self.output, other.output)))
        built, imported = self.built and other.built, self.imported | other.imported
        return Build(built, imported, output, self.variables, self.folders + other.folders)

    @property
    def ok(self) -> bool:
        """Whether all of it worked."""
        return self.built and not any(self.imported.values())


@dataclass(frozen=True)
class ProjectResult:
    """All files of a project that were changed, have remarks, or were compiled.

    Attributes:
        files: by path.
        failing: whether anything in it fails today, so that deprecated forms were rewritten too.
        deprecated: how many deprecated forms were left because nothing fails.
        build: of its setup.py, if it was tried.
        skipped: what of the tree was not looked at, with paths relative to it.
        served: functions in it that dcnbuild's own operators replace.
    """

    files: tuple[FileResult, ...]
    failing: bool
    deprecated: int = 0
    build: Build | None = None
    skipped: tuple[Skipped, ...] = ()
    served: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[FileResult, ...]:
        """The files that differ."""
        return tuple(result for result in self.files if result.changed)

    @property
    def ok(self) -> bool:
        """Whether every source was read, nothing that fails today is left, and what was tried works."""
        left = any(r.need == "broken" for result in self.files for r in result.remarks)
        failed = any(result.compiles is False or not result.read for result in self.files)
        return not left and not failed and (self.build is None or self.build.ok)

    def to_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "ok": self.ok,
            "failing": self.failing,
            "deprecated_left": self.deprecated,
            "served": list(self.served),
            "skipped": [{"path": str(s.path), "reason": s.reason, "copied": s.copied} for s in self.skipped],
            "files": [
                {
                    "path": str(result.path),
                    "changed": result.changed,
                    "rules": result.rules(),
                    "changes": [vars(change) for change in result.changes],
                    "left": [{**vars(r), "lines": list(r.lines)} for r in result.remarks],
                    "compiled_before": result.compiled,
                    "compiles": result.compiles,
                    "output": result.output,
                    "note": result.note,
                }
                for result in self.files
            ],
            "build": None if self.build is None else {**vars(self.build), "ok": self.build.ok},
        }
