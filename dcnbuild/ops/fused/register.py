"""Puts the fused route before the compiled CUDA kernels of deform_conv2d, where DCNBUILD_FUSED asks for it.

It registers with the dispatcher, below autograd. So functions, raw operators, compiled graphs and inference mode all
take the same route. The kernels that were there serve what it refuses.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dcnbuild.builder import native
from dcnbuild.errors import ArgumentError
from dcnbuild.ops.calls import NAMESPACE
from dcnbuild.ops.deform_conv2d_arguments import parse
from dcnbuild.ops.fused import route, tuning
from dcnbuild.ops.fused.shapes import shape_of
from dcnbuild.ops.reference.deform_conv2d import Attributes

if TYPE_CHECKING:
    from dcnbuild.ops.operator import Operator


def when_loaded(operator: Operator) -> None:
    """Registers the fused route of an operator as soon as its CUDA library is loaded, if DCNBUILD_FUSED asks for it
    then.
    """

    def look(device: str) -> None:
        # a wrong value is an error of the first call, and so is "on" where it cannot be had
        if device == "cuda" and os.environ.get(route.VARIABLE, "") not in ("", "auto", "off"):
            _kept.append(put_before(operator, "CUDA"))

    native.when_loaded.append(look)


#: Registrations end when these objects do.
_kept: list[torch.library.Library] = []


def put_before(operator: Operator, key: str) -> torch.library.Library:
    """Registers the fused route under a dispatch key, before the kernels that are there now. It ends with the
    result.
    """
    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    reason = route.unavailable()
    for call, serve in ((operator.call, _forward), (operator.backward_call, _backward)):
        chunked = _kernel(call.name, key)
        if reason is not None:
            serve = functools.partial(_refuse, reason)
        library.impl(call.name, functools.partial(serve, operator, chunked), key)
    return library


def _kernel(name: str, key: str) -> Callable[..., Any]:
    """The kernel that an operator has under a dispatch key."""
    if not hasattr(torch.library, "get_kernel"):
        return functools.partial(_refuse, str(route.unavailable()), None, None)
    keys = torch._C.DispatchKeySet(torch._C._dispatch_key_parse(key))
    kernel = torch.library.get_kernel(f"{NAMESPACE}::{name}", key)
    return functools.partial(kernel.call_boxed, keys)


def _refuse(reason: str, operator: Any, chunked: Any, *args: Any) -> Any:
    if chunked is None or route.mode() == "on":
        raise ArgumentError(f"{route.VARIABLE}=on cannot be had: {reason}. Unset it to take the other kernels")
    return chunked(*args)


def _serves(tensors: Sequence[Any], attributes: Sequence[Any], in_order: bool) -> bool:
    """Whether the fused route serves a call. What does not fit goes to the compiled kernels, which say what is
    wrong.
    """
    mode = route.mode()
    if mode != "on":
        return False
    input, offset, mask, weight, bias = tensors
    a = Attributes(*attributes)
    try:
        parsed = parse(input, offset, weight, bias, a.stride, a.padding, a.dilation, mask)
    except ArgumentError:
        return False
    if parsed[3:] != a[3:] or (bias is not None and bias.dtype != input.dtype):
        return False
    shape = shape_of(input, offset, weight, parsed)
    return route.refusal(mode, shape, tuning.device(input.device), in_order=in_order) is None


def _forward(operator: Operator, chunked: Any, *args: Any) -> Tensor:
    tensors, attributes = args[:5], args[5:]
    if not _serves(tensors, attributes, False):
        output: Tensor = chunked(*args)
        return output
    from dcnbuild.ops.fused import launch

    output = operator.fake_kernel(*args)
    with _on(output.device):
        input, offset, mask, weight, bias = tensors
        a = Attributes(*map(_pair, attributes))
        launch.forward(output, input, offset, mask, weight, bias, a)
    return output


def _backward(operator: Operator, chunked: Any, *args: Any) -> tuple[Tensor, ...]:
    grad_output, input, offset, mask, weight, *attributes, wanted, deterministic = args
    in_order = deterministic and wanted[0]
    fits = _serves((input, offset, mask, weight, None), attributes, in_order) and _like(
        grad_output, operator.fake_kernel(input, offset, mask, weight, None, *attributes)
    )
    if not fits:
        grads: tuple[Tensor, ...] = chunked(*args)
        return grads
    from dcnbuild.ops.fused import launch

    grads = operator.backward_fake_kernel(*args)
    asked = [grad if it and grad.numel() else None for grad, it in zip(grads, wanted)]
    with _on(input.device):
        launch.backward(asked, grad_output, input, offset, mask, weight, Attributes(*map(_pair, attributes)))
    return grads


def _pair(value: Any) -> Any:
    return value if isinstance(value, int) else tuple(value)


def _like(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device


def _on(device: torch.device) -> Any:
    """Makes a GPU the current one, which is where Triton starts kernels."""
    return torch.cuda.device(device if device.type == "cuda" else -1)
