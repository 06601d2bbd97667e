"""What gpu_model.py assumes of GPUs, and the time of one kernel on them. Nothing here was measured on a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
#: Instructions for each element of the columns: those of the inner loop, counted in the machine code for sm_90 that
#: nvcc
#: 13.0 makes of csrc/deform_conv2d/cuda (over the channels of a vector), and in that of
#: torchvision 0.29.1's wheel for CUDA 13.0.
INSTRUCTIONS = {
    "float32": {"gather": 123 / 4, "gradients": (161 + 137) / 4, "ordered sum": 4 * 161 / 4}
    | {"im2col": 65, "col2im": 539, "offset gradients": 2 * 255},
    "half": {"gather": 224 / 8, "gradients": (292 + 2 * 130) / 8, "ordered sum": 4 * 195 / 8}
    | {"im2col": 114, "col2im": 693, "offset gradients": 2 * 377},
}
#: Seconds of the host for a forward and for a backward call, and for each kernel or GEMM that they start. Assumptions,
#: of the order that benchmarks/host_cost.py measures on a CPU; the fused route makes its launches in Python.
HOST_S = {"dcnbuild": (42e-6, 180e-6), "im2col": (38e-6, 142e-6), "fused": (70e-6, 260e-6)}
HOST_LAUNCH_S = 5e-6
#: Rows and columns of a GEMM's tile in cuBLAS; an assumption.
TILE = (128, 128)
#: (How many parts a tile may be cut into where too few keep the GPU busy, the speed of such tiles); an assumption.
CUTS = ((1, 1.0), (4, 0.6))


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
    processors: int

    @property
    def instructions(self) -> float:
        """Of single threads, per second: a multiplication and addition of float32 is one."""
        return self.float32 / 2

    def rate(self, dtype: str) -> float:
        return {"float32": self.float32, "tf32": self.tf32}.get(dtype, self.half)


#: DRAM and FLOP/s from NVIDIA's data sheets of each; the bandwidth of L2 is an assumption (5,120 bytes a clock on A100
#: by its whitepaper, the others scaled by clock).
GPUS = (
    Gpu("A100 SXM 80 GB", 2.04e12, 40e6, 5.0e12, 19.5e12, 156e12, 312e12, 108),
    Gpu("H100 SXM", 3.35e12, 50e6, 7.0e12, 67e12, 494e12, 989e12, 132),
    Gpu("H200 SXM", 4.8e12, 50e6, 7.0e12, 67e12, 494e12, 989e12, 132),
    Gpu("RTX 4090", 1.01e12, 72e6, 5.0e12, 82.6e12, 82.6e12, 165e12, 128),
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
    """One kernel or GEMM, or several of a kind: bytes by where they come from, what is computed, launches, and tiles.

    `tiles` are those of one launch, which multiprocessors take in whole waves; 0 for a kernel of many small blocks.
    """

    name: str
    dram: float = 0
    l2: float = 0
    atomics: float = 0  # bytes
    atomic_share: float = ATOMIC_SHARE
    flops: float = 0
    instructions: float = 0
    launches: int = 1
    tiles: int = 0

    def quantized(self, gpu: Gpu) -> float:
        """How much longer the tiles take than if every multiprocessor were busy all the time."""
        if not self.tiles:
            return 1.0
        return min(
            math.ceil(parts * self.tiles / gpu.processors) * gpu.processors / (parts * self.tiles * speed)
            for parts, speed in CUTS
        )

    def seconds(self, gpu: Gpu, dtype: str) -> float:
        attained = ATTAINED if dtype == "float32" else ATTAINED_TENSOR
        waves = self.quantized(gpu)
        return self.launches * LAUNCH_S + max(
            self.dram / (gpu.dram * ATTAINED),
            (self.l2 + self.dram) / (gpu.l2 * ATTAINED) + self.atomics / (gpu.l2 * self.atomic_share),
            waves * self.flops / (gpu.rate(dtype) * attained),
            waves * self.instructions * EXECUTED / (gpu.instructions * ATTAINED),
        )
