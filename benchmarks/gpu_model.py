"""Estimates the time on named GPUs, from the bytes and operations of each kernel and GEMM. Nothing here was measured.

    python benchmarks/gpu_model.py [--json FILE]

Two plans for the same layer: dcnbuild's (chunks of columns that stay in L2, channels innermost) and the im2col of up to 32
images at a time that torchvision's CUDA operator runs. The first run on a real GPU (`nox -s gpu`) is to be held against it.

The time of a kernel is the largest of: bytes from DRAM over its bandwidth, bytes from L2 and additions there over L2's,
operations over the rate of their dtype, and instructions over the rate at which the GPU issues them, each at the share of
the peak that ATTAINED states; plus LAUNCH_S. What a kernel leaves for the next in less than half of L2 is read from there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

#: The share of a peak that a well-made kernel or GEMM attains; an assumption.
ATTAINED = 0.7
#: Of a GEMM of half types, whose tiles do not fill the GPU; an assumption.
ATTAINED_TENSOR = 0.5
#: From one kernel's end to the next one's start, when the queue is never empty; an assumption.
LAUNCH_S = 2e-6
#: The share of L2's bandwidth at which float additions to memory run; single ones touch a sector several times.
ATOMIC_SHARE = 0.5
#: The same for half types in im2col's plan, which adds 2 bytes at a time by compare and swap; an assumption.
HALF_ATOMIC_SHARE = 1 / 16
#: The share of a loop's instructions that run, since branches pass some by; an assumption.
EXECUTED = 0.7
#: Instructions for each element of the columns: those of the inner loop, counted in the machine code for sm_90 that nvcc
#: 13.0 makes of csrc/deform_conv2d/cuda (over the channels of a vector), and in that of torchvision 0.29.1's wheel for CUDA 13.0.
INSTRUCTIONS = {
    "float32": {"gather": 123 / 4, "gradients": (161 + 137) / 4, "ordered sum": 4 * 161 / 4}
    | {"im2col": 65, "col2im": 539, "offset gradients": 2 * 255},
    "half": {"gather": 224 / 8, "gradients": (292 + 2 * 130) / 8, "ordered sum": 4 * 195 / 8}
    | {"im2col": 114, "col2im": 693, "offset gradients": 2 * 377},
}
#: kColumnBytes of csrc/deform_conv2d/cuda/plan.h.
COLUMN_BYTES = 16 << 20
#: Bytes that the deterministic route moves for each of its entries in four passes of a radix sort: key and 64-bit index.
SORT_BYTES = 4 * 2 * (4 + 8)
#: Kernels of one sort.
SORT_LAUNCHES = 10


@dataclass(frozen=True)
class Gpu:
    """Bytes and operations per second at the peak; FLOP/s without sparsity."""

    name: str
    dram: float
    l2_size: float
    l2: float
    float32: float
    tf32: float
    half: float

    @property
    def instructions(self) -> float:
        """Of single threads, per second: a multiplication and addition of float32 is one."""
        return self.float32 / 2

    def rate(self, dtype: str) -> float:
        return {"float32": self.float32, "tf32": self.tf32}.get(dtype, self.half)


#: DRAM and FLOP/s from NVIDIA's data sheets of each; the bandwidth of L2 is an assumption (5,120 bytes a clock on A100
#: by its whitepaper, the others scaled by clock).
GPUS = (
    Gpu("A100 SXM 80 GB", 2.04e12, 40e6, 5.0e12, 19.5e12, 156e12, 312e12),
    Gpu("H100 SXM", 3.35e12, 50e6, 7.0e12, 67e12, 494e12, 989e12),
    Gpu("H200 SXM", 4.8e12, 50e6, 7.0e12, 67e12, 494e12, 989e12),
    Gpu("RTX 4090", 1.01e12, 72e6, 5.0e12, 82.6e12, 82.6e12, 165e12),
)


@dataclass(frozen=True)
class Layer:
    """A deformable convolution of stride 1 that keeps the size, with one offset group and a mask."""

    batch: int
    channels: int
    height: int
    width: int
    out_channels: int
    taps: int = 9

    @property
    def positions(self) -> int:
        return self.height * self.width

    @property
    def column_size(self) -> int:
        return self.channels * self.taps

    def gemm_flops(self, images: float) -> float:
        return 2.0 * images * self.positions * self.column_size * self.out_channels


@dataclass(frozen=True)
class Step:
    """One kernel or GEMM, or several of a kind: bytes by where they come from, what is computed, and launches."""

    name: str
    dram: float = 0
    l2: float = 0
    atomics: float = 0  # bytes
    atomic_share: float = ATOMIC_SHARE
    flops: float = 0
    instructions: float = 0
    launches: int = 1

    def seconds(self, gpu: Gpu, dtype: str) -> float:
        attained = ATTAINED if dtype == "float32" else ATTAINED_TENSOR
        return self.launches * LAUNCH_S + max(
            self.dram / (gpu.dram * ATTAINED),
            (self.l2 + self.dram) / (gpu.l2 * ATTAINED)
            + self.atomics / (gpu.l2 * self.atomic_share),
            self.flops / (gpu.rate(dtype) * attained),
            self.instructions * EXECUTED / (gpu.instructions * ATTAINED),
        )


def element_size(dtype: str) -> int:
    return 4 if dtype in ("float32", "tf32") else 2


def chunks(layer: Layer, dtype: str) -> int:
    """Chunks of a batch; those of small images hold several (plan_chunks)."""
    fitting = max(1, COLUMN_BYTES // (layer.column_size * element_size(dtype)))
    if fitting >= layer.positions:
        return math.ceil(layer.batch / (fitting // layer.positions))
    return layer.batch * math.ceil(layer.positions / fitting)


def through(size: float, in_l2: bool) -> dict[str, float]:
    """Bytes by where they lie, as arguments of Step."""
    return {"l2": size} if in_l2 else {"dram": size}


def added(*parts: dict[str, float]) -> dict[str, float]:
    return {name: sum(part.get(name, 0) for part in parts) for name in ("dram", "l2")}


def instructions(layer: Layer, dtype: str, loop: str) -> float:
    counts = INSTRUCTIONS["half" if element_size(dtype) == 2 else "float32"]
    return counts[loop] * layer.batch * layer.positions * layer.column_size


def sizes(layer: Layer, dtype: str) -> tuple[float, float, float, float]:
    """Bytes of the batch's columns, input, output, and offsets with masks."""
    size = element_size(dtype)
    rows = layer.batch * layer.positions
    return (
        float(rows * layer.column_size * size),
        float(rows * layer.channels * size),
        float(rows * layer.out_channels * size),
        float(rows * 3 * layer.taps * size),
    )


def dcnbuild_forward(layer: Layer, gpu: Gpu, dtype: str) -> list[Step]:
    columns, image, output, offsets = sizes(layer, dtype)
    count = chunks(layer, dtype)
    between = through(columns, columns / count < gpu.l2_size / 2)
    flops = layer.gemm_flops(layer.batch)
    work = instructions(layer, dtype, "gather")
    # four corners of each sample, of which L1 serves those that neighbours share: half
    corners = {"dram": offsets, "l2": 2 * columns}
    return [
        Step("layout of the input", dram=2 * image, launches=layer.batch),
        Step("bias into the output", dram=output),
        Step("gather", **added(corners, between), instructions=work, launches=count),
        Step("GEMM", **added({"dram": 2 * output}, between), flops=flops, launches=count),
    ]


def dcnbuild_backward(layer: Layer, gpu: Gpu, dtype: str, deterministic: bool) -> list[Step]:
    columns, image, output, offsets = sizes(layer, dtype)
    size = element_size(dtype)
    count = chunks(layer, dtype)
    in_l2 = 2 * columns / count < gpu.l2_size / 2
    between = through(columns, in_l2)
    flops = layer.gemm_flops(layer.batch)
    work = instructions(layer, dtype, "gradients")
    corners = {"dram": 2 * offsets, "l2": 2 * columns}
    additions = 0 if deterministic else 4 * columns * 4 / size  # in float32
    steps = [
        Step("layout of the input", dram=2 * image, launches=layer.batch),
        Step(
            "GEMM: column gradients",
            **added({"dram": output}, between),
            flops=flops,
            launches=count,
        ),
        Step(
            "gradients",
            **added(corners, through(2 * columns, in_l2)),
            atomics=additions,
            instructions=work,
            launches=count,
        ),
        Step("GEMM: weight", **added({"dram": output}, between), flops=flops, launches=count),
        Step(
            "grad_input: cleared, and its layout",
            dram=image * (2 * 4 / size + 1),
            launches=2 * layer.batch,
        ),
    ]
    if not deterministic:
        return steps
    entries = 4.0 * layer.batch * layer.positions * layer.taps
    return [
        *steps,
        Step("keys, sorted", l2=entries * SORT_BYTES, launches=(1 + SORT_LAUNCHES) * count),
        Step(
            "sums in order",
            l2=4 * columns + 2 * image * 4 / size,
            instructions=instructions(layer, dtype, "ordered sum"),
            launches=2 * count,
        ),
    ]


def im2col(layer: Layer, dtype: str, between: dict[str, float], count: int) -> Step:
    """One thread for each channel: offsets and masks are read once a channel, from L2."""
    columns, _, _, offsets = sizes(layer, dtype)
    corners = {"l2": 4 * columns + offsets * layer.channels}
    work = instructions(layer, dtype, "im2col")
    return Step("im2col", **added(corners, between), instructions=work, launches=count)


def im2col_forward(layer: Layer, gpu: Gpu, dtype: str) -> list[Step]:
    columns, _, output, _ = sizes(layer, dtype)
    images = largest_divisor(layer.batch, 32)
    between = through(columns, columns * images / layer.batch < gpu.l2_size / 2)
    count = layer.batch // images
    return [
        im2col(layer, dtype, between, count),
        Step("GEMM", **between, flops=layer.gemm_flops(layer.batch), launches=count),
        Step("output and its layout", dram=4 * output, launches=2),
    ]


def im2col_backward(layer: Layer, gpu: Gpu, dtype: str) -> list[Step]:
    columns, image, output, offsets = sizes(layer, dtype)
    images = largest_divisor(layer.batch, 32)
    in_l2 = columns * images / layer.batch < gpu.l2_size / 2
    between = through(columns, in_l2)
    count = layer.batch // images
    flops = layer.gemm_flops(layer.batch)
    return [
        Step("GEMM: column gradients", **between, flops=flops, launches=count),
        Step(  # one thread for each offset: twice the columns, and the image for each
            "offset gradients",
            **added({"l2": 8 * columns}, through(2 * columns, in_l2)),
            instructions=instructions(layer, dtype, "offset gradients"),
            launches=count,
        ),
        Step(
            "col2im",
            **added({"l2": offsets * layer.channels}, between),
            atomics=4 * columns,
            atomic_share=HALF_ATOMIC_SHARE if element_size(dtype) == 2 else ATOMIC_SHARE / 2,
            instructions=instructions(layer, dtype, "col2im"),
            launches=count,
        ),
        im2col(layer, dtype, between, count),
        Step("GEMM: weight", **between, flops=flops, launches=count),
        Step("layouts and sums", dram=2 * image + 4 * output, launches=6),
    ]


def largest_divisor(number: int, limit: int) -> int:
    return max(n for n in range(1, limit + 1) if number % n == 0)


def total(steps: Sequence[Step], gpu: Gpu, dtype: str) -> float:
    return sum(step.seconds(gpu, dtype) for step in steps)


def estimate(layer: Layer, gpu: Gpu, dtype: str) -> dict[str, float]:
    """Returns seconds of each pass under each plan."""
    return {
        "dcnbuild forward": total(dcnbuild_forward(layer, gpu, dtype), gpu, dtype),
        "dcnbuild backward": total(dcnbuild_backward(layer, gpu, dtype, False), gpu, dtype),
        "dcnbuild backward, deterministic": total(
            dcnbuild_backward(layer, gpu, dtype, True), gpu, dtype
        ),
        "im2col forward": total(im2col_forward(layer, gpu, dtype), gpu, dtype),
        "im2col backward": total(im2col_backward(layer, gpu, dtype), gpu, dtype),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Estimated, not measured: time of one layer on named GPUs."
    )
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    layer = Layer(8, 256, 64, 64, 256)
    print(f"ESTIMATE, not a measurement: {layer}, milliseconds\n")
    print(
        "| GPU | dtype | forward | backward | deterministic backward | im2col forward | backward | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for gpu in GPUS:
        for dtype in ("float32", "tf32", "half"):
            times = estimate(layer, gpu, dtype)
            ours = times["dcnbuild forward"] + times["dcnbuild backward"]
            ratio = (times["im2col forward"] + times["im2col backward"]) / ours
            cells = " | ".join(f"{1e3 * seconds:.2f}" for seconds in times.values())
            print(f"| {gpu.name} | {dtype} | {cells} | {ratio:.1f} |")
            rows.append({"gpu": gpu.name, "dtype": dtype, "ratio": ratio, **times})
    if arguments.json:
        text = json.dumps({"estimate": True, "layer": asdict(layer), "rows": rows}, indent=2)
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
