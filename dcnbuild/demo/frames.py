"""Makes the demo's two frames: a photograph and a smoothly warped copy, with the offsets between them."""

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
#: The longest offset, as a fraction of the photograph's longer side: 12 pixels of 600.
LONGEST = 0.02
#: The largest number of half waves per side in the warp. With `LONGEST`, this keeps the warp free of folds.
MODES = 3
#: The pixels of the shorter side that the coarsest level of the alignment needs.
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class Frames:
    """Two frames and the offsets between them.

    Attributes:
        reference: the photograph, [1, 3, H, W] float32 in 0..1.
        warped: the second frame, like `reference`.
        offset: the true offsets (y, x), [1, 2, H, W] in pixels: reference(p) = warped(p + offset(p)).
    """

    reference: Tensor
    warped: Tensor
    offset: Tensor


def read_photograph(size: int, path: Path | None = None) -> Tensor:
    """Reads a photograph as [1, 3, H, W] float32 in 0..1.

    Args:
        size: pixels of the longer side; a larger photograph is reduced, a smaller one is not changed.
        path: an image file; None for `SAMPLE`.

    Raises:
        OSError: the file is missing, is not an image, is too large or is damaged.
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
    """Warps a photograph [1, 3, H, W] smoothly and randomly; a seed always gives the same warp.

    The offsets are a random sum of products of sines that vanish at the border, so both frames have the same content.
    `grid_sample` resamples the copy bicubically; it shares no code with the operator that undoes the warp.
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
    # The second frame needs the inverse offsets: back(q) = -offset(q + back(q)), a contraction.
    back = torch.zeros(2, height, width)
    for _ in range(30):
        back = -offset_at(y + back[0], x + back[1])
    # grid_sample's coordinates go from -1 to 1 between the outer edges of the image, x first.
    grid = torch.stack([(x + back[1] + 0.5) * 2 / width - 1, (y + back[0] + 0.5) * 2 / height - 1], dim=-1)
    warped = functional.grid_sample(reference, grid[None], mode="bicubic", padding_mode="border", align_corners=False)
    return Frames(reference, warped.clamp(0, 1), offset_at(y, x)[None])
