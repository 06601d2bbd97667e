"""Deformable position-sensitive RoI pooling v2."""

from __future__ import annotations

from torch import Tensor

from dcnbuild.ops import deform_pool
from dcnbuild.ops.arguments import check_integer, check_number
from dcnbuild.ops.deform_pool_arguments import check_tensors
from dcnbuild.ops.public import public
from dcnbuild.ops.reference.deform_pool import psroi_pooling as pooling

NAME = "deform_psroi_pool"


@public(positions=("rois", "trans"))
def deform_psroi_pool(
    input: Tensor,
    rois: Tensor,
    trans: Tensor | None = None,
    *,
    spatial_scale: float,
    pooled_size: int,
    group_size: int = 1,
    part_size: int | None = None,
    sample_per_part: int = 4,
    trans_std: float = 0.0,
) -> Tensor:
    """Deformable PS-RoI pooling (Dai et al., "Deformable Convolutional Networks", 2017, section 2.2), as in DCNv2.

    A RoI is rounded to whole coordinates, [round(x1), round(x2) + 1) · spatial_scale − 0.5, at least 0.1 pixels long.
    It is divided into pooled_size² bins. Each bin moves by its part's `trans` · trans_std · the RoI's size. Its value
    is the mean over sample_per_part² bilinear samples, at multiples of the bin's size / sample_per_part from its
    beginning.

    A sample counts if −0.5 ≤ y ≤ H − 0.5 (likewise x), and is clamped to the outermost pixels. A bin without such
    samples is zero, with zero gradients. The derivative of a sample by its position is zero where the sample is
    clamped, and on a pixel. RoIs are constants. These give NaN in the output and in the gradient of `trans`, and do not
    change the input's gradient: a NaN in `trans`; a RoI that is not finite or has 2^30 pixels or more; and, on devices
    other than the CPU, a RoI whose image index does not exist.

    Args:
        input: [N, O · group_size², H, W]; float64, float32, float16 or bfloat16, in any memory layout. Bin (i, j) of
            output channel o reads channel (o · group_size + i · group_size // pooled_size) · group_size + (the same of
            j).
        rois: [R, 5] as image, x1, y1, x2, y2; of the input's dtype, or float32 for a half input.
        trans: [R, 2 · classes, part_size, part_size] of the dtype of `rois`, per class x and y; or None to move
            nothing. The number of classes divides O; each class moves its share of the output channels.
        spatial_scale: factor from the RoIs' coordinates to the input's pixels.
        pooled_size: bins along each axis.
        group_size: see `input`.
        part_size: cells of `trans` along each axis; pooled_size if None.
        sample_per_part: samples of a bin along each axis.
        trans_std: factor from `trans` to fractions of the RoI's size.

    Returns:
        [R, O, pooled_size, pooled_size] of the input's dtype, summed in float32 for half types; channels_last if the
        input is.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA input and none can be built.
    """
    attributes = (
        check_number(NAME, "spatial_scale", spatial_scale, positive=True),
        check_integer(NAME, "group_size", group_size, 1),
        check_integer(NAME, "pooled_size", pooled_size, 1),
        check_integer(NAME, "part_size", pooled_size if part_size is None else part_size, 1),
        check_integer(NAME, "sample_per_part", sample_per_part, 1),
        check_number(NAME, "trans_std", trans_std, positive=False),
    )
    check_tensors(NAME, input, rois, "trans", trans, pooling(*attributes))
    return OPERATOR(input, rois, trans, *attributes)


OPERATOR = deform_pool.describe(NAME, pooling)
