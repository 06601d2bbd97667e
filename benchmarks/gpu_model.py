"""An estimate of the time on named GPUs, from the bytes and operations of each kernel and GEMM. Nothing here was
measured.

    python benchmarks/gpu_model.py [--json FILE]

Three plans for the same layer: dcnbuild's chunks of columns that stay in L2, its fused kernels (DCNBUILD_FUSED=on), and
the im2col of up to 32 images at a time that torchvision's CUDA operator runs. The first run on a real GPU (`nox -s
gpu`) is to be held against it.

The time of a kernel is the largest of: bytes from DRAM over its bandwidth, bytes from L2 and additions there over L2's,
operations over the rate of their dtype, and instructions over the rate at which the GPU issues them, each at the share
of the peak that ATTAINED states (_gpu_machine.py); plus LAUNCH_S. What a kernel leaves for the next in less than half
of L2 is read from there. Tiles of a GEMM take multiprocessors in whole waves. A pass takes as long as its kernels, or
as the host needs to start them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import _gpu_plans as plans
from _gpu_machine import GPUS, HOST_LAUNCH_S, HOST_S, Gpu, Layer, Step
from _gpu_plans import chunks, element_size

__all__ = ["GPUS", "Gpu", "Layer", "Step", "chunks", "element_size", "estimate", "total"]


def total(steps: Sequence[Step], gpu: Gpu, dtype: str, host: float = 0) -> float:
    """Seconds of a pass: of its kernels, or of the host that starts them, which takes `host` beside the starts."""
    starts = HOST_LAUNCH_S * sum(step.launches for step in steps)
    return max(sum(step.seconds(gpu, dtype) for step in steps), host + starts)


def estimate(layer: Layer, gpu: Gpu, dtype: str) -> dict[str, float]:
    """Seconds of each pass under each plan."""
    ordered = plans.dcnbuild_backward(layer, gpu, dtype, True)
    unordered = plans.dcnbuild_backward(layer, gpu, dtype, False)
    products = "tf32" if dtype == "float32" else dtype  # three of TF32 are one of float32
    forward, backward = HOST_S["dcnbuild"]
    fused_forward, fused_backward = HOST_S["fused"]
    im2col_forward, im2col_backward = HOST_S["im2col"]
    fused = plans.fused_forward(layer, gpu, dtype), plans.fused_backward(layer, gpu, dtype)
    im2col = plans.im2col_forward(layer, gpu, dtype), plans.im2col_backward(layer, gpu, dtype)
    return {
        "dcnbuild forward": total(plans.dcnbuild_forward(layer, gpu, dtype), gpu, dtype, forward),
        "dcnbuild backward": total(unordered, gpu, dtype, backward),
        "dcnbuild backward, deterministic": total(ordered, gpu, dtype, backward),
        "fused forward": total(fused[0], gpu, products, fused_forward),
        "fused backward": total(fused[1], gpu, products, fused_backward),
        "im2col forward": total(im2col[0], gpu, dtype, im2col_forward),
        "im2col backward": total(im2col[1], gpu, dtype, im2col_backward),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Estimated, not measured: time of one layer on named GPUs.")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    layer = Layer(8, 256, 64, 64, 256)
    print(f"ESTIMATE, not a measurement: {layer}, milliseconds\n")
    head = ("GPU", "dtype", "forward", "backward", "deterministic backward")
    head += ("fused forward", "backward", "im2col forward", "backward", "ratio", "fused ratio")
    print("|", " | ".join(head), "|")
    print("|---" * len(head) + "|")
    rows = []
    for gpu in GPUS:
        for dtype in ("float32", "tf32", "half"):
            times = estimate(layer, gpu, dtype)
            theirs = times["im2col forward"] + times["im2col backward"]
            ratio = theirs / (times["dcnbuild forward"] + times["dcnbuild backward"])
            fused = theirs / (times["fused forward"] + times["fused backward"])
            cells = " | ".join(f"{1e3 * seconds:.2f}" for seconds in times.values())
            print(f"| {gpu.name} | {dtype} | {cells} | {ratio:.1f} | {fused:.1f} |")
            rows.append({"gpu": gpu.name, "dtype": dtype, "ratio": ratio, **times})
    if arguments.json:
        text = json.dumps({"estimate": True, "layer": asdict(layer), "rows": rows}, indent=2)
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
