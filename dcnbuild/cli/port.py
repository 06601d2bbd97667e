"""`dcnbuild port PATH`: makes the sources of an old extension compile today."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dcnbuild.base.console import console
from dcnbuild.base.printable import said
from dcnbuild.errors import FindingError
from dcnbuild.port.output import OutputError, default_out, write_copy, write_in_place
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.report import diff, print_report
from dcnbuild.port.result import ProjectResult
from dcnbuild.port.stable.abi import OLDEST, Target, targets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dcnbuild port`."""
    parser.add_argument("path", type=Path, help="port this directory or this file of an extension")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the result here, even if nothing changes (default: PATH-ported)",
    )
    where.add_argument(
        "--in-place",
        action="store_true",
        help="overwrite the files; the old ones go to PATH-before-port",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --in-place, overwrite files even if they have uncommitted changes",
    )
    parser.add_argument("--fix-bugs", action="store_true", help="repair known bugs instead of only reporting them")
    parser.add_argument(
        "--deprecated",
        action="store_true",
        help="rewrite deprecated forms too, even if nothing in the sources fails today",
    )
    parser.add_argument(
        "--to",
        choices=("today", "stable"),
        default="today",
        help="what to port to: today's ATen, or the LibTorch stable ABI, of which one build works with"
        " every later torch (default: today)",
    )
    parser.add_argument(
        "--target",
        metavar="RELEASE",
        help=f"with --to stable, the oldest torch that the result has to work with (default: {OLDEST})",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="compile the ported sources; if there is a setup.py, run it and import the result",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="run this many compilers at once in --check (default: MAX_JOBS, or the number of cores); each needs 3 GB",
    )
    parser.add_argument(
        "--diff",
        action="store_true",
        help="print the changes, and write nothing unless --out or --in-place is given",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Returns 0 if all is ported (and compiles, with --check), 1 if something could not be ported, 2 for wrong
    usage.
    """
    source: Path = args.path
    if not source.exists():
        print(f"dcnbuild port: there is no {source}", file=sys.stderr)
        return 2
    if not source.is_file() and not source.is_dir():
        print(f"dcnbuild port: {source} is a device, pipe or socket, expected a file or a directory", file=sys.stderr)
        return 2
    try:
        options = Options(args.fix_bugs, args.deprecated, _target(args))
        result = port_project(source, options, _progress())
        written, lost = _write(source, args, result)
        if args.check:
            _warn_of_setup(source)
            with _on_disk(source, written, result) as root:
                result = _check(root, args.jobs, result)
    except (OutputError, FindingError, ValueError, OSError) as error:
        print(f"dcnbuild port: {said(error)}", file=sys.stderr)
        return 2
    if args.diff:
        sys.stdout.writelines(diff(result.files))
    if args.json:
        report = {"out": str(written) if written else None, **result.to_json()}
        print(json.dumps(report, indent=2))
    else:
        print_report(console(stderr=args.diff), result, written if result.changed else written or source)
    for path, reason in lost.items():
        print(f"dcnbuild port: {path} is not in the copy: {reason}", file=sys.stderr)
    return 0 if result.ok and not lost else 1


def _target(args: argparse.Namespace) -> Target | None:
    """The release whose stable ABI is asked for; raises ValueError for one that is not known."""
    if args.to != "stable":
        if args.target is not None:
            raise ValueError("--target is for --to stable")
        return None
    release = args.target or OLDEST
    if release not in targets():
        known = ", ".join(targets())
        raise ValueError(f"--target {release!r} is not known here, expected one of {known}")
    return Target(release)


def _progress(every: float = 2.0) -> Callable[[str], None]:
    """Returns a function that prints progress to standard error, at most once in `every` seconds."""
    last = time.monotonic()

    def progress(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > every:
            last = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return progress


def _warn_of_setup(source: Path) -> None:
    if (source / "setup.py").is_file():
        print(
            f"--check compiles the sources, and runs {source / 'setup.py'} as pip would",
            file=sys.stderr,
        )


def _write(source: Path, args: argparse.Namespace, result: ProjectResult) -> tuple[Path | None, dict[Path, str]]:
    """Writes the result; returns the directory, or None if nothing was written, and the files that could not be
    copied.
    """
    if args.in_place:
        backup = write_in_place(source, result.files, args.force)
        if backup:
            print(f"the old files are in {backup}", file=sys.stderr)
        return source, {}
    if args.out is None and (args.diff or not result.changed):  # a copy of what is as it was serves nobody
        return None, {}
    out: Path = args.out or default_out(source.resolve())
    return out, write_copy(source, out, result.files)


@contextmanager
def _on_disk(source: Path, written: Path | None, result: ProjectResult) -> Iterator[Path]:
    """Yields the directory of the ported project, a temporary one if the result has not been written."""
    if written is not None:
        yield written if written.is_dir() else written.parent
        return
    with tempfile.TemporaryDirectory(prefix="dcnbuild-port-") as temporary:
        out = Path(temporary, "ported")
        write_copy(source, out, result.files)
        yield out


def _check(root: Path, at_once: int | None, result: ProjectResult) -> ProjectResult:
    # only --check needs these modules, which examine the machine
    from dcnbuild.builder.ninjafile import jobs
    from dcnbuild.port.check import check_project
    from dcnbuild.port.toolchain import find_toolchain

    at_once = at_once or jobs(os.environ)
    tools = find_toolchain(os.environ, Path(sys.executable), at_once)
    return check_project(root.resolve(), result, tools, at_once, lambda text: print(text, file=sys.stderr))
