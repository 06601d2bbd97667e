"""What the lines around a place in a log say about the machine: versions, paths, system.

Nothing is guessed: what the log does not show is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

from dcnbuild.doctor.fixes.fix import Target
from dcnbuild.doctor.fixes.quoting import Shell
from dcnbuild.doctor.logs import project
from dcnbuild.doctor.parse.patterns import LETTER, START
from dcnbuild.doctor.parse.text import Log
from dcnbuild.machine.facts import Facts

#: How far from the deciding line a version is looked for. Farther ones belong to something else.
REACH = 400

_TOOLKIT = re.compile(
    r"(?:/|\\)cuda[-/\\]v?(\d{1,2}\.\d)(?=[/\\\"'\s:.]|$)"
    r"|CUDA[/\\]v(\d{1,2}\.\d)"
    r"|release (\d{1,2}\.\d), V\d"
    r"|CUDA_HOME=['\"]?\S{0,200}?cuda-(\d{1,2}\.\d)"
    r"|required version by CUDA (\d{1,2}\.\d)"
)
_TORCH = re.compile(
    r"\btorch(?:-|==| )(\d\.\d{1,2}\.\d{1,2}(?:\+\w{2,8})?)(?![\w.]*\.(?:cpp|cu|h))"
    r"|[Pp]y[Tt]orch(?: version)?:? ?(\d\.\d{1,2}(?:\.\d{1,2})?(?:\+\w{2,8})?)"
)
_PYTHON = re.compile(
    r"[Pp]ython-?(3\.\d{1,2})(?!\d)|cpython-(3)(\d{1,2})|\bcp(3)(\d{1,2})-|Python(3)(\d{1,2})\b"
)
_GCC = re.compile(
    r"/c\+\+/(\d{1,2})(?=[/.])"
    r"|gcc version (\d{1,2})\."
    r"|\b(?:gcc|g\+\+)(?:\.exe)? \([^)]{1,80}\) (\d{1,2})\.\d"
    r"|/gcc/[\w-]{1,40}/(\d{1,2})[./]"
    r"|\bg(?:cc|\+\+)-(\d{1,2})\b"
    r"|installed version of \S{1,100} \((\d{1,2})\."
)
_NVCC = re.compile(r"(?:^|[\s\"'=])(/[^\s'\"]{0,200}/nvcc)(?=[\s'\"]|$)")
_ANY_CONDA = re.compile(r"[/\\](?:ana|mini)?(?:conda|forge)\d?[/\\]|conda-linux-gnu", re.IGNORECASE)
_AARCH64 = re.compile(r"\baarch64-(?:conda-)?linux|\b(?:temp|lib)\.linux-aarch64")
_WINDOWS = re.compile(
    r"[A-Za-z]:\\(?!n)\w|\bcl\.exe|\bMSVC\b|win-amd64|WinError|\bfatal error C\d{4}|\bLNK\d{4}|Microsoft Visual C\+\+|\berror MSB\d{4}|\.vcxproj"
)
_POWERSHELL = re.compile(r"^PS [A-Z]:\\|The term '.{1,80}' is not recognized|CategoryInfo")
_MAC = re.compile(
    r"macosx-\d|/opt/homebrew|\(mach-o|arm64-apple|x86_64-apple|/Users/\w|Xcode|xcrun: |CommandLineTools|\bclang: error"
)
_WSL = re.compile(r"microsoft-standard-WSL|/usr/lib/wsl|\bWSL2?\b|/mnt/[c-e]/", re.IGNORECASE)
_JETSON = re.compile(
    r"\bJetson|JetPack|\bOrin\b|\bXavier\b|-tegra\b|\bL4T\b|/home/nvidia/|tegra", re.IGNORECASE
)
_CONTAINER = re.compile(
    r"^#\d{1,4} |[Dd]ocker|root@[0-9a-f]{12}|^Step \d+/\d+ :|nvidia-container|/workspace/|podman|kaniko|apptainer"
    r"|buildkit|/\.dockerenv|container"
)
_UV = re.compile(
    r"\buv (?:pip|sync|add|run|build)\b|builds-v0|build backend returned|[/\\]uv[/\\]|^Resolved \d+ packages in"
)
#: What shows which package manager a Linux has: (pattern, manager, distribution).
_MANAGERS = tuple(
    (re.compile(pattern), manager, distribution)
    for pattern, manager, distribution in (
        (
            r"\.el[789]\b|red-hat-linux|redhat-linux|Rocky|CentOS|AlmaLinux|Red Hat|\byum \w",
            "dnf",
            None,
        ),
        (r"\.fc[34]\d\b|Fedora|\bdnf \w", "dnf", "fedora"),
        (r"suse-linux|openSUSE|\bzypper\b", "zypper", None),
        (r"\bpacman\b|Arch Linux|pc-linux-gnu", "pacman", None),
        (r"alpine|\bapk add\b|musl", "apk", None),
    )
)
_UBUNTU = re.compile(r"[Uu]buntu[ -]?(?:\d\.\d{1,2}-\w{1,10}~)?(2\d\.04)|ubuntu(2\d)04")
#: Directories of a user, which tell one machine from another.
_HOMES = re.compile(r"(/home/[\w.-]+|/Users/[\w.-]+|[A-Z]:\\Users\\[\w.-]+)")
#: A source file that a compiler names at the start of its message.
_SOURCE = re.compile(
    rf"{START}(?P<path>(?:[A-Za-z]:)?{LETTER}{{1,300}}?\.(?:cu|cuh|cpp|cc|cxx|c|h|hpp))"
    r"(?:[:,]\d|\(\d|: fatal error|: error)"
)
_ROOT = re.compile(r"^#\d{1,4} \d|root@|^Step \d+/\d+ :|/root/|^# ")
_BUILT = re.compile(
    r"Failed to build [`']([\w.-]+)|Building (?:wheel|editable) for ([\w.-]+)"
    r"|╰─> ([A-Za-z][\w.-]+)$|^Collecting ([\w.-]+)|`([\w.-]+)@|[Ff]ailed building (?:wheel|editable) for ([\w.-]+)"
)
_LOCAL = re.compile(r"^(?:Processing|Obtaining) (?:file://)?(?:\.|/|[A-Za-z]:)")

#: The properties of a Context that templates may name.
SHOWN = frozenset(
    (
        *(
            "toolkit",
            "torch",
            "python",
            "gcc",
            "nvcc_path",
            "source",
            "where",
            "project",
            "package",
        ),
        *("conda", "windows", "mac", "wsl", "jetson", "container", "uv"),
    )
)


@dataclass(frozen=True)
class Context:
    """The surroundings of one line of a log."""

    log: Log
    line: int

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

    def _group(self, pattern: re.Pattern[str]) -> str | None:
        found = self.first(pattern)
        return ".".join(group for group in found.groups() if group) if found else None

    @cached_property
    def toolkit(self) -> str | None:
        """The CUDA toolkit in use, "11.8"."""
        return self._group(_TOOLKIT)

    @cached_property
    def torch(self) -> str | None:
        """The version of torch, "2.1.0+cu118"."""
        return self._group(_TORCH)

    @cached_property
    def python(self) -> str | None:
        """The version of Python, "3.11"."""
        return self._group(_PYTHON)

    @cached_property
    def gcc(self) -> str | None:
        """The major version of gcc, "12"."""
        return self._group(_GCC)

    @cached_property
    def nvcc_path(self) -> str | None:
        """The nvcc that was run, with its directory."""
        return self._group(_NVCC)

    @cached_property
    def conda(self) -> bool:
        """Whether a conda environment is in use."""
        return self.first(_ANY_CONDA, reach=60) is not None

    @cached_property
    def windows(self) -> bool:
        """Whether the build ran on Windows."""
        return self.first(_WINDOWS, reach=60) is not None

    @cached_property
    def mac(self) -> bool:
        """Whether the build ran on macOS."""
        return self.first(_MAC, reach=60) is not None

    @cached_property
    def wsl(self) -> bool:
        """Whether it ran in Windows' Linux."""
        return self.first(_WSL) is not None

    @cached_property
    def jetson(self) -> bool:
        """Whether it ran on one of NVIDIA's boards."""
        return self.first(_JETSON) is not None

    @cached_property
    def container(self) -> bool:
        """Whether it ran in a container, or in the build of an image."""
        return self.first(_CONTAINER) is not None

    @cached_property
    def uv(self) -> bool:
        """Whether uv and not pip installs."""
        return self.first(_UV, reach=60) is not None

    def target(self, facts: Facts | None) -> Target:
        """Where a fix is pasted: this machine where the log may be of it, else the log's machine."""
        if facts is not None and self._here(facts):
            return replace(Target.of(facts), conda=self.conda or Target.of(facts).conda)
        shell: Shell = "sh"
        if self.windows:
            shell = "powershell" if self.first(_POWERSHELL) else "cmd"
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
        root = self.first(_ROOT) is not None
        return Target(
            *(shell, "Linux", manager, distribution, root, self.conda),
            architecture="aarch64" if self.first(_AARCH64) else "x86_64",
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
