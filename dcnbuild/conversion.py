"""Switches a model over: the deformable modules of other packages become dcnbuild's, in place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn
from torch.jit import ScriptModule

from dcnbuild.compat import dcn_v2, detectron2, mmcv
from dcnbuild.compat.shared import OldConvolution
from dcnbuild.nn import DeformConv2d


@dataclass(frozen=True)
class Converted:
    """A module that is dcnbuild's now.

    Attributes:
        path: its name in the model, "" for the model itself.
        old, new: qualified names of the classes.
        notes: what changed besides.
    """

    path: str
    old: str
    new: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A module that looks deformable and was left alone, and why."""

    path: str
    old: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What `convert` did; `str(report)` says it in lines."""

    converted: tuple[Converted, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [
            f"{done.path or '(the model)'}: {done.old} → {done.new}"
            + "".join(f"; {note}" for note in done.notes)
            for done in self.converted
        ]
        lines += [
            f"{left.path or '(the model)'}: {left.old} left: {left.reason}" for left in self.left
        ]
        count = f"{len(self.converted)} converted, {len(self.left)} left"
        return "\n".join([*lines, count])


def convert(model: nn.Module) -> Report:
    """Turns every deformable module of torchvision, mmcv, detectron2 and DCNv2 in `model` into dcnbuild's, in place.

    The modules stay the objects they are and change their class: parameters, buffers, hooks, training flag, dtype, device
    and requires_grad are untouched, and so are optimizers and other references to them. A module is known by its class, or
    by the qualified name of its class (`mmcv.ops.…`, `….dcn_v2.DCN`), so none of the packages needs to be installed.
    Left alone, and listed so: subclasses, which may do anything, and look-alikes with other attributes or another forward.
    Calls of functions such as `torchvision.ops.deform_conv2d` cannot be found by looking at modules.

    Args:
        model: any module, which may be one of those itself.

    Returns:
        Report: what was converted and what was left.

    Raises:
        TypeError: `model` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"convert: model must be a torch.nn.Module, got {type(model).__name__}")
    converted, left = [], []
    for path, module in model.named_modules():
        old = qualified(type(module))
        found = _target(module)
        if isinstance(found, str):
            left.append(Left(path, old, found))
        elif found is not None:
            module.__class__ = found
            notes = module.adopt() if isinstance(module, OldConvolution) else []
            converted.append(Converted(path, old, qualified(found), tuple(notes)))
    return Report(tuple(converted), tuple(left))


def qualified(kind: type) -> str:
    """The class's name with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_exactly(name: str) -> Callable[[str], bool]:
    return lambda module: module == name


def _ends_in_dcn_v2(module: str) -> bool:
    return module.rpartition(".")[2] == "dcn_v2"


#: (whether it is the module of that class, our class of the same name)
_KNOWN: tuple[tuple[Callable[[str], bool], type[nn.Module]], ...] = (
    (_is_exactly("torchvision.ops.deform_conv"), DeformConv2d),
    (_is_exactly("mmcv.ops.deform_conv"), mmcv.DeformConv2d),
    (_is_exactly("mmcv.ops.deform_conv"), mmcv.DeformConv2dPack),
    (_is_exactly("mmcv.ops.modulated_deform_conv"), mmcv.ModulatedDeformConv2d),
    (_is_exactly("mmcv.ops.modulated_deform_conv"), mmcv.ModulatedDeformConv2dPack),
    (_is_exactly("detectron2.layers.deform_conv"), detectron2.DeformConv),
    (_is_exactly("detectron2.layers.deform_conv"), detectron2.ModulatedDeformConv),
    (_ends_in_dcn_v2, dcn_v2.DCNv2),
    (_ends_in_dcn_v2, dcn_v2.DCN),
    (_ends_in_dcn_v2, dcn_v2.DCNv2Pooling),
    (_ends_in_dcn_v2, dcn_v2.DCNPooling),
    (_is_exactly("mmcv.ops.deform_roi_pool"), mmcv.DeformRoIPool),
    (_is_exactly("mmcv.ops.deform_roi_pool"), mmcv.DeformRoIPoolPack),
    (_is_exactly("mmcv.ops.deform_roi_pool"), mmcv.ModulatedDeformRoIPoolPack),
)

_PSROI = (
    "spatial_scale",
    "pooled_size",
    "output_dim",
    "no_trans",
    "group_size",
    "part_size",
    "sample_per_part",
    "trans_std",
)
_ROI = ("output_size", "spatial_scale", "sampling_ratio", "gamma")

#: A class of ours and the attributes that its instances use: without them, a module of the right name is another one.
_NEEDED: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (DeformConv2d, ("weight", "kernel_size", "stride", "padding", "dilation")),
    (dcn_v2.DCN, ("conv_offset_mask", "deformable_groups")),
    (dcn_v2.DCNv2, ("deformable_groups",)),
    (mmcv.DeformConv2d, ("deform_groups",)),
    (mmcv.ModulatedDeformConv2d, ("deform_groups",)),
    (mmcv.DeformConv2dPack, ("conv_offset",)),
    (mmcv.ModulatedDeformConv2dPack, ("conv_offset",)),
    (detectron2.DeformConv, ("deformable_groups", "norm", "activation")),
    (detectron2.ModulatedDeformConv, ("deformable_groups", "norm", "activation")),
    (dcn_v2.DCNv2Pooling, _PSROI),
    (mmcv.DeformRoIPool, _ROI),
    (mmcv.DeformRoIPoolPack, ("output_channels", "offset_fc")),
    (mmcv.ModulatedDeformRoIPoolPack, ("mask_fc",)),
)


def _ours_for(kind: type) -> type[nn.Module] | None:
    if kind.__module__.startswith("dcnbuild."):
        return None
    for is_module, ours in _KNOWN:
        if kind.__name__ == ours.__name__ and is_module(kind.__module__):
            return ours
    return None


def _target(module: nn.Module) -> type[nn.Module] | str | None:
    """Our class for a module, why it must be left alone, or None if it has nothing to do with us."""
    if isinstance(module, ScriptModule):
        names = {ours.__name__ for _, ours in _KNOWN}
        return (
            "it is compiled by TorchScript: convert before scripting"
            if module.original_name in names
            else None
        )
    kind = type(module)
    ours = _ours_for(kind)
    if ours is None:
        base = next(_known_bases(kind), None)
        return f"a subclass of {qualified(base)} may compute something else" if base else None
    needed = dict.fromkeys(
        name for base, names in _NEEDED if issubclass(ours, base) for name in names
    )
    missing = [name for name in needed if not hasattr(module, name)]
    if missing:
        return f"it has no {', '.join(missing)}"
    theirs, expected = (_arguments(cls.forward) for cls in (kind, ours))
    if len(theirs) != len(expected):
        return f"its forward takes ({', '.join(theirs)}), expected ({', '.join(expected)})"
    return ours


def _known_bases(kind: type) -> Iterator[type]:
    """Bases that are modules of another package."""
    return (base for base in kind.__mro__[1:] if _ours_for(base) is not None)


def _arguments(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)[1:]
