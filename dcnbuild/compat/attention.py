"""What the old names of deformable attention share: one call, and a base for their modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from dcnbuild.errors import ArgumentError
from dcnbuild.nn import DeformAttn
from dcnbuild.ops.deform_attn import deform_attn
from dcnbuild.ops.torch_versions import is_compiling

Shapes = Tensor | Sequence[Sequence[int]]


def attend(
    value: Tensor,
    spatial_shapes: Shapes,
    level_start_index: Tensor | Sequence[int] | None,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """`dcnbuild.deform_attn` for callers that also say where each level begins, and let locations and weights differ.

    The wider dtype of locations and weights is that of both, since a half model often has float32 reference points.

    Args:
        level_start_index: where each level begins in `value`; None if nothing says so. It is compared where it can be
            without a wait for a GPU beyond that for `spatial_shapes`.
        Others as for `dcnbuild.deform_attn`.

    Raises ValueError if the levels do not lie one after the other.
    """
    given = (value, spatial_shapes, level_start_index, sampling_locations, attention_weights)
    if has_torch_function_variadic(*given):
        return handle_torch_function(attend, given, *given)
    if level_start_index is not None:
        spatial_shapes = in_order(spatial_shapes, level_start_index)
    if isinstance(sampling_locations, Tensor) and isinstance(attention_weights, Tensor):
        dtype = torch.promote_types(sampling_locations.dtype, attention_weights.dtype)
        sampling_locations, attention_weights = (
            sampling_locations.to(dtype),
            attention_weights.to(dtype),
        )
    return deform_attn(value, spatial_shapes, sampling_locations, attention_weights)


def in_order(spatial_shapes: Shapes, level_start_index: Any) -> Shapes:
    """The levels' sizes, as pairs of ints if they had to be read. Raises ValueError unless each begins where the last ends."""
    if is_compiling():
        return spatial_shapes
    starts = level_start_index
    if isinstance(starts, Tensor) and isinstance(spatial_shapes, Tensor):
        if spatial_shapes.dim() != 2 or spatial_shapes.is_floating_point() or starts.is_meta:
            return spatial_shapes  # for the operator to refuse
        # One wait for the GPU, not two.
        numbers = torch.cat([spatial_shapes.flatten(), starts.flatten().to(spatial_shapes)])
        flat = numbers.tolist()
        count = spatial_shapes.numel()
        spatial_shapes, starts = list(zip(flat[:count:2], flat[1:count:2])), flat[count:]
    elif isinstance(starts, Tensor):
        if starts.is_cuda:
            return spatial_shapes  # nothing else waits for the GPU here
        starts = starts.tolist()
    expected, start = [], 0
    for height, width in spatial_shapes:
        expected.append(start)
        start += int(height) * int(width)
    if list(map(int, starts)) != expected:
        raise ArgumentError(
            f"level_start_index is {list(map(int, starts))}, expected {expected}: levels of {list(spatial_shapes)} one after "
            "the other"
        )
    return spatial_shapes


class OldAttn(DeformAttn):
    """An attention of an old package. It may have been pickled, or built, by that package's class of the same name.

    Attributes:
        OWN_NAMES: what the package calls embed_dim, heads, levels and points.
    """

    OWN_NAMES = ("embed_dim", "num_heads", "num_levels", "num_points")

    def set_up(self, *numbers: int, **others: Any) -> None:
        """The constructor's body: embed_dim, heads, levels and points, and attributes that the package's module has."""
        DeformAttn.__init__(self, *numbers)
        for name, value in (*zip(self.OWN_NAMES, numbers), *others.items()):
            setattr(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for ours, theirs in zip(("embed_dim", "heads", "levels", "points"), self.OWN_NAMES):
            self.__dict__.setdefault(ours, getattr(self, theirs))

    def _reset_parameters(self) -> None:
        self.reset_parameters()

    init_weights = _reset_parameters

    def attend(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Shapes,
        level_start_index: Tensor | None,
        padding_mask: Tensor | None,
    ) -> Tensor:
        """`DeformAttn.forward`, for [N, Q, C] and [N, S, C]; raises ValueError if the levels do not lie one after the other."""
        if level_start_index is not None and not has_torch_function_variadic(query, value):
            spatial_shapes = in_order(spatial_shapes, level_start_index)
        if padding_mask is not None:
            padding_mask = padding_mask.bool()
        return DeformAttn.forward(
            self, query, value, reference_points, spatial_shapes, padding_mask
        )
