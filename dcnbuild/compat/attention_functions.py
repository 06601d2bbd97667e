"""Calls deformable attention with the arguments of another package's function.

`multi_scale_deformable_attn_pytorch(value, value_spatial_shapes, sampling_locations, attention_weights)` has a dozen
names and orders of arguments. An `Attention`, which knows the role of each argument, stands in for one;
attention_search.py finds the roles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.attention import attend, in_their_words
from dcnbuild.ops.deform_attn_arguments import sides

#: The roles that a call needs.
NEEDED = frozenset({"value", "locations", "weights"})
SHAPES = frozenset({"shapes", "shapes_list"})
#: role → its name in the errors of `dcnbuild.deform_attn`.
_OUR_NAMES = {
    "value": "value",
    "shapes": "spatial_shapes",
    "starts": "level_start_index",
    "locations": "sampling_locations",
    "weights": "attention_weights",
}


@dataclass(frozen=True)
class Argument:
    """One argument of a function.

    Attributes:
        role: "value", "shapes", "shapes_list", "starts", "locations", "weights", "points", "method", "step" or "other":
            an option whose meaning is known only at its default.
        by_name: whether it must be given by name.
        needed: whether it has no default.
        default: its default, if it has one.
    """

    name: str
    role: str
    by_name: bool = False
    needed: bool = True
    default: Any = None


@dataclass(frozen=True)
class Attention:
    """Calls `dcnbuild.deform_attn` with the arguments of another function. It can be pickled if that function can.

    It calls the other function instead if an option has another value than its default, or an optional argument of the
    attention is left out.

    Attributes:
        arguments: that function's arguments, in order.
        theirs: the function.
        sizes: the levels, if a functools.partial has bound them.
        more: whether it takes further arguments, by *args or **kwargs.
    """

    arguments: tuple[Argument, ...]
    theirs: Callable[..., Any]
    sizes: tuple[tuple[int, int], ...] | None = None
    more: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self._bound(args, kwargs)
        if given is None:
            return self.theirs(*args, **kwargs)
        shapes: Any = given.get("shapes_list")
        if shapes is None:
            shapes = given.get("shapes", self.sizes)
        value, locations, weights = given["value"], given["locations"], given["weights"]
        if "points" in given:
            if given.get("method", "default") == "discrete":
                return nearest(value, shapes, locations, weights, given["points"])
            locations, weights = with_levels(locations, weights, given["points"])
        # With a list of shapes, the starts are not read: that would wait for the GPU.
        starts = None if given.get("shapes_list") is not None else given.get("starts")
        names = {_OUR_NAMES[a.role]: a.name for a in self.arguments if a.role in _OUR_NAMES}
        return in_their_words(names, attend, value, shapes, starts, locations, weights)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Returns role → value; None if the other function must be called. Raises TypeError, like Python, for wrong
        arguments.
        """
        places = [argument for argument in self.arguments if not argument.by_name]
        known = {argument.name: argument for argument in self.arguments}
        if self.more and (len(args) > len(places) or kwargs.keys() - known.keys()):
            return None
        if len(args) > len(places):
            raise TypeError(f"expected at most {len(places)} arguments, got {len(args)}")
        given = {argument.name: value for argument, value in zip(places, args)}
        for name, value in kwargs.items():
            if name not in known:
                raise TypeError(f"got an unexpected argument {name!r}, expected {tuple(known)}")
            if name in given:
                raise TypeError(f"got two values for the argument {name!r}")
            given[name] = value
        missing = [a.name for a in self.arguments if a.needed and a.name not in given]
        if missing:
            raise TypeError(f"missing arguments: {missing}; got {tuple(given)}, expected {tuple(known)}")
        for name, value in given.items():
            if known[name].role == "other" and not _same(value, known[name].default):
                return None
        bound = {known[name].role: value for name, value in given.items()}
        sized = self.sizes is not None or bool(SHAPES & bound.keys())
        return bound if sized and bound.keys() >= NEEDED else None

    def apply(self, *args: Any) -> Any:
        """Calls it, for code that expects an autograd.Function."""
        return self(*args)


def _same(value: Any, default: Any) -> bool:
    simple = isinstance(value, bool | int | float | str | None)
    return value is default or (simple and type(value) is type(default) and value == default)


def with_levels(locations: Tensor, weights: Tensor, points: Sequence[int]) -> tuple[Tensor, Tensor]:
    """[N, Q, M, ΣP, 2] and [N, Q, M, ΣP] → [N, Q, M, L, P, 2] and [N, Q, M, L, P], where P is the largest number of
    points.

    Levels with fewer points get additional samples outside the level, with weight zero.
    """
    most = max(points)
    if all(count == most for count in points):
        size = (len(points), most)
        return locations.unflatten(3, size), weights.unflatten(3, size)
    pad = torch.nn.functional.pad
    each = zip(locations.split(list(points), 3), weights.split(list(points), 3), points)
    filled = [
        (pad(at, (0, 0, 0, most - count), value=-2.0), pad(weight, (0, most - count))) for at, weight, count in each
    ]
    return torch.stack([at for at, _ in filled], 3), torch.stack([w for _, w in filled], 3)


def nearest(value: Tensor, shapes: Any, locations: Tensor, weights: Tensor, points: Sequence[int]) -> Tensor:
    """Samples like RT-DETRv2's "discrete" method, in plain torch: takes the pixel of a location, clamped to the
    level.
    """
    start, parts = 0, []
    for (height, width), at in zip(sides("deform_attn", shapes), locations.split(list(points), 3)):
        x = (at[..., 0] * width + 0.5).long().clamp(0, width - 1)
        y = (at[..., 1] * height + 0.5).long().clamp(0, height - 1)
        parts.append(start + y * width + x)
        start += height * width
    index = torch.cat(parts, 3).movedim(2, 1).flatten(2)[..., None]  # [N, M, Q · ΣP, 1]
    pixels = value.transpose(1, 2)
    sampled = pixels.gather(2, index.expand(-1, -1, -1, value.shape[3]))
    sampled = sampled.unflatten(2, (locations.shape[1], -1))  # [N, M, Q, ΣP, D]
    weighted = sampled * weights.transpose(1, 2)[..., None]
    return weighted.sum(3).transpose(1, 2).flatten(2)
