"""Measures what `dcnbuild.convert(model)` gains on whole networks on the CPU: time and memory before and after, and
equality.

    python benchmarks/models.py [words of a network's name]
    python benchmarks/models.py --record            # also writes docs/models.json and docs/models.md
    python benchmarks/models.py --seconds 0 --scale 0.5    # the shortest run: two calls each, small images

Each network has random weights and a process of its own. The process converts a copy of the network, and calls both in
turn, so that whatever else the machine does meets both. "CPU s" is the least CPU time of several forward passes without
gradients, and "× by the clock" the ratio of the fastest ones' time by the clock, which other programs on the machine
disturb more. "MB" is the peak of the resident set during one call, beyond what was resident before the call.
"difference" is the largest difference in any output, as a fraction of that output's largest value, where both keep the
same queries. Without transformers (`pip install "transformers>=5"`), its networks are left out. `--record` replaces the
figures of the networks that it measures, and those of another machine.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from _cpu_memory import MB, resident
from _models import Inputs, call, networks, of_transformers, randomize
from cpu import machine, table
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import dcnbuild

ROOT = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(ROOT), str(ROOT / "examples")]

# ruff: noqa: E402  the checkout is not on sys.path before
from records import COMMIT

from tools.docs import models as document

#: The columns in a terminal; the page has the same.
HEADER = document.COLUMNS


class SameChoices(TorchFunctionMode):
    """Has later calls keep what the first one kept by torch.topk: a detector takes its queries from proposals, and of
    nearly equal ones, rounding decides which.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []
        self.calls = 0

    def __enter__(self) -> SameChoices:
        self.calls = 0
        super().__enter__()
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is not torch.topk:
            return found
        if self.calls == len(self.kept):
            self.kept.append(found[1])
        self.calls += 1
        kept = self.kept[self.calls - 1]
        return args[0].gather((kwargs or {}).get("dim", -1), kept), kept


def peak(model: nn.Module, inputs: Inputs, choices: SameChoices) -> tuple[list[Tensor], float]:
    """Returns the network's outputs, and the MB that a call needs beyond what is resident before."""
    with choices:
        output = call(model, inputs)  # loads libraries, starts threads, fills caches
    ctypes.CDLL(None).malloc_trim(0)  # gives back what the first call has freed, or it hides the peak
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    call(model, inputs)
    return output, (resident("VmHWM") - before) / MB


def times(models: Sequence[nn.Module], inputs: Inputs, seconds: float) -> list[dict[str, float]]:
    """Calls the networks in turn for so many seconds of CPU time in all, and at least twice each; returns the least
    seconds of each.
    """
    found = [{"s": math.inf, "CPU s": math.inf} for _ in models]
    begin, rounds = time.process_time(), 0
    while rounds < 2 or time.process_time() - begin < seconds:
        for model, figures in zip(models, found, strict=True):
            starts = time.perf_counter(), time.process_time()
            call(model, inputs)
            figures["s"] = min(figures["s"], time.perf_counter() - starts[0])
            figures["CPU s"] = min(figures["CPU s"], time.process_time() - starts[1])
        rounds += 1
    return found


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Returns the largest difference as a fraction of the largest value; NaN and infinity must be at the same
    places.
    """
    finite = theirs.isfinite()
    if not torch.equal(ours[~finite], theirs[~finite]):
        return float("inf")
    ours, theirs = ours[finite], theirs[finite]
    if not theirs.numel():
        return 0.0
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def measure_here(name: str, threads: int, seconds: float, scale: float) -> dict[str, Any]:
    """Measures one network in this process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make, inputs = next((make, inputs) for known, make, inputs in networks(scale) if known == name)
    model = randomize(make(), inputs)
    with torch.no_grad():
        choices = SameChoices()
        expected, before = peak(model, inputs, choices)
        converted = copy.deepcopy(model)
        report = dcnbuild.convert(converted)
        output, after = peak(converted, inputs, choices)
        spent = times((model, converted), inputs, seconds)
    costs = [{**figures, "MB": mb} for figures, mb in zip(spent, (before, after), strict=True)]
    found = [difference(*pair) for pair in zip(output, expected, strict=True)]
    return {"layers": len(report.converted), "before": costs[0], "after": costs[1], "difference": max(found)}


def measure_apart(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measures one network in a process of its own."""
    options = [f"--threads={args.threads}", f"--seconds={args.seconds}", f"--scale={args.scale}"]
    command = [sys.executable, "-E", "-s", __file__, "--here", name, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring {name} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*", help="words that a network's name holds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0, help="of CPU, for the calls of a network")
    parser.add_argument("--scale", type=float, default=1.0, help="of the images' sides")
    parser.add_argument("--record", action="store_true", help="write docs/models.json and .md")
    parser.add_argument("--note", default="", help="what the record shall say of the machine, e.g. 'Zen 4, busy'")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.here:
        print(json.dumps(measure_here(args.here, args.threads, args.seconds, args.scale)))
        return 0
    names = [name for name, *_ in networks(args.scale)]
    chosen = [name for name in names if all(word in name for word in args.words)]
    print(machine(args.threads), end="\n\n")
    if not any(of_transformers(args.scale)):
        print("transformers is not installed: its networks are left out\n")
    found = {}
    for name in chosen:
        print(f"measuring {name}", file=sys.stderr)
        found[name] = measure_apart(name, args)
        if args.record:
            record(name, found[name], args)
    table(HEADER, [document.cells(name, figures) for name, figures in found.items()])
    return 0


def record(name: str, figures: dict[str, Any], args: argparse.Namespace) -> None:
    """Writes one network's figures beside those that the same machine and versions gave for others, and the page."""
    path = ROOT / document.RECORD
    same = {
        "machine": machine(args.threads),
        "note": args.note,
        "transformers": transformers_version(),
        "scale": args.scale,
        "seconds": args.seconds,
    }
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = old.get("networks", {}) if all(old.get(key) == same[key] for key in same) else {}
    made = {"commit": COMMIT, "date": date.today().isoformat()}
    known = [*(item for item, *_ in networks(args.scale)), *kept]
    all_of_them = {**kept, name: {**made, **figures}}
    ordered = {item: all_of_them[item] for item in dict.fromkeys(known) if item in all_of_them}
    missing = [item for item in dict.fromkeys(known) if item not in all_of_them]
    text = json.dumps({**same, "networks": ordered, "missing": missing}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    (ROOT / document.PAGE).write_text(document.page(ROOT), encoding="utf-8")


def transformers_version() -> str | None:
    """Returns the installed version, or None."""
    try:
        return version("transformers")
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
