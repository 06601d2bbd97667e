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
_INDEX, _ENTERED = wording.patterns("index", "entered")
#: The options of pip and uv that take a value, and those that say where to.
_TAKE_A_VALUE, _KEPT = wording.patterns("takes_a_value", "kept")


@dataclass(frozen=True)
class Installation:
    """A command that installs.

    Attributes:
        tool: what installs, ("python3.10", "-m", "pip").
        options: those that say where to and where from, and not how it is told.
        targets: what was asked for.
        editable: whether that is installed in place.
        given: the whole command, () where it names an index, or what a shell replaces.
        entered: where the line of the command goes first, "cd /w &&".
        variables: those that this line sets for the command alone.
        manager: the manager of a project, ("uv", "sync") being the tool; "" for what installs by itself.
    """

    tool: tuple[str, ...]
    options: tuple[str, ...]
    targets: tuple[str, ...]
    editable: bool
    given: tuple[str, ...] = ()
    entered: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    manager: str = ""

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
        asked = re.compile(rf"(?i){like}(?=$|[=<>!~\[@ ])|git\+https?://\S*/{like}(?:\.git)?/?(?=$|[@#])")
        return next(filter(asked.match, self.targets), "")


def read(before: str, tool: str, text: str) -> Installation | None:
    """A command by what stands before it on its line, what installs, and the words after that.

    None for words of which nobody knows by what a shell replaces them.
    """
    text = text.strip(" ):" + "".join(mark for mark in "\"'`" if text.count(mark) % 2))
    try:
        words = [word.strip("\"'") for word in shlex.split(text, posix="\\" not in text)]
    except ValueError:
        return None
    tools = tuple(tool.replace(".exe", "").split())
    of_setup = tools[-1] == "setup.py"
    kept = not any(_INDEX.match(word) or (_REPLACED.search(word) and not _EXPANDED.fullmatch(word)) for word in words)
    entered = _ENTERED.search(before)
    made = Installation(
        *(tools, (), (".",), bool(re.search(r"\bdevelop\b|--inplace", text))),
        given=(*tools, *(() if of_setup else ("install",)), *words) if kept else (),
        entered=entered["path"] if entered and not _REPLACED.search(entered["path"]) else "",
        variables=tuple(re.findall(r"([A-Z_][A-Z0-9_]*)=([\w.+:;/,-]+) (?=\S*$|[A-Z_])", before)),
    )
    if of_setup:
        return replace(made, tool=("pip",))
    return None if any(map(_REPLACED.search, words)) else _of_pip(made, words)


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
    if shell != "sh" and any("$" in word for word in words):
        raise UnquotableError(f"{' '.join(words)}: variables of another shell")
    return " ".join(f'"{word}"' if _EXPANDED.fullmatch(word) else quoting.argument(word, shell) for word in words)


def instead(made: Installation, words: tuple[str, ...], shell: Shell) -> str:
    """Other words in place of a command, where it was run, with the variables that its line set."""
    before = f"cd {quoting.operand(made.entered, shell)} && " if made.entered else ""
    before += "".join(f"{name}={quoting.argument(value, shell)} " for name, value in made.variables)
    written = " ".join(quoting.argument(word, shell) for word in words)
    return f"{'RUN ' if shell == 'dockerfile' else ''}{before}{written}"
