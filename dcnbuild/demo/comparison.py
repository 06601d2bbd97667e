"""Times dcnbuild's operator and torchvision's on the same tensors in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import dcnbuild

#: The two operators take turns, so that other work on the machine affects both.
ROUNDS = 6


@dataclass(frozen=True)
class Comparison:
    """The times of forward and backward with all gradients, the best of `ROUNDS`.

    Attributes:
        ours, theirs: seconds of dcnbuild's and of torchvision's operator.
        difference: the largest difference of the two outputs.
    """

    ours: float
    theirs: float
    difference: float

    def __str__(self) -> str:
        return (
            f"forward + backward {self.ours * 1e3:.1f} ms, torchvision's {self.theirs * 1e3:.1f} ms: "
            f"{self.theirs / self.ours:.1f} times as fast; largest difference {self.difference:.1g}"
        )


def compare_with_torchvision(input: Tensor, offset: Tensor, weight: Tensor) -> Comparison | str:
    """Times both operators, or says in a few words why torchvision's cannot run here.

    Args:
        input, offset, weight: as for `dcnbuild.deform_conv2d` without padding; float32, on one device.
    """
    try:
        from torchvision.ops import deform_conv2d as theirs  # type: ignore[import-untyped]
    except ImportError:
        return "no comparison, torchvision is not installed"
    except (OSError, RuntimeError) as error:  # torchvision was built for another torch
        return f"no comparison, torchvision cannot be imported: {_first_line(error)}"
    tensors = tuple(tensor.detach().clone().requires_grad_() for tensor in (input, offset, weight))
    ours: Callable[..., Tensor] = dcnbuild.deform_conv2d
    try:
        difference = ours(*tensors) - theirs(*tensors)
        rounds = [(_seconds(ours, tensors), _seconds(theirs, tensors)) for _ in range(ROUNDS)]
    except RuntimeError as error:  # torchvision has no kernels for this device
        return f"no comparison, torchvision's operator fails: {_first_line(error)}"
    return Comparison(
        ours=min(our_time for our_time, _ in rounds),
        theirs=min(their_time for _, their_time in rounds),
        difference=difference.abs().max().item(),
    )


def _seconds(operator: Callable[..., Tensor], tensors: tuple[Tensor, ...]) -> float:
    """Returns the seconds of one forward and backward pass.

    It does not use torch.utils.benchmark, whose import warns if torch has CUDA and the machine has no GPU.
    """
    _wait(tensors[0])
    started = time.perf_counter()
    torch.autograd.grad(operator(*tensors).sum(), tensors)
    _wait(tensors[0])
    return time.perf_counter() - started


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
