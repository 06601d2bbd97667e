"""Makes the examples' training data: photographs with synthetic hand shake and noise.

A burst is a frame exposed short, and so full of noise, and neighbours exposed long, with little noise, between which
the hand has moved. All are luminance in 0..1, from photographs that scikit-image installs and that are in the public
domain or under CC0: see the docstrings of `skimage.data`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import skimage.data
import torch
from torch import Tensor
from torch.nn import functional

TRAINING = ("coffee", "chelsea", "rocket", "motorcycle")
VALIDATION = ("astronaut",)
#: The shake of a neighbour: a translation, uniform in ± so many pixels along each axis, ...
SHIFT = 4.0
#: ... and a rotation about the middle of the crop, uniform in ± so many degrees.
ROTATION = 1.0
#: Standard deviations of the Gaussian noise.
REFERENCE_NOISE = 0.15
NEIGHBOUR_NOISE = 0.03
NEIGHBOURS = 2
#: Pixels around a crop that the shake may bring into it.
MARGIN = 8


@dataclass(frozen=True)
class Burst:
    """B bursts of crops of S x S pixels.

    Attributes:
        clean: the crops without noise, [B, 1, S, S].
        reference: the same with noise.
        neighbours: shaken, with less noise, [B, N, 1, S, S].
        displacement: reference(p) is what a neighbour has at p + displacement(p), (y, x) in pixels, [B, N, 2, S, S].
    """

    clean: Tensor
    reference: Tensor
    neighbours: Tensor
    displacement: Tensor


def photographs(names: tuple[str, ...]) -> list[Tensor]:
    """Returns photographs of `skimage.data` as luminance, [1, H, W] float32 in 0..1."""
    found = []
    for name in names:
        image = skimage.data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(skimage.data, name)()
        luminance = torch.from_numpy(image.copy()).float() @ torch.tensor([0.299, 0.587, 0.114])
        found.append(luminance[None] / 255)
    return found


def longest_displacement(size: int) -> float:
    """Returns the longest displacement that the shake makes along an axis in crops of so many pixels, in pixels."""
    corner = (size - 1) / 2
    angle = math.radians(ROTATION)
    return SHIFT + corner * (math.sin(angle) + 1 - math.cos(angle)) * (1 + math.sin(angle))


def make_bursts(photos: list[Tensor], batch: int, size: int, seed: int) -> Burst:
    """Returns bursts from random places of random photographs; the same seed gives the same bursts."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    def noise(like: Tensor, deviation: float) -> Tensor:
        return deviation * torch.randn(like.shape, generator=generator)

    side = size + 2 * MARGIN
    crops = []
    for index in torch.randint(len(photos), (batch,), generator=generator).tolist():
        top, left = (
            int(torch.randint(extent - side + 1, (), generator=generator)) for extent in photos[index].shape[1:]
        )
        crops.append(photos[index][:, top : top + side, left : left + side])
    wide = torch.stack(crops)

    # A neighbour has at q what the photograph has at R q + t, about the middle; so p is at R⁻¹ (p - t).
    shift = SHIFT * uniform(batch * NEIGHBOURS, 2, 1, 1)
    angle = math.radians(ROTATION) * uniform(batch * NEIGHBOURS, 1, 1)
    line = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    places = torch.stack(torch.meshgrid(line, line, indexing="ij"))
    seen = rotate(places, angle) + shift
    grid = seen.flip(1).permute(0, 2, 3, 1) * 2 / side
    shaken = functional.grid_sample(
        wide.repeat_interleave(NEIGHBOURS, 0),
        grid,
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    ).clamp(0, 1)
    displacement = rotate(places - shift, -angle) - places

    inner = slice(MARGIN, MARGIN + size)
    clean, shaken, displacement = (tensor[..., inner, inner].contiguous() for tensor in (wide, shaken, displacement))
    return Burst(
        clean,
        clean + noise(clean, REFERENCE_NOISE),
        (shaken + noise(shaken, NEIGHBOUR_NOISE)).view(batch, NEIGHBOURS, 1, size, size),
        displacement.view(batch, NEIGHBOURS, 2, size, size),
    )


def rotate(places: Tensor, angle: Tensor) -> Tensor:
    """Turns (y, x) in [..., 2, H, W] by angles [B, 1, 1] → [B, 2, H, W]."""
    y, x = places.unbind(-3)
    return torch.stack([angle.cos() * y + angle.sin() * x, angle.cos() * x - angle.sin() * y], dim=-3)


def psnr(image: Tensor, clean: Tensor) -> float:
    """Returns the PSNR in dB, with a peak of 1, without the border of `MARGIN` pixels, from which shake moves things
    out of the crop.
    """
    inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    return -10 * math.log10(functional.mse_loss(image[inner], clean[inner]).item())
