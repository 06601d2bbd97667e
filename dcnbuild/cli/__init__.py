"""`dcnbuild COMMAND`: finds the module of a command and runs it.

Every command exits with one of these statuses: 0 if it succeeded; 1 if it found an error or could not finish
everything; 2 for wrong usage, or if the command itself failed; 130 after Ctrl-C; 141 if the reader of its output closed
the pipe.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Protocol

from dcnbuild.base import printable
from dcnbuild.base.own_requirements import RUN

#: command → (module, one line of help). A module is imported only when its command runs: the doctor
#: starts without torch, and a broken module breaks only its own command.
COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("dcnbuild.cli.info", "say which kernels run on which device, and why"),
    "build": ("dcnbuild.cli.build", "compile the kernels into the cache now"),
    "doctor": ("dcnbuild.cli.doctor", "find what is wrong with this machine or a build log"),
    "audit": ("dcnbuild.cli.audit", "say what a wheel or library is bound to, and who refuses it"),
    "toolkit": (
        "dcnbuild.cli.toolkit",
        "list the CUDA toolkits that builds find, or install one without root",
    ),
    "port": ("dcnbuild.cli.port", "make the sources of an old extension compile today"),
    "demo": ("dcnbuild.cli.demo", "align two frames of a real photograph"),
}
#: Commands without such a module: command → one line of help.
OTHERS = {
    "compat": "run a script with dcnbuild's modules in place of the old packages",
    "completion": "print a script that completes these commands in your shell",
    "help": "show the options of a command",
}

INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + signal.SIGPIPE


class Command(Protocol):
    """The functions that a command's module provides."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status, see above.

    Raises:
        SystemExit: from argparse, for --help and for wrong usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["compat"]:
        # The script handles output, Ctrl-C and exceptions itself, as if Python ran it.
        from dcnbuild.compat.__main__ import main as run_script

        return run_script(argv[1:])
    name = f"dcnbuild {argv[0]}" if argv and argv[0] in COMMANDS else "dcnbuild"
    with printable.streams(), warnings.catch_warnings():
        # each command that needs the operators reports their absence itself
        warnings.filterwarnings("ignore", "dcnbuild could not register", RuntimeWarning)
        try:
            return _guarded(name, argv)
        except printable.OutputError as error:
            return _output_lost(name, error)


def _guarded(name: str, argv: list[str]) -> int:
    """Runs a command; turns an exception into one line on standard error and a status."""
    try:
        try:
            return _dispatch(argv)
        finally:
            # flushes here, where the except clauses can still report a full disk
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail(f"{name}: interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {item.module for item in RUN}:
            return _fail(f"{name}: {error}")
        return _fail(
            f"{name}: {sys.executable} has no module {error.name}, which dcnbuild needs. "
            f"Install what it asks for:\n\n    {sys.executable} -m pip install "
            + " ".join(item.project for item in RUN)
        )
    except RecursionError:
        return _fail(f"{name}: what it was given is nested too deeply")
    except MemoryError:
        return _fail(f"{name}: there is not enough memory")
    except (
        OSError,
        ValueError,
        ImportError,
    ) as error:  # a wrong argument, or a fault of the machine
        return _fail(f"{name}: {printable.said(error)}")
    except printable.OutputError:
        raise
    except Exception as error:
        from dcnbuild.errors import FindingError

        if isinstance(error, FindingError):
            return _fail(f"{name}: {error}")
        traceback.print_exc()
        return _fail(f"{name} could not do its work; this is a bug in it.")


def _fail(message: str, status: int = 2) -> int:
    print(message, file=sys.stderr, flush=True)
    return status


def _output_lost(name: str, error: printable.OutputError) -> int:
    error.stream.discard()
    if error.closed_pipe:  # `| head` reads no further
        return NOBODY_READS
    try:
        return _fail(f"{name}: {error}")
    except printable.OutputError as again:
        again.stream.discard()
        return 2


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["help"]:
        argv = [*(name for name in argv[1:2] if name != "help"), "--help"]
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        from dcnbuild._version import __version__

        print(f"dcnbuild {__version__}")
        return 0
    if argv[0] == "compat":
        from dcnbuild.compat.__main__ import main as run_script

        return run_script(argv[1:])  # its --help
    if argv[0] == "completion":
        return _print_completion(argv[1:])
    if argv[0] not in COMMANDS:
        known = ", ".join((*COMMANDS, *OTHERS))
        return _fail(f"dcnbuild: there is no command {argv[0]!r}; there are: {known}")
    module, text = COMMANDS[argv[0]]
    command: Command = importlib.import_module(module)
    parser = argparse.ArgumentParser(prog=f"dcnbuild {argv[0]}", description=text)
    command.add_arguments(parser)
    return command.run(parser.parse_args(argv[1:]))


def _usage() -> str:
    lines = {name: text for name, (_, text) in COMMANDS.items()} | OTHERS
    width = max(map(len, lines))
    return "\n".join(
        [
            "usage: dcnbuild COMMAND [options]",
            "",
            *(f"  {name:{width}}  {text}" for name, text in lines.items()),
            "",
            "dcnbuild help COMMAND shows a command's options, dcnbuild --version the version.",
        ]
    )


def _print_completion(argv: list[str]) -> int:
    """Prints a static script: completing a word then starts no Python."""
    parser = argparse.ArgumentParser(
        prog="dcnbuild completion",
        description='Prints a completion script. For bash, in ~/.bashrc: eval "$(dcnbuild completion bash)"',
    )
    parser.add_argument("shell", help="print the script for this shell: bash, zsh, tcsh; fish with a newer shtab")
    shell = parser.parse_args(argv).shell
    import shtab

    if shell not in shtab.SUPPORTED_SHELLS:
        parser.error(f"no completion for {shell!r}; there is for {', '.join(shtab.SUPPORTED_SHELLS)}")
    everything = argparse.ArgumentParser(prog="dcnbuild")
    commands = everything.add_subparsers(dest="command")
    for name, (module, text) in COMMANDS.items():
        command: Command = importlib.import_module(module)
        command.add_arguments(commands.add_parser(name, help=text, description=text))
    others = {name: commands.add_parser(name, help=text) for name, text in OTHERS.items()}
    others["help"].add_argument("command", choices=(*COMMANDS, *OTHERS))
    others["completion"].add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    print(shtab.complete(everything, shell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
