"""Files like those of repositories with deformable attention, written from the paper and the repositories'
arguments.
"""

from __future__ import annotations

#: The attention in plain torch, under the name that a repository gives it.
PLAIN = """
def {name}(value, value_spatial_shapes, sampling_locations, attention_weights):
    n, _, heads, width = value.shape
    queries = sampling_locations.shape[1]
    parts = value.split([int(h) * int(w) for h, w in value_spatial_shapes], dim=1)
    output = 0
    for level, (h, w) in enumerate(value_spatial_shapes):
        image = parts[level].permute(0, 2, 3, 1).reshape(n * heads, width, int(h), int(w))
        grid = 2 * sampling_locations[:, :, :, level].transpose(1, 2).flatten(0, 1) - 1
        sampled = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners={align})
        weights = attention_weights[:, :, :, level].transpose(1, 2).flatten(0, 1)[:, None]
        output = output + (sampled * weights).sum(-1)
    return output.view(n, heads * width, queries).transpose(1, 2).contiguous()
"""

#: An autograd.Function on the extension.
FUNCTION = """
class {name}(Function):
    @staticmethod
    def forward(ctx, value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights, im2col_step):
        ctx.im2col_step = im2col_step
        output = {ext}.ms_deform_attn_forward(
            value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights, ctx.im2col_step)
        ctx.save_for_backward(
            value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        value, shapes, starts, locations, weights = ctx.saved_tensors
        grads = {ext}.ms_deform_attn_backward(value, shapes, starts, locations, weights, grad_output, ctx.im2col_step)
        return grads[0], None, None, grads[1], grads[2], None
"""

_HEAD = """
import math
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
"""

#: models/ops/functions/ms_deform_attn_func.py
DETR_FUNCTIONS = (
    _HEAD
    + "import MultiScaleDeformableAttention as MSDA\n"
    + FUNCTION.format(name="MSDeformAttnFunction", ext="MSDA")
    + PLAIN.format(name="ms_deform_attn_core_pytorch", align=False)
)

#: models/ops/modules/ms_deform_attn.py. `{more}` is what a descendant has besides.
DETR_MODULE = (
    _HEAD
    + """
from ..functions.ms_deform_attn_func import MSDeformAttnFunction

def _is_power_of_2(n):
    return n & (n - 1) == 0

class MSDeformAttn(nn.Module):
    def __init__(self, d_model=256, n_levels=4, n_heads=8, n_points=4{more}):
        super().__init__()
        self.im2col_step = 64
        self.d_model, self.n_levels, self.n_heads, self.n_points = d_model, n_levels, n_heads, n_points
        self.sampling_offsets = nn.Linear(d_model, n_heads * n_levels * n_points * 2)
        self.attention_weights = nn.Linear(d_model, n_heads * n_levels * n_points)
        self.value_proj = nn.Linear(d_model, d_model)
        self.output_proj = nn.Linear(d_model, d_model)

    def forward(self, query, reference_points, input_flatten, input_spatial_shapes, input_level_start_index,
                input_padding_mask=None):
        n, queries, _ = query.shape
        value = self.value_proj(input_flatten)
        if input_padding_mask is not None:
            value = value.masked_fill(input_padding_mask[..., None], float(0))
        value = value.view(n, -1, self.n_heads, self.d_model // self.n_heads)
        samples = (n, queries, self.n_heads, self.n_levels, self.n_points)
        offsets = self.sampling_offsets(query).view(*samples, 2)
        weights = self.attention_weights(query).view(*samples[:3], -1).softmax(-1).view(samples)
        sizes = torch.stack([input_spatial_shapes[..., 1], input_spatial_shapes[..., 0]], -1)
        locations = reference_points[:, :, None, :, None, :] + offsets / sizes[None, None, None, :, None, :]
        output = MSDeformAttnFunction.apply(
            value, input_spatial_shapes, input_level_start_index, locations, weights, self.im2col_step)
        return self.output_proj(output)
"""
)

#: groundingdino/models/GroundingDINO/ms_deform_attn.py, which goes on without its extension, and on the CPU always.
GROUNDING_DINO = (
    _HEAD
    + """
import warnings
try:
    from groundingdino import _C
except:
    warnings.warn("Failed to load custom C++ ops. Running on CPU mode Only!")
"""
    + FUNCTION.format(name="MultiScaleDeformableAttnFunction", ext="_C")
    + PLAIN.format(name="multi_scale_deformable_attn_pytorch", align=False)
    + """
class MultiScaleDeformableAttention(nn.Module):
    def __init__(self, embed_dim=256, num_heads=8, num_levels=4, num_points=4, img2col_step=64, batch_first=False):
        super().__init__()
        self.im2col_step, self.batch_first = img2col_step, batch_first
        self.embed_dim, self.num_heads, self.num_levels, self.num_points = embed_dim, num_heads, num_levels, num_points
        self.sampling_offsets = nn.Linear(embed_dim, num_heads * num_levels * num_points * 2)
        self.attention_weights = nn.Linear(embed_dim, num_heads * num_levels * num_points)
        self.value_proj = nn.Linear(embed_dim, embed_dim)
        self.output_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, key=None, value=None, query_pos=None, key_padding_mask=None, reference_points=None,
                spatial_shapes=None, level_start_index=None, **kwargs):
        value = query if value is None else value
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.permute(1, 0, 2), value.permute(1, 0, 2)
        n, queries, _ = query.shape
        value = self.value_proj(value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], float(0))
        value = value.view(n, -1, self.num_heads, self.embed_dim // self.num_heads)
        samples = (n, queries, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).view(*samples, 2)
        weights = self.attention_weights(query).view(*samples[:3], -1).softmax(-1).view(samples)
        if reference_points.shape[-1] == 2:
            sizes = torch.stack([spatial_shapes[..., 1], spatial_shapes[..., 0]], -1)
            locations = reference_points[:, :, None, :, None, :] + offsets / sizes[None, None, None, :, None, :]
        else:
            locations = (reference_points[:, :, None, :, None, :2]
                         + offsets / self.num_points * reference_points[:, :, None, :, None, 2:] * 0.5)
        if torch.cuda.is_available() and value.is_cuda:
            output = MultiScaleDeformableAttnFunction.apply(
                value, spatial_shapes, level_start_index, locations, weights, self.im2col_step)
        else:
            output = multi_scale_deformable_attn_pytorch(value, spatial_shapes, locations, weights)
        output = self.output_proj(output)
        return output if self.batch_first else output.permute(1, 0, 2)

def create_dummy_class(klass, dependency, message=""):
    raise ImportError(klass)
"""
)
