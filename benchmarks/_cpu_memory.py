"""Measures the memory that a training step takes beyond its outputs and gradients; a process for each, so that none
inherits another's. Linux: the peak of the resident set, which /proc/self/clear_refs resets.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
from _cpu_cases import FUNCTIONS, Case, Operands, training_step

MB = 1 << 20
CASE = Case("memory", 4, 64, 256, 256, 64)


def resident(field: str) -> int:
    """Returns bytes: VmRSS is what is resident, VmHWM the most that was."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def measure_here(name: str, expanded: bool) -> dict[str, float]:
    """Returns MB of a step's peak, and of the output and gradients among it."""
    function = FUNCTIONS[name]
    # Threads, libraries and what the allocator keeps are there before.
    training_step(function, Operands(CASE.but(batch=1, height=16, width=16)))()
    operands = Operands(CASE)
    if expanded:  # as .sum().backward() has it
        operands.upstream = torch.ones(()).expand(operands.upstream.shape)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    output = function(operands)
    grads = torch.autograd.grad(output, operands.leaves, operands.upstream)
    kept = sum(tensor.numel() * tensor.element_size() for tensor in (output, *grads))
    return {"peak": (resident("VmHWM") - before) / MB, "results": kept / MB}


def measure_apart(name: str, expanded: bool = False) -> dict[str, float]:
    """Does the same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-E", "-s", __file__, name, str(int(expanded))],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {name} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(json.dumps(measure_here(sys.argv[1], sys.argv[2] == "1")))
