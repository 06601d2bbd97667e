"""The kernels and GEMMs of each plan that gpu_model.py compares, with their bytes and operations."""

from __future__ import annotations

import math

from _gpu_machine import ATOMIC_SHARE, HALF_ATOMIC_SHARE, INSTRUCTIONS, TILE, Gpu, Layer, Step

#: kColumnBytes and kMostColumnBytes of csrc/common/cuda/blocks.h.
COLUMN_BYTES, MOST_COLUMN_BYTES = 16 << 20, 48 << 20
#: kNarrowCells of csrc/common/cuda/sorted_scatter.cuh: so many pixels have keys of 2 bytes, which take a radix sort two
#: passes; 4 bytes take four.
NARROW_CELLS = 0xFFFF
#: Kernels of one sort.
SORT_LAUNCHES = 10


def element_size(dtype: str) -> int:
    return 4 if dtype in ("float32", "tf32") else 2


def column_bytes(layer: Layer, dtype: str, processors: int) -> int:
    """Bytes of a chunk's columns: enough to give each multiprocessor a tile (chunk_bytes of plan.h)."""
    rows = math.ceil(processors / math.ceil(layer.out_channels / TILE[1])) * TILE[0]
    wanted = rows * layer.column_size * element_size(dtype)
    return min(max(wanted, COLUMN_BYTES), MOST_COLUMN_BYTES)


def chunks(layer: Layer, dtype: str, processors: int = 0) -> int:
    """Chunks of a batch; those of small images hold several (plan_chunks)."""
    size = column_bytes(layer, dtype, processors)
    fitting = max(1, size // (layer.column_size * element_size(dtype)))
    if fitting >= layer.positions:
        image = layer.channels * layer.positions * 4  # its gradient, in float32
        images = max(1, min(fitting // layer.positions, size // 4 // image, layer.batch))
        return math.ceil(layer.batch / images)
    return layer.batch * math.ceil(layer.positions / fitting)


def sort_bytes(layer: Layer, count: int) -> int:
    """Bytes that the deterministic route moves for each of its entries: key and 64-bit index, in every pass."""
    key = 2 if math.ceil(layer.batch / count) * layer.positions <= NARROW_CELLS else 4
    return key * 2 * (key + 8)


def tiles(rows: float, columns: float, tile: tuple[int, int] = TILE) -> int:
    """Tiles of a product of so many rows and columns."""
    return math.ceil(rows / tile[0]) * math.ceil(columns / tile[1])


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
    count = chunks(layer, dtype, gpu.processors)
    between = through(columns, columns / count < gpu.l2_size / 2)
    flops = layer.gemm_flops(layer.batch)
    work = instructions(layer, dtype, "gather")
    rows = layer.batch * layer.positions
    # four corners of each sample, of which L1 serves those that neighbours share: half
    corners = {"dram": offsets, "l2": 2 * columns}
    return [
        Step("layout of the input", dram=2 * image, launches=layer.batch),
        Step("bias into the output", dram=output),
        Step("gather", **added(corners, between), instructions=work, launches=count),
        Step(
            "GEMM",
            **added({"dram": 2 * output}, between),
            flops=flops,
            launches=count,
            tiles=tiles(rows / count, layer.out_channels),
        ),
    ]


def dcnbuild_backward(layer: Layer, gpu: Gpu, dtype: str, deterministic: bool) -> list[Step]:
    columns, image, output, offsets = sizes(layer, dtype)
    size = element_size(dtype)
    count = chunks(layer, dtype, gpu.processors)
    in_l2 = 2 * columns / count < gpu.l2_size / 2
    between = through(columns, in_l2)
    flops = layer.gemm_flops(layer.batch)
    work = instructions(layer, dtype, "gradients")
    rows = layer.batch * layer.positions
    corners = {"dram": 2 * offsets, "l2": 2 * columns}
    additions = 0 if deterministic else 4 * columns * 4 / size  # in float32
    steps = [
        Step("layout of the input", dram=2 * image, launches=layer.batch),
        Step(
            "GEMM: column gradients",
            **added({"dram": output}, between),
            flops=flops,
            launches=count,
            tiles=tiles(rows / count, layer.column_size),
        ),
        Step(
            "gradients",
            **added(corners, through(2 * columns, in_l2)),
            atomics=additions,
            instructions=work,
            launches=count,
        ),
        Step(
            "GEMM: weight",
            **added({"dram": output}, between),
            flops=flops,
            launches=count,
            tiles=tiles(layer.column_size, layer.out_channels),
        ),
        Step(
            "grad_input: cleared, and its layout",
            dram=image * (2 * 4 / size + 1),
            launches=2 * layer.batch,
        ),
    ]
    if size == 2:  # a chunk's weight gradient is float32, and added to the others
        sums = (count - 1) * 3 * 4 * layer.column_size * layer.out_channels
        steps.append(Step("weight gradients of chunks, added", l2=sums, launches=count - 1))
    if not deterministic:
        return steps
    entries = 4.0 * layer.batch * layer.positions * layer.taps
    return [
        *steps,
        Step("keys, sorted", l2=entries * sort_bytes(layer, count), launches=(1 + SORT_LAUNCHES) * count),
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
        Step(
            "GEMM",
            **between,
            flops=layer.gemm_flops(layer.batch),
            launches=count,
            tiles=tiles(images * layer.positions, layer.out_channels),
        ),
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
        Step(
            "GEMM: column gradients",
            **between,
            flops=flops,
            launches=count,
            tiles=tiles(images * layer.positions, layer.column_size),
        ),
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
        Step(
            "GEMM: weight",
            **between,
            flops=flops,
            launches=count,
            tiles=tiles(layer.column_size, layer.out_channels),
        ),
        Step("layouts and sums", dram=2 * image + 4 * output, launches=6),
    ]


def largest_divisor(number: int, limit: int) -> int:
    return max(n for n in range(1, limit + 1) if number % n == 0)


def fused_tile(kernel: str, dtype: str) -> tuple[int, int]:
    """Rows and columns of the tile that dcnbuild/ops/fused/configs.py takes first, for a large product."""
    half = element_size(dtype) == 2
    return {"forward": (64, 128 if half else 64), "samples": (64, 64 if half else 32)}.get(
        kernel, (64, 128 if half else 64)
    )


def fused_flops(layer: Layer, dtype: str) -> float:
    """Float32 is three products of TF32, and counted in TF32's."""
    return layer.gemm_flops(layer.batch) * (3 if dtype == "float32" else 1)


def fused_forward(layer: Layer, gpu: Gpu, dtype: str) -> list[Step]:
    """One kernel: each tile gathers its samples anew, and reads its part of the weight."""
    columns, image, output, offsets = sizes(layer, dtype)
    tile = fused_tile("forward", dtype)
    count = tiles(layer.batch * layer.positions, layer.out_channels, tile)
    again = math.ceil(layer.out_channels / tile[1])
    weights = count * layer.column_size * tile[1] * element_size(dtype)
    return [
        Step("layout of the input", dram=2 * image),
        Step(
            "fused forward",
            dram=offsets + output,
            l2=2 * columns * again + weights,
            flops=fused_flops(layer, dtype),
            instructions=again * instructions(layer, dtype, "gather"),
            tiles=count,
        ),
    ]


def fused_backward(layer: Layer, gpu: Gpu, dtype: str) -> list[Step]:
    """Two kernels: of the samples, and of the weight, whose rows are split until every multiprocessor has four
    tiles.
    """
    columns, image, output, offsets = sizes(layer, dtype)
    size = element_size(dtype)
    rows = layer.batch * layer.positions
    tile = fused_tile("samples", dtype)
    count = math.ceil(rows / tile[0]) * layer.taps
    weight = layer.column_size * layer.out_channels
    inputs, outputs = fused_tile("weight", dtype)
    blocks = tiles(layer.channels, layer.out_channels, (inputs, outputs)) * layer.taps
    splits = math.ceil(4 * gpu.processors / blocks)
    again = math.ceil(layer.out_channels / outputs)
    return [
        Step("layout of the input", dram=2 * image, launches=2),
        Step(
            "fused gradients of samples",
            dram=2 * offsets + output,
            l2=2 * columns
            + output * layer.taps * math.ceil(layer.channels / tile[1])
            + count * layer.channels * layer.out_channels * size,
            atomics=4 * columns * 4 / size,
            flops=fused_flops(layer, dtype),
            instructions=instructions(layer, dtype, "gradients"),
            tiles=count,
        ),
        Step(
            "fused gradient of the weight",
            dram=offsets + output,
            l2=2 * columns * again + output * layer.taps * math.ceil(layer.channels / inputs),
            flops=fused_flops(layer, dtype),
            instructions=again * instructions(layer, dtype, "gather"),
            tiles=blocks * splits,
        ),
        Step("sums of splits", l2=4 * weight * (splits + 1), launches=2),
        Step("grad_input: cleared, and its layout", dram=image * (2 * 4 / size + 1), launches=2),
    ]
