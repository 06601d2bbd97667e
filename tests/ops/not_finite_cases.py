"""Calls with NaN and infinities, and a comparison of results that checks the place of each NaN and infinity."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch
from ops.cases import Case
from torch import Tensor

from dcnbuild.ops.deform_conv2d import OPERATOR

#: Has the operators as torch.ops.dcnbuild has them, in plain torch.
REFERENCE = SimpleNamespace(
    deform_conv2d=OPERATOR.reference_kernel,
    deform_conv2d_backward=OPERATOR.backward_reference_kernel,
)

NAN, INF = math.nan, math.inf

#: What stands here and there in each argument. Offsets fall outside the image, on its pixels and nowhere.
WILD: dict[str, tuple[float, ...]] = {
    "offset": (NAN, INF, -INF, 1e30, -50.0, 50.0, 0.0, -1.0, 1.0),
    "mask": (NAN, INF, -INF, 0.0),
    "input": (NAN, INF, -INF, 0.0),
    "weight": (NAN, INF, 0.0),
    "bias": (NAN, -INF),
    "grad_output": (NAN, INF, -INF, 0.0),
}
#: Arguments that are wild at once, each set in a call of its own.
SETS: tuple[tuple[str, ...], ...] = (
    *((name,) for name in WILD if name != "offset"),
    *(("offset", name) for name in WILD if name != "offset"),
    ("offset", "mask", "grad_output"),
    ("offset", "mask", "input", "weight"),
    tuple(WILD),
)
SHAPES = (
    Case(channels=12, out_channels=5, size=(5, 6), groups=1, offset_groups=2),
    Case(channels=2, out_channels=2, size=(4, 5), kernel=(1, 2), padding=(0, 1), groups=2),
    Case(channels=3, out_channels=4, size=(4, 4), mask=False),
)


def wild_call(case: Case, wild: tuple[str, ...], seed: int, dtype: torch.dtype) -> dict[str, Any]:
    """Tensors of a call, `grad_output` among them, with one value in six of each of `wild` replaced."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor | None] = dict(case.tensors(seed, dtype))
    shape = (case.batch, case.out_channels, *case.output_size)
    tensors["grad_output"] = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    for name in wild:
        tensor = tensors[name]
        if tensor is None:
            continue
        values = torch.tensor(WILD[name], dtype=dtype)
        choice = torch.randint(0, 6 * len(values), tensor.shape, generator=generator)
        tensors[name] = torch.where(choice < len(values), values[choice.clamp_max(len(values) - 1)], tensor)
    return tensors


def results_of(namespace: Any, case: Case, tensors: dict[str, Any], deterministic: bool = False) -> dict[str, Tensor]:
    """Output and gradients by the raw operators of a namespace, such as torch.ops.dcnbuild."""
    given = [tensors[name] for name in ("input", "offset", "mask", "weight")]
    attributes = (case.stride, case.padding, case.dilation, case.groups, case.offset_groups)
    wanted = [True, True, case.mask, True, True]
    output = namespace.deform_conv2d(*given, tensors["bias"], *attributes)
    grads = namespace.deform_conv2d_backward(tensors["grad_output"], *given, *attributes, wanted, deterministic)
    names = ("grad_input", "grad_offset", "grad_mask", "grad_weight", "grad_bias")
    return {"output": output, **dict(zip(names, grads))}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, context: Any) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(
            actual[name],
            value,
            rtol=tolerance,
            atol=tolerance * 100,
            equal_nan=True,
            msg=lambda text, name=name: f"{name} of {context}: {text}",
        )
