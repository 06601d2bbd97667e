"""`dcnbuild audit`: says what a wheel, a library or an installed package needs, and what would refuse it."""

from __future__ import annotations

import argparse
import json
import os
import re
from dataclasses import replace

from dcnbuild.audit import report
from dcnbuild.audit.bounds import bounds
from dcnbuild.audit.read import read_package
from dcnbuild.audit.refusals import refusals
from dcnbuild.audit.target import Target
from dcnbuild.base.printable import one_line
from dcnbuild.machine.compatibility import torch_release
from dcnbuild.machine.driver import find_driver
from dcnbuild.machine.facts import Facts, Machine, TorchInstall
from dcnbuild.machine.python import find_python
from dcnbuild.machine.system import architecture
from dcnbuild.machine.torch_install import find_torch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the audit's options."""
    parser.add_argument("file", nargs="?", help="read this wheel, shared library, or installed package (its name)")
    parser.add_argument("--torch", metavar="VERSION", help="answer for this torch, e.g. 2.11")
    parser.add_argument(
        "--cuda",
        metavar="VERSION",
        help="answer for torch's build with this CUDA, e.g. 12 or 12.6, or cpu",
    )
    parser.add_argument("--python", metavar="VERSION", help="answer for this Python, e.g. 3.12")
    parser.add_argument("--glibc", metavar="VERSION", help="answer for this C library, e.g. 2.28")
    parser.add_argument("--machine", choices=("x86_64", "aarch64"), help="answer for this kind of processor")
    parser.add_argument("--gpu", metavar="NAME", help="answer for this GPU, e.g. 'RTX 5090' or 9.0")
    parser.add_argument("--driver", metavar="VERSION", help="answer for this driver, e.g. 570")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of --json, and exit")


def run(args: argparse.Namespace) -> int:
    """Reads and judges; returns 0 if nothing refuses the package, else 1. Raises ValueError for wrong arguments."""
    if args.schema:
        print(json.dumps(report.schema(), indent=2))
        return 0
    if args.file is None:
        raise ValueError("name a wheel, a shared library or an installed package")
    installed = find_torch(env=os.environ)
    target = _target(args, installed)
    package = read_package(args.file, installed, os.environ)
    bound = bounds(package)
    found = refusals(package, bound, target)
    if args.json:
        print(report.to_json(package, bound, target, found))
    else:
        lines = report.rows(package, bound)
        width = max(len(name) for name, _ in lines)
        for name, text in lines:
            print(f"{name:{width}}  {one_line(text)}".rstrip())
        print()
        from dcnbuild.doctor.report import show

        show(None, found, None, f"nothing refuses it on {_describe(target)}.")
    return int(any(finding.severity == "error" for finding in found))


def _describe(target: Target) -> str:
    cuda = f" for CUDA {target.cuda}" if target.cuda else " without CUDA" * target.cpu_only
    torch = f" with torch {target.torch}{cuda}" if target.torch else " without torch"
    return f"Python {target.python}{torch}"


def _target(args: argparse.Namespace, installed: TorchInstall | None) -> Target:
    """Returns this machine, changed by the options. Raises ValueError."""
    facts = Facts(Machine(), find_python(os.environ), driver=find_driver(os.environ))
    if args.gpu is not None or args.driver is not None:
        from dcnbuild.machine.elsewhere import with_gpu

        facts = with_gpu(facts, args.gpu, args.driver)
    named = os.confstr("CS_GNU_LIBC_VERSION") or ""
    target = Target(
        python=_version(args.python, "--python") or facts.python.version,
        machine=args.machine or architecture(),
        glibc=_version(args.glibc, "--glibc") or named.removeprefix("glibc ") or None,
        driver=facts.driver,
        here=args.torch is None and args.cuda is None,
        torch=installed.version if installed else None,
        cuda=installed.cuda if installed else None,
        cpu_only=installed is not None and installed.cuda is None,
    )
    if target.here:
        return target
    torch = _version(args.torch, "--torch") or target.torch
    cpu = args.cuda == "cpu"
    cuda = None if cpu else _version(args.cuda, "--cuda")
    if cuda is None and not cpu and torch:
        row = torch_release(torch)
        cuda = row.default if row else None
    return replace(target, torch=torch, cuda=cuda, cpu_only=cpu)


def _version(text: str | None, option: str) -> str | None:
    if text is not None and not re.fullmatch(r"\d{1,4}(?:\.\d{1,4}){0,2}", text, re.ASCII):
        raise ValueError(f"{option} {text}: no version (expected e.g. 2.11)")
    return text
