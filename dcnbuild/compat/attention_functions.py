"""Recognises functions of deformable attention, in any package, by their arguments and by their results.

`multi_scale_deformable_attn_pytorch(value, value_spatial_shapes, sampling_locations, attention_weights)` has a dozen names
and orders of arguments. An `Attention`, which knows the place of each argument, stands in for one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.attention import attend
from dcnbuild.ops.deform_attn_arguments import sides

#: role of an argument → its names in other packages.
_ROLES = {
    "value": r"value|input_value",
    "shapes": r"\w*spatial_shapes?",
    "shapes_list": r"\w*spatial_shapes?_list",
    "starts": r"\w*level_start_ind\w*",
    "locations": r"sampling_loc\w*",
    "weights": r"att(entio)?n_weights?",
    "points": r"num_points_list",
    "method": r"method",
    "step": r"im2?g?2col_step",
}
_NEEDED = frozenset({"value", "locations", "weights"})
#: The name of an autograd.Function of the attention.
_FUNCTION_NAME = re.compile(r"(?i)deform\w*att")


@dataclass(frozen=True)
class Attention:
    """Calls `dcnbuild.deform_attn` with the arguments of another function; can be pickled.

    Attributes:
        names: the arguments' names, in order.
        roles: the role of each, a key of _ROLES.
    """

    names: tuple[str, ...]
    roles: tuple[str, ...]

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        given = self._bound(args, kwargs)
        shapes: Any = given.get("shapes_list")
        if shapes is None:
            shapes = given.get("shapes")
        value, locations, weights = given["value"], given["locations"], given["weights"]
        if "points" in given:
            if given.get("method", "default") == "discrete":
                return nearest(value, shapes, locations, weights, given["points"])
            locations, weights = with_levels(locations, weights, given["points"])
        # With a list of shapes, the starts are not read: that would wait for the GPU.
        starts = None if given.get("shapes_list") is not None else given.get("starts")
        return attend(value, shapes, starts, locations, weights)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Returns role → value. Raises TypeError, like Python, for arguments that do not fit."""
        if len(args) > len(self.names):
            raise TypeError(f"expected at most {len(self.names)} arguments, got {len(args)}")
        given = dict(zip(self.names, args))
        for name, value in kwargs.items():
            if name not in self.names:
                raise TypeError(f"got an unexpected argument {name!r}, expected {self.names}")
            if name in given:
                raise TypeError(f"got two values for the argument {name!r}")
            given[name] = value
        roles = dict(zip(self.names, self.roles))
        bound = {roles[name]: value for name, value in given.items()}
        missing = [name for name, role in roles.items() if role in _NEEDED and role not in bound]
        if missing or not bound.keys() & {"shapes", "shapes_list"}:
            raise TypeError(f"missing arguments: got {tuple(given)}, expected {self.names}")
        return bound

    def apply(self, *args: Any) -> Tensor:
        """Calls it, for code that expects an autograd.Function."""
        return self(*args)


def with_levels(locations: Tensor, weights: Tensor, points: Sequence[int]) -> tuple[Tensor, Tensor]:
    """[N, Q, M, ΣP, 2] and [N, Q, M, ΣP] → [N, Q, M, L, P, 2] and [N, Q, M, L, P], where P is the largest number of points.

    Levels with fewer points get additional samples outside the level, with weight zero.
    """
    most = max(points)
    if all(count == most for count in points):
        size = (len(points), most)
        return locations.unflatten(3, size), weights.unflatten(3, size)
    pad = torch.nn.functional.pad
    each = zip(locations.split(list(points), 3), weights.split(list(points), 3), points)
    filled = [
        (pad(at, (0, 0, 0, most - count), value=-2.0), pad(weight, (0, most - count)))
        for at, weight, count in each
    ]
    return torch.stack([at for at, _ in filled], 3), torch.stack([w for _, w in filled], 3)


def nearest(
    value: Tensor, shapes: Any, locations: Tensor, weights: Tensor, points: Sequence[int]
) -> Tensor:
    """Samples like RT-DETRv2's "discrete" method, in plain torch: takes the pixel of a location, clamped to the level."""
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


def stand_in(found: Any) -> Attention | None:
    """Returns the stand-in for a function or autograd.Function of deformable attention; None for any other object."""
    if isinstance(found, type) and issubclass(found, torch.autograd.Function):
        ours = by_arguments(found.forward, skip=1)
        if ours is None or not _FUNCTION_NAME.search(found.__name__):
            return None
        # Most cannot run without their extension.
        return ours if agrees(ours, found.apply) is not False else None
    if not inspect.isfunction(found):
        return None
    ours = by_arguments(found)
    return ours if ours is not None and agrees(ours, found) else None


def by_arguments(function: Callable[..., Any], skip: int = 0) -> Attention | None:
    """Returns the stand-in that fits the arguments' names, after the first `skip`; None if a name is unknown."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        return None
    roles = []
    for parameter in parameters:
        known = [role for role, name in _ROLES.items() if re.fullmatch(name, parameter.name)]
        if not known or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        roles.append(known[-1])
    present = set(roles)
    if (
        len(present) < len(roles)
        or not present >= _NEEDED
        or not present & {"shapes", "shapes_list"}
    ):
        return None
    return Attention(tuple(parameter.name for parameter in parameters), tuple(roles))


def agrees(ours: Attention, theirs: Callable[..., Any]) -> bool | None:
    """Whether both give the same result for a small example; None if theirs cannot run here."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    sizes, heads, points = [(2, 3), (1, 2)], 2, 2
    samples = (1, 3, heads, len(sizes) * points)
    at, weights = uniform(*samples, 2) * 1.4 - 0.2, uniform(*samples)
    if "points" not in ours.roles:
        at, weights = with_levels(at, weights, [points, points])
    example: dict[str, Any] = {
        "value": uniform(1, 8, heads, 2),
        "shapes": torch.tensor(sizes),
        "shapes_list": sizes,
        "starts": torch.tensor([0, 6]),
        "locations": at,
        "weights": weights,
        "points": [points, points],
        "method": "default",
        "step": 1,
    }
    with torch.no_grad():
        expected = ours(*(example[role] for role in ours.roles))
        for shapes in (torch.tensor(sizes), sizes):
            example["shapes"] = shapes
            try:
                output = theirs(*(example[role] for role in ours.roles))
            except Exception:  # with any exception, it cannot run here
                continue
            return (
                isinstance(output, Tensor)
                and output.shape == expected.shape
                and torch.allclose(output, expected, atol=1e-4)
            )
    return None
