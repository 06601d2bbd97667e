"""`dcnbuild info`: says which library serves which device, and why the others do not."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from typing import Any

from dcnbuild._version import __version__
from dcnbuild.builder import native, routes
from dcnbuild.builder.record import read_record
from dcnbuild.builder.sources import DEVICES
from dcnbuild.errors import FindingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Prints the report; returns 1 if torch cannot be imported. Raises ValueError for an unknown DCNBUILD_ROUTE
    or DCNBUILD_FUSED."""
    try:
        import torch
    except (ImportError, OSError) as error:
        report: dict[str, Any] = {"schema": 1, "dcnbuild": __version__, "torch": None}
        print(json.dumps(report) if args.json else f"torch cannot be imported: {error}")
        return 1
    # importing torch has registered the operators already; this import raises if that failed
    import dcnbuild.ops.deform_conv2d  # noqa: F401

    routes.forced_route()  # every call would raise for a wrong one, as this does
    fused = _fused()
    native.load_registered(everything=True)
    report = {
        "schema": 1,
        "dcnbuild": __version__,
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "prebuilt": _prebuilt(),
        "devices": [_device(native.status(name)) for name in DEVICES],
        "fused": fused,
    }
    print(json.dumps(report, indent=1) if args.json else "\n".join(_lines(report)))
    return 0


def _prebuilt() -> dict[str, Any] | None:
    """Returns the record of the prebuilt libraries, without the compile commands."""
    record = read_record(native.PREBUILT)
    if record is None:
        return None
    document = asdict(record)
    for library in document["libraries"].values():
        del library["commands"]
    return document


def _fused() -> dict[str, str | None]:
    """Says whether the fused route of the convolution may serve. Raises ValueError for an unknown DCNBUILD_FUSED."""
    from dcnbuild.ops.fused import route

    return {"mode": route.mode(), "unavailable": route.unavailable()}


def _no_cuda_in_torch() -> str | None:
    """Says why torch has no CUDA tensors at all; None if it has."""
    import torch

    if torch.version.cuda:
        return None
    if torch.version.hip:
        return f"torch {torch.__version__} is built for ROCm, and the kernels are CUDA's"
    return f"torch {torch.__version__} is built without CUDA, so there are no CUDA tensors"


def _device(status: routes.DeviceStatus) -> dict[str, Any]:
    """Returns one device's part of the report; `not_taken` gives the reason against each other attempt."""
    reasons: dict[str, str] = dict(status.rejected)
    no_cuda = _no_cuda_in_torch() if status.device == "cuda" else None
    if no_cuda and status.attempt is None:
        reasons = dict.fromkeys(routes.ATTEMPTS, no_cuda)
    attempts = routes.attempts_of(status.device)
    for attempt in attempts:
        if attempt != status.attempt and attempt not in reasons:
            reasons[attempt] = _why_not(attempt, status)
    return {
        "device": status.device,
        "route": status.route,
        "attempt": status.attempt,
        "library": str(status.library) if status.library else None,
        "architectures": list(status.architectures),
        "instruction_set": native.cpu_level() if status.device == "cpu" else None,
        "not_taken": {attempt: reasons[attempt] for attempt in attempts if attempt in reasons},
    }


def _why_not(attempt: routes.Attempt, status: routes.DeviceStatus) -> str:
    if status.attempt is not None:
        return f"not needed: {status.attempt} serves"
    if attempt == "build":
        return _what_a_build_would_do(status)
    if status.device == "cpu":
        return "serves if the build on first use fails"
    return "never taken for CUDA tensors unless DCNBUILD_ROUTE=reference"


def _what_a_build_would_do(status: routes.DeviceStatus) -> str:
    from dcnbuild.builder import jit, lookup
    from dcnbuild.builder.compile import describe

    try:
        plan = jit.make_plan(status.device, lookup.running_torch(), os.environ)
    except (FindingError, ValueError) as error:
        return f"not possible: {str(error).partition(chr(10))[0]}"
    return f"not yet: compiles {describe(status.device, plan)} on first use, or now: dcnbuild build"


def _lines(report: dict[str, Any]) -> list[str]:
    cuda = f"CUDA {report['torch_cuda']}" if report["torch_cuda"] else "no CUDA"
    lines = [f"dcnbuild {report['dcnbuild']} with torch {report['torch']} ({cuda})"]
    for device in report["devices"]:
        reasons = set(device["not_taken"].values())
        if device["attempt"] is None and len(reasons) == 1:  # torch itself has no such device
            lines += ["", f"{device['device']}: none. {reasons.pop()}"]
            continue
        lines += ["", f"{device['device']}: {_served_by(device)}"]
        if device["architectures"]:
            lines.append(f"  architectures: {' '.join(device['architectures'])}")
        if device["device"] == "cpu" and device["library"]:
            lines.append(f"  instruction set: {device['instruction_set'] or _no_level()}")
        lines += [f"  not {attempt + ':':10} {reason}" for attempt, reason in device["not_taken"].items()]
    if report["fused"]["mode"] == "on":
        why = report["fused"]["unavailable"]
        said = f"cannot be had: {why}" if why else "serves the convolutions that it can"
        lines += ["", f"fused (DCNBUILD_FUSED=on): {said}"]
    prebuilt = report["prebuilt"]
    if prebuilt:
        lines += [
            "",
            f"prebuilt with torch {prebuilt['torch']} ({prebuilt['flavour']} flavour), "
            f"{prebuilt['compiler']}"
            + "".join(f", {library['toolkit']}" for library in prebuilt["libraries"].values() if library["toolkit"]),
        ]
        if prebuilt["cuda_left_out"]:
            lines.append(f"  without CUDA: {prebuilt['cuda_left_out']}")
            if _switched_off(prebuilt):
                lines += [
                    "  If you asked for CUDA since, pip took that wheel from its cache; this builds a new one:",
                    "    DCNBUILD_CUDA=on pip install --no-cache-dir --force-reinstall --no-deps SOURCE",
                ]
    return lines


def _no_level() -> str:
    return f"none, since DCNBUILD_CPU_ISA={os.environ.get('DCNBUILD_CPU_ISA')} cannot be used here"


def _switched_off(prebuilt: dict[str, Any]) -> bool:
    """Whether CUDA was left out on demand. pip does not know of the demand: it keeps wheels by where they come from."""
    return "DCNBUILD_CUDA=off" in prebuilt["cuda_left_out"]


def _served_by(device: dict[str, Any]) -> str:
    if device["attempt"] is None:
        return "not loaded yet"
    if device["attempt"] == "reference":
        return "reference, plain torch operations"
    return f"{device['attempt']} {device['library']}"
