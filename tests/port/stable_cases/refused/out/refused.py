"""The operators of refused. Written by `dcnbuild port --to stable`."""

import importlib.util

import torch

_name = f"{__package__}.refused_library" if __package__ else "refused_library"
_found = importlib.util.find_spec(_name)
if _found is None or _found.origin is None:
    raise ImportError(f"{_name} is not built: install this project with pip", name=_name)
torch.ops.load_library(_found.origin)

twice = torch.ops.refused.twice
