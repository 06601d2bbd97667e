"""`dcnbuild doctor`: what is wrong with this machine or a build log, and the lines that fix it."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from dcnbuild.doctor import report
from dcnbuild.doctor.finding import Finding
from dcnbuild.doctor.registry import examine
from dcnbuild.doctor.resolver import Resolution, resolve
from dcnbuild.environment.collect import collect
from dcnbuild.environment.facts import Facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the doctor's options."""
    parser.add_argument(
        "library",
        nargs="*",
        type=Path,
        help="extension libraries (.so) to look into, besides dcnbuild's own",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.add_argument(
        "--log", metavar="FILE", help="read a failed build's output, - for standard input"
    )
    parser.add_argument(
        "--torch", metavar="VERSION", help="the pip line for this torch, or why there is none"
    )
    parser.add_argument("--verbose", action="store_true", help="show every fact, and the pip line")


def run(args: argparse.Namespace) -> int:
    """Examines and reports: 0 if nothing is wrong, 1 with errors."""
    log = None
    if args.log is not None:
        log = _read_standard_input() if args.log == "-" else Path(args.log).read_bytes()
    facts = replace(collect(os.environ, args.library), wanted_torch=args.torch)
    findings = examine(facts) if log is None else _read_log(log, facts)
    resolution = _resolution(args, facts) if log is None else None
    if args.json:
        print(report.to_json(facts, findings, resolution))
    elif log is None:
        report.show(facts, findings, resolution, "nothing found.", args.verbose)
    else:
        report.show(None, findings, None, "no known cause of a failure in this log.")
    return int(any(finding.severity == "error" for finding in findings))


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise ValueError("--log - reads standard input, which is closed")
    return sys.stdin.buffer.read()


def _resolution(args: argparse.Namespace, facts: Facts) -> Resolution | None:
    """The pip line where somebody wants to know it."""
    if args.torch or args.verbose or facts.torch is None:
        return resolve(facts, args.torch)
    return None


def _read_log(log: bytes, facts: Facts) -> list[Finding]:
    from dcnbuild.doctor.logs import read_log  # its many patterns only where there is a log

    return read_log(log, facts)
