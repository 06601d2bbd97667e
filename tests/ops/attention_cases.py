"""Random calls of deform_attn, by the raw operators and by the reference."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from ops.point_cases import differentiated, in_dtypes, normals
from torch import Tensor

from dcnbuild.ops.deform_attn import OPERATOR
from dcnbuild.ops.reference import deform_attn as reference

NAMES = ("value", "sampling_locations", "attention_weights")


@dataclass(frozen=True)
class AttnCase:
    """The shape of one call; `shapes` is h0, w0, h1, w1, …"""

    batch: int = 2
    heads: int = 3
    channels: int = 8
    queries: int = 7
    points: int = 4
    shapes: tuple[int, ...] = (6, 7, 3, 4, 1, 1)

    @property
    def levels(self) -> int:
        return len(self.shapes) // 2

    @property
    def pixels(self) -> int:
        return sum(h * w for h, w in reference.levels(self.shapes))

    def tensors(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        points_dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """Value, locations (a fifth of them outside), weights and an upstream gradient, from one generator."""
        normal = normals(seed)
        points = (self.batch, self.queries, self.heads, self.levels, self.points)
        exact = {
            "value": normal(self.batch, self.pixels, self.heads, self.channels),
            "sampling_locations": normal(*points, 2) * 0.4 + 0.5,
            "attention_weights": normal(*points),
            "grad_output": normal(self.batch, self.queries, self.heads * self.channels),
        }
        return in_dtypes(exact, NAMES[1:], dtype, device, points_dtype)


def random_case(seed: int) -> AttnCase:
    """A small call with everything varied; channels that fill whole vectors, parts of one, and neither."""
    rng = random.Random(seed)
    return AttnCase(
        batch=rng.randint(1, 3),
        heads=rng.choice([1, 2, 3, 8]),
        channels=rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 31, 32, 40]),
        queries=rng.randint(1, 12),
        points=rng.choice([1, 2, 3, 4, 5, 8]),
        shapes=tuple(rng.choice([1, 2, 3, 5, 9]) for _ in range(2 * rng.choice([1, 1, 2, 3, 4]))),
    )


#: The operators in plain torch, as `torch.ops.dcnbuild` has them.
REFERENCE = SimpleNamespace(
    deform_attn=OPERATOR.reference_kernel, deform_attn_backward=OPERATOR.backward_reference_kernel
)


def results_of(
    namespace: Any, case: AttnCase, tensors: dict[str, Tensor], deterministic: bool = False
) -> dict[str, Tensor]:
    """Output and gradients by the raw operators of a namespace, such as torch.ops.dcnbuild."""
    value, locations, weights = (tensors[name] for name in NAMES)
    output = namespace.deform_attn(value, case.shapes, locations, weights)
    grads = namespace.deform_attn_backward(
        tensors["grad_output"], value, case.shapes, locations, weights, [True] * 3, deterministic
    )
    return {"output": output, **{f"grad_{name}": grad for name, grad in zip(NAMES, grads)}}


def expected_of(case: AttnCase, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns output and gradients by the reference, from one forward and one backward pass."""
    return differentiated(lambda *t: reference.forward(*t, case.shapes), tensors)


def with_layout(tensors: dict[str, Tensor], relayout: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Returns tensors of the same values in another memory layout."""
    changed = {name: relayout(tensor) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        assert torch.equal(changed[name], tensor), name
    return changed
