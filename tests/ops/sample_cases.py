"""Random calls of deform_sample, by the raw operators, by the reference, and by grid_sample as InternImage writes
it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from ops.point_cases import differentiated, in_dtypes, normals
from torch import Tensor

import dcnbuild
from dcnbuild.ops.deform_sample import OPERATOR
from dcnbuild.ops.reference import deform_sample as reference
from dcnbuild.ops.reference.deform_sample import Attributes, output_size, taps

NAMES = ("input", "offset", "mask")
KERNELS = torch.ops.dcnbuild

SAME = Attributes((3, 3), (1, 1), (1, 1), (1, 1), 1.3, False)


@dataclass(frozen=True)
class SampleCase:
    """The shape of one call."""

    batch: int = 2
    size: tuple[int, int] = (6, 5)
    groups: int = 3
    channels: int = 4
    attributes: Attributes = SAME

    def but(self, **changed: Any) -> SampleCase:
        """Another case, with other attributes."""
        return replace(self, attributes=self.attributes._replace(**changed))

    def tensors(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        points_dtype: torch.dtype | None = None,
    ) -> dict[str, Tensor]:
        """Input [N, H, W, G, D], offset, mask and an upstream gradient, from one generator."""
        normal = normals(seed)
        a = self.attributes
        places = (self.batch, *output_size(*self.size, a))
        exact = {
            "input": normal(self.batch, *self.size, self.groups, self.channels),
            "offset": normal(*places, self.groups, taps(a), 2),
            "mask": normal(*places, self.groups, taps(a)),
            "grad_output": normal(*places, self.groups * self.channels),
        }
        return in_dtypes(exact, NAMES[1:], dtype, device, points_dtype)


CASE = SampleCase()


def operate(input: Tensor, offset: Tensor, mask: Tensor, case: SampleCase = CASE) -> Tensor:
    """The public function, with an input [N, H, W, G, D]."""
    return dcnbuild.deform_sample(input.flatten(3), offset, mask, *case.attributes)


def leaves_of(case: SampleCase = CASE, seed: int = 0, **options: Any) -> list[Tensor]:
    tensors = case.tensors(seed, **options)
    return [tensors[name].requires_grad_() for name in NAMES]


def random_case(seed: int) -> SampleCase:
    """A small call with everything varied, sides that differ among it."""
    rng = random.Random(seed)

    def pair(*choices: int) -> tuple[int, int]:
        return rng.choice(choices), rng.choice(choices)

    kernel = pair(1, 2, 3, 3, 5)
    removes = kernel != (1, 1) and all(side % 2 for side in kernel) and rng.random() < 0.6
    scale = rng.choice([0.0, 0.25, 0.7, 1.0, 1.0, 2.0, -1.5])
    a = Attributes(kernel, pair(1, 1, 2, 3), pair(0, 1, 2, 4), pair(1, 1, 2, 3), scale, removes)
    # At least as large as the kernel reaches.
    size = tuple(
        max(rng.choice([1, 2, 5, 8]), d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, a.dilation, a.padding)
    )
    channels = rng.choice([1, 2, 3, 4, 5, 8, 12, 16, 31, 32, 40])
    return SampleCase(rng.randint(1, 3), (size[0], size[1]), rng.choice([1, 2, 3]), channels, a)


#: The operators in plain torch, as `torch.ops.dcnbuild` has them.
REFERENCE = SimpleNamespace(
    deform_sample=OPERATOR.reference_kernel,
    deform_sample_backward=OPERATOR.backward_reference_kernel,
)


def results_of(
    namespace: Any,
    case: SampleCase,
    tensors: dict[str, Tensor],
    deterministic: bool = False,
    wanted: tuple[bool, ...] = (True, True, True),
) -> dict[str, Tensor]:
    """Output and gradients by the raw operators of a namespace, such as torch.ops.dcnbuild."""
    arguments = (*(tensors[name] for name in NAMES), *case.attributes)
    grads = namespace.deform_sample_backward(tensors["grad_output"], *arguments, list(wanted), deterministic)
    output = namespace.deform_sample(*arguments)
    return {"output": output, **{f"grad_{name}": grad for name, grad in zip(NAMES, grads)}}


def expected_of(case: SampleCase, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns output and gradients by the reference, from one forward and one backward pass."""
    return differentiated(lambda *t: reference.forward(*t, case.attributes), tensors)


def grid_sampled(input: Tensor, offset: Tensor, mask: Tensor, a: Attributes) -> Tensor:
    """By grid_sample on the image, tap by tap; the tap's number counts down the columns."""
    n, height, width, groups, _ = input.shape
    rows, columns = offset.shape[1:3]
    image = input.permute(0, 3, 4, 1, 2).flatten(0, 1)
    output, k = input.new_zeros(()), 0
    for i in range(a.kernel_size[1]):
        for j in range(a.kernel_size[0]):
            if a.remove_center and (j, i) == (a.kernel_size[0] // 2, a.kernel_size[1] // 2):
                continue
            axes = []
            for axis, (size, count, tap) in enumerate(((height, rows, j), (width, columns, i))):
                half = a.dilation[axis] * (a.kernel_size[axis] - 1) // 2
                middle = torch.arange(count) * a.stride[axis] - a.padding[axis] + half
                middle = middle[:, None] if axis == 0 else middle
                moved = offset[..., k, 1 - axis] + (tap * a.dilation[axis] - half)
                place = middle[..., None] + a.offset_scale * moved
                axes.append((2 * place + 1) / size - 1)
            grid = torch.stack(axes[::-1], -1).movedim(3, 1).flatten(0, 1)
            sampled = torch.nn.functional.grid_sample(image, grid, align_corners=False)
            share = mask[..., k].movedim(3, 1).flatten(0, 1)[:, None]
            output, k = output + sampled * share, k + 1
    return output.unflatten(0, (n, groups)).flatten(1, 2).movedim(1, 3)
