"""A fix: one thing to do, made of arguments, and written down for the machine where it will be pasted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Concatenate, ParamSpec

from dcnbuild.base import quoting
from dcnbuild.base.quoting import Shell, UnquotableError
from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes import effects, places
from dcnbuild.machine.facts import Facts

_SHELLS: dict[str, Shell] = {"fish": "fish", "csh": "csh", "tcsh": "csh", "pwsh": "powershell"}
#: Lines that build a project or a package.
BUILDS, _ACTIVATES = wording.patterns("line_builds", "line_activates")
#: A remark above what may be done instead, and above what another state of the machine takes; one that ends a session.
_OR, _OTHERWISE, _RESTARTS = wording.patterns("line_or", "line_otherwise", "line_restarts")


@dataclass(frozen=True)
class Target:
    """Where a fix will be pasted: this machine, or the one that a log tells of.

    Attributes:
        shell: of the terminal.
        system: "Linux", "Windows" or "Darwin".
        manager: "apt-get", "dnf", "yum", "zypper", "pacman", "apk"; None if not known.
        distribution: "ubuntu 24.04"; None if not known.
        root: whether commands run as root without more ado; `rootless` says that nobody becomes root, as on a cluster.
        conda: whether a conda environment is active.
        facts: of this machine, whose toolkits and compilers may be named; None for another machine.
        architecture: "x86_64", "aarch64".
        container: whether it is one.
        pip: what stands for pip, as ("uv", "pip"), and `python` for Python, as ("uv", "run", "--no-sync", "python").
        project: the manager of the project, "uv", "poetry"; `building` says that it has failed to build a package.
        alternative: whether the lines come after "or" and so are comments: interactive zsh takes those for commands
            and evaluates what is to be replaced by a program's output.
        form: what they are written for as a whole: "cell" of a notebook, "unit" of systemd, "script" that starts
            the program, or the command that has started the container.
        place: where they go that are not typed, "In the Dockerfile, before line 14:".
        variables: those that have been set there, in vain, with their values.
        there: packages that are installed, in vain, with their releases, "numpy" → "1.26.4".
        without: what is made for one torch and is not there, as far as the log lists what is.
        done: the words of the commands that the log shows, and that did not help.
        driver: the newest CUDA that its driver runs, "" where that is not known.
    """

    shell: Shell = "sh"
    system: str = "Linux"
    manager: str | None = None
    distribution: str | None = None
    root: bool = False
    conda: bool = False
    facts: Facts | None = None
    architecture: str = "x86_64"
    container: bool = False
    pip: tuple[str, ...] = ("pip",)
    python: tuple[str, ...] = ("python",)
    project: str = ""
    building: bool = False
    rootless: bool = False
    alternative: bool = False
    form: str = ""
    place: str = ""
    variables: frozenset[tuple[str, str]] = frozenset()
    there: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    done: frozenset[frozenset[str]] = frozenset()
    driver: str = ""

    @classmethod
    def of(cls, facts: Facts) -> Target:
        """This machine."""
        machine = facts.machine
        return cls(
            *(shell_of(facts.variables, machine.system), machine.system, machine.package_manager, machine.distribution),
            *(machine.root, bool(facts.variables.get("CONDA_PREFIX")), facts),
            *(machine.architecture or "x86_64", bool(machine.container)),
        )

    @property
    def windows(self) -> bool:
        """Whether paths and programs are those of Windows."""
        return self.system == "Windows"

    @property
    def unattended(self) -> bool:
        """Whether nobody answers questions where the lines run, and the lists of packages are missing."""
        return bool(self.container or self.place or self.form)


def shell_of(variables: Mapping[str, str], system: str = "Linux") -> Shell:
    """The shell of whoever has these environment variables."""
    named = os.path.basename(variables.get("SHELL", ""))
    return _SHELLS.get(named, "cmd" if system == "Windows" else "sh")


@dataclass(frozen=True)
class Fix:
    """One thing to do. Made by the functions below; equal if they and their arguments are."""

    write: Callable[..., Iterable[str]]
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def lines(self, target: Target) -> tuple[str, ...]:
        """The lines to paste, in order; a comment where a value cannot be quoted safely."""
        try:
            return self.strict(target)
        except UnquotableError as error:
            what = self.write.__name__.replace("_", " ")
            return (quoting.comment(f"By hand: {what}, for {error}", target.shell),)

    def strict(self, target: Target) -> tuple[str, ...]:
        """Like `lines`, but raises UnquotableError: for fixes that are made of others."""
        return tuple(self.write(target, *self.arguments, **dict(self.options)))


def render(fixes: Iterable[Fix], target: Target, whole: bool = True) -> tuple[str, ...]:
    """The lines of several fixes, each once in what is an alternative of the others ("# or …").

    Alternatives are comments as a whole: pasting everything does what comes first. A part is not `whole`: what it is a
    part of says where it goes.
    """
    kept: list[str] = []
    alternative: set[str] | None = None
    comment = quoting.comment("", target.shell).strip()
    for fix in fixes:
        lines = fix.lines(target if alternative is None else replace(target, alternative=True))
        if len(lines) == 1 and _instead(lines, kept) and lines[0] not in kept:
            alternative = set()
        for line in _comments(lines, target) if alternative is not None else lines:
            if line not in (kept if alternative is None else alternative):
                kept.append(line)
                if alternative is not None:
                    alternative.add(line)
    # an alternative of which all has been said above is none
    empty = re.compile(rf"({comment} or\b[^\n]*:\n)+(?={comment} or\b|\Z)")
    kept = empty.sub("", "".join(f"{line}\n" for line in kept)).splitlines()
    if not whole:
        return tuple(kept)
    once = set_once(_entered(effects.untried(kept, target.done), target))
    ends = next((number for number, line in enumerate(once, 1) if _RESTARTS.search(line)), len(once))
    once[ends:] = _comments(once[ends:], target)
    return tuple(places.placed(once, target.form, target.place, target.shell))


def _entered(lines: list[str], target: Target) -> list[str]:
    """The lines with the Python of an environment that one of them has activated, in place of that of the log."""
    ours, other = " ".join(quoting.argument(word, target.shell) for word in target.python), False
    found: list[str] = []
    for line in lines:
        other = other and not _OR.match(line)
        found.append(re.sub(rf"^((?:#|rem) )?{re.escape(ours)}(?= )", r"\1python", line) if other else line)
        other = other or bool(_ACTIVATES.match(line))
    return found


def set_once(lines: list[str]) -> list[str]:
    """Commands without the variables that they set for themselves, "CC=gcc-9 make", where another line sets them."""
    names = "|".join(re.findall(r"^(?:export|unset) (\w+)", "\n".join(lines), re.MULTILINE)) or "(?!)"
    value = r"=(?:\"[^\"]*\"|'[^']*'|[^\s\"'])* +"
    first, own = re.compile(rf"(?:\w+{value})*"), re.compile(rf"(?<!\S)(?:{names}){value}")
    return [first.sub(lambda found: own.sub("", found[0]), line, count=1) for line in lines]


def alternatives_last(parts: Sequence[list[Fix]], target: Target) -> list[Fix]:
    """The fixes of several faults as one: what each of them takes, what builds, and what may be done instead."""
    if len(parts) == 1:
        return parts[0]
    cuts = [(fixes, alternative_at(fixes, target)) for fixes in parts]
    first = [fix for fixes, cut in cuts for fix in fixes[:cut]]
    rest = [fix for fixes, cut in cuts for fix in fixes[cut:]]
    ends = {tuple(fixes[cut - 1].lines(target)) for fixes, cut in cuts if cut}  # what each runs again, as "make"
    builds = [fix for fix in first if any(map(BUILDS.search, fix.lines(target))) or {tuple(fix.lines(target))} == ends]
    return [fix for fix in first if fix not in builds] + builds + rest


def alternative_at(fixes: list[Fix], target: Target) -> int:
    """Where among fixes begins what may be done instead, behind the last where nothing may."""
    lines = [fix.lines(target) for fix in fixes]
    return next((at for at, one in enumerate(lines) if _instead(one, chain.from_iterable(lines[:at]))), len(fixes))


def _instead(lines: Sequence[str], above: Iterable[str]) -> bool:
    """Whether the first begins what may be done instead, or in another state than that which those above serve."""
    said = lines[0] if lines else ""
    return bool(_OR.match(said) or (_OTHERWISE.match(said) and any(effects.of_line(one) != "reads" for one in above)))


def _comments(lines: Iterable[str], target: Target) -> list[str]:
    comment = quoting.comment("", target.shell)
    return [line if line.startswith(comment) else f"{comment}{line}" for line in lines]


def together(fixes: Iterable[Fix]) -> Fix:
    """Several as one, whose alternatives are their own."""
    return Fix(lambda target, *inner: render(inner, target, whole=False), tuple(fixes))


def by_hand(fix: Fix) -> Fix:
    """The same as comments: what is to be pasted only where people know the place to be right."""

    return Fix(lambda target: _comments(fix.strict(replace(target, alternative=True)), target))


P = ParamSpec("P")


def makes_fix(write: Callable[Concatenate[Target, P], Iterable[str]]) -> Callable[P, Fix]:
    """Turns a function that writes lines for a target into one that makes a Fix of its other arguments."""

    def make(*arguments: P.args, **options: P.kwargs) -> Fix:
        return Fix(write, arguments, tuple(options.items()))

    make.__name__, make.__doc__ = write.__name__, write.__doc__
    return make
