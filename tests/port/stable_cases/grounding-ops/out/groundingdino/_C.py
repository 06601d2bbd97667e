"""The operators of groundingdino._C. Written by `dcnbuild port --to stable`."""

import importlib.util

import torch

_name = f"{__package__}._C_library" if __package__ else "_C_library"
_found = importlib.util.find_spec(_name)
if _found is None or _found.origin is None:
    raise ImportError(f"{_name} is not built: install this project with pip", name=_name)
torch.ops.load_library(_found.origin)

get_compiler_version = torch.ops.groundingdino__C.get_compiler_version
has_cuda = torch.ops.groundingdino__C.has_cuda
sample = torch.ops.groundingdino__C.sample
scale_ = torch.ops.groundingdino__C.scale_
