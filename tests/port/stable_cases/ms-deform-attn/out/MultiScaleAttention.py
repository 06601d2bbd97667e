"""The operators of MultiScaleAttention. Written by `dcnbuild port --to stable`."""

import importlib.util

import torch

_name = f"{__package__}.MultiScaleAttention_library" if __package__ else "MultiScaleAttention_library"
_found = importlib.util.find_spec(_name)
if _found is None or _found.origin is None:
    raise ImportError(f"{_name} is not built: install this project with pip", name=_name)
torch.ops.load_library(_found.origin)

ms_deform_attn_forward = torch.ops.MultiScaleAttention.ms_deform_attn_forward
ms_deform_attn_backward = torch.ops.MultiScaleAttention.ms_deform_attn_backward
