"""`dcnbuild doctor`: what is wrong with this machine or a build log, and the lines that fix it."""

from __future__ import annotations

import argparse
import io
import os
import platform
import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dcnbuild.base.as_json import json_text
from dcnbuild.doctor import report
from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.resolver import Resolution, resolve
from dcnbuild.errors import Finding
from dcnbuild.machine.collect import collect
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.wish import parse_wish


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the doctor's options."""
    parser.add_argument(
        "library",
        nargs="*",
        type=Path,
        help="examine these extension libraries (.so) besides dcnbuild's own",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.add_argument("--log", metavar="FILE", help="read a failed build's output; - reads standard input")
    parser.add_argument(
        "--torch",
        metavar="WHICH",
        help="print the pip line for this torch, or why there is none: 2.5.1, 2.5, '>=2.4,<2.8', 2.5.1+cu121, cu126, "
        "cpu, latest",
    )
    parser.add_argument(
        "--gpu",
        metavar="NAME",
        help="answer for this GPU instead of this machine's, e.g. 'RTX 5090' or 12.0",
    )
    parser.add_argument("--driver", metavar="VERSION", help="answer for this NVIDIA driver, e.g. 570 or 535.104.05")
    parser.add_argument(
        "--facts",
        metavar="FILE",
        help="examine the machine of another --json report, e.g. one that somebody sent you",
    )
    parser.add_argument(
        "--share",
        action="store_true",
        help="leave out names, home directories, tokens and addresses, so that you can post the report; "
        "read it before you post it",
    )
    parser.add_argument(
        "--explain",
        metavar="ID",
        help="explain a finding, show an example, say what pasting its fix changes, and exit",
    )
    parser.add_argument("--verbose", action="store_true", help="show every fact and the pip line")


def run(args: argparse.Namespace) -> int:
    """Examines and reports; returns 0, or 1 if there are errors. Raises ValueError for wrong arguments."""
    if args.explain is not None:
        return _explain(args.explain, args.json)
    if args.torch is not None:
        parse_wish(args.torch)  # raises ValueError for a text that names no torch
    log = None
    if args.log is not None:
        log = _read_standard_input() if args.log == "-" else _read_file(Path(args.log))
    facts = _facts(args)
    findings = examine(facts) if log is None else _read_log(log, facts)
    resolution = _resolution(args, facts) if log is None else None
    output = io.StringIO()
    stream = output if args.share else None
    if args.json:
        print(report.to_json(facts, findings, resolution), file=stream)
    elif log is None:
        report.show(facts, findings, resolution, "nothing found.", args.verbose, stream)
    else:
        nothing = "no known cause of a failure in this log."
        report.show(None, findings, None, nothing, file=stream)
    if args.share:
        from dcnbuild.doctor.share import shareable

        sys.stdout.write(shareable(output.getvalue(), os.environ, platform.node()))
    return _status(findings)


def _status(findings: Sequence[Finding]) -> int:
    return int(any(finding.severity == "error" for finding in findings))


def _facts(args: argparse.Namespace) -> Facts:
    if args.facts is None:
        facts = collect(os.environ, args.library)
    else:
        from dcnbuild.doctor.parse.text import decode  # PowerShell's `>` writes UTF-16
        from dcnbuild.machine.facts_json import facts_from_json

        text = decode(_read_file(Path(args.facts))).removeprefix("\ufeff")
        facts = facts_from_json(text, args.facts)
    if args.gpu is not None or args.driver is not None:
        from dcnbuild.machine.elsewhere import with_gpu

        facts = with_gpu(facts, args.gpu, args.driver)
    return replace(facts, wanted_torch=args.torch)


def _read_file(path: Path) -> bytes:
    """What a file or a pipe holds. Raises ValueError for a device, which may never end, and OSError."""
    with path.open("rb") as file:
        if stat.S_ISCHR(os.fstat(file.fileno()).st_mode) and not file.isatty():
            raise ValueError(f"{path} is a device, expected a file")
        return file.read()


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise ValueError("--log - reads standard input, which is closed")
    return sys.stdin.buffer.read()


def _resolution(args: argparse.Namespace, facts: Facts) -> Resolution | None:
    """Returns the pip line if an option asks for it or torch is missing."""
    asked = args.torch or args.gpu or args.driver
    if asked or args.verbose or facts.torch is None:
        return resolve(facts, args.torch)
    return None


def _read_log(log: bytes, facts: Facts) -> list[Finding]:
    from dcnbuild.doctor.logs import read_log  # compiles many patterns, so only if there is a log

    return read_log(log, facts)


def _explain(id: str, as_json: bool) -> int:
    from dcnbuild.doctor.explain import explain  # reads all rules

    explanation = explain(id)
    if as_json:
        print(json_text(explanation))
        return 0
    for part in explanation["parts"]:
        print(f"{id} ({part['where']}): {part['title']}")
        if part["means"]:
            print(f"  {part['means']}")
        print(f"  Pasting its fix {part['pasting']}.\n")
        print("\n".join(f"    {line}" for line in part["example"]))
        print()
    return 0
