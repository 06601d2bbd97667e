"""Makes wrong calls from a right one: each function takes the call's arguments by name and changes them in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ops.cases import Case

Spoil = Callable[[dict[str, Any]], None]
#: what is wrong: (how to spoil the good call, exception, words its message must hold)
Wrong = dict[str, tuple[Spoil, type[Exception], tuple[str, ...]]]

#: A good call to spoil: input [2, 4, 7, 6], 3x3 kernel with padding 1, 2 offset groups, 2 groups.
GOOD = Case(groups=2, offset_groups=2)


def good_call(device: str) -> dict[str, Any]:
    """The arguments of a right call of deform_conv2d."""
    return {**GOOD.tensors(0, torch.float32, device), "padding": 1}


def put(**changes: Any) -> Spoil:
    """Gives arguments other values."""
    return lambda call: call.update(changes)


def change(name: str, function: Callable[[torch.Tensor], Any]) -> Spoil:
    """Gives a function of an argument in its place."""
    return lambda call: call.update({name: function(call[name])})
