"""What the lines around a place in a log say about the machine: versions, paths, system.

Nothing is guessed: what the log does not show is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.quoting import Shell
from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes import places
from dcnbuild.doctor.fixes.commands import Installation
from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.doctor.logs import asked as asking
from dcnbuild.doctor.logs import project as projects
from dcnbuild.doctor.parse.text import Log
from dcnbuild.machine.facts import Facts

#: How far from the deciding line a version is looked for. Farther ones belong to something else.
REACH = 400


def _any(patterns: list[str], nocase: bool = False) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE if nocase else 0)


_TABLE = plain_yaml.beside(__file__, "surroundings.yaml")
_VERSIONS = {name: _any(patterns) for name, patterns in _TABLE["versions"].items()}
_SIGNS = {name: (_any(row["any"], row.get("nocase", False)), row["near"]) for name, row in _TABLE["signs"].items()}
#: What shows which package manager a Linux has, and what speaks against it.
_MANAGERS = tuple((_any(row["any"]), _any(row.get("unless", ["(?!)"])), row) for row in _TABLE["managers"])
#: What shows that something else runs Python and pip than what PATH has.
_RUNNERS = tuple((_any(row["any"]), row) for row in _TABLE["runners"])
#: Where the lines of a fix go that nobody types: in an image's build, and in the job of a service that builds.
_IMAGES, _JOBS, _PROGRAMS = (
    [(_any(row["any"]), row["say"]) for row in _TABLE[f"{of}_places"]] for of in ("image", "job", "program")
)
_STARTED, _INSIDE, _COMPOSE, _OF_ACTION, _INTO = wording.patterns("started", "inside", "compose", "of_action", "into")
#: What tells one machine from another.
_USER, _UBUNTU, _TOLD = wording.patterns("user_prompt", "ubuntu", "ubuntu_told")
_OF_MACHINE = (*wording.patterns("homes", "compiler", "driver", "packages"), _USER, _UBUNTU)
#: A command that prints versions, and which of them is which.
_PRINTS = wording.pattern("prints")
_ASKED_BY = {"torch": "torch.__version__", "torch_cuda": "torch.version.cuda"}
#: A source file that a compiler names at the start of its message; what is being built; what lies here.
_SOURCE, _BUILT, _LOCAL = wording.patterns("source", "built", "local")

#: The properties of a Context that templates may name.
SHOWN = frozenset((*_VERSIONS, *_SIGNS, *_TABLE["others"]))


def _ubuntu(found: re.Match[str]) -> str:
    return f"debian {found['debian']}" if found["debian"] else f"ubuntu {found[1] or f'{found[2] or found[3]}.04'}"


class _Version(cached_property[str | None]):
    def __init__(self) -> None:
        super().__init__(lambda context: context.group(_VERSIONS[name := str(self.attrname)]) or context.printed(name))


class _Sign(cached_property[bool]):
    def __init__(self) -> None:
        super().__init__(
            lambda context: bool(one := context.first(*_SIGNS[str(self.attrname)])) and one.lastgroup != "no"
        )


@dataclass(frozen=True)
class Context:
    """The surroundings of one line of a log.

    Each row of surroundings.yaml is a property: of `versions` the version or None, of `signs` whether it is one.
    """

    log: Log
    line: int

    toolkit, torch, torch_cuda, rocm_of_torch, python, gcc, jetpack, driver_cuda = (_Version() for _ in range(8))
    nvcc_path, vc, tried, launched, own_venv, processor = (_Version() for _ in range(6))
    conda, windows, mac, wsl, jetson, ada, container, dockerfile, venv, pixi = (_Sign() for _ in range(10))
    aarch64, powershell, root, cmake, by_pip, of_torch, notebook, fish, csh = (_Sign() for _ in range(9))
    gitbash, rootless, rocm, intel_mac, wsl_one = (_Sign() for _ in range(5))
    #: The command that installs; those at the prompts, by their lines; what has printed the line; what was run in vain.
    asked, typed = cached_property(asking.installation), cached_property(asking.typed)
    ran, done = cached_property(asking.ran), cached_property(asking.done)
    script = cached_property(asking.script)
    #: The directory to hand to `dcnbuild port`: "." where the log shows none that lasts.
    project = cached_property(projects.directory)

    def first(self, pattern: re.Pattern[str], reach: int = REACH) -> re.Match[str] | None:
        """The match nearest to the line: on it, else above it, else below it."""
        return next(self.all(pattern, reach), None)

    def all(self, pattern: re.Pattern[str], reach: int = REACH) -> Iterator[re.Match[str]]:
        """All of them, in this order."""
        below = range(self.line + 1, min(len(self.log), self.line + reach))
        near = (self.line, *self._above(reach - 1), *below)
        return chain.from_iterable(pattern.finditer(self.log.text(number)) for number in near)

    def group(self, pattern: re.Pattern[str]) -> str | None:
        """What the groups of the nearest match hold, joined by points."""
        found = self.first(pattern)
        return ".".join(group or "0" for group in found.groups() if group is not None) if found else None

    def printed(self, name: str) -> str | None:
        """What a command has printed that was asked for just this, `print(torch.__version__, torch.version.cuda)`."""
        for number, found in self.log.found(_PRINTS).items() if name in _ASKED_BY else ():
            said = dict(zip(map(str.strip, found["what"].split(",")), self.log.text(number + 1).split()))
            if _ASKED_BY[name] in said:
                return said[_ASKED_BY[name]]
        return asking.there(self).get(name) if name == "torch" else None

    def target(self, facts: Facts | None) -> Target:
        """Where a fix is pasted: this machine where the log may be of it, else the log's machine."""
        there, runs = asking.there(self), self.runs
        lists = runs.get("project") or (len(there) > 1 and "torch" in there)
        named = re.findall("torchvision|torchaudio", "\n".join(self.log.near(self.line, 400, 400)))
        without = frozenset(("torchvision", "torchaudio") if lists else ()).difference(named)
        shown = {"variables": asking.variables(self), "there": there, "done": self.done, "without": without, **runs}
        found = replace(self._target(facts), place=self.place, driver=self.driver_cuda or "", **shown)
        form = self.started or ("cell" if self.notebook else places.form_of(self.place))
        found = replace(found, root=found.root or bool(self.ci and self.started))  # as in a container
        return replace(found, form=form) if found.shell in ("sh", "dockerfile") or form in ("cell", "step") else found

    @cached_property
    def place(self) -> str:
        """Where the lines of a fix go, "" where they are typed."""
        return self._place(_IMAGES) if self.dockerfile else self.ci or ("" if self._inside else self._place(_PROGRAMS))

    @property
    def again(self) -> bool:
        """Whether what failed is done again after the lines of a fix: by the build of an image, or by a job."""
        return bool(self.dockerfile or self.ci or places.form_of(self.place) in ("tox", "session"))

    @cached_property
    def started(self) -> str:
        """The command that has started the container in which a program failed, "" for none, or for a shell in it."""
        begun = () if self.dockerfile or self._inside else self.all(_STARTED)
        return next((one["command"] for one in begun if not self.ci or places.SHELLED.search(one["command"])), "")

    @cached_property
    def _inside(self) -> bool:
        """Whether somebody types in a container, or where one did not start."""
        return any(map(_INSIDE.match, self.log.near(self.line, 400)))

    @cached_property
    def ci(self) -> str:
        """The same of the job of a service that builds, "" outside of one."""
        step = self.first(_OF_ACTION)
        if step and step["uses"]:
            return f"In the workflow, as env: of the job, or of the step that uses {step['uses']}:"
        return self._place(_JOBS)

    def _place(self, places: list[tuple[re.Pattern[str], str]]) -> str:
        top = self.log.lines[:200]  # where a log is from stands near a line, or at its beginning
        shown = ((said, self.first(one) or next(filter(None, map(one.search, top)), None)) for one, said in places)
        return next((said.format(*filter(None, found.groups())) for said, found in shown if found), "")

    def _target(self, facts: Facts | None) -> Target:
        shell: Shell
        here = Target.of(facts) if facts is not None and not self.dockerfile and self._here(facts) else Target()
        image = self.dockerfile or self.place.startswith("In the Dockerfile")
        shell = "dockerfile" if image else "fish" if self.fish else "csh" if self.csh else here.shell
        if here.facts is not None:
            return replace(here, shell=shell, conda=self.conda or here.conda)
        if self.windows and not image:
            shell = "sh" if self.gitbash else "powershell" if self.powershell and not self.notebook else "cmd"
            return Target(shell, "Windows", conda=self.conda)
        if self.mac:
            return Target("sh", "Darwin", "brew", conda=self.conda)
        ubuntu = (None if self.container else self.first(_TOLD)) or self.first(_UBUNTU)
        debians = _ubuntu(ubuntu) if ubuntu else _TABLE["jetpacks"].get((self.jetpack or "").partition(".")[0])
        manager, distribution = self._managed or ("apt-get", debians)
        prompt = None if self.started or self.ci else self.first(_USER)
        root = prompt["user"] == "root" if prompt else self.root
        return Target(
            *(shell, "Linux", manager, (manager == "apt-get" and debians) or distribution, root or image, self.conda),
            architecture="aarch64" if self.aarch64 else "x86_64",
            container=self.container,
            rootless=self.rootless and not (root or self.container),
        )

    @cached_property
    def _managed(self) -> tuple[str, str | None] | None:
        """The package manager of a Linux that is not Debian's, and its distribution."""
        shown = (row for sign, but, row in _MANAGERS if self.first(sign, reach=60) and not self.first(but))
        return next(((row["manager"], row.get("distribution")) for row in shown), None)

    @cached_property
    def runs(self) -> dict[str, Any]:
        """What runs Python and pip in this log, the manager of its project, and whether that has failed to build."""
        asked = self.asked or Installation((), (), (), False)
        failed = bool(asked.manager) and any(map(asking.FAILED.search, self.log.near(self.line, 60, 60)))
        said = "" if self.first(_INTO) else next((self.log.text(n) for n in [*self.typed][::-1] if n <= self.line), "")
        for pattern, row in _RUNNERS:  # none of a project's manager where somebody calls what it calls
            by_pip = self.by_pip and row.get("untyped") is True
            taken = "untyped" in row and (self.asked or self.typed or self.again or self.notebook or by_pip)
            taken = taken or ("project" if asked.tool == ("uv", "pip") else "unasked" if asked.tool else "") in row
            found = None if taken else self.first(pattern, reach=60)
            if found and re.search(row.get("prompt", ""), said):
                python = tuple(word.format(*filter(None, found.groups())) for word in row["python"])
                pip, project = tuple(row.get("pip", (*python, "-m", "pip"))), row.get("project", "")
                return {"python": python, "pip": pip, "project": project, "building": failed}
        tool = asked.tool if asked.tool and not asked.manager else ("pip",)
        return {"pip": tool, "python": tool[:-2] if tool[-2:] == ("-m", "pip") else ("python",)}

    @property
    def pip(self) -> tuple[str, ...]:
        """What installs in this log: pip, or what stands for it."""
        return tuple(self.runs["pip"])

    @property
    def manager(self) -> str:
        """The manager of the project, "" for none."""
        return str(self.runs.get("project", ""))

    @property
    def installer(self) -> str:
        """The same by its name alone."""
        return "pip" if self.pip[-2:] == ("-m", "pip") else self.pip[0]

    @property
    def command(self) -> str:
        """What was to be installed, "" where no command shows it."""
        return " ".join(self.asked.targets) if self.asked else ""

    @cached_property
    def compose(self) -> bool:
        """Whether docker compose printed the log: it puts the name of the service before each line."""
        around = self.log.lines[max(0, self.line - 60) : self.line + 20]  # as they are, with what stands before
        return any(map(_COMPOSE.search, around))

    def _here(self, facts: Facts) -> bool:
        """Whether the log shows something of the machine of the facts, and nothing of another."""
        machine, house = facts.machine, facts.variables.get("HOME", "")
        own, user = f"{facts.python.executable} {facts.python.prefix} {house}", house.rpartition("/")[2]
        home, compiler, driver, packages, prompt, ubuntu = map(self.first, _OF_MACHINE)
        return bool(home or (prompt and prompt["user"]) or driver or packages) and not (
            self.windows != (machine.system == "Windows")
            or (self._managed and self._managed[0] != machine.package_manager)
            or (self.jetson and machine.jetson is None)
            or (home and home[1] not in own)
            or (packages and packages[1] not in own)
            or (prompt and prompt["user"] and prompt["user"] != ("root" if machine.root else user or prompt["user"]))
            or (ubuntu and machine.distribution and machine.distribution != _ubuntu(ubuntu))
            or (compiler and facts.compilers and all(item.version != compiler[1] for item in facts.compilers))
            or (driver and facts.driver.version != driver[1])
        )

    @property
    def package(self) -> str:
        """The package that was being built, "." for a directory and where the log does not show it."""
        return self._asked.partition("==")[0]

    @property
    def pinned(self) -> str:
        """The same with the release that was asked for, "numpy==1.23.5", "" where any would do."""
        return self._asked if "==" in self._asked else ""

    @cached_property
    def _asked(self) -> str:
        if projects.shown(self) is not None or projects.lasts(self.source):
            return "."
        for number in (self.line, *self._above(199), *range(self.line, self.line + 40)):
            line = self.log.text(number)
            if _LOCAL.match(line):
                return "."
            found = _BUILT.search(line)
            # pip -v indents what it collects for the build environment itself
            raw = self.log.lines[number] if number < len(self.log) else ""
            if found and not re.match(r"(?:#\d+ [\d.]+ |[\d:.TZ+-]{8,40} )? {2,}Collecting", raw):
                name, *release = filter(None, found.groups())
                asked = re.compile(rf"^Collecting {re.escape(name)}==([\w.+!]+)")
                release = release or [one[1] for one in self.all(asked)]
                return "." if name in ("collected", "wheel") or self._local(name) else "==".join((name, *release[:1]))
        return asking.built(self.asked, self) if self.asked else "."

    def _local(self, name: str) -> bool:
        """Whether a package is the directory that pip was given: what comes from an index it collects by name."""
        like = re.sub(r"[-_.]+", "[-_.]+", name)
        local = rf"(?i)(?:Processing|Obtaining) (?:file://)?(?:\.|/|[A-Z]:)|`{like} ?@ ?(?:file:|\.)"
        fetched = rf"(?i)Collecting {like}(?![\w-])|(?:Downloading|Using cached|Fetching) \S*{like}-\d"
        there, gone = (any(re.search(said, line) for line in self.log.lines) for said in (local, fetched))
        return there and not gone

    @cached_property
    def source(self) -> str | None:
        """The source file that the compiler's message is about.

        Where that is a header of torch or of the system: the nearest file of the project that the
        lines around it (included from, in expansion of macro) name.
        """
        named = _SOURCE.search(self.log.text(self.line))
        near = (self.line, *range(self.line + 1, self.line + 9), *self._above(12)) if named else ()
        found = filter(None, (_SOURCE.search(self.log.text(number)) for number in near))
        ours = next((one["path"] for one in found if not projects.NOT_OURS.search(one["path"])), None)
        return ours or (named["path"] if named else None)

    @cached_property
    def where(self) -> str:
        """The source file that the compiler's message is about, or "the source"."""
        return self.source or "the source"

    def _above(self, lines: int) -> range:
        return range(self.line - 1, max(-1, self.line - 1 - lines), -1)
