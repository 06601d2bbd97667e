"""Runs torch.library.opcheck on an operator of the package and its backward operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

#: What a set of wanted gradients can change. Tracing the second derivative takes ten times as long as all of these.
QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")


def opcheck(name: str, arguments: Sequence[Any], backward: Sequence[Any], masks: Sequence[Sequence[bool]]) -> None:
    """Checks how `dcnbuild::name` and `dcnbuild::name_backward` are registered.

    Args:
        name: the operator.
        arguments: its arguments.
        backward: the backward operator's, without the upstream gradient before them and the mask after them.
        masks: which gradients are wanted; the first is also traced.
    """
    operator = getattr(torch.ops.dcnbuild, name)
    torch.library.opcheck(operator.default, tuple(arguments))
    upstream = torch.ones_like(operator(*arguments).detach())
    for mask in masks:
        given = (upstream, *backward, list(mask), False)
        torch.library.opcheck(
            getattr(torch.ops.dcnbuild, f"{name}_backward").default,
            given,
            **({} if mask is masks[0] else {"test_utils": QUICK}),
        )
