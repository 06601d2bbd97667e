"""Makes the launches of the fused kernels for a call: layouts, passes of images, tiles. Imports triton."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import triton.language as tl
from torch import Tensor

from dcnbuild.ops.fused import configs, gradients, kernels, tuning
from dcnbuild.ops.fused.configs import Config, blocks
from dcnbuild.ops.fused.shapes import shape_of
from dcnbuild.ops.reference.deform_conv2d import Attributes


def precision(dtype: torch.dtype) -> str:
    """How tensor cores multiply: float32 by TF32 if torch allows it for matrix products, else by three products of
    it.
    """
    if dtype != torch.float32:
        return "ieee"
    matmul: Any = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        return "tf32" if matmul.fp32_precision == "tf32" else "tf32x3"
    return "tf32" if matmul.allow_tf32 else "tf32x3"


def wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are kept in."""
    return torch.promote_types(dtype, torch.float32)


@dataclass(frozen=True)
class Pass:
    """Images that one launch takes, their channels side by side, and what belongs to them."""

    first: int
    image: Tensor
    offset: Tensor
    mask: Tensor | None

    @property
    def images(self) -> int:
        return self.image.shape[0]

    def of(self, tensor: Tensor) -> Tensor:
        """The part of another tensor that belongs to these images."""
        return tensor.narrow(0, self.first, self.images)


class Call:
    """One call: its sizes, and what its launches share."""

    def __init__(self, input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, a: Attributes) -> None:
        self.input, self.offset, self.mask, self.weight = input, offset, mask, weight
        self.attributes = a
        self.shape = shape_of(input, offset, weight, a)
        self.common = {
            "HAS_MASK": mask is not None,
            "PRECISION": precision(input.dtype),
            "ACC": tl.float64 if input.dtype == torch.float64 else tl.float32,
        }

    def passes(self, buffer_bytes: int = 0) -> Iterator[Pass]:
        """Divides the batch. A buffer beside the input takes so many bytes for each image."""
        s = self.shape
        side_by_side = s.channels == 1 or self.input.stride(1) == 1
        copied = 0 if side_by_side else self.input[0].numel() * s.element_size
        images = configs.images_at_once(s.batch, s.positions, copied + buffer_bytes, s.programs)
        for first in range(0, s.batch, images):
            count = min(images, s.batch - first)
            image = self.input.narrow(0, first, count)
            if not side_by_side:
                image = image.contiguous(memory_format=torch.channels_last)
            mask = None if self.mask is None else self.mask.narrow(0, first, count)
            yield Pass(first, image, self.offset.narrow(0, first, count), mask)

    def sizes(self, part: Pass) -> list[int]:
        """The arguments of every kernel from `height` to `segment`."""
        s, a = self.shape, self.attributes
        return [
            *(*s.size, s.kernel[1], *a.stride, *a.padding, *a.dilation),
            *(part.images * s.positions, s.out_size[1], s.positions, s.offset_groups),
            *(s.taps, s.channels // s.groups, s.out_channels // s.groups),
            *(s.channels // s.offset_groups, s.segment),
        ]

    def strides(self, part: Pass) -> list[int]:
        """The arguments from `image_n` to `mask_w`."""
        n, _, h, w = part.image.stride()
        mask = part.offset if part.mask is None else part.mask
        return [n, h, w, *part.offset.stride(), *mask.stride()]

    def choose(self, kernel: configs.Kernel, m: int, n: int, k: int, start: Callable[[Config], None]) -> None:
        """Starts a kernel with the tiles that suit its product."""
        s = self.shape
        found = configs.candidates(kernel, s.element_size, m, n, k)
        key = (kernel, self.input.dtype, self.input.device, s, tuple(self.common.items()))
        start(tuning.choose(key, found, start, self.input.device))


def _options(config: Config) -> dict[str, int]:
    tile = {"BM": config.BM, "BN": config.BN, "BK": config.BK}
    return {**tile, "num_warps": config.warps, "num_stages": config.stages}


def outer(matrix: Tensor) -> int:
    """The distance between taps in a contiguous [kh, kw, rows, columns]; torch's strides say nothing where kw is 1."""
    return matrix.shape[2] * matrix.shape[3]


def forward(
    output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    a: Attributes,
) -> None:
    """Computes deform_conv2d into `output`."""
    call = Call(input, offset, mask, weight, a)
    s = call.shape
    outputs = s.out_channels // s.groups
    matrix = weight.permute(2, 3, 0, 1).contiguous()  # [kh, kw, O, C / groups]
    for part in call.passes():
        to = part.of(output)
        rows = part.images * s.positions

        def start(config: Config, part: Pass = part, to: Tensor = to, rows: int = rows) -> None:
            grid = (blocks(rows, config.BM) * s.groups * blocks(outputs, config.BN),)
            kernels.forward_kernel[grid](
                *(part.image, part.offset, part.offset if part.mask is None else part.mask),
                *(matrix, matrix if bias is None else bias.contiguous(), to),
                *call.sizes(part),
                *call.strides(part),
                *(outer(matrix), matrix.shape[3], *to.stride()),
                HAS_BIAS=bias is not None,
                **call.common,
                **_options(config),
            )

        call.choose("forward", rows, outputs, s.segment, start)


def backward(
    grads: Sequence[Tensor | None],
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    a: Attributes,
) -> None:
    """Computes the gradients of input, offset, mask, weight and bias into those of `grads` that are not None."""
    to_input, to_offset, to_mask, to_weight, to_bias = grads
    call = Call(input, offset, mask, weight, a)
    if to_input is not None or to_offset is not None or to_mask is not None:
        _sample_gradients(call, grad_output, to_input, to_offset, to_mask)
    if to_weight is not None:
        _weight_gradients(call, grad_output, to_weight)
    if to_bias is not None:
        to_bias.copy_(grad_output.sum((0, 2, 3), dtype=wide(grad_output.dtype)))


def _sample_gradients(
    call: Call,
    grad_output: Tensor,
    to_input: Tensor | None,
    to_offset: Tensor | None,
    to_mask: Tensor | None,
) -> None:
    s, input = call.shape, call.input
    matrix = call.weight.permute(2, 3, 1, 0).contiguous()  # [kh, kw, C / groups, O]
    buffered = wide(input.dtype).itemsize * input[0].numel() if to_input is not None else 0
    for part in call.passes(buffered):
        rows = part.images * s.positions
        upstream = part.of(grad_output)
        # as the image lies, so that they share their strides
        image = part.image
        buffer = None
        if to_input is not None:
            layout = torch.channels_last
            image = image if image.is_contiguous(memory_format=layout) else _dense(image)
            buffer = torch.empty_like(image, dtype=wide(input.dtype), memory_format=layout)
            buffer = buffer.as_strided(image.shape, image.stride())
        part = Pass(part.first, image, part.offset, part.mask)
        shown = part.offset if part.mask is None else part.mask
        for_offset = part.offset if to_offset is None else part.of(to_offset)
        for_mask = shown if to_mask is None else part.of(to_mask)
        flags = {
            "WITH_IMAGE": buffer is not None,
            "WITH_OFFSET": to_offset is not None,
            "WITH_MASK": to_mask is not None,
        }

        def start(
            config: Config,
            part: Pass = part,
            rows: int = rows,
            tensors: tuple[Tensor, ...] = (
                *(part.image, part.offset, shown, matrix, upstream),
                *(part.image if buffer is None else buffer, for_offset, for_mask),
            ),
            flags: dict[str, bool] = flags,
        ) -> None:
            grid = (blocks(rows, config.BM) * s.taps * s.offset_groups,)
            *_, upstream, _, for_offset, for_mask = tensors
            gradients.sample_gradients_kernel[grid](
                *tensors,
                *call.sizes(part),
                *call.strides(part),
                *(outer(matrix), matrix.shape[3], *upstream.stride()),
                *(*for_offset.stride(), *for_mask.stride()),
                **flags,
                **call.common,
                **_options(config),
            )

        def from_zero(config: Config, start: Any = start, buffer: Tensor | None = buffer) -> None:
            if buffer is not None:
                buffer.zero_()
            start(config)

        call.choose("samples", rows, s.segment, s.out_channels // s.groups, from_zero)
        if to_input is not None and buffer is not None:
            part.of(to_input).copy_(buffer)


def _dense(image: Tensor) -> Tensor:
    """A copy with its channels side by side and nothing between its pixels."""
    copy = torch.empty_like(image, memory_format=torch.channels_last)
    return copy.copy_(image)


def _weight_gradients(call: Call, grad_output: Tensor, to_weight: Tensor) -> None:
    s, weight = call.shape, call.weight
    outputs, inputs = s.out_channels // s.groups, s.channels // s.groups
    total: Tensor | None = None
    for part in call.passes():
        rows = part.images * s.positions
        upstream = part.of(grad_output)
        partial: list[Tensor] = []

        def start(
            config: Config,
            part: Pass = part,
            rows: int = rows,
            upstream: Tensor = upstream,
            partial: list[Tensor] = partial,
        ) -> None:
            tiles = s.taps * s.channels // s.segment * blocks(s.segment, config.BM)
            tiles *= blocks(outputs, config.BN)
            accumulated = wide(weight.dtype)
            size = weight.numel() * accumulated.itemsize
            processors = tuning.device(call.input.device).processors
            split = configs.split_rows(rows, tiles, config.BK, processors, size)
            splits = blocks(rows, split)
            sums = weight.new_empty((splits, *s.kernel, inputs, s.out_channels), dtype=accumulated)
            partial[:] = [sums]
            gradients.weight_gradients_kernel[(tiles * splits,)](
                *(part.image, part.offset, part.offset if part.mask is None else part.mask),
                *(upstream, sums),
                *(*call.sizes(part), split),
                *(*call.strides(part), *upstream.stride()),
                *(sums.stride(0), sums.stride(2), sums.stride(3)),
                **call.common,
                **_options(config),
            )

        call.choose("weight", s.segment, outputs, rows, start)
        found = partial[0].sum(0)
        total = found if total is None else total + found
    assert total is not None
    to_weight.copy_(total.permute(3, 2, 0, 1))
