"""Times the operator on the CPU beside torchvision's, F.conv2d of the same shape, and mmcv's, OpenVINO's and
ONNX Runtime's if installed, as docs/performance.md has it.

    python benchmarks/cpu.py [--parts goals peers types memory scaling roofline] [--plot FILE.svg] [--json FILE]

Milliseconds of the fastest of several calls, made in turn. Every ratio is of two times of one run: "×" says how many
times as long the other takes. Goals are for two threads unless they say otherwise; a missed one is printed as missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import _cpu_memory
import _cpu_scaling
import torch
import torchvision
from _cpu_cases import CASES, FUNCTIONS, PASSES, Operands, best_times, forward, measure
from _cpu_peers import PEERS, prepared
from torch.nn import functional

import dcnbuild
from dcnbuild.builder import native

EVERYONE = list(FUNCTIONS)
Figures = dict[str, float]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table in Markdown, padded so that it reads well in a terminal too."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    print(flush=True)


def goal(text: str, measured: float, bound: float, at_least: bool = True) -> list[str]:
    held = measured >= bound if at_least else measured <= bound
    sign = "≥" if at_least else "≤"
    return [text, f"{sign} {bound:g}", f"{measured:.2f}", "holds" if held else "missed"]


def goals(threads: int) -> Figures:
    """Times all cases and all functions, and compares them with the goals."""
    times: dict[tuple[str, str, int], Figures] = {}
    rows = []
    for case in CASES.values():
        for which in PASSES:
            for count in {threads, 1} if case.name == "B" else {threads}:
                at = times[case.name, which, count] = measure(case, which, EVERYONE, count)
                ratios = [f"{at[name] / at['dcnbuild']:.2f}×" for name in EVERYONE[1:]]
                rows.append(
                    [
                        f"{case.name}: {case}",
                        *(which, str(count)),
                        *(f"{at[name]:.2f}" for name in EVERYONE),
                        *ratios,
                    ]
                )
    table(["case", "pass", "threads", *EVERYONE, *EVERYONE[1:]], rows)

    def against(peer: str, name: str, which: str = "forward", count: int = threads) -> float:
        at = times[name, which, count]
        return at[peer] / at["dcnbuild"]

    both = "forward+backward"
    checks = [
        *(
            goal(f"{name} forward, torchvision / ours", against("torchvision", name), bound)
            for name, bound in (("A", 10), ("B", 15), ("C", 8), ("D", 15), ("F", 1))
        ),
        *(
            goal(f"{name} forward, ours / conv2d", 1 / against("conv2d", name), 2, at_least=False)
            for name in ("B", "C")
        ),
        *(
            goal(f"{name} {both}, torchvision / ours", against("torchvision", name, both), bound)
            for name, bound in (("B", 20), ("D", 20), ("F", 1))
        ),
        goal(f"B {both}, ours / conv2d", 1 / against("conv2d", "B", both), 4, at_least=False),
    ]
    for which in PASSES:
        alone = times["B", which, 1]["dcnbuild"]
        ratio = against("torchvision", "B", which, 1)
        checks.append(goal(f"B {which}, one thread, torchvision / ours", ratio, 8))
        if threads == 2:
            ratio = alone / times["B", which, 2]["dcnbuild"]
            checks.append(goal(f"B {which}, one thread / two threads", ratio, 1.7))
    table(["goal", "wanted", "measured", ""], checks)
    return {
        f"{name} {which}, {count} threads, {function}, ms": value
        for (name, which, count), at in times.items()
        for function, value in at.items()
    }


def peers(threads: int) -> Figures:
    """Times the forward passes beside the programs that run exported models, and torchvision, on one thread and on
    all.
    """
    names = [*PEERS, "torchvision"]
    figures, rows, checks = {}, [], []
    for case in CASES.values():
        for count in sorted({1, threads}):
            torch.set_num_threads(count)
            operands = Operands(case)
            works = {name: forward(FUNCTIONS[name], operands) for name in ("dcnbuild", "torchvision")}
            at = best_times(works | {name: prepared(name, operands, count) for name in PEERS}, pause=0.1)
            figures |= {f"{case.name} forward, {count} threads, {name}, ms": value for name, value in at.items()}
            ratios = {name: at[name] / at["dcnbuild"] for name in names}
            rows.append([f"{case.name}: {case}", str(count), f"{at['dcnbuild']:.2f}"])
            rows[-1] += [f"{at[name]:.2f}" for name in names] + [f"{ratio:.2f}×" for ratio in ratios.values()]
            if case.name == "F":
                continue
            for name, ratio in ratios.items():
                least = 2.5 if (case.name, name) == ("D", "openvino") else 1
                checks.append(goal(f"{case.name} forward, {count} thr., {name} / ours", ratio, least))
    torch.set_num_threads(threads)
    table(["case", "threads", "dcnbuild", *names, *names], rows)
    table(["goal", "wanted", "measured", ""], checks)
    return figures


#: By the level's way with bfloat16: the speed relative to float32 NCHW that is asked of each pass.
BFLOAT16_GOALS = {
    "amx_fp16": {"forward": 2.9, "forward+backward": 2},
    "amx": {"forward": 2.9, "forward+backward": 2},
    "avx512bf16": {"forward": 1.6, "forward+backward": 1.4},
}
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def types(threads: int) -> Figures:
    """Times every dtype and memory layout on one thread and on all, beside conv2d; float32 NCHW first."""
    figures, halves = {}, []
    counts = sorted({1, threads})
    columns = [f"{name}, {n} thr." for n in counts for name in ("ours", "conv2d", "float32 / this")]
    for case in CASES.values():
        rows = []
        for which in PASSES:
            base = {}
            for dtype in DTYPES:
                for channels_last in (False, True):
                    # torch has no fast float16 convolution on the CPU: it takes seconds
                    names = ["dcnbuild", *(["conv2d"] if dtype != torch.float16 else [])]
                    cells = []
                    for count in counts:
                        variant = case.but(dtype=dtype, channels_last=channels_last)
                        at = measure(variant, which, names, count, 0.1, least=2)
                        base.setdefault(count, at["dcnbuild"])
                        speed = base[count] / at["dcnbuild"]
                        cells += [
                            f"{at['dcnbuild']:.2f}",
                            f"{at['conv2d']:.2f}" if "conv2d" in at else "",
                            f"{speed:.2f}",
                        ]
                    layout = "channels_last" if channels_last else "NCHW"
                    key = f"{case.name} {which}, {str(dtype).removeprefix('torch.')}, {layout}"
                    figures[f"{key}, {threads} threads, ms"] = at["dcnbuild"]
                    rows.append([*key.split(", "), *cells])
                    if case.name != "B" or dtype.itemsize != 2:
                        continue
                    asked = BFLOAT16_GOALS.get(native.cpu_level() or "", {}) if dtype == torch.bfloat16 else {}
                    text = f"{key}, speed / float32 NCHW"
                    halves.append(goal(text, speed, asked.get(which, 0.9)))
                    if which == "forward" and native.cpu_level() in ("amx", "amx_fp16") and "conv2d" in at:
                        ratio = at["dcnbuild"] / at["conv2d"]
                        halves.append(goal(f"{key}, ours / conv2d", ratio, 3, at_least=False))
        table(["case and pass", "dtype", "layout", *columns], rows)
    table(["goal", "wanted", "measured", ""], halves)
    return figures


def memory(threads: int) -> Figures:
    """Measures the memory of a training step beyond its outputs and gradients."""
    figures, rows = {}, []
    for name, expanded in (("dcnbuild", False), ("dcnbuild", True), ("torchvision", False)):
        at = _cpu_memory.measure_apart(name, expanded)
        extra = at["peak"] - at["results"]
        text = f"{name}, upstream gradient {'expanded' if expanded else 'dense'}"
        figures[f"{text}, extra MB"] = extra
        verdict = goal("", extra, 48, at_least=False)[-1] if name == "dcnbuild" else ""
        rows.append([text, f"{at['peak']:.0f}", f"{at['results']:.0f}", f"{extra:.1f}", verdict])
    print(f"training step at {_cpu_memory.CASE}, float32 NCHW, MB; goal: at most 48 extra")
    table(["function", "peak", "output and gradients", "extra", ""], rows)
    return figures


def roofline(threads: int) -> Figures:
    """Compares the forward passes with this machine's limits, which it measures too."""
    side, megabyte = 1536, 1 << 18
    a, b = torch.randn(side, side), torch.randn(side, side)
    x, w = torch.randn(1, 256, 64, 64), torch.randn(256, 256, 3, 3)
    big = torch.randn(256 * megabyte)
    copy = torch.empty_like(big)
    limits = best_times(
        {
            "mm": lambda: a @ b,
            "conv2d": lambda: functional.conv2d(x, w, padding=1),
            "copy": lambda: copy.copy_(big),
        }
    )
    flops = max(2 * side**3 / limits["mm"], 2 * 64 * 64 * 9 * 256 * 256 / limits["conv2d"]) / 1e6
    bandwidth = 2 * big.numel() * 4 / limits["copy"] / 1e6
    print(f"{threads} threads: {flops:.0f} GFLOP/s by mm or conv2d, {bandwidth:.1f} GB/s by a copy")
    rows = []
    for case in CASES.values():
        taps = 9 * case.positions
        product = 2 * taps * case.channels * case.out_channels
        sampling = 8 * taps * case.channels
        pixels = case.batch * case.height * case.width
        floats = pixels * case.channels + case.positions * (27 * case.offset_groups)
        floats += case.positions * case.out_channels + 9 * case.channels * case.out_channels
        arithmetic, traffic = (product + sampling) / flops / 1e6, 4 * floats / bandwidth / 1e6
        at = measure(case, "forward", ["dcnbuild"], threads)["dcnbuild"]
        limit = max(arithmetic, traffic)
        cells = [product / 1e9, sampling / 1e9, 4 * floats / 1e6, arithmetic, traffic, at]
        rows.append([case.name, *(f"{value:.2f}" for value in cells), f"{limit / at:.0%}"])
    header = ["case", "GEMM GFLOP", "sampling GFLOP", "MB", "ms for FLOP", "ms for MB", "ms"]
    table([*header, "of the limit"], rows)
    return {"GFLOP/s": flops, "GB/s": bandwidth}


def machine(threads: int) -> str:
    """Returns one line that names the CPU, the threads, the kernels and the versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    count = "1 thread" if threads == 1 else f"{threads} threads"
    return (
        f"{model}, {count}, {native.cpu_level()} kernels, dcnbuild {dcnbuild.__version__}, "
        f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    )


PARTS: dict[str, Callable[[int], Figures]] = {
    "goals": goals,
    "peers": peers,
    "types": types,
    "memory": memory,
    "roofline": roofline,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "scaling"], default=[*PARTS, "scaling"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="where the plot of the part `scaling` goes")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    threads: int = arguments.threads
    torch.set_num_threads(threads)
    if native.ensure("cpu") == "reference":
        print("no compiled kernels: dcnbuild info says why", file=sys.stderr)
        return 2
    print(machine(threads) + "\n")
    figures = {}
    for part, function in PARTS.items():
        if part in arguments.parts:
            figures[part] = function(threads)
    if "scaling" in arguments.parts:
        results = [(sweep, _cpu_scaling.run(sweep)) for sweep in _cpu_scaling.sweeps(threads)]
        for sweep, times in results:
            rows = zip(map(str, sweep.values), times)
            cells = [[value, *(f"{time:.2f}" for time in at.values())] for value, at in rows]
            table([sweep.label, *times[0]], cells)
        if arguments.plot:
            _cpu_scaling.plot(results, machine(threads), arguments.plot)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
