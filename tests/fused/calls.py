"""Calls of the fused kernels on CPU tensors, with the arguments of the registered operators."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from dcnbuild.ops.deform_conv2d import OPERATOR
from dcnbuild.ops.reference.deform_conv2d import Attributes


def operators(launch: ModuleType) -> Any:
    """Both operators under the names of torch.ops.dcnbuild; every gradient begins as NaN, so that none is forgotten."""

    def deform_conv2d(*args: Any) -> Tensor:
        output = OPERATOR.fake_kernel(*args).fill_(torch.nan)
        launch.forward(output, *args[:5], Attributes(*map(_pair, args[5:])))
        return output

    def deform_conv2d_backward(*args: Any) -> tuple[Tensor, ...]:
        grad_output, input, offset, mask, weight, *attributes, wanted, _ = args
        grads = [grad.fill_(torch.nan) for grad in OPERATOR.backward_fake_kernel(*args)]
        asked = [grad if it and grad.numel() else None for grad, it in zip(grads, wanted)]
        a = Attributes(*map(_pair, attributes))
        launch.backward(asked, grad_output, input, offset, mask, weight, a)
        return tuple(grads)

    return SimpleNamespace(deform_conv2d=deform_conv2d, deform_conv2d_backward=deform_conv2d_backward)


def _pair(value: Any) -> Any:
    return value if isinstance(value, int) else tuple(value)


def results(launch: ModuleType, case: Any, tensors: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """The output and all gradients, for the upstream gradient of ops.cases.run."""
    args = [tensors[name] for name in ("input", "offset", "mask", "weight")]
    attributes = (case.stride, case.padding, case.dilation, case.groups, case.offset_groups)
    fused = operators(launch)
    output = fused.deform_conv2d(*args, tensors["bias"], *attributes)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output)
    wanted = [True, True, case.mask, True, case.bias]
    grads = fused.deform_conv2d_backward(upstream, *args, *attributes, wanted, False)
    names = ("input", "offset", "mask", "weight", "bias")
    found = {f"grad_{name}": grad for name, grad, it in zip(names, grads, wanted) if it}
    return {"output": output, **found}
