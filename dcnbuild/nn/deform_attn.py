"""`DeformAttn`: multi-scale deformable attention with its four projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import torch
import torch.fx
from torch import Tensor, nn

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, integer
from dcnbuild.ops.autocast import check_dtype
from dcnbuild.ops.deform_attn import deform_attn
from dcnbuild.ops.deform_attn_arguments import LEVELS, NAME, check_sizes, sides
from dcnbuild.ops.torch_versions import has_torch_function_variadic


class DeformAttn(nn.Module):
    """Multi-scale deformable attention (Zhu et al., "Deformable DETR", 2021, section 4.1), with its state_dict keys.

    In each head, every query samples `points` positions of each level. A position is a reference point plus an offset.
    The query predicts the offsets and the samples' weights.

    Args:
        embed_dim: C, the width of queries, values and output; `heads` must divide it.
        heads: M, the number of heads.
        levels: L, the number of feature maps.
        points: P, the number of samples of each head in each level.

    Attributes:
        sampling_offsets: Linear C → M·L·P·2. Starts as constants: point p of head m lies p + 1 pixels from the
            reference point, in the m-th of M directions on a circle.
        attention_weights: Linear C → M·L·P, then a softmax over L·P. Starts at zero, so that all weights are equal.
        value_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: a number is below 1, or heads do not divide `embed_dim`.

    Examples:
        >>> layer = dcnbuild.DeformAttn(64, heads=4, levels=2)
        >>> query, value = torch.rand(1, 10, 64), torch.rand(1, 16 * 16 + 8 * 8, 64)
        >>> points = torch.rand(1, 10, 1, 2)  # (x, y) of each query, for all levels
        >>> layer(query, value, points, [(16, 16), (8, 8)]).shape
        torch.Size([1, 10, 64])
    """

    def __init__(self, embed_dim: int = 256, heads: int = 8, levels: int = 4, points: int = 4) -> None:
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
            raise ArgumentError(f"{name}: heads={self.heads} must divide embed_dim={self.embed_dim}")
        samples = self.heads * self.levels * self.points
        self.sampling_offsets = nn.Linear(self.embed_dim, samples * 2)
        self.attention_weights = nn.Linear(self.embed_dim, samples)
        self.value_proj = nn.Linear(self.embed_dim, self.embed_dim)
        self.output_proj = nn.Linear(self.embed_dim, self.embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialises all parameters again, like Deformable DETR."""
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
        """Computes the attention of `query` to `value`.

        Args:
            query: [N, Q, C].
            value: [N, S, C], the pixels of all levels, one level after the other, row by row.
            reference_points: [N, Q, L, 2] as (x, y) in 0..1 of each level, or [N, Q, L, 4] as boxes (x, y, width,
                height); a box's offsets are scaled by its size. If L is 1, the points hold for all levels.
            spatial_shapes: L pairs of ints (height, width), or an integer tensor [L, 2]. Reading a tensor on a GPU
                waits for the GPU; a list does not.
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
        """Raises ArgumentError in this module's name, where a projection would name itself or broadcast silently."""
        name, width = type(self).__name__, self.embed_dim
        tensors = {"query": query, "value": value, "reference_points": reference_points}
        for argument, tensor in tensors.items():
            if not isinstance(tensor, Tensor):
                raise ArgumentTypeError(f"{name}: {argument} must be a tensor, got {type(tensor).__name__}")
        for argument, tensor in (("query", query), ("value", value)):
            if tensor.dim() != 3 or tensor.shape[-1] != width:
                raise ArgumentError(
                    f"{name}: {argument} has shape {tuple(tensor.shape)}, expected (batch, positions, {width})"
                )
            layer = self.sampling_offsets if argument == "query" else self.value_proj
            check_dtype(name, argument, tensor, getattr(layer, "weight", None))
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
            raise ArgumentError(f"{name}: spatial_shapes has {len(spatial_shapes)} levels, expected {self.levels}")
        if padding_mask is not None and not isinstance(padding_mask, Tensor):
            raise ArgumentTypeError(f"{name}: padding_mask must be a tensor or None, got {type(padding_mask).__name__}")
        if padding_mask is not None and (padding_mask.dtype != torch.bool or padding_mask.shape != value.shape[:2]):
            raise ArgumentError(
                f"{name}: padding_mask is {padding_mask.dtype} of shape {tuple(padding_mask.shape)}, expected "
                f"torch.bool of "
                f"shape {tuple(value.shape[:2])}, True where value is padding"
            )

    def __prepare_scriptable__(self) -> NoReturn:
        """Raises for `torch.jit.script`, which calls this first; torch's own error would complain about an
        annotation.
        """
        raise NotImplementedError(
            f"TorchScript cannot compile {type(self).__name__}: take torch.jit.trace or torch.export, or script a "
            f"function "
            "that calls dcnbuild.deform_attn with a tensor of sizes"
        )

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, heads={self.heads}, levels={self.levels}, points={self.points}"


def circle(heads: int, levels: int, points: int) -> Tensor:
    """Returns the initial offsets [M, L, P, 2], in pixels: head m looks in direction 2πm / M, at distances 1, 2, 3, ….

    The distance is the larger coordinate, so that eight heads look at the eight neighbours.
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
    """Returns the positions of the samples, [N, Q, M, L, P, 2] as (x, y) in 0..1.

    They are float32 if the offsets are of a half type, which would round positions.

    Args:
        offsets: [N, Q, M, L, P, 2], in pixels; for boxes in units of half the box's size / P.
        reference_points, spatial_shapes: as for `DeformAttn.forward`.
    """
    offsets = _wide(offsets)
    reference = reference_points.to(offsets.dtype)[:, :, None, :, None, :]
    if reference_points.shape[-1] == 2:
        return reference + offsets / level_sizes(spatial_shapes, offsets)[:, None, :]
    return reference[..., :2] + offsets / offsets.shape[4] * reference[..., 2:] * 0.5


def share(predicted: Tensor) -> Tensor:
    """Returns the samples' weights: the softmax of [N, Q, M, L, P] over L and P together; float32 for half types."""
    return _wide(predicted).flatten(3).softmax(-1).view(predicted.shape)


def level_sizes(spatial_shapes: Tensor | Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """Returns (width, height) of each level, [L, 2], with the dtype and device of `like`; reads nothing from a GPU."""
    if isinstance(spatial_shapes, Tensor):
        return spatial_shapes.flip(-1).to(like)
    pairs = [[width, height] for height, width in sides(NAME, spatial_shapes)]
    return torch.tensor(pairs, dtype=like.dtype, device=like.device)


# A symbolic trace keeps these as calls, because they read shapes and dtypes.
torch.fx.wrap("locate")
torch.fx.wrap("share")


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF else tensor
