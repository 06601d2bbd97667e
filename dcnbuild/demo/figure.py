"""Draws the demo's picture: both frames, the aligned frame, the errors before and after, and the offsets."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from dcnbuild.demo.align import psnr
from dcnbuild.demo.frames import Frames

#: Arrows along the longer side.
ARROWS = 22
#: The fraction of the errors before alignment that the colour scale covers.
COVERED = 0.99
DPI = 110
#: Colour bars below their panels, so that the columns stay equally wide.
BAR: dict[str, Any] = {"location": "bottom", "fraction": 0.04, "pad": 0.02, "shrink": 0.85}


def draw(frames: Frames, aligned: Tensor, offset: Tensor) -> Figure:
    """Draws the picture as a matplotlib figure that needs no display.

    Args:
        frames: the two frames and the true offsets.
        aligned: the second frame after alignment, like `frames.reference`.
        offset: the learned offsets, [1, 2, H, W] in pixels.
    """
    height, width = aligned.shape[2:]
    before, after = psnr(frames.warped, frames.reference), psnr(aligned, frames.reference)
    figure = Figure(figsize=(12.6, 1.6 + 7.2 * height / width), layout="constrained")
    figure.suptitle("dcnbuild demo: a deformable convolution learns to undo a warp", fontsize=15)
    axes = figure.subplots(2, 3)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])

    for axis, image, title in zip(
        axes[0],
        (frames.reference, frames.warped, aligned),
        (
            "reference\nthe photograph",
            f"second frame, warped\nPSNR {before:.1f} dB",
            f"second frame, aligned\nPSNR {after:.1f} dB",
        ),
        strict=True,
    ):
        axis.imshow(_for_imshow(image))
        axis.set_title(title)

    errors = [(image - frames.reference).abs().mean(1)[0] for image in (frames.warped, aligned)]
    top = errors[0].flatten().kthvalue(math.ceil(COVERED * errors[0].numel())).values.item()
    for axis, error, title in zip(
        axes[1, 1:], errors, ("error before alignment", "error after alignment"), strict=True
    ):
        shown = axis.imshow(error.numpy(), cmap="inferno", vmin=0, vmax=top)
        axis.set_title(f"{title}\nmean {error.mean():.3f}")
    figure.colorbar(shown, ax=axes[1, 1:], extend="max", aspect=45, **BAR).set_label(
        "absolute error, mean over R, G, B in 0..1; both on one scale"
    )
    _draw_offsets(figure, axes[1, 0], frames, offset)
    return figure


def _draw_offsets(figure: Figure, axis: Any, frames: Frames, offset: Tensor) -> None:
    height, width = offset.shape[2:]
    step = max(1, round(max(height, width) / ARROWS))
    rows, columns = (torch.arange(step // 2, side, step) for side in (height, width))
    dy, dx = offset[0, :, rows[:, None], columns]
    axis.imshow(frames.reference.mean(1)[0].numpy(), cmap="gray", vmin=0, vmax=2)
    arrows = axis.quiver(
        columns.numpy(),
        rows.numpy(),
        dx.numpy(),
        dy.numpy(),
        torch.hypot(dx, dy).numpy(),
        cmap="cool",
        angles="xy",
        scale_units="xy",
        scale=0.5,
        width=0.005,
    )
    error = (offset - frames.offset).norm(dim=1).mean()
    axis.set_title(f"learned offsets, drawn twice as long\nmean error {error:.2f} pixels")
    figure.colorbar(arrows, ax=axis, aspect=22, **BAR).set_label("offset in pixels")


def _for_imshow(image: Tensor) -> Any:
    return image[0].permute(1, 2, 0).clamp(0, 1).numpy()


def save(figure: Figure, path: Path) -> None:
    """Writes the figure as a PNG, whole or not at all: a temporary file beside it, then a rename.

    Raises:
        OSError: the directory is missing or not writable, or the disk is full.
    """
    path = path.resolve()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".dcnbuild-demo-") as directory:
        temporary = Path(directory, path.name)
        figure.savefig(temporary, format="png", dpi=DPI)
        temporary.replace(path)
