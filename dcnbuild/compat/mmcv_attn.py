"""mmcv's multi-scale deformable attention."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dcnbuild.compat.attention import Shapes
from dcnbuild.compat.ms_deform_attn import (
    MultiScaleDeformableAttnFunction,
    SequenceFirst,
    multi_scale_deformable_attn_pytorch,
)

__all__ = [
    "MultiScaleDeformableAttention",
    "MultiScaleDeformableAttnFunction",
    "multi_scale_deformable_attn_pytorch",
]


class MultiScaleDeformableAttention(SequenceFirst):
    """mmcv's attention: applies dropout and adds the query (or `identity`).

    Args:
        embed_dims, num_heads, num_levels, num_points: as for `dcnbuild.DeformAttn`.
        im2col_step: ignored.
        dropout: the fraction of the output that is set to zero in training.
        batch_first: whether tensors are [N, Q, C]; otherwise [Q, N, C].
        norm_cfg, init_cfg: stored and not used.
        value_proj_ratio: width of the projected values, in units of embed_dims.
    """

    OWN_NAMES = ("embed_dims", "num_heads", "num_levels", "num_points")

    def __init__(
        self,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_levels: int = 4,
        num_points: int = 4,
        im2col_step: int = 64,
        dropout: float = 0.1,
        batch_first: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        value_proj_ratio: float = 1.0,
    ) -> None:
        numbers = (embed_dims, num_heads, num_levels, num_points)
        others = {"im2col_step": im2col_step, "batch_first": batch_first, "norm_cfg": norm_cfg}
        self.set_up(*numbers, **others, init_cfg=init_cfg)
        self.dropout = nn.Dropout(dropout)
        if value_proj_ratio != 1.0:
            width = int(embed_dims * value_proj_ratio)
            self.value_proj = nn.Linear(embed_dims, width)
            self.output_proj = nn.Linear(width, embed_dims)
            self.reset_parameters()

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Shapes | None = None,
        level_start_index: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Returns `identity` (the query if None) plus the attention; ignores `key` and other arguments."""
        output = self.attend_sequences(
            *(query, value, query_pos, key_padding_mask, reference_points),
            *(spatial_shapes, level_start_index),
        )
        dropped: Tensor = self.dropout(output) + (query if identity is None else identity)
        return dropped
