"""Measures what second derivatives and forward mode cost beside the first backward pass, on the CPU.

    python benchmarks/double_backward.py [--channels 32] [--size 48] [--batch 2] [--repeats 5] [--json FILE]

Milliseconds, the median, and the memory that a step needs at its worst over what was there before it, in MB. Each
figure is from a process of its own. Gradients of everything: input, offset, mask (v2), weight and bias.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROBE = """
import json, resource, statistics, sys, time
import torch, dcnbuild

step, version = sys.argv[1:3]
batch, channels, size, repeats = map(int, sys.argv[3:])
torch.manual_seed(0)

def tensors(channels, size):
    made = {
        "input": torch.randn(batch, channels, size, size),
        "offset": torch.randn(batch, 18, size, size) * 2,
        "weight": torch.randn(channels, channels, 3, 3) / channels,
        "bias": torch.randn(channels),
    }
    if version == "v2":
        made["mask"] = torch.rand(batch, 9, size, size)
    return {name: tensor.requires_grad_() for name, tensor in made.items()}

def prepare(t):
    "What comes before the step, and the step."
    forward = lambda **t: dcnbuild.deform_conv2d(**t, padding=1)
    names, leaves = list(t), list(t.values())
    if step == "forward":
        return lambda: forward(**t)
    if step == "jvp":
        call = lambda *x: forward(**dict(zip(names, x)))
        primals = tuple(x.detach() for x in leaves)
        return lambda: torch.func.jvp(call, primals, primals)
    output = forward(**t)
    upstream = torch.ones_like(output)
    if step == "backward":
        return lambda: torch.autograd.grad(output, leaves, upstream)
    grads = torch.autograd.grad(output, leaves, upstream, create_graph=True)
    loss = sum(grad.square().sum() for grad in grads)
    return lambda: torch.autograd.grad(loss, leaves, allow_unused=True)  # the bias is in no gradient

prepare(tensors(2, 3))()  # threads and libraries start here
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
t = tensors(channels, size)
run = prepare(t)
before = peak()
run()
memory = peak() - before
times = []
for _ in range(repeats):
    run = prepare(t)
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
print(json.dumps({"ms": statistics.median(times) * 1000, "MB": memory, "threads": torch.get_num_threads()}))
"""
STEPS = ("forward", "backward", "double backward", "jvp")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("channels", 32), ("size", 48), ("batch", 2), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    a = parser.parse_args(argv)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as elsewhere:
        for version in ("v1", "v2"):
            figures[version] = {}
            for step in STEPS:
                sizes = [str(value) for value in (a.batch, a.channels, a.size, a.repeats)]
                done = subprocess.run(
                    [sys.executable, "-c", PROBE, step, version, *sizes],
                    cwd=elsewhere,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                figures[version][step] = json.loads(done.stdout)
    threads = int(figures["v1"]["forward"]["threads"])
    print(f"{a.batch} x {a.channels} x {a.size} x {a.size}, 3x3 to {a.channels} channels, float32, {threads} threads")
    for version, steps in figures.items():
        base = steps["backward"]
        for step, found in steps.items():
            print(
                f"  {version} {step:16} {found['ms']:8.1f} ms {found['MB']:8.1f} MB"
                f"   backward x {found['ms'] / base['ms']:6.2f}, memory x {found['MB'] / max(base['MB'], 0.1):6.2f}"
            )
    if a.json:
        a.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
