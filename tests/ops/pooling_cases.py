"""Random calls of the poolings, and the poolings as plain loops, which compute like the old kernels, number by
number.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import dcnbuild
from dcnbuild.ops.reference import deform_pool


def _half_away(x: float) -> float:
    return math.copysign(math.floor(abs(x) + 0.5), x)


def _between(plane: list[list[float]], y: float, x: float) -> float:
    """The bilinear value at a position inside [0, H - 1] x [0, W - 1]."""
    y0, x0 = math.floor(y), math.floor(x)
    y1, x1 = math.ceil(y), math.ceil(x)
    top = plane[y0][x0] * (1 - (x - x0)) + plane[y0][x1] * (x - x0)
    bottom = plane[y1][x0] * (1 - (x - x0)) + plane[y1][x1] * (x - x0)
    return top * (1 - (y - y0)) + bottom * (y - y0)


def naive_psroi_pool(
    input: Tensor,
    rois: Tensor,
    trans: Tensor | None,
    spatial_scale: float,
    group_size: int,
    pooled_size: int,
    part_size: int,
    sample_per_part: int,
    trans_std: float,
) -> Tensor:
    height, width = input.shape[2:]
    out_channels = input.shape[1] // group_size**2
    classes = 1 if trans is None else trans.shape[1] // 2
    image = input.tolist()
    output = torch.zeros(len(rois), out_channels, pooled_size, pooled_size, dtype=input.dtype)
    for r, (number, *corners) in enumerate(rois.tolist()):
        left, top, right, bottom = (_half_away(corner) for corner in corners)
        begin_x, begin_y = left * spatial_scale - 0.5, top * spatial_scale - 0.5
        size_x = max((right + 1) * spatial_scale - 0.5 - begin_x, 0.1)
        size_y = max((bottom + 1) * spatial_scale - 0.5 - begin_y, 0.1)
        for o in range(out_channels):
            for i in range(pooled_size):
                for j in range(pooled_size):
                    move_y = move_x = 0.0
                    if trans is not None:
                        k = o // (out_channels // classes)
                        part = i * part_size // pooled_size, j * part_size // pooled_size
                        move_x = trans[r, 2 * k][part].item() * trans_std * size_x
                        move_y = trans[r, 2 * k + 1][part].item() * trans_std * size_y
                    group = i * group_size // pooled_size, j * group_size // pooled_size
                    plane = image[int(number)][(o * group_size + group[0]) * group_size + group[1]]
                    values = []
                    for a in range(sample_per_part):
                        for b in range(sample_per_part):
                            y = begin_y + size_y / pooled_size * (i + a / sample_per_part) + move_y
                            x = begin_x + size_x / pooled_size * (j + b / sample_per_part) + move_x
                            if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
                                continue
                            y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
                            values.append(_between(plane, y, x))
                    output[r, o, i, j] = sum(values) / len(values) if values else 0.0
    return output


def naive_roi_pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    output_size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Tensor:
    height, width = input.shape[2:]
    image = input.tolist()
    output = torch.zeros(len(rois), input.shape[1], *output_size, dtype=input.dtype)
    for r, (number, *corners) in enumerate(rois.tolist()):
        begin_x, begin_y, end_x, end_y = (corner * spatial_scale - 0.5 for corner in corners)
        bin_y, bin_x = (end_y - begin_y) / output_size[0], (end_x - begin_x) / output_size[1]
        rows = sampling_ratio if sampling_ratio > 0 else max(math.ceil(bin_y), 0)
        columns = sampling_ratio if sampling_ratio > 0 else max(math.ceil(bin_x), 0)
        for c in range(input.shape[1]):
            for i in range(output_size[0]):
                for j in range(output_size[1]):
                    move_y = move_x = 0.0
                    if offset is not None:
                        move_x = gamma * (end_x - begin_x) * offset[r, 0, i, j].item()
                        move_y = gamma * (end_y - begin_y) * offset[r, 1, i, j].item()
                    total = 0.0
                    for a in range(rows):
                        for b in range(columns):
                            y = begin_y + bin_y * (i + (a + 0.5) / rows) + move_y
                            x = begin_x + bin_x * (j + (b + 0.5) / columns) + move_x
                            if not (-1 <= y <= height and -1 <= x <= width):
                                continue
                            y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
                            total += _between(image[int(number)][c], y, x)
                    output[r, c, i, j] = total / max(rows * columns, 1)
    return output


@dataclass(frozen=True)
class PoolCase:
    """One call. `attributes` are those of the operator's schema, in order."""

    operator: str
    attributes: tuple[Any, ...]
    out_channels: int = 4
    classes: int = 1
    size: tuple[int, int] = (9, 7)
    batch: int = 2
    rois: int = 5
    moved: bool = True

    @property
    def pooling(self) -> deform_pool.Pooling:
        psroi = self.operator == "deform_psroi_pool"
        attributes = deform_pool.psroi_pooling if psroi else deform_pool.roi_pooling
        return attributes(*self.attributes)

    def tensors(
        self, seed: int = 0, dtype: torch.dtype = torch.float64, device: str = "cpu"
    ) -> dict[str, Tensor | None]:
        """Input, RoIs (inside, across the border, far outside, empty and turned over) and offsets."""
        generator = torch.Generator().manual_seed(seed)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        p = self.pooling
        number = torch.randint(self.batch, (self.rois, 1), generator=generator)
        extent = torch.tensor([self.size[1], self.size[0]]) / p.spatial_scale
        first = (uniform(self.rois, 2) * 1.4 - 0.3) * extent
        sides = (uniform(self.rois, 2) * 1.1 - 0.1) * extent
        offset = torch.randn((self.rois, 2 * self.classes, *p.cells), generator=generator, dtype=torch.float64)
        channels = self.out_channels * p.group_size**2
        made = {
            "input": torch.randn((self.batch, channels, *self.size), generator=generator, dtype=torch.float64),
            "rois": torch.cat([number.double(), first, first + sides], 1),
            "offset": offset if self.moved else None,
        }
        return {name: None if t is None else t.to(device, dtype) for name, t in made.items()}

    def operate(self, input: Tensor, rois: Tensor, offset: Tensor | None) -> Tensor:
        """The public function."""
        if self.operator == "deform_psroi_pool":
            names = ("spatial_scale", "group_size", "pooled_size", "part_size", "sample_per_part", "trans_std")  # fmt: skip
            return dcnbuild.deform_psroi_pool(input, rois, offset, **dict(zip(names, self.attributes)))
        names = ("output_size", "spatial_scale", "sampling_ratio", "gamma")
        return dcnbuild.deform_roi_pool(input, rois, offset, **dict(zip(names, self.attributes)))

    def reference(self, input: Tensor, rois: Tensor, offset: Tensor | None) -> Tensor:
        return deform_pool.forward(input, rois, offset, self.pooling)

    def naive(self, input: Tensor, rois: Tensor, offset: Tensor | None) -> Tensor:
        naive = naive_psroi_pool if self.operator == "deform_psroi_pool" else naive_roi_pool
        return naive(input, rois, offset, *self.attributes)


#: schema order: spatial_scale, group_size, pooled_size, part_size, sample_per_part, trans_std
PSROI = PoolCase("deform_psroi_pool", (0.5, 2, 3, 3, 2, 0.2), classes=2)
#: output_size, spatial_scale, sampling_ratio, gamma
ROI = PoolCase("deform_roi_pool", ([3, 2], 0.5, 2, 0.3))
ADAPTIVE = replace(ROI, attributes=([3, 2], 0.5, 0, 0.3))
KINDS = {"psroi": PSROI, "roi": ROI, "adaptive": ADAPTIVE}
CASES = {
    "psroi": PSROI,
    "psroi, not moved": replace(PSROI, moved=False),
    "roi": ROI,
    "roi, adaptive": ADAPTIVE,
    "roi, not moved": replace(ROI, moved=False),
}


def random_case(seed: int) -> PoolCase:
    """A small call with everything varied."""
    rng = random.Random(seed)
    common: dict[str, Any] = {
        "size": (rng.randint(1, 10), rng.randint(1, 10)),
        "batch": rng.randint(1, 3),
        "rois": rng.randint(0, 5),
        "moved": rng.random() < 0.8,
    }
    scale = rng.choice([1.0, 0.5, 0.0625, 0.3])
    if rng.random() < 0.5:
        classes = rng.choice([1, 2, 3])
        attributes = (
            *(scale, rng.randint(1, 3), rng.randint(1, 5), rng.randint(1, 5)),
            *(rng.randint(1, 4), rng.choice([0.0, 0.1, 1.0])),
        )
        return PoolCase("deform_psroi_pool", attributes, classes * rng.randint(1, 3), classes, **common)
    output = [rng.randint(1, 5), rng.randint(1, 5)]
    attributes = (output, scale, rng.choice([0, 0, 1, 3]), rng.choice([0.0, 0.1, 1.0]))
    return PoolCase("deform_roi_pool", attributes, rng.randint(1, 5), **common)


def gradients(function: Any, tensors: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """The output of a call and the gradients of input and offset, for a fixed random upstream gradient."""
    leaves = {name: t if t is None or name == "rois" else t.detach().requires_grad_() for name, t in tensors.items()}
    output = function(**leaves)
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(output)
    wanted = {n: t for n, t in leaves.items() if t is not None and t.requires_grad}
    grads = torch.autograd.grad(output, list(wanted.values()), upstream)
    return {
        "output": output.detach(),
        **{f"grad_{name}": grad for name, grad in zip(wanted, grads)},
    }


def pool_far_right(call: Any) -> None:
    """Pools around the last pixel of a row of 2^24 + 4, which float32 rounds to the pixel behind it.

    `call(case, input, rois, offset)` returns the output and, for an upstream gradient of ones, that of the input.
    """
    width = 2**24 + 4
    image = torch.zeros(1, 2, 1, width)
    image[0, 0, 0, -4:] = 1.0
    image[0, 1, 0, 0] = 100.0  # what lies behind the first channel's last pixel
    rois = torch.tensor([[0.0, width - 8.0, 0.0, width + 8.0, 1.0]])
    for case in (
        PoolCase("deform_roi_pool", ([1, 1], 1.0, 16, 0.1)),
        PoolCase("deform_roi_pool", ([1, 1], 1.0, 0, 0.1)),
        PoolCase("deform_psroi_pool", (1.0, 1, 1, 1, 16, 0.1)),
    ):
        output, grad = call(case, image, rois, None)
        assert 0 < output[0, 0].item() <= 1 and output[0, 1].item() == 0, case
        # What a channel's samples get stays in its row.
        assert grad[0, 0].sum().item() == grad[0, 1].sum().item() > 0, case
        assert (grad[0, :, 0, : width - 16] == 0).all(), case
