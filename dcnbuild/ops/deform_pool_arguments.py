"""Checks the tensors of a deformable pooling."""

from __future__ import annotations

import torch
from torch import Tensor

from dcnbuild.errors import ArgumentError, ArgumentTypeError
from dcnbuild.ops.arguments import HALF, check_tensor
from dcnbuild.ops.reference.deform_pool import Pooling
from dcnbuild.ops.torch_versions import is_compiling


def check_tensors(
    function: str, input: Tensor, rois: Tensor, offset_name: str, offset: Tensor | None, p: Pooling
) -> None:
    """Checks the tensors of a call against its attributes.

    Raises:
        ArgumentTypeError: something is not a tensor, not of a floating dtype, or dtypes do not go together.
        ArgumentError: a shape or device does not fit; or, on the CPU only, a RoI's image index. (Reading it on a GPU
            would wait for the GPU.)
    """
    for name, tensor, rank in (("input", input, 4), ("rois", rois, 2), (offset_name, offset, 4)):
        if tensor is None and name == offset_name:
            continue
        check_tensor(function, name, tensor, rank, input)
    allowed = (input.dtype, torch.float32) if input.dtype in HALF else (input.dtype,)
    if rois.dtype not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ArgumentTypeError(f"{function}: rois is {rois.dtype}, expected {expected} for {input.dtype} input")
    if offset is not None and offset.dtype != rois.dtype:
        raise ArgumentTypeError(
            f"{function}: {offset_name} is {offset.dtype}, expected {rois.dtype}, the dtype of rois"
        )
    if rois.shape[1] != 5:
        raise ArgumentError(
            f"{function}: rois has shape {tuple(rois.shape)}, expected (RoIs, 5): image, x1, y1, x2, y2"
        )
    channels = input.shape[1]
    if channels == 0 or channels % p.group_size**2:
        raise ArgumentError(
            f"{function}: input has {channels} channels, expected a positive multiple of "
            f"{p.group_size**2} (group_size={p.group_size}, squared)"
        )
    if offset is not None:
        out_channels, given = channels // p.group_size**2, offset.shape[1]
        if not p.position_sensitive and given != 2:
            raise ArgumentError(f"{function}: {offset_name} has {given} channels, expected 2: x and y")
        if given == 0 or given % 2 or out_channels % (given // 2):
            raise ArgumentError(
                f"{function}: {offset_name} has {given} channels, expected 2 for each class, and classes that "
                f"divide the "
                f"{out_channels} output channels"
            )
        expected_shape = (rois.shape[0], given, *p.cells)
        if tuple(offset.shape) != expected_shape:
            raise ArgumentError(
                f"{function}: {offset_name} has shape {tuple(offset.shape)}, expected {expected_shape} "
                "(RoIs, 2 * classes, rows, columns)"
            )
    if rois.device.type == "cpu" and not is_compiling():
        _check_images(function, rois, input.shape[0])


def _check_images(function: str, rois: Tensor, batch: int) -> None:
    if torch._C._functorch.is_functorch_wrapped_tensor(rois) or rois.is_meta:
        return
    images = rois.detach()[:, 0]
    wrong = ~((images >= 0) & (images < batch))
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0])
        expected = f"expected 0 to {batch - 1}" if batch else "and input has none"
        raise ArgumentError(f"{function}: RoI {index} is of image {images[index].item():g}, {expected}")
