"""Measures what a call costs before any arithmetic: one pixel, one channel, beside torchvision in the same process.

    python benchmarks/host_cost.py [--calls 300] [--repeats 15] [--json FILE]

Microseconds of CPU time a call, medians, on one thread. The repeats of both alternate, and the ratio is the median of
theirs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchvision
from torch import Tensor

import dcnbuild

Function = Callable[..., Tensor]


def one_pixel(gradient: bool) -> dict[str, Tensor]:
    """The tensors of a call, all of which want a gradient or none."""
    tensors = {
        "input": torch.ones(1, 1, 1, 1),
        "offset": torch.zeros(1, 2, 1, 1),
        "weight": torch.ones(1, 1, 1, 1),
        "bias": torch.ones(1),
        "mask": torch.ones(1, 1, 1, 1),
    }
    return {name: tensor.requires_grad_(gradient) for name, tensor in tensors.items()}


def microseconds(step: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        step()
    return (time.process_time() - start) / calls * 1e6


def forward(function: Function) -> Callable[[], object]:
    tensors = one_pixel(False)
    return lambda: function(**tensors)


def forward_and_backward(function: Function) -> Callable[[], object]:
    tensors = one_pixel(True)
    return lambda: function(**tensors).backward()


STEPS = {"forward, no gradient": forward, "forward + backward": forward_and_backward}


def measure(calls: int, repeats: int) -> dict[str, dict[str, float]]:
    figures = {}
    for name, make in STEPS.items():
        ours, theirs = make(dcnbuild.deform_conv2d), make(torchvision.ops.deform_conv2d)
        for step in (ours, theirs):
            microseconds(step, calls)
        pairs = [(microseconds(ours, calls), microseconds(theirs, calls)) for _ in range(repeats)]
        figures[name] = {
            "dcnbuild": statistics.median(pair[0] for pair in pairs),
            "torchvision": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(mine / other for mine, other in pairs),
        }
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=300, help="of which a time is the mean")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    figures = measure(arguments.calls, arguments.repeats)
    for name, row in figures.items():
        print(
            f"{name:22s} dcnbuild {row['dcnbuild']:7.1f} µs   torchvision {row['torchvision']:7.1f} µs   "
            f"ratio {row['ratio']:.2f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
