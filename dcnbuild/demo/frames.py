"""The two frames of the demo: a photograph and a smoothly warped copy, with the offsets between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib import cbook
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

#: Public domain (a portrait by the United States Navy), in the sample data that matplotlib installs.
SAMPLE = "grace_hopper.jpg"
#: The longest offset, as a share of the photograph's longer side: 12 pixels of 600.
LONGEST = 0.02
#: Half waves per side in the warp, at most. With `LONGEST` this keeps it free of folds.
MODES = 3
#: Pixels of the shorter side that the coarsest level of the alignment still needs.
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class Frames:
    """Two frames and what lies between them.

    Attributes:
        reference: the photograph, [1, 3, H, W] float32 in 0..1.
        warped: the second frame, like `reference`.
        offset: the true offsets (y, x), [1, 2, H, W] in pixels: reference(p) is what warped has at p + offset(p).
    """

    reference: Tensor
    warped: Tensor
    offset: Tensor


def read_photograph(size: int, path: Path | None = None) -> Tensor:
    """A photograph as [1, 3, H, W] float32 in 0..1.

    Args:
        size: pixels of the longer side; a larger photograph is reduced, a smaller one stays.
        path: an image file; None for `SAMPLE`.

    Raises:
        OSError: the file is missing, no image, or one that is too large or damaged.
        ValueError: the shorter side would have fewer than `SMALLEST_SIDE` pixels.
    """
    path = path or Path(cbook.get_sample_data(SAMPLE, asfileobj=False))
    if path.exists() and not path.is_file():  # opening a pipe would wait for somebody to write
        raise OSError(f"{path} is no file, expected a photograph")
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except OSError:
        raise
    except Exception as error:  # of any kind, by the decoder; DecompressionBombError
        raise OSError(f"{path} cannot be read as a photograph: {error}") from error
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    if min(image.size) < SMALLEST_SIDE:
        raise ValueError(
            f"the photograph would be {image.width} x {image.height} pixels, but its shorter side "
            f"needs at least {SMALLEST_SIDE}: give a larger --size or photograph"
        )
    values = np.array(image, dtype=np.float32) / 255
    return torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0).contiguous()


def make_frames(reference: Tensor, seed: int) -> Frames:
    """A photograph [1, 3, H, W] and its copy under a smooth random warp, the same for the same seed.

    The offsets are a random sum of products of sines that vanish at the border, so that everything
    in one frame is also in the other. The copy is resampled bicubically by `grid_sample`, which
    shares nothing with the operator that will undo it.
    """
    height, width = reference.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32),
        torch.arange(width, dtype=torch.float32),
        indexing="ij",
    )
    waves = torch.arange(1, MODES + 1, dtype=torch.float32)
    amplitudes = torch.randn(2, MODES, MODES, generator=torch.Generator().manual_seed(seed))
    amplitudes /= torch.hypot(waves[:, None], waves)

    def offset_at(y: Tensor, x: Tensor) -> Tensor:
        sines = [
            torch.sin(math.pi * waves * ((position + 0.5) / side).unsqueeze(-1))
            for position, side in ((y, height), (x, width))
        ]
        return torch.einsum("hwj,cjk,hwk->chw", sines[0], amplitudes, sines[1])

    amplitudes *= LONGEST * max(height, width) / offset_at(y, x).norm(dim=0).max()
    # The second frame needs the way back: back(q) = -offset(q + back(q)), a contraction.
    back = torch.zeros(2, height, width)
    for _ in range(30):
        back = -offset_at(y + back[0], x + back[1])
    # grid_sample counts from -1 to 1 between the outer edges of the image, x first.
    grid = torch.stack(
        [(x + back[1] + 0.5) * 2 / width - 1, (y + back[0] + 0.5) * 2 / height - 1], dim=-1
    )
    warped = functional.grid_sample(
        reference, grid[None], mode="bicubic", padding_mode="border", align_corners=False
    )
    return Frames(reference, warped.clamp(0, 1), offset_at(y, x)[None])
