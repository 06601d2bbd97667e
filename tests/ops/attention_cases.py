"""Random calls of deform_attn: by the raw operators, by the reference, and by grid_sample, which other packages use
without their extension.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from ops.point_cases import differentiated, in_dtypes, normals
from torch import Tensor

import dcnbuild
from dcnbuild.ops.deform_attn import OPERATOR
from dcnbuild.ops.reference import deform_attn as reference

NAMES = ("value", "sampling_locations", "attention_weights")


@dataclass(frozen=True)
class AttnCase:
    """The shape of one call; `shapes` are (height, width) of the levels."""

    batch: int = 2
    heads: int = 2
    channels: int = 8
    queries: int = 7
    points: int = 3
    shapes: tuple[tuple[int, int], ...] = ((5, 6), (3, 2), (1, 1))

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

    def tensors(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        points_dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """Value, locations (half of them outside), weights and an upstream gradient, from one generator."""
        normal = normals(seed)
        points = (self.batch, self.queries, self.heads, len(self.shapes), self.points)
        exact = {
            "value": normal(self.batch, self.pixels, self.heads, self.channels),
            "sampling_locations": normal(*points, 2) * 0.5 + 0.5,
            "attention_weights": normal(*points),
            "grad_output": normal(self.batch, self.queries, self.heads * self.channels),
        }
        return in_dtypes(exact, NAMES[1:], dtype, device, points_dtype)

    def inputs(self, seed: int = 0, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Tensor]:
        """Value, locations and weights, as functions take them."""
        return list(self.tensors(seed, dtype, device).values())[:3]

    def operate(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        """The public function."""
        return dcnbuild.deform_attn(value, self.shapes, locations, weights)

    def plain(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return plain_attn(value, self.shapes, locations, weights)


def random_case(seed: int) -> AttnCase:
    """A small call with everything varied; channels that fill whole vectors, parts of one, and neither."""
    rng = random.Random(seed)
    return AttnCase(
        batch=rng.randint(1, 3),
        heads=rng.choice([1, 2, 3, 8]),
        channels=rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 31, 32, 40]),
        queries=rng.randint(1, 12),
        points=rng.choice([1, 2, 3, 4, 5, 8]),
        shapes=tuple(
            (rng.choice([1, 2, 3, 5, 9]), rng.choice([1, 2, 3, 5, 9])) for _ in range(rng.choice([1, 1, 2, 3, 4]))
        ),
    )


#: The operators in plain torch, as `torch.ops.dcnbuild` has them.
REFERENCE = SimpleNamespace(
    deform_attn=OPERATOR.reference_kernel, deform_attn_backward=OPERATOR.backward_reference_kernel
)


def results_of(
    namespace: Any,
    case: AttnCase,
    tensors: dict[str, Tensor],
    deterministic: bool = False,
    wanted: Sequence[bool] = (True, True, True),
) -> dict[str, Tensor]:
    """Output and gradients by the raw operators of a namespace, such as torch.ops.dcnbuild; gradients that are not
    wanted are empty.
    """
    value, *points = (tensors[name] for name in NAMES)
    arguments = (value, case.flat, *points)
    output = namespace.deform_attn(*arguments)
    grads = namespace.deform_attn_backward(tensors["grad_output"], *arguments, list(wanted), deterministic)
    return {"output": output, **{f"grad_{name}": grad for name, grad in zip(NAMES, grads)}}


def expected_of(case: AttnCase, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns output and gradients by the reference, from one forward and one backward pass."""
    return differentiated(lambda *t: reference.forward(*t, case.flat), tensors)


def with_layout(tensors: dict[str, Tensor], relayout: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Returns tensors of the same values in another memory layout."""
    changed = {name: relayout(tensor) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        assert torch.equal(changed[name], tensor), name
    return changed


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


def gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    """The output of a function of value, locations and weights, and its gradients for a fixed upstream gradient."""
    leaves = [t.detach().requires_grad_() for t in inputs]
    output = function(*leaves)
    grads = torch.autograd.grad(output, leaves, normals(1)(*output.shape).to(output))
    return {"output": output.detach(), **{f"grad_{name}": grad for name, grad in zip(NAMES, grads)}}
