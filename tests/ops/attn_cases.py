"""Calls of deform_attn, and the same attention by grid_sample, which other packages use without their extension."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import dcnbuild


@dataclass(frozen=True)
class AttnCase:
    """One call; `shapes` are (height, width) of the levels."""

    shapes: tuple[tuple[int, int], ...] = ((5, 4), (3, 2), (1, 1))
    batch: int = 2
    queries: int = 7
    heads: int = 3
    width: int = 4
    points: int = 2

    @property
    def pixels(self) -> int:
        return sum(height * width for height, width in self.shapes)

    @property
    def flat(self) -> list[int]:
        """spatial_shapes as the raw operator takes them."""
        return [side for shape in self.shapes for side in shape]

    @property
    def starts(self) -> Tensor:
        """level_start_index, as the old packages have it."""
        sizes = torch.tensor([height * width for height, width in self.shapes])
        return sizes.cumsum(0) - sizes

    def tensors(self, seed: int = 0, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Tensor]:
        """Value, locations (inside, at the border and outside) and weights."""
        generator = torch.Generator().manual_seed(seed)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        samples = (self.batch, self.queries, self.heads, len(self.shapes), self.points)
        value = uniform(self.batch, self.pixels, self.heads, self.width) * 2 - 1
        made = (value, uniform(*samples, 2) * 1.5 - 0.25, uniform(*samples))
        return [t.to(device, dtype) for t in made]

    def operate(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        """The public function."""
        return dcnbuild.deform_attn(value, self.shapes, locations, weights)

    def plain(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return plain_attn(value, self.shapes, locations, weights)


def plain_attn(
    value: Tensor,
    value_spatial_shapes: object,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """By grid_sample, level by level."""
    n, _, heads, width = value.shape
    queries = sampling_locations.shape[1]
    sizes = [(int(h), int(w)) for h, w in value_spatial_shapes]  # type: ignore[attr-defined]
    output = value.new_zeros(n * heads, width, queries)
    for level, ((h, w), part) in enumerate(zip(sizes, value.split([h * w for h, w in sizes], dim=1))):
        image = part.permute(0, 2, 3, 1).reshape(n * heads, width, h, w)
        grid = 2 * sampling_locations[:, :, :, level].transpose(1, 2).flatten(0, 1) - 1
        sampled = torch.nn.functional.grid_sample(image, grid, align_corners=False)
        shares = attention_weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]
        output = output + (sampled * shares).sum(-1)
    return output.view(n, heads * width, queries).transpose(1, 2)


def gradients(function: object, tensors: list[Tensor]) -> dict[str, Tensor]:
    """The output of a call and the gradients of value, locations and weights, for a fixed random upstream gradient."""
    leaves = [t.detach().requires_grad_() for t in tensors]
    output = function(*leaves)  # type: ignore[operator]
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
    grads = torch.autograd.grad(output, leaves, upstream)
    return {"output": output.detach(), **dict(zip(("value", "locations", "weights"), grads))}
