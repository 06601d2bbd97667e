"""Renames the keys of old checkpoints for today's modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from dcnbuild.nn import PredictsOffsets

_T = TypeVar("_T")


def with_own_keys(state_dict: Mapping[str, _T], model: nn.Module) -> dict[str, _T]:
    """Returns a copy of a checkpoint with the keys of offset convolutions renamed, for `model.load_state_dict`.

    mmdetection before 1.0 kept the offset convolution beside its module: "layer1.0.conv2_offset.weight" for
    "layer1.0.conv2". torch's `load_state_dict` gives each module only the keys that begin with the module's name. (mmcv
    1.x gives it the whole dictionary, and the module finds the key.)

    Args:
        state_dict: the checkpoint; it is not changed.
        model: a model with dcnbuild's modules.
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
