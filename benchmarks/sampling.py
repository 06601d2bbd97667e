"""DCNv3's and DCNv4's sampling on the CPU beside grid_sample, as docs/performance.md has it.

    python benchmarks/sampling.py [--json FILE]

The other side is what InternImage runs on a CPU (`dcnv3_core_pytorch`): the locations of all taps as a tensor, one
grid_sample of them, the weighted sum. Times and "×" are those of benchmarks/attention.py.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from attention import PASSES, measure, pass_of, weighted_grid_samples
from cpu import Figures, machine, table
from torch import Tensor

import dcnbuild.ops.deform_sample  # noqa: F401  registers the operators

KERNEL, TAPS = 3, 9


@dataclass(frozen=True)
class Case:
    """3×3 taps around every pixel, padding 1; offsets of standard deviation 2 pixels."""

    name: str
    height: int
    width: int
    groups: int
    channels: int  # of a group

    def __str__(self) -> str:
        return f"{self.name}, {self.height}×{self.width}, {self.groups} groups of {self.channels}"


CASES = (
    Case("InternImage-T, first stage", 56, 56, 4, 16),
    Case("InternImage-T, third stage", 14, 14, 16, 16),
    Case("the same of 800×1066 pixels", 50, 67, 16, 16),
)


class Operands:
    """The tensors of a case, which both sides share."""

    def __init__(self, case: Case) -> None:
        generator = torch.Generator().manual_seed(0)

        def normal(*sizes: int) -> Tensor:
            return torch.randn(1, case.height, case.width, *sizes, generator=generator)

        self.value = normal(case.groups, case.channels)
        self.offset = 2 * normal(case.groups, TAPS, 2)
        self.mask = normal(case.groups, TAPS).softmax(-1)
        self.upstream = normal(case.groups * case.channels)
        self.leaves = [self.value, self.offset, self.mask]
        for leaf in self.leaves:
            leaf.requires_grad_()
        steps = torch.arange(KERNEL) - 1
        x = torch.arange(case.width)[None, :, None] + steps.repeat_interleave(KERNEL)
        y = torch.arange(case.height)[:, None, None] + steps.repeat(KERNEL)
        #: (x, y) of every tap without its offset, [H, W, 1, tap, 2]; taps count down the columns.
        self.taps = torch.stack(torch.broadcast_tensors(x, y), -1)[:, :, None]


def ours(o: Operands) -> Tensor:
    output: Tensor = torch.ops.dcnbuild.deform_sample(
        o.value, o.offset, o.mask, [KERNEL] * 2, [1, 1], [1, 1], [1, 1], 1.0, False
    )
    return output


def by_grid_sample(o: Operands) -> Tensor:
    height, width = o.value.shape[1:3]
    locations = (o.taps + o.offset + 0.5) / torch.tensor([width, height])
    sampled = weighted_grid_samples(
        o.value.flatten(1, 2),
        [(height, width)],
        locations.flatten(1, 2)[:, :, :, None],
        o.mask.flatten(1, 2)[:, :, :, None],
    )
    return sampled.view(1, height, width, -1)


FUNCTIONS = {"dcnbuild": ours, "grid_sample": by_grid_sample}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    options = parser.parse_args()
    print(machine(torch.get_num_threads()), "\n")
    figures: Figures = {}
    rows = []
    for case in CASES:
        operands = Operands(case)
        torch.testing.assert_close(ours(operands), by_grid_sample(operands), rtol=1e-4, atol=1e-4)
        for which in PASSES:
            for threads in (1, 2):
                works = {name: pass_of(function, which, operands) for name, function in FUNCTIONS.items()}
                at = measure(works, threads, options.seconds)
                times = [f"{at[name]:.2f}" for name in FUNCTIONS]
                ratio = at["grid_sample"] / at["dcnbuild"]
                rows.append([str(case), which, str(threads), *times, f"{ratio:.1f}×"])
                for name, value in at.items():
                    figures[f"{case.name} {which}, {threads} threads, {name}, CPU ms"] = value
    table(["case", "pass", "threads", *FUNCTIONS, "grid_sample / ours"], rows)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
