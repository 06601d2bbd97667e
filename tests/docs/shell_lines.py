"""Checks lines of shell in the documentation without running them: the commands and their options must exist.

A line is split into its commands. A command of this project is checked against its own parser, a path against the
checkout, an extra against pyproject.toml, a nox session against the noxfile. Other programs must be in `OTHERS`; any
program outside it is an error, so that no line passes unread.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import importlib.util
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.blocks import CHECKOUT

from dcnbuild.cli import COMMANDS

#: Programs that are not ours, and what may be said to them; a line of the documentation must match in full.
OTHERS: dict[str, str] = {
    "nvcc": r"(-V|--version)",
    "nvidia-smi": r"",
    "ninja": r"-v",
    "tee": r"\S+\.log",
    "conda": r"(install|remove|list)( [\w.=-]+)*",
    "which": r"(-a )?\w+",
    "ls": r"(-d )?/usr/local/cuda\*?",
    "source": r"~/\.bashrc",
    "uv": r"pip install (\.|--no-build-isolation \.|[\w>=. ']+)",
    "tensorboard": r"--logdir \S+",
    "git": r"(clone|diff|status)( \S+)*",
    "cd": r"\S+",
}
#: Names that stand for the reader's own files.
PLACEHOLDERS = re.compile(r"path/to/|build\.log|train\.py|_ext\b|\.so$")
SEPARATORS = ("|", "||", "&&", ";", "2>&1")


class Wrong(AssertionError):
    """A line that says what does not exist."""


def check(text: str) -> int:
    """Checks a block of shell and returns how many commands it has. Raises `Wrong`."""
    count = 0
    for line in text.replace("\\\n", " ").splitlines():
        for words in commands(line):
            count += 1
            try:
                command(words)
            except Wrong as error:
                raise Wrong(f"{line.strip()}: {error}") from None
    return count


def commands(line: str) -> list[list[str]]:
    """The commands of a line, each as its words; without comments and variables set for one command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;") and word != "&":
            found.append([])
        elif word not in ("2>", "&", "1", "2>&1"):
            found[-1].append(word)
    for words in found:
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
    return [words for words in found if words]


def command(words: list[str]) -> None:
    name, arguments = words[0], words[1:]
    if name in OURS:
        OURS[name](arguments)
    elif name in OTHERS:
        if not re.fullmatch(OTHERS[name], " ".join(arguments)):
            raise Wrong(f"not a known use of {name}")
    else:
        raise Wrong(f"{name} is neither a program of this project nor one that is known here")


def dcnbuild(arguments: list[str]) -> None:
    if arguments in (["--help"], ["--version"]):
        return
    if arguments[:1] in (["help"], ["completion"], ["compat"]) and len(arguments) == 2:
        command, of = arguments
        if command == "help" and of not in COMMANDS:
            raise Wrong(f"dcnbuild has no command {of}")
        if command == "completion" and of not in ("bash", "zsh", "tcsh"):
            raise Wrong(f"there is no completion for {of}")
        return
    if not arguments or arguments[0] not in COMMANDS:
        raise Wrong(f"dcnbuild has no command {arguments[:1]}")
    parse(f"dcnbuild {arguments[0]}", COMMANDS[arguments[0]][0], arguments[1:])


def parse(name: str, module: str, arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog=name, exit_on_error=False)
    importlib.import_module(module).add_arguments(parser)
    parser.error = refuse(name)  # type: ignore[method-assign]
    parser.parse_args(arguments)


def refuse(name: str) -> Any:
    def error(message: str) -> None:
        raise Wrong(f"{name}: {message}")

    return error


def python(arguments: list[str]) -> None:
    if arguments[:2] == ["-m", "pip"]:
        pip(arguments[2:])
    elif arguments[:2] == ["-m", "build"]:
        pass  # the front end of PyPA, whose default is the current directory
    elif arguments[:1] == ["-m"]:
        try:
            found = importlib.util.find_spec(arguments[1])
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise Wrong(f"there is no module {arguments[1]}")
        options(arguments[1], source_of(found), arguments[2:])
    elif arguments[:1] == ["-c"]:
        compile(arguments[1], "-c", "exec")
    elif arguments:
        script(arguments)
    else:
        raise Wrong("python with nothing to run")


def source_of(spec: Any) -> str:
    """A module's sources; for a package those of its __main__."""
    path = Path(spec.origin)
    if path.name == "__init__.py":
        path = path.with_name("__main__.py")
        if not path.exists():
            raise Wrong(f"{spec.name} is a package that cannot be run")
    return path.read_text(encoding="utf-8")


def script(arguments: list[str]) -> None:
    path = CHECKOUT / arguments[0]
    if PLACEHOLDERS.search(arguments[0]) and not path.exists():
        return
    if not path.is_file():
        raise Wrong(f"there is no file {arguments[0]}")
    options(arguments[0], path.read_text(encoding="utf-8"), arguments[1:])


def options(name: str, source: str, arguments: list[str]) -> None:
    """Every option must stand in the source as an argument of a parser; `--out` comes from the examples' records."""
    for word in arguments:
        if PLACEHOLDERS.search(word):
            return  # what follows is the reader's own
        option = word.partition("=")[0]
        known = f'"{option}"' in source or (option == "--out" and "add_out(" in source)
        if option.startswith("-") and not known:
            raise Wrong(f"{name} has no option {option}")


def torchrun(arguments: list[str]) -> None:
    while arguments and arguments[0].startswith("-"):
        if arguments[0].partition("=")[0] not in ("--standalone", "--nproc-per-node"):
            raise Wrong(f"torchrun {arguments[0]} is not checked here")
        arguments = arguments[1:]
    script(arguments)


def pip(arguments: list[str]) -> None:
    if arguments[:1] not in (["install"], ["wheel"], ["uninstall"], ["list"]):
        raise Wrong(f"pip {arguments[:1]}")
    known = ("-e", "-v", "-q", "-r", "--no-deps", "--no-build-isolation", "--force-reinstall", "--no-index")
    words = iter(arguments[1:])
    for word in words:
        if word in ("--index-url", "--extra-index-url", "--wheel-dir"):
            next(words)
        elif word.startswith("-"):
            if word not in known:
                raise Wrong(f"pip {word} is not checked here")
        else:
            requirement(word)


def requirement(word: str) -> None:
    """A package, a path, or this project with extras, which must exist; or a wheel that was made into dist/."""
    if fnmatch.fnmatchcase(word, "dist/*.whl"):
        return
    match = re.fullmatch(r"(\.|dcnbuild)(?:\[([\w,]+)\])?", word)
    if match:
        text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
        table = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
        there = set(re.findall(r"^(\w+) =", table, re.MULTILINE))
        missing = set((match[2] or "").split(",")) - there - {""}
        if missing:
            raise Wrong(f"no extra {', '.join(sorted(missing))} in pyproject.toml")
    elif "/" in word and not PLACEHOLDERS.search(word) and not (CHECKOUT / word).exists():
        raise Wrong(f"there is nothing at {word}")


def nox(arguments: list[str]) -> None:
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)", (CHECKOUT / "noxfile.py").read_text(encoding="utf-8"), re.M)
    words = iter(arguments)
    for word in words:
        if word == "--":
            return
        if word in ("-s", "--session"):
            session = next(words)
            if session not in sessions:
                raise Wrong(f"no session {session}; there are {', '.join(sessions)}")
        elif word not in ("-l", "--list"):
            raise Wrong(f"nox {word} is not checked here")


def pytest(arguments: list[str]) -> None:
    for word in arguments:
        if not word.startswith("-") and not (CHECKOUT / word.partition("::")[0]).exists():
            raise Wrong(f"there are no tests at {word}")


def export(arguments: list[str]) -> None:
    for word in arguments:
        name, equals, value = word.partition("=")
        if not (equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", name)):
            raise Wrong("export NAME=VALUE")
        for inner in re.findall(r"\$\((.*?)\)", value):
            check(inner)


#: Programs of this project, or whose use here depends on it.
OURS: dict[str, Callable[[list[str]], None]] = {
    "dcnbuild": dcnbuild,
    "python": python,
    "python3": python,
    "torchrun": torchrun,
    "pip": pip,
    "nox": nox,
    "pytest": pytest,
    "export": export,
}
