"""A small network in the manner of EDVR: features, alignment from coarse to fine, reconstruction with a global
residual.

It exists twice. With `deformable=True` a neighbour's features are read where the shake has moved them, by a deformable
convolution. With False, two ordinary convolutions stand in its place, with as many parameters and no smaller a
receptive field. Everything else is the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import dcnbuild

CHANNELS = 16
TAPS = 9
#: (displacements that are tried, in pixels of the level, ±; side of the window) at half and at quarter resolution.
#: Together they reach 2 · 2 + 4 · 2 = 10 pixels. The windows are wide, because a hand shakes the whole picture.
SEARCH = ((1, 33), (2, 17))
#: The offset of a tap is the displacement that was found, and at most this many pixels of the level that are learned.
LEARNED_OFFSET = 1.0
#: What predicts offsets and mask counts for this much, and so learns that much more slowly. At the full rate both run
#: away in the first steps, before the features mean anything: offsets to their limit, or the mask to zero, and neither
#: comes back.
RATE = 0.02


def convolution(inputs: int, outputs: int, stride: int = 1, scale: float = 1.0) -> nn.Conv2d:
    """Makes a 3 x 3 convolution, initialised for the leaky ReLU behind it, and then scaled."""
    layer = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    assert layer.bias is not None
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layer.weight.mul_(scale)
    return layer


def unchanging() -> dcnbuild.DeformConv2d:
    """A deformable convolution that gives what it reads, nearly."""
    layer = dcnbuild.DeformConv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(nn.init.dirac_(torch.empty_like(layer.weight)))
        layer.weight.add_(torch.randn_like(layer.weight), alpha=0.02)
    return layer


def activate(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, 0.1)


class ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = convolution(CHANNELS, CHANNELS)
        self.second = convolution(CHANNELS, CHANNELS, scale=0.1)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.second(activate(self.first(features)))
        return features + change


def read_at(features: Tensor, displacement: Tensor) -> Tensor:
    """features(p + displacement(p)), bilinear, with the border's values beyond the border.

    Args:
        features: [B, C, H, W].
        displacement: (y, x) in pixels, [B, 2, H, W].
    """
    height, width = features.shape[2:]
    y = torch.arange(height, device=features.device)[:, None] + displacement[:, 0]
    x = torch.arange(width, device=features.device) + displacement[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return functional.grid_sample(features, grid, padding_mode="border", align_corners=False)


def match(reference: Tensor, neighbour: Tensor, reach: int, window: int, sharpness: Tensor) -> tuple[Tensor, Tensor]:
    """Compares two frames' features at all displacements up to ± `reach` pixels.

    Args:
        reference, neighbour: [B, C, H, W].
        window: side of the square over which the squared differences are averaged, in pixels; odd.
        sharpness: a scalar; the larger, the more the best displacement outweighs the others.

    Returns:
        The averaged squared differences, over their mean and from their minimum on, [B, (2 · reach + 1)², H, W]; and
        the displacement (y, x) that they tell of, [B, 2, H, W] in pixels: reference(p) is like neighbour(p +
        displacement(p)).
    """
    height, width = reference.shape[2:]
    padded = functional.pad(neighbour, (reach,) * 4, mode="replicate")
    side = 2 * reach + 1
    places = [(y, x) for y in range(side) for x in range(side)]
    cost = torch.stack(
        [(reference - padded[:, :, y : y + height, x : x + width]).square().mean(1) for y, x in places],
        dim=1,
    )
    for kernel, padding in (((window, 1), (window // 2, 0)), ((1, window), (0, window // 2))):
        cost = functional.avg_pool2d(cost, kernel, 1, padding, count_include_pad=False)
    cost = cost - cost.amin(1, keepdim=True)
    cost = cost / (cost.mean(1, keepdim=True) + 1e-6)
    weight = (-cost * sharpness).softmax(1)
    return cost, torch.einsum("bkhw,kd->bdhw", weight, weight.new_tensor(places) - reach)


class Alignment(nn.Module):
    """Makes a neighbour's features match the reference's, at one level.

    Args:
        deformable: with a deformable convolution, or with ordinary ones.
        reach, window: see `match`.
    """

    def __init__(self, deformable: bool, reach: int, window: int) -> None:
        super().__init__()
        self.deformable, self.reach, self.window = deformable, reach, window
        self.sharpness = nn.Parameter(torch.tensor(6.0).log())
        self.look = convolution(3 * CHANNELS + (2 * reach + 1) ** 2 + 2, CHANNELS)
        self.compare = convolution(CHANNELS, CHANNELS)
        predicted = 3 * TAPS  # (y, x) and a mask for each tap
        if deformable:
            self.predict = convolution(CHANNELS, predicted, scale=0.0)
            self.convolve: nn.Module = unchanging()
        else:
            # As many parameters between these two as above, rounded up.
            middle = -(-(CHANNELS + predicted) // 2)
            self.predict = convolution(CHANNELS, middle)
            self.convolve = convolution(middle, CHANNELS, scale=0.1)

    def forward(
        self, reference: Tensor, neighbour: Tensor, seen: Tensor, displacement: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns aligned features, what was seen, and the displacement; each like its argument.

        Args:
            reference, neighbour: features, [B, C, H, W].
            seen, displacement: [B, C, H, W] and [B, 2, H, W] from the coarser level, or zeros.
        """
        moved = read_at(neighbour, displacement)
        cost, more = match(reference, moved, self.reach, self.window, self.sharpness.exp())
        displacement = displacement + more
        moved = read_at(neighbour, displacement) if self.deformable else neighbour
        seen = torch.cat([reference, moved, seen, cost, displacement], dim=1)
        seen = activate(self.compare(activate(self.look(seen))))
        predicted = self.predict(seen)
        if not self.deformable:
            return activate(neighbour + self.convolve(activate(predicted))), seen, displacement
        predicted = RATE * predicted
        learned = LEARNED_OFFSET * torch.tanh(predicted[:, : 2 * TAPS])
        offset = displacement.repeat(1, TAPS, 1, 1) + learned
        mask = 2 * predicted[:, 2 * TAPS :].sigmoid()
        return activate(self.convolve(neighbour, offset, mask)), seen, displacement


class AlignmentNetwork(nn.Module):
    """Restores a noisy frame with the help of its shaken neighbours.

    Args:
        deformable: how neighbours are aligned; see the module.
        neighbours: N.
    """

    def __init__(self, deformable: bool, neighbours: int) -> None:
        super().__init__()
        # Half resolution: four neighbouring pixels are four channels.
        self.first = convolution(4, CHANNELS)
        self.features = ResidualBlock()
        self.down = convolution(CHANNELS, CHANNELS, stride=2)
        self.alignments = nn.ModuleList(Alignment(deformable, reach, window) for reach, window in SEARCH)
        self.fuse = convolution(CHANNELS * (1 + len(SEARCH) * neighbours), CHANNELS)
        self.reconstruct = nn.Sequential(ResidualBlock(), ResidualBlock())
        self.last = convolution(CHANNELS, 4, scale=0.1)

    def forward(self, reference: Tensor, neighbours: Tensor) -> Tensor:
        """Returns the restored frame, [B, 1, H, W].

        Args:
            reference: [B, 1, H, W] in 0..1; H and W are multiples of 4.
            neighbours: [B, N, 1, H, W].
        """
        batch, count = neighbours.shape[:2]
        frames = torch.cat([reference, neighbours.flatten(0, 1)]) - 0.5
        half = self.features(activate(self.first(functional.pixel_unshuffle(frames, 2))))
        quarter = activate(self.down(half))
        seen = torch.zeros_like(quarter[batch:])
        displacement = torch.zeros_like(seen[:, :2])
        fine, coarse = self.alignments
        small, seen, displacement = coarse(*split(quarter, batch), seen, displacement)
        large, _, _ = fine(*split(half, batch), twice(seen), 2 * twice(displacement))
        aligned = torch.cat([large, twice(small)], dim=1)
        together = torch.cat([half[:batch], aligned.unflatten(0, (batch, count)).flatten(1, 2)], 1)
        # No activation behind the last layer: what has to be added to the frame has both signs.
        change = self.last(self.reconstruct(activate(self.fuse(together))))
        return reference + functional.pixel_shuffle(change, 2)


def split(features: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """[B + B·N, C, H, W] → those of the references, each N times, and those of the neighbours; both [B·N, C, H, W]."""
    references, neighbours = features[:batch], features[batch:]
    return references.repeat_interleave(len(neighbours) // batch, 0), neighbours


def twice(features: Tensor) -> Tensor:
    """Returns the image twice as high and wide."""
    return functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
