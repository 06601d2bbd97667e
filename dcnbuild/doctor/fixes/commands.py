"""Reads a command that installs, and writes it again.

Example: "MAX_JOBS=4 pip3 install -e ./ops" has the tool ("pip3",), the target "./ops", and is editable.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from dcnbuild.base import quoting
from dcnbuild.base.quoting import Shell, UnquotableError
from dcnbuild.doctor import wording

_REPLACED, _EXPANDED, _DIRECTORY = wording.patterns("replaced", "expanded", "directory")
_INDEX, _KNOWN_INDEX, _ENTERED, _HOME = wording.patterns("index", "known_index", "entered", "of_home")
#: The options of pip and uv that take a value, and those that say where to.
_TAKE_A_VALUE, _KEPT, _RUNS_FIRST = wording.patterns("takes_a_value", "kept", "runs_first")


@dataclass(frozen=True)
class Installation:
    """A command that installs.

    Attributes:
        tool: what installs, ("python3.10", "-m", "pip").
        options: those that say where to and where from, and not how it is told.
        targets: what was asked for.
        editable: whether that is installed in place.
        given: the whole command, () where it names an index of somebody's, or what a shell replaces.
        entered: where the line of the command goes first, "cd /w &&".
        first: what a RUN of a Dockerfile does before it, "git clone URL && cd net &&".
        wrapped: what starts it, and the variables of it alone, ("sudo", "-H"), ("CC=gcc-13",).
        manager: the manager of a project, ("uv", "sync") being the tool; "" for what installs by itself.
        script: whether it is no installer, which has options, but builds: setup.py, make.sh.
        whole: all that was typed on the line of such a script, "cmake .. && make": its parts do nothing alone.
    """

    tool: tuple[str, ...]
    options: tuple[str, ...]
    targets: tuple[str, ...]
    editable: bool
    given: tuple[str, ...] = ()
    entered: str = ""
    first: str = ""
    wrapped: tuple[str, ...] = ()
    manager: str = ""
    script: bool = False
    whole: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The options, with that of what is editable."""
        return (*self.options, "-e") if self.editable else self.options

    @property
    def directory(self) -> str:
        """The one directory that is installed, "" for anything else: a name alone is a package."""
        one = self.targets[0].partition("[")[0] if len(self.targets) == 1 else ""
        if not _DIRECTORY.match(one) or re.search(r"\.(?:whl|zip|gz)$|://", one):
            return ""
        one = re.sub(r"(?<=[^/\\])[/\\]\.?$", "", one)
        return one if re.search(r"^\.|[/\\]", one) else f"./{one}"

    def named(self, package: str) -> str:
        """What was asked for of a package, "flash-attn==2.7.4", "" where it was not asked for by name."""
        like = re.sub(r"[-_.]+", "[-_.]+", package)
        asked = re.compile(rf"(?i){like}(?=$|[=<>!~\[@ ])|(?:git\+)?https?://\S*/{like}(?:\.git)?/?(?=$|[@#]|archive/)")
        return next(filter(asked.match, self.targets), "")


def read(before: str, wrapped: str, tool: str, text: str) -> Installation | None:
    """A command by what stands before it on its line, what starts it, what installs, and the words after that.

    None for words of which nobody knows by what a shell replaces them.
    """
    text = text.strip(" ):" + "".join(mark for mark in "\"'`" if text.count(mark) % 2))
    try:
        words = [word.strip("\"'") for word in shlex.split(text, posix="\\" not in text)]
        starts = [word for word in shlex.split(wrapped) if word not in ("time", "nohup", "env", "exec")]
    except ValueError:
        return None
    tool = re.sub(r"\$\{?HOME\}?/", "~/", tool.replace(".exe", ""))
    tools = tuple(word.strip('"') for word in re.findall(r'"[^"]+"|\S+', tool))
    named = re.fullmatch(r"(?P<name>.*(?:pip[\d.]*|pipx|mim))(?:\|-\S+)*\|(?:install|wheel)", "|".join(tools))
    given = (*tools, *words) if _kept([*starts, *words], named is not None) else ()
    entered = _ENTERED.search(before)
    place = entered["path"] if entered and not _REPLACED.search(entered["path"]) else ""
    first = _RUNS_FIRST.search(before)
    made = Installation(("pip",), (), (), False, given, place, first[1] if first else "", tuple(starts))
    if named is None:
        targets = (".",) if re.search(r"setup\.py|\.sh$|-m build", tool) else ()
        return replace(made, targets=targets, editable=bool(re.search(r"\bdevelop\b|--inplace", text)), script=True)
    if any(_REPLACED.search(word) and not _HOME.fullmatch(word) for word in words):
        return None
    other = re.search(r"^\$|(?:pipx|mim)$", named["name"])  # which install programs, and OpenMMLab's packages only
    return _of_pip(made if other else replace(made, tool=tuple(named["name"].split("|"))), words)


def _kept(words: list[str], of_pip: bool) -> bool:
    """Whether a command can be given again: a shell knows what it replaces, and an index is that of PyTorch."""
    known = (not _REPLACED.search(word) or _EXPANDED.fullmatch(word) or _HOME.fullmatch(word) for word in words)
    sources = (f"{word} {after}" for word, after in zip(words, [*words[1:], ""]) if of_pip and _INDEX.match(word))
    return all(known) and all(map(_KNOWN_INDEX.search, sources))


def managed(tool: str, text: str) -> Installation:
    """A command of the manager of a project, "uv sync", "poetry add", by the words after it."""
    words, tools = re.sub(r"[\"']", "", text).split(), tuple(tool.split())
    return replace(_of_pip(Installation(tools, (), (), False, (*tools, *words)), words), manager=tools[0])


def _of_pip(made: Installation, words: list[str]) -> Installation:
    options: list[str] = []
    targets: list[str] = []
    editable = False
    rest = iter(words)
    for word in rest:
        if word in ("-e", "--editable"):
            editable = True
        elif not word.startswith("-"):
            targets.append(word)
        else:
            value = [next(rest, "")] if _TAKE_A_VALUE.fullmatch(word) else []
            if word in ("-r", "--requirement"):  # a file of many
                targets.append(f"-r {value[0]}")
            elif _KEPT.fullmatch(word.partition("=")[0]):
                options += [word, *value]
    return replace(made, options=tuple(options), targets=tuple(targets), editable=editable)


def again(words: tuple[str, ...], shell: Shell) -> str:
    """A command as it was given: the variables in its words are for the shell. Raises UnquotableError."""
    if shell not in ("sh", "dockerfile") and any("$" in word for word in words):
        raise UnquotableError(f"{' '.join(words)}: variables of another shell")
    return " ".join(_quoted(word, shell) for word in words)


def instead(made: Installation, words: tuple[str, ...], shell: Shell, enters: bool) -> str:
    """The same, or other words in its place, with what starts it, and where the shell `enters` its directory."""
    line = [f"cd {quoting.operand(made.entered, shell)} &&"] if made.entered and enters else []
    line = [made.first] if made.first and shell == "dockerfile" else line
    for word in made.wrapped:
        name, sign, value = word.partition("=")
        line.append(f"{name}={_quoted(value, shell)}" if sign and name.isidentifier() else _quoted(word, shell))
    return " ".join((*line, again(words, shell)))


def _quoted(word: str, shell: Shell) -> str:
    if _HOME.fullmatch(word):
        return word
    return f'"{word}"' if _EXPANDED.fullmatch(word) else quoting.argument(word, shell)
