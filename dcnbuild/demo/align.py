"""Trains the offsets of a deformable convolution until they align one frame with the other."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

import dcnbuild

#: (reduction of the frames, fraction of the steps), coarse to fine: the coarse levels find the long
#: offsets and cost almost nothing.
LEVELS = ((8, 0.25), (4, 0.25), (2, 0.25), (1, 0.25))
#: Control points of the offsets along the longer side, and at least along the shorter: three have a curvature.
CONTROL_POINTS = 32
FEWEST_POINTS = 3
#: Weight of the mean squared curvature of the control points, in pixels, relative to the mean squared
#: error of the frames. It determines the offsets where the photograph has no texture.
CURVATURE = 3e-4
LEARNING_RATE = 0.3
DATA_RANGE = 1.0


def psnr(image: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two float images, over all pixels, with `DATA_RANGE`.

    Raises:
        TypeError: integer images, whose differences would wrap around.
    """
    if not (image.is_floating_point() and reference.is_floating_point()):
        raise TypeError(f"psnr takes float images, got {image.dtype} and {reference.dtype}")
    error = functional.mse_loss(image.double(), reference.double()).item()
    return 10 * math.log10(DATA_RANGE**2 / error) if error else math.inf


class Alignment(nn.Module):
    """A deformable convolution with the identity as its 1 x 1 kernel and learned offsets.

    The offsets are a coarse grid of control points, upsampled bicubically to one per pixel. The output is the input,
    read at the offset positions.

    Args:
        height, width: size of the full frames, in pixels.
    """

    weight: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        points = [max(FEWEST_POINTS, round(CONTROL_POINTS * side / max(self.size))) for side in self.size]
        self.control = nn.Parameter(torch.zeros(1, 2, *points))
        self.register_buffer("weight", torch.eye(3).view(3, 3, 1, 1))

    def offset(self, height: int, width: int) -> Tensor:
        """Returns the offsets for frames reduced to this size, [1, 2, height, width], in pixels of the reduced
        frames.
        """
        full = functional.interpolate(self.control, size=(height, width), mode="bicubic")
        return full * full.new_tensor([height / self.size[0], width / self.size[1]]).view(2, 1, 1)

    def curvature(self) -> Tensor:
        """Returns the mean squared second difference of the control points, in pixels squared."""
        return sum(
            (self.control.diff(n=2, dim=dim).square().mean() for dim in (2, 3)),
            start=self.control.new_zeros(()),
        )

    def forward(self, frame: Tensor) -> Tensor:
        """[1, 3, h, w], the full or reduced frame → the same, aligned."""
        return dcnbuild.deform_conv2d(frame, self.offset(*frame.shape[2:]), self.weight)


def train(
    model: Alignment,
    frame: Tensor,
    reference: Tensor,
    steps: int,
    after_step: Callable[[float], None],
) -> None:
    """Trains the offsets with Adam, coarse to fine, so that `model(frame)` approaches `reference`.

    Args:
        model: the model, which is trained in place.
        frame, reference: [1, 3, H, W] float32 in 0..1, on the model's device.
        steps: number of steps of the optimiser, over all levels.
        after_step: called with the PSNR of every step at its level, in dB.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    done, share = 0, 0.0
    for reduction, part in LEVELS:
        share += part
        size = [round(side / reduction) for side in reference.shape[2:]]
        small_frame, small_reference = (
            functional.interpolate(image, size=size, mode="area") for image in (frame, reference)
        )
        while done < round(share * steps):
            aligned = model(small_frame)
            loss = functional.mse_loss(aligned, small_reference) + CURVATURE * model.curvature()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            after_step(psnr(aligned.detach(), small_reference))
