"""Lines of a fix as other places than a shell have them: the cell of a notebook, a unit of systemd, a container.

In a cell each `!` starts a shell of its own, which keeps no variable; a unit and a container get theirs from whoever
starts them.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from dcnbuild.base import plain_yaml, quoting
from dcnbuild.base.quoting import Shell
from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes.effects import of_line

#: What each shell and package manager writes in a way of its own.
SHELLS: dict[str, Any] = plain_yaml.beside(__file__, "shells.yaml")
#: What the lines are like that places have where no shell reads them; those in which variables are set for good.
_FORMS: dict[str, dict[str, str]] = SHELLS["forms"]
_LASTS = [form for form, row in _FORMS.items() if "sets" in row]
_SET, _UNSET, _PRINTED, _AFTER = wording.patterns("line_sets", "line_unsets", "value_printed", "value_before")
_WORDS, _STARTS, _ENV, _INSTALLS = wording.patterns("plain_words", "starts_container", "line_env", "line_installs")
SHELLED = wording.pattern("shell_in_container")


def cell(line: str) -> str:
    """One line of a shell, or a comment, in a notebook."""
    line = re.sub("^rem ", "# ", line)
    found = _SET.fullmatch(line)
    if found and found["quote"] is not None:  # of cmd, whose %CUDA_PATH% Python on Windows knows
        return f'import os; os.environ["{found["name"]}"] = os.path.expandvars({found["value"]!r})'
    if found:
        return _assign(found["name"], found["value"])
    if found := _UNSET.fullmatch(line):
        return f'import os; os.environ.pop("{found["name"]}", None)'
    if line.startswith("#"):
        return line
    line = re.sub(r"^python[\d.]* -m pip ", "pip ", line)
    return f"%{line}" if re.match("(?:pip|conda|cd) (?!.*&&)", line) else f"!{line}"


def _assign(name: str, value: str) -> str:
    if asked := _PRINTED.fullmatch(value):
        return f'import os, subprocess; os.environ["{name}"] = subprocess.getoutput({asked["command"]!r})'
    if "$(" in value or "`" in value:
        return f"# Set {name} to what this command prints in a shell: {value}"
    after = _AFTER.fullmatch(value)
    text = " ".join(shlex.split(after["before"] if after else value))
    more = f' + os.environ.get("{after["variable"]}", "")' if after else ""
    plain = f"os.path.expandvars({text!r})" if "$" in text else repr(text)
    return f'import os; os.environ["{name}"] = {plain}{more}'


def unit(line: str, form: str = "unit") -> str:
    """One line of a shell, or a comment, for a unit, a crontab or tox, whose program no shell has started."""
    found, row = _SET.fullmatch(line), _FORMS[form]
    after = _AFTER.fullmatch(found["value"]) if found else None
    after = after if after and after["before"] else None
    if found and (after or "$" not in found["value"]):
        ending = row["path"] if after and after["variable"] == "PATH" else ""
        value = after["before"].rstrip(":") + ending if after else found["value"]
        return row["sets"].format(found["name"], value)
    return row["unsets"].format(line[6:]) if "unsets" in row and _UNSET.fullmatch(line) else line


def session(line: str) -> str:
    """The same for a session of nox, whose environment is made anew each time."""
    found = re.fullmatch(r"(?:\S*python[\d.]* -m )?pip install (.+)", line)
    return f"session.install({', '.join(map(repr, shlex.split(found[1])))})" if found else line


def plain(text: str) -> bool:
    """Whether the words of a command mean to any shell what they say."""
    return bool(_WORDS.fullmatch(text)) and text.isprintable()


def step(line: str) -> str:
    """One line of a shell, or a comment, for the env: of a workflow: an action has no shell of its own."""
    found = _SET.fullmatch(line)
    return f'{found["name"]}: "{found["value"]}"' if found and not re.search("[$\"']", found["value"]) else line


def started(command: str, *options: str) -> str:
    """The command that started a container, with more options: "" for one that a shell would change.

    Example: `started("docker run --rm -v $PWD:/w img", "-e", "A=1")` is "docker run -e A=1 --rm -v $PWD:/w img".
    """
    found = _STARTS.fullmatch(command.strip())
    if found is None or not plain(found["rest"]):
        return ""
    return " ".join((found["program"], *options, found["rest"]))


def container(lines: list[str], command: str, place: str) -> list[str]:
    """The command that has started a container with the variables of a Dockerfile's lines, or lines for its shell."""
    typed = [line for line in lines if not line.startswith("#")]
    shell, said = SHELLED.fullmatch(command.strip()), [line for line in lines if line.startswith("#")]
    ours = bool(typed) and all(re.match(_NOT_OURS, line) for line in typed)
    if shell and ours and plain(command) and not re.search(rf"[{shell['quote']}$`\\]", "".join(typed)):
        runs = " && ".join((*typed, shell["inner"])).join(shell["quote"] * 2)
        return [*said, f"# {place.replace(' before ', ' in place of ')}", f"{shell['start']}{runs}"]
    sets = [found["set"] for line in typed if (found := _ENV.fullmatch(line))]
    again = started(command, *(word for text in sets for word in ("-e", text)))
    if not sets or len(sets) < len(typed) or not again:
        return lines
    at = lines.index(typed[-1])
    return [*(line for line in lines[:at] if line not in typed), again, *lines[at + 1 :]]


#: Commands that only show something, and what that is: people are told, where the line above does not say it.
_SHOWS: dict[str, str] = SHELLS["shows"]


def _told(line: str, above: str, shell: Shell) -> list[str]:
    shows = next((text for pattern, text in _SHOWS.items() if re.match(pattern, line)), "")
    return [quoting.comment(shows, shell), line] if shows and not above.endswith(":") else [line]


_WRITES = {"cell": cell, "step": step, "session": session}
_NOT_OURS = r"(?!\w+ run |sudo |docker |kubectl |podman )"


def _served(lines: list[str], form: str, place: str) -> list[str]:
    """Lines for a unit or a crontab, without those that only show something; a service is told to take them."""
    shown = {f"# {said}" for said in _SHOWS.values()}
    kept = [unit(line, form) for line in lines if line not in shown and (line[0] == "#" or of_line(line) != "reads")]
    if not any(re.match(_FORMS[form]["setting"], line) for line in kept):
        return lines
    found = re.search(r"systemctl (?P<user>--user )?edit (?P<name>[\w@.-]+):$", place)
    system = f"systemctl {found['user']}" if found and found["user"] else "sudo systemctl "
    return [*kept, f"{system}daemon-reload", f"{system}restart {found['name']}"] if found else kept


def form_of(place: str) -> str:
    """What lines are written for at a place that is told in words, "unit", "script", and "" for any other."""
    return next((form for form, row in _FORMS.items() if place.startswith(row["begins"])), "")


def placed(lines: list[str], form: str, place: str, shell: Shell) -> list[str]:
    """The lines of a fix as they are where they go, with a comment that says where that is.

    Args:
        lines: of a shell, or of a Dockerfile.
        form: "cell", "unit", "crontab", "script" that starts the program, or the command that has started a container.
        place: in words, "" where they are typed.
        shell: whose lines they are.
    """
    comment = quoting.comment("", shell).strip()
    lines = [said for line, above in zip(lines, ["", *lines]) for said in _told(line, above, shell)]
    if form in (*_LASTS, "script") and any(map(_INSTALLS.match, lines)):
        last = max(number for number, line in enumerate(lines) if _INSTALLS.match(line)) + 1
        once = quoting.comment("Once, by hand, in the environment of the program:", shell)
        return [once, *lines[:last], *(placed(lines[last:], form, place, shell) if lines[last:] else [])]
    if form in _WRITES:
        lines = [_WRITES[form](line) for line in lines]
        said = "# Then restart the kernel or session, before anything is imported, and run the cells again"
        exchanged = [n for n, line in enumerate(lines, 1) if re.match(r"%pip (?:un)?install ", line)]
        if exchanged and not any("estart" in line for line in lines):
            lines.insert(exchanged[-1], said)
    elif form in _LASTS:
        lines = _served(lines, form, place)
    elif form:
        again = container(lines, form, place)
        if again != lines:
            return again
    # what belongs there: the settings of a program, or all but what the machine around a container is told
    outside = shell == "dockerfile" or SHELLED.search(form) is not None
    starts = re.compile(_FORMS[form]["setting"] if form in _FORMS else _NOT_OURS if outside else "")
    which = (n for n, line in enumerate(lines) if not line.startswith((f"{comment} ", "FROM ")) and starts.match(line))
    typed = next(which, None)
    if place and typed is not None and " in place of " not in lines[typed - 1]:
        lines.insert(typed, quoting.comment(place, shell))
    return lines
