"""Shows the progress bar of the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dcnbuild.base.console import console


@contextmanager
def training_bar(steps: int) -> Iterator[Callable[[float], None]]:
    """Shows a bar of `steps` steps; yields a function to call after each step with its PSNR in dB."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[quality]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console()) as bar:
        task = bar.add_task("training", total=steps, quality="")

        def after_step(psnr: float) -> None:
            bar.update(task, advance=1, quality=f"PSNR {psnr:.1f} dB")

        yield after_step
