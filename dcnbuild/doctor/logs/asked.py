"""What whoever made a log ran: a fix does the same again, the same way, at the same place.

Example: "(gs) ada@lab:~/net$ pip3 install -e ./ops" → the installer ("pip3",), the target "./ops", editable.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcnbuild.doctor import wording

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.context import Context

_INSTALLS, _SETUP, _SETS = map(wording.pattern, ("installs", "installs_by_setup", "sets"))
#: What a shell would replace: nobody knows by what.
_REPLACED = re.compile(r"[$`*?{}~]")
#: ".", "../ops", "/home/ada/net", "C:\\net", "ops/dcn".
_DIRECTORY = re.compile(r"\.{1,2}[/\\]?$|(?:\.{0,2}[/\\]|[A-Za-z]:[/\\]|[\w.-]+[/\\])(?:[\w. -]*\w|(?<=[\w.]/)\.?$)")
_TAKE_A_VALUE = wording.pattern("options_with_a_value")
_KEPT = wording.pattern("options_kept")


@dataclass(frozen=True)
class Installation:
    """A command that installs.

    Attributes:
        tool: what installs, ("python3.10", "-m", "pip").
        options: those that say where to and where from, and not how it is told.
        targets: what was asked for.
        editable: whether that is installed in place.
        own: what setup.py was asked, where it has options of its own, that pip does not hand on.
    """

    tool: tuple[str, ...]
    options: tuple[str, ...]
    targets: tuple[str, ...]
    editable: bool
    own: str = ""

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
        asked = re.compile(rf"(?i){like}(?=$|[=<>!~\[@ ])|git\+https?://\S*/{like}(?:\.git)?(?=$|[@#])")
        return next(filter(asked.match, self.targets), "")

    def built(self, context: Context) -> str:
        """The package among the targets that the log shows to be built, by what its extension is called; else "."."""
        for name in (found[0] for target in self.targets if (found := re.match(r"\w[\w.-]*(?![\w.:+/\\-])", target))):
            like = re.sub(r"[-_.]+", "[-_.]+", name)
            if context.first(re.compile(rf"building '_?{like}|pip-install-\w+/{like}")):
                return name
        return "."


def installation(context: Context, reach: int = 400) -> Installation | None:
    """The nearest command above that installs, else the nearest below."""
    found = context.first(_INSTALLS, reach)
    if found is None:
        found = context.first(_SETUP, reach)
        words = found["words"] if found else ""
        own = words.strip() if re.search(r"--(?!inplace|user|prefix|editable)\w", words) else ""
        return found and Installation(("pip",), (), (".",), bool(re.search(r"\bdevelop\b|--inplace", words)), own)
    text = found["words"]
    text = text.strip(" ):" + "".join(mark for mark in "\"'`" if text.count(mark) % 2))
    try:
        words = shlex.split(text, posix="\\" not in text)
    except ValueError:
        return None
    if any(map(_REPLACED.search, words)):
        return None
    return _parsed(tuple(found["tool"].replace(".exe", "").split()), [word.strip("\"'") for word in words])


def _parsed(tool: tuple[str, ...], words: list[str]) -> Installation:
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
    return Installation(tool, tuple(options), tuple(targets), editable)


def variables(context: Context) -> frozenset[tuple[str, str]]:
    """The variables that the log shows to be set, with their values."""
    lines = context.log.near(context.line, 400, 400)
    return frozenset((found["name"], found["value"].strip("\"'")) for line in lines for found in _SETS.finditer(line))
