"""Random calls of deform_attn for the tests of this directory, with the results of the emulated kernels and the
oracle.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.reference import deform_attn as reference

GRADIENTS = ("grad_value", "grad_locations", "grad_weights")


@dataclass(frozen=True)
class Attention:
    """The shape of one call."""

    batch: int = 2
    queries: int = 7
    heads: int = 2
    channels: int = 8
    points: int = 3
    sizes: tuple[tuple[int, int], ...] = ((5, 6), (3, 2), (1, 1))

    @property
    def spatial_shapes(self) -> list[int]:
        return [side for size in self.sizes for side in size]

    def tensors(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        points_dtype: torch.dtype | None = None,
        spread: float = 1.4,
    ) -> dict[str, Tensor]:
        """value, locations (in a square of side `spread` around the image's middle), weights and upstream gradient."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        pixels = sum(height * width for height, width in self.sizes)
        points = (self.batch, self.queries, self.heads, len(self.sizes), self.points)
        places = torch.rand(*points, 2, generator=generator, dtype=torch.float64)
        return {
            "value": normal(self.batch, pixels, self.heads, self.channels).to(dtype),
            "locations": (spread * (places - 0.5) + 0.5).to(points_dtype or dtype),
            "weights": normal(*points).sigmoid().to(points_dtype or dtype),
            "grad_output": normal(self.batch, self.queries, self.heads * self.channels).to(dtype),
        }


def random_attention(seed: int) -> Attention:
    chosen = random.Random(seed)
    return Attention(
        batch=chosen.choice([1, 2, 3]),
        queries=chosen.choice([1, 2, 9]),
        heads=chosen.choice([1, 2, 3]),
        channels=chosen.choice([1, 2, 3, 4, 6, 8, 12, 16, 20]),
        points=chosen.choice([1, 2, 4, 5]),
        sizes=tuple((chosen.choice([1, 2, 5]), chosen.choice([1, 3, 4])) for _ in range(chosen.choice([1, 2, 4]))),
    )


def rearranged(t: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Returns the values in other memory layouts: unchanged, with dimensions in another order, or with gaps."""
    chosen = random.Random(seed)

    def moved(tensor: Tensor) -> Tensor:
        way = chosen.randrange(3)
        if way == 1:
            order = chosen.sample(range(tensor.dim()), tensor.dim())
            back = [order.index(dim) for dim in range(tensor.dim())]
            return tensor.permute(order).contiguous().permute(back)
        if way == 2:
            return torch.stack([tensor, tensor.flip(0)], -2)[..., 0, :]
        return tensor

    return {name: moved(tensor) for name, tensor in t.items()}


def emulated(
    case: Attention,
    t: dict[str, Tensor],
    deterministic: bool = False,
    wanted: Sequence[bool] = (True, True, True),
) -> dict[str, Tensor]:
    """Output and gradients of the emulated kernels; those that are not wanted are empty."""
    operators: Any = torch.ops.dcnbuild_emulated
    arguments = (t["value"], case.spatial_shapes, t["locations"], t["weights"])
    grads = operators.deform_attn_backward(t["grad_output"], *arguments, list(wanted), deterministic)
    return {"output": operators.deform_attn(*arguments), **dict(zip(GRADIENTS, grads))}


def expected(case: Attention, t: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns output and gradients by the oracle, in float64."""
    wide = {name: tensor.double() for name, tensor in t.items()}
    arguments = (wide["value"], wide["locations"], wide["weights"], case.spatial_shapes)
    grads = reference.backward(wide["grad_output"], *arguments)
    return {"output": reference.forward(*arguments), **dict(zip(GRADIENTS, grads))}
