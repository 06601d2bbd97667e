"""Times deform_conv2d on a GPU, beside torchvision's, mmcv's if installed, and an ordinary convolution.

    python benchmarks/gpu.py [--json FILE] [--batch 1 8 64] [--column-bytes 8388608 16777216]

One 3x3 layer of 256 to 256 channels on 64x64, with masks. Times are medians over CUDA events, after a warm-up; memory is the
most that torch's allocator held beyond the inputs. Exits with 3 where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import dcnbuild

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
CHANNELS, SIZE = 256, 64
NO_GPU = 3


def operators() -> dict[str, Callable[..., Tensor]]:
    """What is installed, by name; all are called with input, offset, mask and weight."""
    found: dict[str, Callable[..., Tensor]] = {
        "dcnbuild": lambda x, o, m, w: dcnbuild.deform_conv2d(x, o, w, padding=1, mask=m),
        "conv2d": lambda x, o, m, w: F.conv2d(x, w, padding=1),
    }
    try:
        from torchvision.ops import deform_conv2d
    except ImportError as error:
        print(f"without torchvision: {error}", file=sys.stderr)
    else:
        found["torchvision"] = lambda x, o, m, w: deform_conv2d(x, o, w, padding=1, mask=m)
    try:
        from mmcv.ops import modulated_deform_conv2d
    except ImportError as error:
        print(f"without mmcv: {error}", file=sys.stderr)
    else:
        found["mmcv"] = lambda x, o, m, w: modulated_deform_conv2d(x, o, m, w, None, 1, 1, 1, 1, 1)
    return found


def milliseconds(work: Callable[[], object], repeats: int = 30) -> float:
    """The median time of one call on the current stream."""
    for _ in range(5):
        work()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def peak_bytes(work: Callable[[], object]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def measure(function: Callable[..., Tensor], batch: int, dtype: str) -> dict[str, float]:
    """Times of a forward pass and of forward and backward together, and the peak of memory."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == "tf32"
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    options: dict[str, Any] = {"device": "cuda", "dtype": DTYPES[dtype]}
    x = torch.randn(batch, CHANNELS, SIZE, SIZE, **options, requires_grad=True)
    offset = torch.randn(batch, 18, SIZE, SIZE, **options, requires_grad=True)
    mask = torch.rand(batch, 9, SIZE, SIZE, **options, requires_grad=True)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, **options, requires_grad=True)
    upstream = torch.randn(batch, CHANNELS, SIZE, SIZE, **options)
    leaves = [x, offset, mask, weight]

    def forward() -> Tensor:
        with torch.no_grad():
            return function(*leaves)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(*leaves), leaves, upstream, allow_unused=True)

    return {
        "forward_ms": milliseconds(forward),
        "both_ms": milliseconds(both),
        "forward_mib": peak_bytes(forward) / 2**20,
        "both_mib": peak_bytes(both) / 2**20,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Times deform_conv2d on a GPU.")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--column-bytes", nargs="+", help="sizes of a chunk's columns to try")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print(
            f"no GPU: torch {torch.__version__} finds none, so nothing was measured",
            file=sys.stderr,
        )
        return NO_GPU
    found = operators()
    if arguments.column_bytes:
        for size in arguments.column_bytes:
            found[f"dcnbuild, chunks of {size}"] = found["dcnbuild"]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print(
        "| batch | dtype | operator | forward ms | forward+backward ms | forward MiB | both MiB |"
    )
    print("|---|---|---|---|---|---|---|")
    rows = []
    for batch in arguments.batch:
        for dtype in DTYPES:
            for name, function in found.items():
                chunk = name.partition(", chunks of ")[2]
                if chunk:
                    os.environ["DCNBUILD_COLUMN_BYTES"] = chunk
                else:
                    os.environ.pop("DCNBUILD_COLUMN_BYTES", None)
                try:
                    figures = measure(function, batch, dtype)
                except (RuntimeError, NotImplementedError) as error:
                    print(f"| {batch} | {dtype} | {name} | {str(error).splitlines()[0]} | | | |")
                    continue
                cells = " | ".join(f"{value:.2f}" for value in figures.values())
                print(f"| {batch} | {dtype} | {name} | {cells} |", flush=True)
                rows.append({"batch": batch, "dtype": dtype, "operator": name, **figures})
    if arguments.json:
        report = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
