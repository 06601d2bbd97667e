"""Keys of checkpoints that are older than the modules that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from dcnbuild.nn import PredictsOffsets

_T = TypeVar("_T")


def with_own_keys(state_dict: Mapping[str, _T], model: nn.Module) -> dict[str, _T]:
    """A copy in which each module of `model` finds its offset convolution, for `model.load_state_dict`.

    mmdetection before 1.0 kept it beside the module: "layer1.0.conv2_offset.weight" for "layer1.0.conv2". The module itself
    finds it there only if it is handed the whole dictionary, as mmcv 1.x does; `load_state_dict` of torch hands each module
    what begins with its own name.

    Args:
        state_dict: the checkpoint, which is left as it is.
        model: with modules of dcnbuild in it.
    """
    renamed = dict(state_dict)
    for path, module in model.named_modules():
        if not isinstance(module, PredictsOffsets) or not path:
            continue
        for kind in ("weight", "bias"):
            beside, own = f"{path}_offset.{kind}", f"{path}.{module.offset_name}.{kind}"
            others = [f"{path}.{name}.{kind}" for name in module.OFFSET_NAMES]
            if beside in renamed and not any(name in renamed for name in (own, *others)):
                renamed[own] = renamed.pop(beside)
    return renamed
