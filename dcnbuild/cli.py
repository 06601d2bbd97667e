"""`dcnbuild COMMAND`: finds the module that holds a command and hands over to it."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol

#: command → (module, one line of help). A module is imported only when its command is run, so that
#: the doctor starts without torch and a broken part breaks nothing but itself.
COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("dcnbuild.builder.info", "which library serves which device, and why"),
    "build": ("dcnbuild.builder.command", "compile the kernels now, into the cache"),
    "doctor": ("dcnbuild.doctor.command", "what is wrong with this machine or a build log"),
    "toolkit": (
        "dcnbuild.toolkit.command",
        "which CUDA toolkits there are, and one more without root",
    ),
    "port": ("dcnbuild.port.command", "make the sources of an old extension compile today"),
    "demo": ("dcnbuild.demo.command", "align two frames of a real photograph"),
}

#: What the commands import of dcnbuild's own requirements: module → project. A checkout on PYTHONPATH may lack them.
OWN_REQUIREMENTS = {
    "packaging": "packaging",
    "yaml": "pyyaml",
    "rich": "rich",
    "filelock": "filelock",
}


class Command(Protocol):
    """What a command's module provides."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; 2 for a usage error."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="dcnbuild", description=__doc__)
    width = max(map(len, COMMANDS))
    parser.usage = "dcnbuild COMMAND [options]\n\n" + "\n".join(
        f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items()
    )
    if not argv or argv[0] in ("-h", "--help"):
        parser.print_usage(sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if argv[0] == "--version":
        from dcnbuild._version import __version__

        print(f"dcnbuild {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        parser.error(f"unknown command {argv[0]!r}; there are: {', '.join(COMMANDS)}")
    module, text = COMMANDS[argv[0]]
    try:
        command: Command = importlib.import_module(module)
        subparser = argparse.ArgumentParser(prog=f"dcnbuild {argv[0]}", description=text)
        command.add_arguments(subparser)
        return command.run(subparser.parse_args(argv[1:]))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in OWN_REQUIREMENTS:
            raise
        print(
            f"dcnbuild {argv[0]}: {sys.executable} has no module {error.name}, which dcnbuild needs. "
            f"Install what it asks for:\n\n    {sys.executable} -m pip install "
            + " ".join(OWN_REQUIREMENTS.values()),
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
