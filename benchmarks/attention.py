"""Times deformable attention on the CPU beside grid_sample, as docs/performance.md has it.

    python benchmarks/attention.py [--json FILE]

The other side is what public models run on a CPU: of each level grid_sample on [N · M, D, h, w], then the weighted sum.
CPU milliseconds of the fastest of several calls, made in turn: what else the machine does takes time from the clock on
the wall, and none of these. "×" says how many times as much the other takes. A missed goal is printed as missed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _cpu_cases import Work, best_times
from cpu import Figures, goal, machine, table
from torch import Tensor
from torch.nn import functional

import dcnbuild.ops.deform_attn  # noqa: F401  registers the operators

HEADS, CHANNELS, POINTS = 8, 32, 4
PYRAMID = ((100, 134), (50, 67), (25, 34), (13, 17))  # an image of 800×1066 pixels from 1/8 on


@dataclass(frozen=True)
class Case:
    """Queries on every pixel of the levels, or so many in random places; offsets of standard deviation 2 pixels."""

    name: str
    levels: tuple[tuple[int, int], ...]
    forward: float  # wanted: the other side's time by ours
    both: float
    queries: int | None = None

    def __str__(self) -> str:
        pixels = sum(h * w for h, w in self.levels)
        return f"{self.name}, {len(self.levels)} levels, {self.queries or pixels:,} queries"


CASES = (
    Case("encoder of Deformable DETR", PYRAMID, 15, 12),
    Case("encoder of Mask2Former", ((48, 48), (24, 24), (12, 12)), 12, 12),
    Case("decoder", PYRAMID, 6, 6, queries=300),
)


class Operands:
    """The tensors of a case, which both sides share."""

    def __init__(self, case: Case, dtype: torch.dtype, image_major: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*sizes: int) -> Tensor:
            return torch.randn(*sizes, generator=generator)

        self.levels = case.levels
        centres = [
            torch.cartesian_prod((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w).flip(1)
            for h, w in case.levels
        ]
        places = torch.cat(centres)
        if case.queries is not None:
            places = torch.rand(case.queries, 2, generator=generator)
        queries, levels = len(places), len(case.levels)
        sides = torch.tensor([(w, h) for h, w in case.levels])
        offsets = 2 * normal(1, queries, HEADS, levels, POINTS, 2) / sides[:, None]
        value = normal(1, sum(h * w for h, w in case.levels), HEADS, CHANNELS).to(dtype)
        if image_major:  # [N, M · D, h · w] in memory
            value = value.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        self.value = value
        self.locations = (places[:, None, None, None] + offsets).to(dtype)
        weights = normal(1, queries, HEADS, levels * POINTS).softmax(-1)
        self.weights = weights.unflatten(-1, (levels, POINTS)).to(dtype)
        self.upstream = normal(1, queries, HEADS * CHANNELS).to(dtype)
        self.leaves = [self.value, self.locations, self.weights]
        for leaf in self.leaves:
            leaf.requires_grad_()


def ours(o: Operands) -> Tensor:
    shapes = [side for level in o.levels for side in level]
    output: Tensor = torch.ops.dcnbuild.deform_attn(o.value, shapes, o.locations, o.weights)
    return output


def weighted_grid_samples(
    value: Tensor, levels: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """value [N, S, M, D], locations [N, Q, M, L, P, 2] in 0..1 and weights [N, Q, M, L, P] → [N, Q, M · D]."""
    n, _, heads, channels = value.shape
    queries = locations.shape[1]
    grids = 2 * locations - 1
    samples = []
    pixels = value.split([h * w for h, w in levels], 1)
    for level, (h, w) in enumerate(levels):
        image = pixels[level].flatten(2).transpose(1, 2).reshape(n * heads, channels, h, w)
        grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
        samples.append(functional.grid_sample(image, grid, align_corners=False))
    shares = weights.transpose(1, 2).reshape(n * heads, 1, queries, -1)
    total = (torch.stack(samples, -2).flatten(-2) * shares).sum(-1)
    return total.view(n, heads * channels, queries).transpose(1, 2).contiguous()


def by_grid_sample(o: Operands) -> Tensor:
    return weighted_grid_samples(o.value, o.levels, o.locations, o.weights)


FUNCTIONS = {"dcnbuild": ours, "grid_sample": by_grid_sample}


def work_of(name: str, which: str, operands: Operands) -> Work:
    return pass_of(FUNCTIONS[name], which, operands)


def pass_of(function: Callable[[Any], Tensor], which: str, operands: Any) -> Work:
    """One of PASSES over a function of operands, which have `leaves` and `upstream`."""

    def forward() -> None:
        with torch.no_grad():
            function(operands)

    if which == "forward":
        return forward
    return lambda: torch.autograd.grad(function(operands), operands.leaves, operands.upstream)


def measure(works: dict[str, Work], threads: int, seconds: float) -> Figures:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return best_times(works, seconds, clock=time.process_time)
    finally:
        torch.set_num_threads(before)


PASSES = ("forward", "forward+backward")


def against_grid_sample(seconds: float) -> Figures:
    """Times every case and pass on one thread and on two, in float32."""
    figures, rows, checks = {}, [], []
    for case in CASES:
        operands = Operands(case, torch.float32)
        for which in PASSES:
            for threads in (1, 2):
                works = {name: work_of(name, which, operands) for name in FUNCTIONS}
                at = measure(works, threads, seconds)
                ratio = at["grid_sample"] / at["dcnbuild"]
                times = [f"{at[name]:.2f}" for name in FUNCTIONS]
                rows.append([str(case), which, str(threads), *times, f"{ratio:.1f}×"])
                wanted = case.forward if which == "forward" else case.both
                checks.append(goal(f"{case.name}, {which}, {threads} thr.", ratio, wanted))
                for name, value in at.items():
                    figures[f"{case.name} {which}, {threads} threads, {name}, CPU ms"] = value
    table(["case", "pass", "threads", *FUNCTIONS, "grid_sample / ours"], rows)
    table(["goal: grid_sample / ours", "wanted", "measured", ""], checks)
    return figures


VARIANTS = {
    "float32": (torch.float32, False),
    "float32, pixels innermost": (torch.float32, True),
    "float64": (torch.float64, False),
    "bfloat16": (torch.bfloat16, False),
    "float16": (torch.float16, False),
}


def types(seconds: float) -> Figures:
    """Times every dtype, and a value in the memory of an NCHW image, one thread."""
    figures, rows, checks = {}, [], []
    for case in CASES:
        for which in PASSES:
            works = {name: work_of("dcnbuild", which, Operands(case, *variant)) for name, variant in VARIANTS.items()}
            at = measure(works, 1, seconds)
            rows.append([case.name, which, *(f"{at[name]:.2f}" for name in VARIANTS)])
            figures.update({f"{case.name} {which}, {n}, CPU ms": at[n] for n in VARIANTS})
            speed = at["float32"] / at["bfloat16"]
            checks.append(goal(f"{case.name}, {which}", speed, 1))
    table(["case", "pass", *VARIANTS], rows)
    table(["goal: bfloat16, speed / float32", "wanted", "measured", ""], checks)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    options = parser.parse_args()
    print(machine(torch.get_num_threads()), "\n")
    figures = {**against_grid_sample(options.seconds), **types(options.seconds)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
