"""Measures and plots how the cost grows with batch, channels, image size and threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _cpu_cases import Case, measure

BASE = Case("scaling", 1, 64, 64, 64, 64)


@dataclass(frozen=True)
class Sweep:
    """One thing varied: its values, and the case and the threads of each."""

    label: str
    values: Sequence[int]
    cases: Sequence[Case]
    threads: Sequence[int]


def sweeps(threads: int) -> list[Sweep]:
    batches, widths, sizes = (1, 2, 4, 8, 16), (8, 16, 32, 64, 128, 256, 512), (8, 16, 32, 64, 128)
    counts = sorted({1, *(n for n in (2, 4, 8, 16, 32, 64) if n < threads), threads})
    return [
        Sweep("images", batches, [BASE.but(batch=n) for n in batches], [threads] * len(batches)),
        Sweep(
            "channels in and out",
            widths,
            [BASE.but(channels=n, out_channels=n) for n in widths],
            [threads] * len(widths),
        ),
        Sweep(
            "height and width",
            sizes,
            [BASE.but(height=n, width=n) for n in sizes],
            [threads] * len(sizes),
        ),
        Sweep("threads", counts, [BASE.but(batch=2)] * len(counts), counts),
    ]


Times = list[dict[str, float]]


def run(sweep: Sweep) -> Times:
    """Returns milliseconds of a training step at each value."""
    names = ["dcnbuild", "torchvision", "conv2d"]
    return [
        measure(case, "forward+backward", names, threads, 0.3, least=1)
        for case, threads in zip(sweep.cases, sweep.threads)
    ]


def plot(results: Sequence[tuple[Sweep, Times]], title: str, path: Path) -> None:
    """Draws one panel for each sweep, into a file whose ending names its format."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "dcnbuild"  # the same figures give the same file
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, panels = pyplot.subplots(1, len(results), figsize=(3.2 * len(results), 3.2))
    for panel, (sweep, times) in zip(panels, results):
        for name, style in (("torchvision", "s--"), ("dcnbuild", "o-"), ("conv2d", "^:")):
            panel.plot(sweep.values, [at[name] for at in times], style, label=name, markersize=4)
        panel.set(xscale="log", yscale="log", xlabel=sweep.label)
        panel.set_xticks(sweep.values)
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.grid(True, alpha=0.3)
    panels[0].set_ylabel("forward + backward, ms")
    panels[0].legend(frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
