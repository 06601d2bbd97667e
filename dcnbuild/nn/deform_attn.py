"""`DeformAttn`: multi-scale deformable attention with its four projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import torch
import torch.fx
from torch import Tensor, nn
from torch.overrides import has_torch_function_variadic

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, integer
from dcnbuild.ops.deform_attn import deform_attn
from dcnbuild.ops.deform_attn_arguments import LEVELS, NAME, check_sizes, sides


class DeformAttn(nn.Module):
    """Multi-scale deformable attention (Zhu et al., "Deformable DETR", 2021, section 4.1), with its state_dict keys.

    Every query looks at `points` positions of each level in each head: at a reference point plus an offset that is
    predicted from the query, with weights that are predicted from the query too.

    Args:
        embed_dim: C, the width of queries, values and output; `heads` must divide it.
        heads: M.
        levels: L, how many feature maps there are.
        points: P, samples of each head in each level.

    Attributes:
        sampling_offsets: Linear C → M·L·P·2. Starts as constants: point p of head m lies p + 1 pixels from the
            reference point, in the m-th of M directions on a circle.
        attention_weights: Linear C → M·L·P, softmaxed over L·P. Starts at zero, so that all weights are equal.
        value_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: a number is below 1, or heads do not divide `embed_dim`.
    """

    def __init__(
        self, embed_dim: int = 256, heads: int = 8, levels: int = 4, points: int = 4
    ) -> None:
        super().__init__()
        name = type(self).__name__
        given = {"embed_dim": embed_dim, "heads": heads, "levels": levels, "points": points}
        numbers = {key: integer(name, key, value) for key, value in given.items()}
        for key, value in numbers.items():
            if value < 1:
                raise ArgumentError(f"{name}: {key} must be at least 1, got {value}")
        if numbers["levels"] > LEVELS:
            raise ArgumentError(f"{name}: levels is {levels}, expected 1 to {LEVELS}")
        self.embed_dim, self.heads, self.levels, self.points = numbers.values()
        if self.embed_dim % self.heads:
            raise ArgumentError(
                f"{name}: heads={self.heads} must divide embed_dim={self.embed_dim}"
            )
        samples = self.heads * self.levels * self.points
        self.sampling_offsets = nn.Linear(self.embed_dim, samples * 2)
        self.attention_weights = nn.Linear(self.embed_dim, samples)
        self.value_proj = nn.Linear(self.embed_dim, self.embed_dim)
        self.output_proj = nn.Linear(self.embed_dim, self.embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialises all parameters anew, as Deformable DETR does."""
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            bias = circle(self.heads, self.levels, self.points).flatten()
            self.sampling_offsets.bias.copy_(bias)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Tensor | Sequence[Sequence[int]],
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Attends.

        Args:
            query: [N, Q, C].
            value: [N, S, C], the pixels of all levels, one level after the other, row by row.
            reference_points: [N, Q, L, 2] as (x, y) in 0..1 of each level, or [N, Q, L, 4] as (x, y, width, height); a
                box moves its offsets with its size. An L of one serves all levels.
            spatial_shapes: L pairs of ints (height, width), or a tensor [L, 2] of them, which a GPU has to be asked for.
            padding_mask: [N, S] bool, True where `value` is padding and counts as zero.

        Returns:
            [N, Q, C].

        Raises:
            dcnbuild.ArgumentError: an argument does not fit.
        """
        if not has_torch_function_variadic(query, value, reference_points):  # torch.fx traces
            if not isinstance(spatial_shapes, Tensor):
                spatial_shapes = sides(type(self).__name__, spatial_shapes)
            self.check_inputs(query, value, reference_points, spatial_shapes, padding_mask)
        values = self.value_proj(value)
        if padding_mask is not None:
            values = values.masked_fill(padding_mask[..., None], 0.0)
        values = values.unflatten(-1, (self.heads, -1))
        samples = (self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*samples, 2))
        locations = locate(offsets, reference_points, spatial_shapes)
        weights = share(self.attention_weights(query).unflatten(-1, samples)).to(locations.dtype)
        output: Tensor = self.output_proj(deform_attn(values, spatial_shapes, locations, weights))
        return output

    def check_inputs(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Tensor | Sequence[Sequence[int]],
        padding_mask: Tensor | None,
    ) -> None:
        """Raises ArgumentError for what a projection or the function would refuse in its own name, or broadcast."""
        name, width = type(self).__name__, self.embed_dim
        tensors = {"query": query, "value": value, "reference_points": reference_points}
        for argument, tensor in tensors.items():
            if not isinstance(tensor, Tensor):
                raise ArgumentTypeError(
                    f"{name}: {argument} must be a tensor, got {type(tensor).__name__}"
                )
        for argument, tensor in (("query", query), ("value", value)):
            if tensor.dim() != 3 or tensor.shape[-1] != width:
                raise ArgumentError(
                    f"{name}: {argument} has shape {tuple(tensor.shape)}, expected (batch, positions, {width})"
                )
        if value.shape[0] != query.shape[0]:
            raise ArgumentError(
                f"{name}: value has a batch of {value.shape[0]}, expected {query.shape[0]}, that of query"
            )
        given, expected = reference_points.shape, (query.shape[0], query.shape[1])
        if (
            len(given) != 4
            or (given[0], given[1]) != expected
            or given[2] not in (1, self.levels)
            or given[3] not in (2, 4)
        ):
            raise ArgumentError(
                f"{name}: reference_points has shape {tuple(given)}, expected ({expected[0]}, {expected[1]}, "
                f"{self.levels}, 2 or 4): batch, queries, levels, and (x, y) or (x, y, width, height) in 0..1"
            )
        if isinstance(spatial_shapes, Tensor):
            check_sizes(name, spatial_shapes)
        if len(spatial_shapes) != self.levels:
            raise ArgumentError(
                f"{name}: spatial_shapes has {len(spatial_shapes)} levels, expected {self.levels}"
            )
        if padding_mask is not None and not isinstance(padding_mask, Tensor):
            raise ArgumentTypeError(
                f"{name}: padding_mask must be a tensor or None, got {type(padding_mask).__name__}"
            )
        if padding_mask is not None and (
            padding_mask.dtype != torch.bool or padding_mask.shape != value.shape[:2]
        ):
            raise ArgumentError(
                f"{name}: padding_mask is {padding_mask.dtype} of shape {tuple(padding_mask.shape)}, expected torch.bool of "
                f"shape {tuple(value.shape[:2])}, True where value is padding"
            )

    def __prepare_scriptable__(self) -> NoReturn:
        """What `torch.jit.script` calls first; it would name an annotation."""
        raise NotImplementedError(
            f"TorchScript cannot compile {type(self).__name__}: take torch.jit.trace or torch.export, or script a function "
            "that calls dcnbuild.deform_attn with a tensor of sizes"
        )

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, heads={self.heads}, levels={self.levels}, points={self.points}"


def circle(heads: int, levels: int, points: int) -> Tensor:
    """[M, L, P, 2]: the first offsets, in pixels. Head m looks in direction 2πm / M, its points 1, 2, 3, … pixels away.

    Distances are those of the larger coordinate, so that eight heads look at the eight neighbours.
    """
    angles = torch.arange(heads, dtype=torch.float32) * (2.0 * math.pi / heads)
    direction = torch.stack([angles.cos(), angles.sin()], -1)
    direction = direction / direction.abs().amax(-1, keepdim=True)
    distance = torch.arange(1, points + 1, dtype=torch.float32)
    offsets = direction[:, None, None, :] * distance[:, None]
    return offsets.expand(heads, levels, points, 2)


def locate(
    offsets: Tensor,
    reference_points: Tensor,
    spatial_shapes: Tensor | Sequence[Sequence[int]],
) -> Tensor:
    """Where samples lie: [N, Q, M, L, P, 2] as (x, y) in 0..1; float32 for half types, which would round positions.

    Args:
        offsets: [N, Q, M, L, P, 2], in pixels, or for boxes in halves of their size, divided by P.
        reference_points, spatial_shapes: as for `DeformAttn.forward`.
    """
    offsets = _wide(offsets)
    reference = reference_points.to(offsets.dtype)[:, :, None, :, None, :]
    if reference_points.shape[-1] == 2:
        return reference + offsets / level_sizes(spatial_shapes, offsets)[:, None, :]
    return reference[..., :2] + offsets / offsets.shape[4] * reference[..., 2:] * 0.5


def share(predicted: Tensor) -> Tensor:
    """How much each sample counts: [N, Q, M, L, P] softmaxed over L and P together; float32 for half types."""
    return _wide(predicted).flatten(3).softmax(-1).view(predicted.shape)


def level_sizes(spatial_shapes: Tensor | Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """[L, 2]: (width, height) of each level, of the dtype and on the device of `like`; nothing is read from a GPU."""
    if isinstance(spatial_shapes, Tensor):
        return spatial_shapes.flip(-1).to(like)
    pairs = [[width, height] for height, width in sides(NAME, spatial_shapes)]
    return torch.tensor(pairs, dtype=like.dtype, device=like.device)


# What a symbolic trace keeps as a call: they look at shapes and dtypes.
torch.fx.wrap("locate")
torch.fx.wrap("share")


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF else tensor
