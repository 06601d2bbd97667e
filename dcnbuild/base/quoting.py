"""How a value from outside becomes a word of a command line, in five kinds of shells.

Example: `quote("/opt/my cuda", "sh")` is `'/opt/my cuda'`. What no quoting makes safe is refused.

The rules, from the shells' manuals:
    sh: bash, zsh, dash, ksh. Nothing is special inside single quotes.
    fish: inside single quotes only `\\\\` and `\\'` are special.
    csh: csh and tcsh replace `!` inside quotes too; `\\!` outside of quotes is the one way to write it.
    cmd: inside double quotes `%` (and `!`, where delayed expansion is on) are still replaced, and
        nothing escapes them at the prompt, so that they are refused, but for `!=`: no name begins so.
    dockerfile: the lines of `RUN` are those of sh; `ENV` sets a variable for all that follow.
    powershell: inside single quotes a doubled quote stands for one; typographic ones count as quotes.
        Windows PowerShell breaks `"` in the arguments of programs, so that it is refused there.
"""

from __future__ import annotations

import re
from typing import Literal

Shell = Literal["sh", "fish", "csh", "cmd", "powershell", "dockerfile"]

#: Words that the shell takes as they stand, wherever they are on the line. `=` and `%` lead to other
#: things at the start of a word (zsh, tcsh, job control).
_PLAIN: dict[Shell, re.Pattern[str]] = {
    "sh": re.compile(r"[\w@+:,./-][\w@%+=:,./-]*", re.ASCII),
    "fish": re.compile(r"[\w@+:,./-][\w@+=:,./-]*", re.ASCII),
    "csh": re.compile(r"[\w+:,./-][\w@+=:,./-]*", re.ASCII),
    "cmd": re.compile(r"[\w+:./\\-]+", re.ASCII),
    "dockerfile": re.compile(r"[\w@+:,./-][\w@%+=:,./-]*", re.ASCII),
    "powershell": re.compile(r"[\w./\\][\w+:./\\=-]*|-[\w=-]*", re.ASCII),
}
#: What the output shows as an apostrophe where its encoding has no other (base/printable.py): it would end the quotes.
_BECOMES_A_QUOTE = re.compile("[\u2018\u2019]")
_REFUSED_BY_CMD = re.compile(r'[%"]|!(?!=)')
_POWERSHELL_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
_TWICE = r"\1\1"


class UnquotableError(ValueError):
    """A value that must not become part of a command; its text says which and why."""


def quote(text: str, shell: Shell) -> str:
    """The text as one word of the shell. Raises UnquotableError."""
    _refuse(text, shell)
    if _PLAIN[shell].fullmatch(text):
        return text
    if shell == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if shell == "csh":
        parts = re.findall(r"[!'\\]|[^!'\\]+", text)
        return "".join(f"\\{part}" if part in "!'\\" else f"'{part}'" for part in parts) or "''"
    if shell == "cmd":
        backslashes = len(text) - len(text.rstrip("\\"))  # programs take \" for a quotation mark
        return f'"{text}{backslashes * chr(92)}"'
    if shell == "powershell":
        return "'" + _POWERSHELL_QUOTES.sub(_TWICE, text) + "'"
    return "'" + text.replace("'", "'\\''") + "'"


def _refuse(text: str, shell: Shell) -> None:
    # control characters, marks that turn the direction of text, line separators, lone surrogates
    if not text.isprintable():
        raise UnquotableError(f"{text}: control or invisible characters")
    if _BECOMES_A_QUOTE.search(text):
        raise UnquotableError(f"{text}: typographic quotation marks, which not every terminal has")
    if shell == "cmd" and _REFUSED_BY_CMD.search(text):
        raise UnquotableError(f"{text}: cmd.exe replaces percent, quotation and exclamation marks")


def argument(text: str, shell: Shell) -> str:
    """The text as an argument of a program. Raises UnquotableError."""
    if shell == "powershell" and ('"' in text or (" " in text and text.endswith("\\"))):
        raise UnquotableError(f"{text}: PowerShell cannot hand it to a program")
    return quote(text, shell)


def operand(text: str, shell: Shell) -> str:
    """The text as an argument that is no option, such as a file's name. Raises UnquotableError."""
    if not text or text.startswith("-") or (shell == "cmd" and text.startswith("/")):
        raise UnquotableError(f"{text or 'an empty name'}: would be taken for an option")
    if text.startswith("~/") and shell in ("sh", "fish", "csh"):  # the shell puts the home there, but not in quotes
        return f"~/{argument(text[2:], shell)}" if text[2:] else text
    return argument(text, shell)


def assignment(name: str, value: str, shell: Shell, after: str = "") -> str:
    """The line that sets an environment variable; `after` is put behind the value as it is.

    Raises UnquotableError.
    """
    variable_name(name)
    _refuse(value, shell)
    if shell == "cmd":
        plain = _PLAIN["cmd"].fullmatch(value) and not after
        return f"set {name}={value}" if plain else f'set "{name}={value}{after}"'
    if shell == "powershell":
        return f"$env:{name} = '{_POWERSHELL_QUOTES.sub(_TWICE, value)}'{after}"
    verb = {"fish": f"set -gx {name} ", "csh": f"setenv {name} ", "dockerfile": f"ENV {name}="}.get(
        shell, f"export {name}="
    )
    return f"{verb}{quote(value, shell)}{after}"


def variable_name(text: str) -> str:
    """The name of an environment variable. Raises UnquotableError."""
    if not re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII):
        raise UnquotableError(f"{text}: no name of a variable")
    return text


def comment(text: str, shell: Shell) -> str:
    """A line that says something and does nothing, whatever the text.

    Interactive zsh and csh take `#` for a command and read on, so that no character is left that any
    shell acts upon: `;` becomes `,`, empty parentheses go, and any other such character becomes `_`. Write a
    text of the project's own without them. Blanks in front stay: lines of a YAML file are indented.
    """
    plain = "".join(
        character if character.isalnum() or character in " .,:/+=@_-" + "\\" * (shell in ("cmd", "powershell")) else "_"
        for character in text.replace("()", "").replace(";", ",")
    )
    indent = " " * (len(plain) - len(plain.lstrip(" ")))
    return f"{'rem' if shell == 'cmd' else '#'} {indent}{' '.join(plain.split())}"
