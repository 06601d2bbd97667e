"""Lines of a shell as a cell of a notebook has them: each `!` starts a shell of its own, which keeps no variable."""

from __future__ import annotations

import re
import shlex

_SET = re.compile(r"export (?P<name>[A-Za-z_]\w*)=(?P<value>.*)")
_UNSET = re.compile(r"unset (?P<name>[A-Za-z_]\w*)")
#: What is a value with at most one variable at its end: /opt/cuda/bin:"$PATH".
_AFTER = re.compile(r"(?P<before>.*?)\"?\$(?P<variable>[A-Z_]+)\"?")


def cell(line: str) -> str:
    """One line of a shell, or a comment, in a notebook."""
    found = _SET.fullmatch(line)
    if found:
        return _assign(found["name"], found["value"])
    found = _UNSET.fullmatch(line)
    if found:
        return f'import os; os.environ.pop("{found["name"]}", None)'
    if line.startswith("#"):
        return line
    line = re.sub(r"^python[\d.]* -m pip ", "pip ", line)
    return f"%{line}" if line.startswith(("pip ", "conda ", "cd ")) else f"!{line}"


def _assign(name: str, value: str) -> str:
    if "$(" in value or "`" in value:
        return f"# {name}= what the command prints that a shell has here: {value}"
    after = _AFTER.fullmatch(value)
    text = " ".join(shlex.split(after["before"] if after else value))
    more = f' + os.environ.get("{after["variable"]}", "")' if after else ""
    plain = f"os.path.expandvars({text!r})" if "$" in text else repr(text)
    return f'import os; os.environ["{name}"] = {plain}{more}'
