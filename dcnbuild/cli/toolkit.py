"""`dcnbuild toolkit list|install VERSION|path VERSION`: lists, installs and locates CUDA toolkits."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from dcnbuild.base.printable import one_line, said
from dcnbuild.doctor.fixes import set_env
from dcnbuild.doctor.fixes.fix import Target, shell_of
from dcnbuild.errors import FindingError
from dcnbuild.machine import recipes
from dcnbuild.machine.toolkits import distrusted, find_toolkits
from dcnbuild.toolkit import install


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|install|path")
    actions.add_parser("list", help="list every toolkit that a build would find, best first")
    installing = actions.add_parser(
        "install", help=f"install a toolkit into your cache, without root: {recipes.available()}"
    )
    installing.add_argument("version", help="install this version, e.g. 13.0")
    installing.add_argument(
        "--math-headers",
        action="store_true",
        help="for CUDA 13, add the headers of cuBLAS, cuSPARSE and cuSOLVER, which extensions other than dcnbuild may "
        "include; download them (1 GB) or, if torch's own packages have this version, copy them",
    )
    path = actions.add_parser("path", help="print the CUDA_HOME of an installed toolkit")
    path.add_argument("version", help="print it for this version, e.g. 13.0, or 13 for any 13.x")


def run(args: argparse.Namespace) -> int:
    """Runs one action; returns 1 if the toolkit is missing or cannot be installed."""
    env = dict(os.environ)
    try:
        if args.action == "list":
            return _list(env)
        if args.action == "install":
            found = install.install(args.version, env, _say, math_headers=args.math_headers)
            print(found.root)
            lines = set_env("CUDA_HOME", found.root).lines(Target(shell_of(env)))
            _say("to build with it rather than with another:\n\n    " + "\n    ".join(lines) + "\n")
            return 0
        toolkit = install.find(args.version, env)
        if toolkit is None:
            _say(f"no CUDA {args.version} on this machine; dcnbuild toolkit install {args.version}")
            return 1
        print(toolkit.root)
        return 0
    except (FindingError, ValueError, OSError) as error:
        _say(said(error))
        return 1


def _say(text: str) -> None:
    print(f"dcnbuild: {text}", file=sys.stderr, flush=True)


def _list(env: Mapping[str, str]) -> int:
    for toolkit in find_toolkits(env):
        print(one_line(f"CUDA {toolkit.version}: {toolkit.root}"))
        print(one_line(f"  found by: {', '.join(toolkit.found_by)}"))
        if toolkit.missing:
            print(f"  lacks: {', '.join(toolkit.missing)}")
    for directory, reason in distrusted(env):
        print(one_line(f"passed over: {directory}"))
        print(one_line(f"  {reason}"))
    print(f"\ndcnbuild toolkit install VERSION: {recipes.available()}")
    print(f"  kept in {install.cache_of(env)}")
    return 0
