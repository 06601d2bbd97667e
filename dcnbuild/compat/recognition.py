"""Chooses our module for a module of another package, by its class name, attributes and `forward`."""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn
from torch.jit import ScriptModule

from dcnbuild.compat import dcn_v2, dcnv3, deform_conv_v2, detectron2, mmcv, mmdet
from dcnbuild.nn import DCNv3, DCNv4, DeformConv2d, PredictsOffsets

_CONVOLUTION = ("weight", "kernel_size", "stride", "padding", "dilation")
_DEFORMABLE = (*_CONVOLUTION, "deformable_groups")
_MMCV = (*_CONVOLUTION, "deform_groups")
_DETECTRON2 = (*_DEFORMABLE, "norm", "activation")
_SAMPLING = ("no_trans", "group_size", "part_size", "sample_per_part", "trans_std")
_PSROI = ("spatial_scale", "pooled_size", "output_dim", *_SAMPLING)
_OLD_PSROI = ("spatial_scale", "out_size", "out_channels", *_SAMPLING)
_SAMPLER = (
    *("channels", "kernel_size", "stride", "pad", "dilation", "group", "offset_scale"),
    *("dw_kernel_size", "center_feature_scale", "remove_center"),
)
_SAMPLER_PARTS = (
    *("output_proj", "center_feature_scale_module"),
    *("center_feature_scale_proj_weight", "center_feature_scale_proj_bias"),
)
_VERSION_3 = ("dw_conv", "offset", "mask", "input_proj")
_ROI = ("output_size", "spatial_scale", "sampling_ratio", "gamma")


@dataclass(frozen=True)
class Known:
    """A class of ours, and how to recognise the modules that it can replace.

    Attributes:
        ours: our class; theirs has the same name.
        needed: attributes that our instances use. In a name with "|", either alternative will do.
        home: if given, the only module that may define their class.
        parts: submodules and parameters that their module may have.
    """

    ours: type[nn.Module]
    needed: tuple[str, ...]
    home: str | None = None
    parts: tuple[str, ...] = ()

    def missing(self, module: nn.Module) -> list[str]:
        """Returns the needed attributes that the module does not have."""
        if self.ours in _WITHOUT_LAYERS and getattr(module, "no_trans", False) is True:
            return [name for name in self.needed if name in _OLD_PSROI + _PSROI and not hasattr(module, name)]
        return [
            name.replace("|", " or ")
            for name in self.needed
            if not any(hasattr(module, either) for either in name.split("|"))
        ]


#: Poolings that have no layers if `no_trans`.
_WITHOUT_LAYERS = (
    dcn_v2.DCNPooling,
    mmdet.DeformRoIPoolingPack,
    mmdet.ModulatedDeformRoIPoolingPack,
)

_OFFSET = "|".join(PredictsOffsets.OFFSET_NAMES)

#: `target` takes the first entry whose needed attributes all exist, so entries that need more come first.
KNOWN = (
    Known(DeformConv2d, _CONVOLUTION, home="torchvision.ops.deform_conv"),
    Known(mmcv.DeformConv2dPack, (*_MMCV, _OFFSET)),
    Known(mmcv.DeformConv2d, _MMCV),
    Known(mmcv.ModulatedDeformConv2dPack, (*_MMCV, _OFFSET)),
    Known(mmcv.ModulatedDeformConv2d, _MMCV),
    Known(deform_conv_v2.DeformConv2d, ("conv", "p_conv", "kernel_size", "padding", "modulation"),
          parts=("conv", "p_conv", "m_conv", "zero_padding")),
    Known(detectron2.DeformConv, _DETECTRON2, parts=("norm", "activation")),
    Known(detectron2.ModulatedDeformConv, _DETECTRON2, parts=("norm", "activation")),
    Known(mmdet.DeformConvPack, (*_DEFORMABLE, _OFFSET)),
    Known(mmdet.DeformConv, _DEFORMABLE),
    Known(mmdet.ModulatedDeformConvPack, (*_DEFORMABLE, _OFFSET)),
    Known(mmdet.ModulatedDeformConv, _DEFORMABLE),
    Known(dcn_v2.DCN, (*_DEFORMABLE, _OFFSET)),
    Known(dcn_v2.DCNv2, _DEFORMABLE),
    Known(DCNv3, (*_SAMPLER, *_VERSION_3), parts=(*_SAMPLER_PARTS, *_VERSION_3)),
    Known(dcnv3.DCNv3_pytorch, (*_SAMPLER, *_VERSION_3), parts=(*_SAMPLER_PARTS, *_VERSION_3)),
    Known(DCNv4, (*_SAMPLER, "offset_mask", "without_pointwise"),
          parts=(*_SAMPLER_PARTS, "offset_mask", "offset_mask_dw", "value_proj")),
    Known(dcn_v2.DCNPooling, (*_PSROI, "offset_mask_fc"), parts=("offset_mask_fc",)),
    Known(dcn_v2.DCNv2Pooling, _PSROI),
    Known(mmdet.ModulatedDeformRoIPoolingPack, (*_OLD_PSROI, "offset_fc", "mask_fc"),
          parts=("offset_fc", "mask_fc")),
    Known(mmdet.DeformRoIPoolingPack, (*_OLD_PSROI, "offset_fc"), parts=("offset_fc",)),
    Known(mmdet.DeformRoIPooling, _OLD_PSROI),
    Known(mmcv.ModulatedDeformRoIPoolPack, (*_ROI, "output_channels", "offset_fc", "mask_fc"),
          parts=("offset_fc", "mask_fc")),
    Known(mmcv.DeformRoIPoolPack, (*_ROI, "output_channels", "offset_fc"), parts=("offset_fc",)),
    Known(mmcv.DeformRoIPool, _ROI),
)  # fmt: skip

#: Modules whose classes are recognised by name, whatever else their instances hold.
_TRUSTED = ("torchvision.ops.", "mmcv.ops.", "detectron2.layers.")

#: Matches names of deformable convolutions, poolings and attention, but not DeformableTransformer or
#: DeformableDetrConvEncoder.
_LOOKS = re.compile(r"(?i)dcn|deform((?!detr)\w)*(conv|roi|pool)|deform((?!detr)\w)*att(n|ention)$")

#: Functions of old packages and of torchvision. A module whose `forward` calls one computes with it.
_FUNCTIONS = frozenset(
    name for package in (dcn_v2, detectron2, mmcv, mmdet) for name in package.__all__ if name.islower()
)


def qualified(kind: type) -> str:
    """Returns the class's name with its module."""
    return f"{kind.__module__}.{kind.__qualname__}"


def target(module: nn.Module) -> type[nn.Module] | str | None:
    """Returns our class for a module, or the reason to leave it alone, or None for an unknown module."""
    if isinstance(module, ScriptModule):
        return (
            "it is compiled by TorchScript: convert before scripting"
            if module.original_name in {known.ours.__name__ for known in KNOWN}
            else None
        )
    kind = type(module)
    if _is_ours(kind):
        return None
    candidates = list(_of_that_name(kind))
    if not candidates:
        base = next((b for b in kind.__mro__[1:] if not _is_ours(b) and any(_of_that_name(b))), None)
        return f"a subclass of {qualified(base)} may compute something else" if base else None
    complete = [known for known in candidates if not known.missing(module)]
    if not complete:
        if any(isinstance(child, nn.Module) and _holds_known(child) for child in module.children()):
            return None  # a block around a deformable module, which is examined by itself
        # Prefer the class from a file of the same name: deform_conv_v2.DeformConv2d is not mmcv's.
        alike = [known for known in candidates if _same_file(kind, known.ours)] or candidates
        fewest = min((known.missing(module) for known in alike), key=len)
        return f"it has no {', '.join(fewest)}"
    known = complete[0]
    reason = _other_arguments(kind, known.ours) or _more_than(module, known) or _own_reason(module, known)
    return reason or known.ours


def looks_deformable(module: nn.Module, seen: Set[nn.Module]) -> str | None:
    """Says why the report must name an unknown module; None if it does not look deformable.

    A block around modules that were examined does not count, unless its own `forward` calls a deformable function.
    """
    kind = type(module)
    if _is_ours(kind) or isinstance(module, ScriptModule):
        return None
    function = _called(kind)
    if function is not None:
        return f"its forward calls {function} itself: import that from dcnbuild"
    around = any(inner in seen or _is_ours(type(inner)) for inner in module.modules())
    if around or not _LOOKS.search(kind.__name__):
        return None
    return f"dcnbuild has nothing called {kind.__name__}"


def _is_ours(kind: type) -> bool:
    """Whether its forward is ours, or that of a class derived from ours."""
    return any(base.__module__.startswith("dcnbuild.") for base in kind.__mro__)


def _of_that_name(kind: type) -> Iterator[Known]:
    return (known for known in KNOWN if kind.__name__ == known.ours.__name__ and known.home in (None, kind.__module__))


def _same_file(kind: type, ours: type) -> bool:
    return kind.__module__.rpartition(".")[2] == ours.__module__.rpartition(".")[2]


def _holds_known(child: nn.Module) -> bool:
    return any(_is_ours(type(m)) or any(_of_that_name(type(m))) for m in child.modules())


def _arguments(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())[1:]


def _other_arguments(kind: type[nn.Module], ours: type[nn.Module]) -> str | None:
    """Says how the arguments of its `forward` differ from ours; None if they do not, or if it takes any arguments."""
    theirs, expected = _arguments(kind.forward), _arguments(ours.forward)
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in theirs)
    if takes_any or len(theirs) == len(expected):
        return None
    names = [", ".join(each.name for each in those) for those in (theirs, expected)]
    return f"its forward takes ({names[0]}), expected ({names[1]})"


def _more_than(module: nn.Module, known: Known) -> str | None:
    """Names a parameter, a layer or a switched-on mode that a copy has and ours would not use; else None."""
    if type(module).__module__.startswith(_TRUSTED):
        return None
    parts = {"weight", "bias", *known.parts}
    if issubclass(known.ours, PredictsOffsets):
        parts |= set(PredictsOffsets.OFFSET_NAMES)
    held = (*module._parameters, *module._buffers, *module._modules)
    more = [
        # weight_norm and spectral_norm add weight_g, weight_u and so on, and compute the weight from them in a hook.
        name
        for name in held
        if name not in parts and not name.startswith(("weight_", "bias_"))
    ]
    if more:
        return f"it has {', '.join(more)} besides, and its forward may use it"
    used = {name for needed in known.needed for name in needed.split("|")}
    modes = [
        name
        for name, value in vars(module).items()
        if value is True and name not in used | {"training", "with_bias"} and not name.startswith("_")
    ]
    return f"{', '.join(modes)} is on, which dcnbuild's does not have" if modes else None


def _own_reason(module: Any, known: Known) -> str | None:
    if known.ours is deform_conv_v2.DeformConv2d:
        return deform_conv_v2.DeformConv2d.why_not(module)
    return None


def _called(kind: type[nn.Module]) -> str | None:
    """Returns the other package's deformable function that `forward` calls, with its module; None if it calls none.

    Searches the bytecode for globals and attributes of modules (`torchvision.ops.deform_conv2d`), but not of `self`.
    """
    code = getattr(kind.forward, "__code__", None)
    found: Any = None
    for step in dis.get_instructions(code) if code else ():
        if step.opname == "LOAD_GLOBAL":
            found = kind.forward.__globals__.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(found, ModuleType):
            found = getattr(found, step.argval, None)
        elif step.opname not in ("CACHE", "EXTENDED_ARG", "PUSH_NULL"):
            found = None
        if step.argval in _FUNCTIONS and callable(found):
            # `apply` of a Function has no module; the Function has.
            home = getattr(found, "__module__", None) or type(found).__module__
            home = getattr(getattr(found, "__self__", None), "__module__", home)
            if not home.startswith("dcnbuild."):
                return f"{home}.{step.argval}"
    return None
