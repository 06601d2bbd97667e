"""Times deform_conv2d on a GPU beside torchvision's and mmcv's if installed, an ordinary convolution and a bare GEMM.

    python benchmarks/gpu.py [--cases layer A B C D E] [--dtypes float32 tf32 float16 bfloat16] [--json FILE]

Every figure is a line of JSON as soon as it is known, so that a run that ends early has lost nothing. A function is
compared with the reference in float64 before it is timed: `error` is the largest difference of each result, as a share
of the largest value. `*_ms` are medians over CUDA events, `*_graph_ms` those of a CUDA graph that is replayed,
`*_host_us` what the host takes to issue a call, `*_mib` the most that torch's allocator held beside the inputs.

DCNBUILD_FUSED=on also times the fused route, and keeps it from the other functions.

`--device cpu --small` rehearses all this without a GPU; its figures mean nothing. Exits with 3 where there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from _cpu_cases import CASES as CPU_CASES
from _cpu_cases import FUNCTIONS, PASSES, Case, Function, Operands, Work
from torch import Tensor

import dcnbuild
from dcnbuild.builder import native

DTYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
#: The layer of docs/performance-cuda.md, and the CPU page's cases.
CASES = {"layer": Case("layer", 8, 256, 64, 64, 256), **CPU_CASES}
ORDERED = "dcnbuild, deterministic"
#: Beside the others where DCNBUILD_FUSED=on.
FUSED = "dcnbuild, fused"
NO_GPU = 3


def small(case: Case) -> Case:
    """The same case in a size for rehearsals."""
    return case.but(batch=min(case.batch, 2), channels=16, height=12, width=10, out_channels=8)


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Switches to deterministic algorithms, without filling new memory with NaN, which would be timed too."""
    torch.use_deterministic_algorithms(wanted)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


class Clock:
    """Measures how long work takes on one device."""

    def __init__(self, device: str, repeats: int) -> None:
        self.cuda = device == "cuda"
        self.repeats = repeats

    def wait(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def milliseconds(self, work: Work) -> float:
        """Returns the median time of one call on the current stream, after a warm-up."""
        for _ in range(3):
            work()
        self.wait()
        times = []
        for _ in range(self.repeats):
            if not self.cuda:
                start = time.perf_counter()
                work()
                times.append(1e3 * (time.perf_counter() - start))
                continue
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        return statistics.median(times)

    def host_microseconds(self, work: Work) -> float:
        """Returns the least time that issuing a call takes, without waiting for it."""
        times = []
        for _ in range(self.repeats):
            self.wait()
            start = time.perf_counter()
            work()
            times.append(1e6 * (time.perf_counter() - start))
        self.wait()
        return min(times)

    def graph_milliseconds(self, work: Work) -> float:
        """Returns the time of one replay of a CUDA graph of the call."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return self.milliseconds(graph.replay)

    def peak_mib(self, work: Work) -> float:
        self.wait()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated() - before) / 2**20


def functions() -> dict[str, Function]:
    ours = FUNCTIONS["dcnbuild"]
    fused = {FUSED: ours} if os.environ.get("DCNBUILD_FUSED") == "on" else {}
    return {**FUNCTIONS, ORDERED: ours, **fused}


def reference(o: Operands) -> Tensor:
    output: Tensor = dcnbuild.reference.deform_conv2d(
        o.input, o.offset, o.weight, o.bias, o.case.stride, 1, mask=o.mask
    )
    return output


def results(function: Function, operands: Operands) -> list[Tensor]:
    output = function(operands)
    grads = torch.autograd.grad(output, operands.leaves, operands.upstream)
    return [output.detach(), *grads]


def errors(actual: Sequence[Tensor], exact: Sequence[Tensor]) -> dict[str, float]:
    names = ("output", "input", "weight", "bias", "offset", "mask")
    return {
        name: float((a.double() - e).abs().max() / e.abs().max().clamp(min=1e-30))
        for name, a, e in zip(names, actual, exact)
    }


def figures(function: Function, operands: Operands, clock: Clock) -> dict[str, Any]:
    """Measures a function; if one measurement raises, the error is its value."""
    found: dict[str, Any] = {}
    works = {which: make(function, operands) for which, make in PASSES.items()}
    ways: dict[str, Callable[[Work], float]] = {"ms": clock.milliseconds}
    if clock.cuda:
        # graphs last: a capture that fails may spoil a stream
        ways |= {"host_us": clock.host_microseconds, "mib": clock.peak_mib, "graph_ms": clock.graph_milliseconds}
    for unit, way in ways.items():
        for which, work in works.items():
            try:
                found[f"{which}_{unit}"] = way(work)
            except RuntimeError as error:
                found[f"{which}_{unit}"] = str(error).splitlines()[0]
    return found


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures case by case and dtype by dtype: first the errors of each function, then its times."""
    clock = Clock(arguments.device, arguments.repeats)
    torch.backends.cudnn.benchmark = True
    compared = functions()
    native.ensure(arguments.device)  # which reads DCNBUILD_FUSED, before the next lines change it
    for name in arguments.cases:
        for dtype in arguments.dtypes:
            allowed = dtype == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
            case = small(CASES[name]) if arguments.small else CASES[name]
            operands = Operands(case.but(dtype=DTYPES[dtype]), arguments.device)
            exact = results(reference, operands.double()) if arguments.check else None
            at = {"case": name, "dtype": dtype}
            work = forward_gemm(operands)
            yield {**at, "function": "gemm", "forward_ms": clock.milliseconds(work)}
            for label, function in compared.items():
                os.environ["DCNBUILD_FUSED"] = "on" if label == FUSED else "off"
                for size in arguments.column_bytes if label == "dcnbuild" else [None]:
                    row: dict[str, Any] = {**at, "function": label}
                    if size:
                        os.environ["DCNBUILD_COLUMN_BYTES"] = row["column_bytes"] = size
                    else:
                        os.environ.pop("DCNBUILD_COLUMN_BYTES", None)
                    try:
                        with deterministic(label == ORDERED):
                            if exact is not None and label != "conv2d":
                                row["error"] = errors(results(function, operands), exact)
                            row |= figures(function, operands, clock)
                    except (RuntimeError, NotImplementedError) as error:
                        row["failed"] = str(error).splitlines()[0]
                    yield row


def forward_gemm(operands: Operands) -> Work:
    """The one matrix product that the convolution cannot do without, on columns that are there already."""
    taps = operands.weight[0].numel()
    columns = operands.input.detach().new_ones(operands.case.positions, taps)
    weight = operands.weight.detach().reshape(-1, taps).t()
    return lambda: columns @ weight


def main(argv: Sequence[str] | None = None) -> int:
    # torch looks at the first matrix product; without it, deterministic mode refuses cuBLAS
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    parser = argparse.ArgumentParser(description="Times deform_conv2d on a GPU.")
    parser.add_argument("--json", type=Path, help="append the lines to this file too")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["layer"])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--small", action="store_true", help="small sizes, for a rehearsal")
    parser.add_argument("--no-check", dest="check", action="store_false", help="only time")
    parser.add_argument("--column-bytes", nargs="+", default=[None], help="sizes of a chunk's columns to try")
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"no GPU: torch {torch.__version__} finds none", file=sys.stderr)
        return NO_GPU
    failed = False
    for row in rows(arguments):
        failed |= "failed" in row and row["function"].startswith("dcnbuild")
        line = json.dumps(row)
        print(line, flush=True)
        if arguments.json:
            with arguments.json.open("a") as file:
                file.write(line + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
