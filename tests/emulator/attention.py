"""Random calls of deform_attn for the tests of this directory, with the results of the emulated kernels and the
oracle.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from ops.attention_cases import REFERENCE, AttnCase, random_case, results_of
from torch import Tensor


def small_case(seed: int) -> AttnCase:
    """A random call that the emulator runs in milliseconds."""
    case = random_case(seed)
    return replace(
        case,
        heads=min(case.heads, 3),
        channels=min(case.channels, 20),
        queries=min(case.queries, 5),
        points=min(case.points, 5),
    )


def rearranged(t: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Returns the values in other memory layouts: unchanged, with dimensions in another order, or with gaps."""
    chosen = random.Random(seed)

    def moved(tensor: Tensor) -> Tensor:
        way = chosen.randrange(3)
        if way == 1:
            order = chosen.sample(range(tensor.dim()), tensor.dim())
            back = [order.index(dim) for dim in range(tensor.dim())]
            return tensor.permute(order).contiguous().permute(back)
        if way == 2:
            return torch.stack([tensor, tensor.flip(0)], -2)[..., 0, :]
        return tensor

    return {name: moved(tensor) for name, tensor in t.items()}


def emulated(
    case: AttnCase,
    t: dict[str, Tensor],
    deterministic: bool = False,
    wanted: Sequence[bool] = (True, True, True),
) -> dict[str, Tensor]:
    """Output and gradients of the emulated kernels; those that are not wanted are empty."""
    return results_of(torch.ops.dcnbuild_emulated, case, t, deterministic, wanted)


def expected(case: AttnCase, t: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns output and gradients by the oracle, in float64."""
    return results_of(REFERENCE, case, {name: tensor.double() for name, tensor in t.items()})
