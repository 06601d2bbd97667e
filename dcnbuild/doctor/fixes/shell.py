"""Fixes that any shell can do: commands, variables, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dcnbuild.base import quoting
from dcnbuild.base.quoting import UnquotableError
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.fixes.fix import Target, makes_fix

_GPU_QUERY = "nvidia-smi --query-gpu=compute_cap --format=csv,noheader"


@makes_fix
def say(target: Target, text: str) -> Iterator[str]:
    """What to do, in words: a comment."""
    yield quoting.comment(text, target.shell)


@makes_fix
def command(
    target: Target, *words: str | Path, operands: Iterable[str | Path] = (), root: bool = False
) -> Iterator[str]:
    """Runs a program.

    Args:
        target: where.
        words: the program and its options, which may be any text.
        operands: file names and the like: refused where the program would take them for options.
        root: whether it takes root to run it.
    """
    shell = target.shell
    written = [quoting.argument(str(word), shell) for word in words]
    written += [quoting.operand(str(word), shell) for word in operands]
    if shell == "powershell" and written[0].startswith("'"):
        written.insert(0, "&")
    if root and not target.root and not target.windows:
        written.insert(0, "sudo")
    line = " ".join(written)
    if target.shell == "dockerfile" and effects.of_line(line) == "reads":  # what it prints is for people
        line = f"# {line}"
    elif target.shell == "dockerfile":
        line = f"WORKDIR {line[3:]}" if words[0] == "cd" else _lasting(line)
    yield line


def _lasting(line: str) -> str:
    """A command of a Dockerfile: each RUN has a shell of its own, so what is activated in one lasts no longer."""
    venv = re.fullmatch(r"(?:\.|source) (\S+)/bin/activate", line)
    conda = re.fullmatch(r"conda activate ([\w.-]+)", line)
    if venv:
        return f'ENV PATH={venv[1]}/bin:"$PATH"'
    return f'SHELL ["conda", "run", "-n", "{conda[1]}", "/bin/bash", "-c"]' if conda else f"RUN {line}"


@makes_fix
def set_env(target: Target, name: str, value: str | Path) -> Iterator[str]:
    """Sets an environment variable."""
    yield assignment(target, name, value)


def assignment(target: Target, name: str, value: str | Path, after: str = "") -> str:
    """The line that sets a variable: words, where it has been set so in vain."""
    if not after and (name, str(value)) in target.variables:
        said = f"{name} is set to {value} already, as the log shows: what is built sets it anew, or does not read it"
        return quoting.comment(said, target.shell)
    return quoting.assignment(name, str(value), target.shell, after)


@makes_fix
def unset_env(target: Target, name: str) -> Iterator[str]:
    """Unsets an environment variable."""
    name = quoting.variable_name(name)
    yield {
        "fish": f"set -e {name}",
        "csh": f"unsetenv {name}",
        "cmd": f"set {name}=",
        "powershell": f"Remove-Item Env:{name}",
        "dockerfile": f"ENV {name}=",
    }.get(target.shell, f"unset {name}")


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
    after = {"fish": f" ${name}", "cmd": f";%{name}%", "powershell": f" + ';' + $env:{name}"}.get(
        target.shell, f':"${name}"'
    )
    texts = (";" if target.windows else ":").join(map(str, directories))
    yield assignment(target, name, texts, "" if unset else after)


@makes_fix
def set_env_from(target: Target, name: str, *words: str) -> Iterator[str]:
    """Sets an environment variable to what a command prints."""
    name, written = (quoting.variable_name(name), [quoting.argument(word, target.shell) for word in words])
    if target.shell in ("csh", "cmd") and written != list(words):  # quotes do not nest there
        raise UnquotableError(f"{' '.join(words)}: cannot stand in a command substitution")
    line = " ".join(written)
    if target.alternative:
        yield quoting.comment(f"{name}= what this prints: {line}", target.shell)
        return
    yield {
        "fish": f"set -gx {name} ({line})",
        "csh": f'setenv {name} "`{line}`"',
        "cmd": f"for /f \"delims=\" %i in ('{line}') do set {name}=%i",
        "powershell": f"$env:{name} = ({line})",
        "dockerfile": quoting.comment(f"ENV {name}= what this prints: {line}", target.shell),
    }.get(target.shell, f'export {name}="$({line})"')


@makes_fix
def ask_gpus(target: Target) -> Iterator[str]:
    """Sets TORCH_CUDA_ARCH_LIST to what the GPUs of the machine are."""
    name = "TORCH_CUDA_ARCH_LIST"
    if target.shell == "cmd":
        yield _GPU_QUERY
        yield quoting.comment(f"then: set {name}= to what it prints", target.shell)
        return
    if target.shell == "dockerfile":  # no GPU is there while an image is built
        yield quoting.comment(f"ENV {name}= the architectures of the GPUs that will run it, as 8.6, 8.9", target.shell)
        return
    if target.alternative:
        yield quoting.comment(f"{name}= what this prints, as 8.6, 8.9: {_GPU_QUERY}", target.shell)
        return
    joined = f"{_GPU_QUERY} | sort -u | paste -sd';' -"
    yield {
        "fish": f"set -gx {name} ({_GPU_QUERY} | sort -u | string join ';')",
        "csh": f'setenv {name} "`{joined}`"',
        "powershell": f"$env:{name} = ({_GPU_QUERY} | Sort-Object -Unique) -join ';'",
    }.get(target.shell, f'export {name}="$({joined})"')


@makes_fix
def temporary_here(target: Target) -> Iterator[str]:
    """Moves temporary files to a new directory here: by its full path, since programs run elsewhere read it too."""
    if target.alternative or target.shell == "dockerfile":
        yield quoting.comment("TMPDIR= the full path of a directory with room", target.shell)
        return
    yield {
        "fish": 'set -gx TMPDIR (mktemp -d -p "$PWD")',
        "csh": "setenv TMPDIR `mktemp -d -p $cwd:q`",
    }.get(target.shell, 'export TMPDIR="$(mktemp -d -p "$PWD")"')


@makes_fix
def remove(target: Target, path: str | Path, recursive: bool = False) -> Iterator[str]:
    """Deletes a file, or a directory with all that is in it."""
    programs = {
        "cmd": (("del",), ("rmdir", "/s", "/q")),
        "powershell": (("Remove-Item",), ("Remove-Item", "-Recurse", "-Force")),
    }
    one, all_of_it = programs.get(target.shell, (("rm",), ("rm", "-rf")))
    yield from command(*(all_of_it if recursive else one), operands=(path,)).strict(target)


@makes_fix
def make_directory(target: Target, path: str | Path) -> Iterator[str]:
    """Creates a directory."""
    yield from command("mkdir", *(() if target.windows else ("-p",)), operands=(path,)).strict(target)
