"""Fixes that any shell can do: commands, variables, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from dcnbuild.base import quoting
from dcnbuild.base.quoting import UnquotableError
from dcnbuild.base.sed import for_windows
from dcnbuild.doctor.fixes import commands, effects, places
from dcnbuild.doctor.fixes.commands import Installation
from dcnbuild.doctor.fixes.fix import Target, makes_fix
from dcnbuild.doctor.fixes.places import SHELLS


def written(target: Target, what: str, *values: str) -> Iterator[str]:
    """The lines that a shell has for something: a row of shells.yaml, filled in."""
    row = SHELLS[what]
    shell = "alternative" if target.alternative and "alternative" in row else target.shell
    for line in row.get(shell, row["sh"]).split("\n"):
        text = line.format(*values)
        yield quoting.comment(text[2:], target.shell) if line.startswith("# ") else text


@makes_fix
def say(target: Target, text: str) -> Iterator[str]:
    """What to do, in words: a comment."""
    yield quoting.comment(text, target.shell)


@makes_fix
def command(
    target: Target, *words: str | Path, operands: Iterable[str | Path] = (), root: bool = False
) -> Iterator[str]:
    """Runs a program, with root's rights where it takes them.

    `words` may be any text; `operands`, file names and the like, are refused where it would take them for options.
    """
    outside = root or words[0] in ("docker", "kubectl", "podman")
    if outside and target.shell == "dockerfile" and target.place and " before " not in target.place:
        target = replace(target, shell="sh", root=False)  # the machine that starts the containers
    if words[0] == "printenv" and target.shell in ("cmd", "powershell"):
        for name in words[1:]:
            yield from written(target, "show", str(name))
        return
    if words[0] in ("sed", "grep") and target.shell in ("cmd", "powershell"):
        words, operands = tuple(for_windows([*map(str, (*words, *operands))])), ()
    if words[0] == "python":
        words = (*target.python, *words[1:])
    elif words[0] == "mim" and target.project:  # a program of its environment
        words = (*target.python[:-1], *words)
    if target.unattended and words[0] == "conda" and words[1] in ("install", "create"):
        words = (*words[:2], "-y", *words[2:])
    shell = target.shell
    if words[0] == "cd" and shell == "cmd":  # on whichever drive it is
        words = ("cd", "/d", *words[1:])
    quoted = [(quoting.operand if str(word)[:2] == "~/" else quoting.argument)(str(word), shell) for word in words]
    quoted += [quoting.operand(str(word), shell) for word in operands]
    if shell == "powershell" and quoted[0] == "where":  # which is Where-Object there
        quoted[0] = "where.exe"
    if shell == "powershell" and quoted[0].startswith("'"):
        quoted.insert(0, "&")
    if root and not target.root and not (target.windows or target.rootless):
        quoted.insert(0, "sudo")
    line = " ".join(quoted)
    if root and target.rootless:
        line = quoting.comment(f"Ask the administrator of this machine to run: {line}", shell)
    if target.shell == "dockerfile" and effects.of_line(line) == "reads":  # what it prints is for people
        line = f"# {line}"
    elif target.shell == "dockerfile" and not line.startswith("#"):
        found = ((re.fullmatch(like, line), said) for like, said in SHELLS["lasting"].items())
        line = next(match.expand(said) for match, said in found if match)
    yield line


@makes_fix
def restart(target: Target, started: str, *options: str) -> Iterator[str]:
    """Starts a container as before, with more options."""
    again = places.started(started, *(quoting.argument(word, "sh") for word in options))
    program = " ".join(started.split()[:2]) or "docker run"
    yield again or quoting.comment(f"Use {program} as before, with {' '.join(options)} after it", target.shell)


@makes_fix
def typed(target: Target, said: str, before: str = "") -> Iterator[str]:
    """A command as it was typed, where each of its words means to any shell what it says, else that it is to be."""
    plain = said.replace("\\", "/") if target.windows and target.shell != "sh" else said
    if all(map(places.plain, re.split(" && | ?; ", plain))):
        yield f"{before} {said}".strip()
    elif not before:
        yield quoting.comment("Then run the same command again", target.shell)


@makes_fix
def line_in(target: Target, file: str, table: str, line: str, there: bool) -> Iterator[str]:
    """Writes a line into a table of a TOML file, below its head, which is added where the file may not have it."""
    words = (table, quoting.operand(file, "sh"), quoting.argument(line, "sh"), file, line)
    yield from (text for text in written(target, "line_in", *words) if not (there and text.startswith("grep ")))


@makes_fix
def again(target: Target, made: Installation, *words: str) -> Iterator[str]:
    """A command once more: in place of itself where an image or a job runs it with other words.

    The shell that typed it is in its directory already, as far as that is not told by its full path.
    """
    instead = words != made.given and " before " in target.place
    if target.shell == "dockerfile" and "/" in target.python[0] and words[0] in ("pip", "python"):  # each RUN is anew
        words = (*target.python, *(words[1:] if words[0] == "python" else ("-m", *words)))
    if instead:
        yield quoting.comment(target.place.replace(" before ", " in place of "), target.shell)
    line = commands.instead(made, words, target.shell, instead or made.entered[:1] in ("/", "~"))
    yield f"RUN {line}" if target.shell == "dockerfile" else line


@makes_fix
def set_env(target: Target, name: str, value: str | Path) -> Iterator[str]:
    """Sets an environment variable."""
    yield assignment(target, name, value)


def assignment(target: Target, name: str, value: str | Path, after: str = "") -> str:
    """The line that sets a variable: words, where it has been set so in vain."""
    if not after and (name, str(value)) in target.variables:
        said = f"{name} is already set to {value}, as the log shows: the build sets it again, or does not read it"
        return quoting.comment(said, target.shell)
    return quoting.assignment(name, str(value), target.shell, after)


@makes_fix
def unset_env(target: Target, name: str) -> Iterator[str]:
    """Unsets an environment variable."""
    yield from written(target, "unset", quoting.variable_name(name))


@makes_fix
def set_list(target: Target, name: str, entries: Iterable[str | Path]) -> Iterator[str]:
    """Sets a variable that lists directories; unsets it where none is left."""
    texts = list(dict.fromkeys(map(str, entries)))
    if not texts:
        yield from unset_env(name).strict(target)
    else:
        yield assignment(target, name, (";" if target.windows else ":").join(texts))


@makes_fix
def prepend(target: Target, name: str, *directories: str | Path) -> Iterator[str]:
    """Puts directories before what a variable like PATH or CPATH lists already."""
    facts = target.facts
    unset = facts is not None and not any(entry.variable == name for entry in facts.paths)
    (after,) = written(target, "and_before", name)
    texts = (";" if target.windows and target.shell != "sh" else ":").join(map(str, directories))
    if target.windows and target.shell == "sh":  # Git Bash
        texts = re.sub(r"\b([A-Z]):/", lambda drive: f"/{drive[1].lower()}/", texts.replace("\\", "/"))
    yield assignment(target, name, texts, "" if unset else after)


@makes_fix
def set_env_from(target: Target, name: str, *words: str) -> Iterator[str]:
    """Sets an environment variable to what a command prints."""
    name, quoted = (quoting.variable_name(name), [quoting.argument(word, target.shell) for word in words])
    if target.shell in ("csh", "cmd") and quoted != list(words):  # quotes do not nest there
        raise UnquotableError(f"{' '.join(words)}: cannot stand in a command substitution")
    yield from written(target, "set_from", name, " ".join(quoted))


@makes_fix
def set_constant(target: Target, name: str, value: str) -> Iterator[str]:
    """Sets a variable to a text of ours with variables in it, which double quotes leave to the shell."""
    yield from written(target, "set_constant", name, value) if "$" in value else (assignment(target, name, value),)


#: Sets TORCH_CUDA_ARCH_LIST to what the GPUs of the machine are.
ask_gpus = partial(makes_fix(written), "ask_gpus")


@makes_fix
def vs_shell(target: Target, root: str = "", toolset: str = "") -> Iterator[str]:
    """Sets the variables of Visual C++, of that in a directory, in one of its older toolsets, in the open shell."""
    known = "vs_shell" if re.fullmatch(r"(?a)[A-Z]:[\w \\().-]+", root) else "vs_shell_found"
    yield from written(target, known, root, f" -vcvars_ver={toolset}" if toolset else "")


#: The lines that shells.yaml has below a name.
shell_lines = makes_fix(written)


@makes_fix
def remove(target: Target, path: str | Path, recursive: bool = False) -> Iterator[str]:
    """Deletes a file, or a directory with all that is in it."""
    (program,) = written(target, "remove_all" if recursive else "remove")
    yield from command(*program.split(), operands=(path,)).strict(target)


@makes_fix
def make_directory(target: Target, path: str | Path) -> Iterator[str]:
    """Creates a directory."""
    yield from command("mkdir", *(() if target.windows else ("-p",)), operands=(path,)).strict(target)
