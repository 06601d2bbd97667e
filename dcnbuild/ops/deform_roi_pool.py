"""Deformable RoI pooling."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dcnbuild.ops import deform_pool
from dcnbuild.ops.arguments import LIMIT, check_integer, check_number, integer, pair
from dcnbuild.ops.deform_pool_arguments import check_tensors
from dcnbuild.ops.public import public
from dcnbuild.ops.reference.deform_pool import roi_pooling as pooling

NAME = "deform_roi_pool"


@public(positions=("rois", "offset"))
def deform_roi_pool(
    input: Tensor,
    rois: Tensor,
    offset: Tensor | None = None,
    *,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    gamma: float = 0.1,
) -> Tensor:
    """Deformable RoI pooling (Dai et al., "Deformable Convolutional Networks", 2017, section 2.2), as in mmcv.

    A RoI, [x1, x2] · spatial_scale − 0.5, is divided into output_size bins. Each bin moves by its `offset` · gamma ·
    the RoI's size. A grid divides the bin into cells: sampling_ratio along each axis, or, if that is zero, as many as
    the bin has pixels, rounded up. The bin's value is the mean over bilinear samples in the middles of the cells.

    A sample in −1 ≤ y ≤ H (likewise x) is clamped to the outermost pixels; other samples count as zeros. A bin without
    samples (a RoI of size zero with sampling_ratio 0) is zero, with zero gradients. The derivative of a sample by its
    position is zero where the sample is clamped (mmcv's is not); on a pixel it is the derivative to the right and
    below. RoIs are constants. These give NaN in the output and in the gradient of `offset`, and do not change the
    input's gradient: a NaN in `offset`; a RoI that is not finite or has 2^30 pixels or more; and, on devices other than
    the CPU, a RoI whose image index does not exist. Second derivatives with sampling_ratio 0 read the RoIs' values, so
    torch.compile cannot trace them.

    Args:
        input: [N, C, H, W]; float64, float32, float16 or bfloat16, in any memory layout.
        rois: [R, 5] as image, x1, y1, x2, y2; of the input's dtype, or float32 for a half input.
        offset: [R, 2, rows, columns], x and y of each bin, of the dtype of `rois`. None to move nothing.
        output_size: bins per RoI, an int or (rows, columns).
        spatial_scale: factor from the RoIs' coordinates to the input's pixels.
        sampling_ratio: samples of a bin along each axis; 0 or less for as many as the bin has pixels.
        gamma: factor from `offset` to fractions of the RoI's size.

    Returns:
        [R, C, rows, columns] of the input's dtype, summed in float32 for half types; channels_last if the input is.

    Raises:
        dcnbuild.ArgumentError: an argument does not fit; the message names it, what was given and what was expected.
        dcnbuild.FindingError: there are no compiled kernels for a CUDA input and none can be built.

    Examples:
        >>> input = torch.rand(1, 8, 32, 32)
        >>> rois = torch.tensor([[0.0, 4, 4, 20, 28]])  # of image 0
        >>> dcnbuild.deform_roi_pool(input, rois, output_size=7).shape
        torch.Size([1, 8, 7, 7])
    """
    attributes = (
        [check_integer(NAME, "output_size", s, 1) for s in pair("output_size", output_size, -LIMIT, NAME)],
        check_number(NAME, "spatial_scale", spatial_scale, positive=True),
        check_integer(NAME, "sampling_ratio", max(integer(NAME, "sampling_ratio", sampling_ratio), 0), 0),
        check_number(NAME, "gamma", gamma, positive=False),
    )
    check_tensors(NAME, input, rois, "offset", offset, pooling(*attributes))
    return OPERATOR(input, rois, offset, *attributes)


OPERATOR = deform_pool.describe(NAME, pooling)
