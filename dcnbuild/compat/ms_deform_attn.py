"""Deformable attention under the names of Deformable-DETR, Mask2Former, MaskDINO, DINO and GroundingDINO."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dcnbuild.compat.attention import OldAttn, Shapes, attend, in_their_words
from dcnbuild.compat.shared import as_function

__all__ = [
    "MSDeformAttn",
    "MSDeformAttnFunction",
    "MultiScaleDeformableAttention",
    "MultiScaleDeformableAttnFunction",
    "ms_deform_attn_core_pytorch",
    "multi_scale_deformable_attn_pytorch",
]


#: What these functions call arguments of `dcnbuild.deform_attn`.
_NAMES = {
    "spatial_shapes": "value_spatial_shapes",
    "level_start_index": "value_level_start_index",
}


def multi_scale_deformable_attn_pytorch(
    value: Tensor,
    value_spatial_shapes: Shapes,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Calls `dcnbuild.deform_attn`, where these packages compute in plain torch if their extension is missing."""
    return in_their_words(*(_NAMES, attend, value, value_spatial_shapes, None, sampling_locations, attention_weights))


ms_deform_attn_core_pytorch = multi_scale_deformable_attn_pytorch


def multi_scale_deformable_attn(
    value: Tensor,
    value_spatial_shapes: Shapes,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Returns [N, Q, M · D]; `im2col_step` is ignored, and need not divide the batch."""
    return in_their_words(
        *(_NAMES, attend, value, value_spatial_shapes, value_level_start_index),
        *(sampling_locations, attention_weights),
    )


MSDeformAttnFunction = as_function(multi_scale_deformable_attn)
MultiScaleDeformableAttnFunction = MSDeformAttnFunction


class MSDeformAttn(OldAttn):
    """The attention of Deformable-DETR, Mask2Former and MaskDINO, with their arguments, keys and initialisation.

    Args:
        d_model: width of queries, values and output.
        n_levels, n_heads, n_points: as for `dcnbuild.DeformAttn`.
    """

    OWN_NAMES = ("d_model", "n_heads", "n_levels", "n_points")
    CALL_NAMES = {  # noqa: RUF012
        "value": "input_flatten",
        "spatial_shapes": "input_spatial_shapes",
        "level_start_index": "input_level_start_index",
        "padding_mask": "input_padding_mask",
    }

    def __init__(self, d_model: int = 256, n_levels: int = 4, n_heads: int = 8, n_points: int = 4) -> None:
        self.set_up(d_model, n_heads, n_levels, n_points, im2col_step=64)

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        reference_points: Tensor,
        input_flatten: Tensor,
        input_spatial_shapes: Shapes,
        input_level_start_index: Tensor | None,
        input_padding_mask: Tensor | None = None,
    ) -> Tensor:
        """query [N, Q, C], reference_points [N, Q, L, 2 or 4], input_flatten [N, S, C], mask [N, S] → [N, Q, C]."""
        return self.attend(
            *(query, input_flatten, reference_points, input_spatial_shapes),
            *(input_level_start_index, input_padding_mask),
        )


class SequenceFirst(OldAttn):
    """Base of mmcv's attention and its copies: tensors are [Q, N, C] unless `batch_first`."""

    batch_first: bool
    CALL_NAMES = {"padding_mask": "key_padding_mask"}  # noqa: RUF012

    def attend_sequences(
        self,
        query: Tensor,
        value: Tensor | None,
        query_pos: Tensor | None,
        key_padding_mask: Tensor | None,
        reference_points: Tensor | None,
        spatial_shapes: Any,
        level_start_index: Tensor | None,
    ) -> Tensor:
        """Returns [Q, N, C], or [N, Q, C] if `batch_first`, like the query. Raises ValueError if points or shapes are
        None.
        """
        if reference_points is None or spatial_shapes is None:
            raise ValueError(f"{type(self).__name__} needs reference_points and spatial_shapes")
        value = query if value is None else value
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)
        output = self.attend(*(query, value, reference_points, spatial_shapes, level_start_index, key_padding_mask))
        return output if self.batch_first else output.transpose(0, 1)


class MultiScaleDeformableAttention(SequenceFirst):
    """GroundingDINO's attention, with its arguments, keys and initialisation.

    Args:
        embed_dim, num_heads, num_levels, num_points: as for `dcnbuild.DeformAttn`.
        img2col_step: ignored.
        batch_first: whether tensors are [N, Q, C]; otherwise [Q, N, C].
    """

    def __init__(
        self,
        embed_dim: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        img2col_step: int = 64,
        batch_first: bool = False,
    ) -> None:
        numbers = (embed_dim, num_heads, num_levels, num_points)
        self.set_up(*numbers, im2col_step=img2col_step, batch_first=batch_first)

    def freeze_sampling_offsets(self) -> None:
        """Stops training the layer that predicts offsets."""
        self.sampling_offsets.requires_grad_(False)

    def freeze_attention_weights(self) -> None:
        """Stops training the layer that predicts weights."""
        self.attention_weights.requires_grad_(False)

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Shapes | None = None,
        level_start_index: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """See `DeformAttn.forward`; adds `query_pos` to the query, and ignores `key` and other arguments."""
        return self.attend_sequences(
            *(query, value, query_pos, key_padding_mask, reference_points),
            *(spatial_shapes, level_start_index),
        )
