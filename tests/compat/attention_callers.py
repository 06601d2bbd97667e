"""Modules that compute deformable attention by functions of any names, held and called in many ways."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from ops.attention_cases import AttnCase, plain_attn
from torch import Tensor, nn

CASE = AttnCase(heads=3, channels=5, points=2, shapes=((5, 4), (3, 2)))
SHAPES, STARTS = torch.tensor(CASE.shapes), CASE.starts
#: The attention in plain torch, with whatever arguments; `{change}` makes another function of it.
SOURCE = """
def core({signature}):
    value, sizes, at, weights = {value}, {shapes}, {locations}, {weights}
    {change}
    n, _, heads, width = value.shape
    sizes = [(int(h), int(w)) for h, w in sizes]
    output = 0
    for level, ((h, w), part) in enumerate(zip(sizes, value.split([h * w for h, w in sizes], dim=1))):
        image = part.permute(0, 2, 3, 1).reshape(n * heads, width, h, w)
        grid = (2 * at[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
        sampled = F.grid_sample(image, grid, mode={mode!r}, padding_mode={padding!r}, align_corners=False)
        output = output + (sampled * weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]).sum(-1)
    return output.view(n, heads * width, -1).transpose(1, 2){after}
"""
NAMES = {"value": "feats", "shapes": "dims", "locations": "where", "weights": "shares"}


def core(signature: str, names: dict[str, str] = NAMES, **options: str) -> Callable[..., Tensor]:
    """Attention of that signature."""
    filled = {"change": "pass", "mode": "bilinear", "padding": "zeros", "after": "", **options}
    namespace: dict[str, Any] = {"F": F, "torch": torch}
    exec(SOURCE.format(signature=signature, **names, **filled), namespace)
    function: Callable[..., Tensor] = namespace["core"]
    return function


class Caller(nn.Module):
    """Calls what it is given as `call(value, locations, weights)`."""

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        raise NotImplementedError


OTHER_NAMES = core("where, shares, feats, dims")
BY_NAME = core("feats, *, dims, shares, where, training=False")
WITH_OPTION = core("feats, dims, where, shares, scale=1.0", change="at = at * scale")
MORE_NEEDED = core("feats, dims, begin, where, shares, chunk", change="begin[0], chunk + 1")
WITH_MORE = core("feats, dims, *, where, shares, **options")
NONE_BY_DEFAULT = core("feats, dims=None, where=None, shares=None, verbose=False")
BOUND = functools.partial(core("feats, chunk, dims, where, shares"), chunk=64, dims=CASE.shapes)
FIRST_BOUND = functools.partial(core("chunk, feats, dims, where, shares"), 64)
OPS = types.ModuleType("their_ops")
vars(OPS)["inner"] = types.ModuleType("their_ops.inner")
vars(OPS.inner)["core"] = OTHER_NAMES


class Holder:
    core = staticmethod(OTHER_NAMES)


def helper(given: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Hands on, with other arguments."""
    value, locations, weights = given
    return second_helper(value, locations, weights)


def second_helper(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    return OTHER_NAMES(locations, weights, value, SHAPES) * 1.0


class OtherNames(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return OTHER_NAMES(locations, weights, feats=value, dims=SHAPES)


class ByName(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return BY_NAME(value, shares=weights, where=locations, dims=CASE.shapes)


class WithOption(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return WITH_OPTION(value, SHAPES, locations, weights, 1.0)


class MoreNeeded(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return MORE_NEEDED(value, SHAPES, STARTS, locations, weights, 64)


class PartialOfSizes(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return BOUND(value, where=locations, shares=weights)


class PartialInClass(Caller):
    sample = FIRST_BOUND

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, SHAPES, locations, weights)


class PartialInInstance(Caller):
    def __init__(self) -> None:
        super().__init__()
        self.sample = functools.partial(plain_attn, value_spatial_shapes=SHAPES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, sampling_locations=locations, attention_weights=weights)


class Static(Caller):
    sample = staticmethod(OTHER_NAMES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(locations, weights, value, SHAPES)


class ClassMethod(Caller):
    @classmethod
    def sample(cls, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return OTHER_NAMES(locations, weights, value, SHAPES)

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return type(self).sample(value, locations, weights)


class Method(Caller):
    """Computes in a method, which looks at nothing of the module."""

    sample = core("self, feats, dims, where, shares")

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return self.sample(value, SHAPES, locations, weights)  # type: ignore[call-arg, arg-type]


class Chain(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return helper((value, locations, weights))


class OfModule(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = OPS.inner.core(locations, weights, value, SHAPES)
        return output


class OfHolder(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return Holder.core(locations, weights, value, SHAPES)


class WithMore(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return WITH_MORE(value, SHAPES, where=locations, shares=weights)


class NoneByDefault(Caller):
    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        return NONE_BY_DEFAULT(value, dims=SHAPES, where=locations, shares=weights)


class Called:
    def __init__(self) -> None:
        self.scale = 1.0

    __call__ = core("self, where, shares, feats, dims", change="at = at * self.scale")


class ObjectInInstance(Caller):
    def __init__(self) -> None:
        super().__init__()
        self.sample: Any = Called()

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = self.sample(locations, weights, value, SHAPES)
        return output


class BoundMethodInInstance(ObjectInInstance):
    def __init__(self) -> None:
        super().__init__()
        self.sample = Called().__call__


KINDS = (
    WithMore, NoneByDefault, ObjectInInstance, BoundMethodInInstance,
    OtherNames, ByName, WithOption, MoreNeeded, PartialOfSizes, PartialInClass, PartialInInstance, Static, ClassMethod, Method,
    Chain, OfModule, OfHolder,
)  # fmt: skip
