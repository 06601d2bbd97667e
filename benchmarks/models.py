"""What `dcnbuild.convert(model)` gains on whole networks on the CPU: seconds and megabytes before and after, and equality.

    python benchmarks/models.py [--threads N] [--json FILE] [words of a network's name]

Each network is made in a process of its own, with random weights, and called as it is; then it is switched over and called
again. A figure is the fastest of several forward passes without gradients, in CPU seconds: what else the machine does takes
time from the clock on the wall, and none of these. "MB" is the peak of the resident set during one call, beyond what was
there before it. "difference" is the largest of any output, relative to that output's largest value. The networks of
transformers are left out, by name, where transformers is not installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from _cpu_cases import best_times
from _cpu_memory import MB, resident
from _models import Inputs, call, networks, of_transformers, randomize
from cpu import machine, table
from torch import Tensor, nn

import dcnbuild


def cost(model: nn.Module, inputs: Inputs) -> tuple[list[Tensor], dict[str, float]]:
    """What the network returns, and its CPU seconds and MB."""
    output = call(model, inputs)  # threads, libraries and what the allocator keeps are there before
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    call(model, inputs)
    peak = (resident("VmHWM") - before) / MB
    times = best_times({"": lambda: call(model, inputs)}, 3.0, clock=time.process_time)
    return output, {"s": times[""] / 1000, "MB": peak}


def measure_here(name: str, threads: int) -> dict[str, object]:
    """The figures of one network, in this process."""
    torch.set_num_threads(threads)
    make, inputs = next((make, inputs) for known, make, inputs in networks() if known == name)
    torch.manual_seed(0)
    model = randomize(make())
    with torch.no_grad():
        expected, before = cost(model, inputs)
        report = dcnbuild.convert(model)
        output, after = cost(model, inputs)
    differences = [
        ((ours - theirs).abs().max() / theirs.abs().max()).item()
        for ours, theirs in zip(output, expected, strict=True)
        if theirs.numel()
    ]
    layers = len(report.converted)
    return {"layers": layers, "before": before, "after": after, "difference": max(differences)}


def measure_apart(name: str, threads: int) -> dict[str, object]:
    command = [sys.executable, "-E", "-s", __file__, "--here", name, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"measuring {name} failed:\n{done.stderr}")
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


def row(name: str, figures: dict[str, object]) -> list[str]:
    before, after = figures["before"], figures["after"]
    assert isinstance(before, dict) and isinstance(after, dict)
    return [
        name,
        str(figures["layers"]),
        f"{before['s']:.2f}",
        f"{after['s']:.2f}",
        f"{before['s'] / after['s']:.2f}",
        f"{before['MB']:.0f}",
        f"{after['MB']:.0f}",
        f"{figures['difference']:.0e}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="words that a network's name holds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.here:
        print(json.dumps(measure_here(args.here, args.threads)))
        return 0
    print(machine(args.threads), end="\n\n")
    if not any(of_transformers()):
        print("transformers is not installed: its networks are left out\n")
    chosen = [name for name, *_ in networks() if all(word in name for word in args.words)]
    found = {name: measure_apart(name, args.threads) for name in chosen}
    header = ("network", "layers", "CPU s before", "after", "×", "MB before", "after", "difference")
    table(header, [row(name, figures) for name, figures in found.items()])
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
