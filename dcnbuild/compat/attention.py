"""Shared code of the old packages' attention: one call, and a base class for their modules."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import handle_torch_function

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.nn import DeformAttn
from dcnbuild.ops.arguments import integer
from dcnbuild.ops.deform_attn import deform_attn
from dcnbuild.ops.deform_attn_arguments import NAME, sides
from dcnbuild.ops.torch_versions import has_torch_function_variadic, is_compiling

Shapes = Tensor | Sequence[Sequence[int]]
Result = TypeVar("Result")


def in_their_words(names: Mapping[str, str], call: Callable[..., Result], *args: Any) -> Result:
    """Calls a function, and renames arguments in its errors: `names` maps our names to the caller's."""
    if not names or is_compiling():
        return call(*args)
    try:
        return call(*args)
    except ArgumentError as error:
        words = "|".join(map(re.escape, names))
        text = re.sub(rf"\b(?:{words})\b", lambda found: names[found[0]], str(error))
        raise type(error)(text) from None


def attend(
    value: Tensor,
    spatial_shapes: Shapes,
    level_start_index: Tensor | Sequence[int] | None,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Calls `dcnbuild.deform_attn` for callers that also pass `level_start_index`, and locations and weights of two
    dtypes.

    Locations and weights are converted to the wider of their dtypes, since a half model often has float32 reference
    points.

    Args:
        level_start_index: where each level begins in `value`, or None. It is checked only if that adds no wait for the
            GPU to the wait for `spatial_shapes`.
        Others as for `dcnbuild.deform_attn`.

    Raises ValueError if the levels do not lie one after the other.
    """
    given = (value, spatial_shapes, level_start_index, sampling_locations, attention_weights)
    if has_torch_function_variadic(*given):
        return handle_torch_function(attend, given, *given)
    if level_start_index is not None:
        spatial_shapes = in_order(spatial_shapes, level_start_index)
    locations, weights = of_one_dtype(sampling_locations, attention_weights)
    return deform_attn(value, spatial_shapes, locations, weights)


def of_one_dtype(locations: Any, weights: Any) -> tuple[Any, Any]:
    """Converts both to the wider of their dtypes; leaves other objects for the operator to refuse."""
    if not (isinstance(locations, Tensor) and isinstance(weights, Tensor)):
        return locations, weights
    dtype = torch.promote_types(locations.dtype, weights.dtype)
    return locations.to(dtype), weights.to(dtype)


def in_order(spatial_shapes: Shapes, level_start_index: Any) -> Shapes:
    """Checks the levels' starts; returns their sizes, as pairs of ints if it had to read them.

    Raises ValueError (an ArgumentError) if a level does not begin where the last ends, or a size or start is malformed.
    """
    if is_compiling():
        return spatial_shapes
    starts = level_start_index
    if isinstance(starts, Tensor):
        if starts.is_floating_point() or starts.dim() != 1:
            raise ArgumentTypeError(
                f"level_start_index is {starts.dtype} of shape {tuple(starts.shape)}, expected integers of shape "
                f"(levels,)"
            )
        if isinstance(spatial_shapes, Tensor):
            shape = tuple(spatial_shapes.shape)
            fits = len(shape) == 2 and shape[1] == 2 and not spatial_shapes.is_floating_point()
            if not fits or starts.is_meta or spatial_shapes.is_meta:
                return spatial_shapes  # the operator refuses it
            # One wait for the GPU, not two. int64, since a start may not fit the sizes' dtype.
            rows = spatial_shapes.flatten().long()
            flat = torch.cat([rows, starts.to(rows)]).tolist()
            spatial_shapes = list(zip(flat[: 2 * shape[0] : 2], flat[1 : 2 * shape[0] : 2]))
            starts = flat[2 * shape[0] :]
        elif starts.is_cuda or starts.is_meta:
            return spatial_shapes  # reading the starts would be the only wait for the GPU
        else:
            starts = starts.tolist()
    pairs = sides(NAME, spatial_shapes)
    if not isinstance(starts, Iterable):
        raise ArgumentTypeError(f"level_start_index must be one int for each level, got {type(starts).__name__}")
    begun = [integer(NAME, f"level_start_index[{i}]", start) for i, start in enumerate(starts)]
    areas = [height * width for height, width in pairs]
    expected = list(itertools.accumulate(areas, initial=0))[:-1]
    if begun != expected:
        raise ArgumentError(f"level_start_index is {begun}, expected {expected}: levels of {pairs} one after the other")
    return pairs


class OldAttn(DeformAttn):
    """Base of an old package's attention. An instance may come from a pickle, or from `convert`, of that package's
    class.

    Attributes:
        OWN_NAMES: the package's names of embed_dim, heads, levels and points.
        CALL_NAMES: the package's names of `DeformAttn.forward`'s arguments, if they differ.
    """

    OWN_NAMES = ("embed_dim", "num_heads", "num_levels", "num_points")
    CALL_NAMES: Mapping[str, str] = {}

    def set_up(self, *numbers: int, **others: Any) -> None:
        """Does the constructor's work: takes embed_dim, heads, levels and points, and the package's own attributes."""
        names = dict(zip(("embed_dim", "heads", "levels", "points"), self.OWN_NAMES))
        in_their_words(names, DeformAttn.__init__, self, *numbers)
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
        """Calls `DeformAttn.forward` for [N, Q, C] and [N, S, C]; raises ValueError if levels are not one after the
        other.
        """
        if isinstance(padding_mask, Tensor):
            padding_mask = padding_mask.bool()

        def forward() -> Tensor:
            shapes = spatial_shapes
            if level_start_index is not None and not has_torch_function_variadic(query, value):
                shapes = in_order(shapes, level_start_index)
            return DeformAttn.forward(self, query, value, reference_points, shapes, padding_mask)

        return in_their_words(self.CALL_NAMES, forward)
