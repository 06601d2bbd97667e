"""What the lines around a place in a log say about the machine: versions, paths, system.

Nothing is guessed: what the log does not show is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.doctor.fixes.quoting import Shell
from dcnbuild.doctor.logs import project
from dcnbuild.doctor.parse.text import Log
from dcnbuild.machine.facts import Facts

#: How far from the deciding line a version is looked for. Farther ones belong to something else.
REACH = 400


def _any(patterns: list[str], nocase: bool = False) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE if nocase else 0)


_TABLE = plain_yaml.shipped(Path(__file__).with_name("surroundings.yaml"))
_VERSIONS = {name: _any(patterns) for name, patterns in _TABLE["versions"].items()}
_SIGNS = {name: (_any(row["any"], row.get("nocase", False)), row["near"]) for name, row in _TABLE["signs"].items()}
#: What shows which package manager a Linux has: (pattern, manager, distribution).
_MANAGERS = tuple((_any(row["any"]), row["manager"], row.get("distribution")) for row in _TABLE["managers"])
_UBUNTU = re.compile(r"[Uu]buntu[ -]?(?:\d\.\d{1,2}-\w{1,10}~)?(2\d\.04)|ubuntu(2\d)04")
#: Directories of a user, which tell one machine from another.
_HOMES = re.compile(r"(/home/[\w.-]+|/Users/[\w.-]+|[A-Z]:\\Users\\[\w.-]+)")
#: A source file that a compiler names at the start of its message.
_SOURCE = wording.pattern("source")
_BUILT = wording.pattern("built")
_LOCAL = re.compile(r"^(?:Processing|Obtaining) (?:file://)?(?:\.|/|[A-Za-z]:)")

#: The properties of a Context that templates may name.
SHOWN = frozenset((*_VERSIONS, *_SIGNS, "source", "where", "project", "package"))


@dataclass(frozen=True)
class Context:
    """The surroundings of one line of a log.

    Each row of surroundings.yaml is a property: of `versions`, as `toolkit`, the version or None; of `signs`, as
    `windows`, whether it is one.
    """

    log: Log
    line: int

    def __getattr__(self, name: str) -> Any:
        if name in _VERSIONS:
            found: Any = self.group(_VERSIONS[name])
        elif name in _SIGNS:
            found = self.first(*_SIGNS[name]) is not None
        else:
            raise AttributeError(name)
        self.__dict__[name] = found
        return found

    def first(self, pattern: re.Pattern[str], reach: int = REACH) -> re.Match[str] | None:
        """The match nearest to the line: on it, else above it, else below it."""
        above = range(self.line, max(-1, self.line - reach), -1)
        below = range(self.line + 1, min(len(self.log), self.line + reach))
        for numbers in (above, below):
            for number in numbers:
                found = pattern.search(self.log.text(number))
                if found:
                    return found
        return None

    def group(self, pattern: re.Pattern[str]) -> str | None:
        """What the groups of the nearest match hold, joined by points."""
        found = self.first(pattern)
        return ".".join(group for group in found.groups() if group) if found else None

    def target(self, facts: Facts | None) -> Target:
        """Where a fix is pasted: this machine where the log may be of it, else the log's machine."""
        if facts is not None and self._here(facts):
            return replace(Target.of(facts), conda=self.conda or Target.of(facts).conda)
        shell: Shell = "dockerfile" if self.dockerfile else "sh"
        if self.windows:
            shell = "powershell" if self.powershell else "cmd"
            return Target(shell, "Windows", conda=self.conda)
        if self.mac:
            return Target("sh", "Darwin", "brew", conda=self.conda)
        manager, distribution = "apt-get", None
        for pattern, name, release in _MANAGERS:
            if self.first(pattern, reach=60):
                manager, distribution = name, release
                break
        else:
            found = self.first(_UBUNTU)
            distribution = f"ubuntu {found[1] or found[2] + '.04'}" if found else None
        return Target(
            *(shell, "Linux", manager, distribution, self.root, self.conda),
            architecture="aarch64" if self.aarch64 else "x86_64",
        )

    def _here(self, facts: Facts) -> bool:
        """Whether nothing shows that the log is of another machine than the facts."""
        if self.windows != (facts.machine.system == "Windows"):
            return False
        own = f"{facts.python.executable} {facts.python.prefix} {facts.variables.get('HOME', '')}"
        found = self.first(_HOMES)
        return found is None or found[1] in own

    @cached_property
    def package(self) -> str:
        """The package that was being built, "." for a directory and where the log does not show it."""
        for number in (*self._above(200, with_line=True), *range(self.line, self.line + 40)):
            line = self.log.text(number)
            if _LOCAL.match(line):
                return "."
            found = _BUILT.search(line)
            # pip -v indents what it collects for the build environment itself
            raw = self.log.lines[number] if number < len(self.log) else ""
            if found and not raw.startswith("  Collecting"):
                name = next(group for group in found.groups() if group)
                return "." if name in ("collected", "wheel") else name
        return "."

    @cached_property
    def source(self) -> str | None:
        """The source file that the compiler's message is about.

        Where that is a header of torch or of the system: the nearest file of the project that the
        lines around it (included from, in expansion of macro) name.
        """
        named = None
        for number in (self.line, *range(self.line + 1, self.line + 9), *self._above(12)):
            found = _SOURCE.search(self.log.text(number))
            if found and not project.NOT_OURS.search(found.group("path")):
                return found.group("path")
            if found and number == self.line:
                named = found.group("path")
            if found is None and number == self.line:
                return None
        return named

    @cached_property
    def where(self) -> str:
        """The source file that the compiler's message is about, or "the source"."""
        return self.source or "the source"

    def _above(self, lines: int, with_line: bool = False) -> range:
        first = self.line if with_line else self.line - 1
        return range(first, max(-1, first - lines), -1)

    @cached_property
    def project(self) -> str:
        """The directory to hand to `dcnbuild port`: "." where the log shows none that lasts."""
        return project.directory(self)
