"""`convert` lets the deformable modules of other packages compute with dcnbuild's operators, in place."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dcnbuild.compat.attention_classes import attributes_of_ours, calling_ours, unknown_attention
from dcnbuild.compat.convolutions import OldConvolution
from dcnbuild.compat.recognition import looks_deformable, qualified, target


@dataclass(frozen=True)
class Converted:
    """A module that `convert` turned into dcnbuild's.

    Attributes:
        path: its name in the model, "" for the model itself.
        old, new: qualified names of the classes.
        notes: further changes.
    """

    path: str
    old: str
    new: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A module that looks deformable and was not converted, with the reason."""

    path: str
    old: str
    reason: str


@dataclass(frozen=True)
class Report:
    """The result of `convert`; `str(report)` has one line for each module."""

    converted: tuple[Converted, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [
            f"{done.path or '(the model)'}: {done.old} → {done.new}" + "".join(f"; {note}" for note in done.notes)
            for done in self.converted
        ]
        lines += [f"{left.path or '(the model)'}: {left.old} left: {left.reason}" for left in self.left]
        count = f"{len(self.converted)} converted, {len(self.left)} left"
        return "\n".join([*lines, count])


def convert(model: nn.Module) -> Report:
    """Turns the deformable modules of other packages in `model` into dcnbuild's, in place.

    It converts the modules of torchvision, mmcv, mmdetection 1.x, detectron2, DCNv2 and their copies. They remain the
    same objects and change their class. Parameters, buffers, hooks, training flag, dtype, device and requires_grad stay
    as they are; optimizers and other references stay valid. `convert` recognises a module by the name of its class, its
    attributes and the arguments of its `forward`, in any package (docs/coming-from.md, "Switching a model over"). The
    packages need not be installed.

    Some modules are not converted, and listed with the reason: subclasses, which may do anything; modules with other
    attributes, parameters or arguments; modules whose `forward` calls another package's deformable function itself; and
    unknown classes with a deformable name.

    Deformable attention is converted inside the modules that compute it, in any package. `convert` recognises the
    function that their methods call by its results for a few examples, and replaces it by `dcnbuild.deform_attn`. A
    module that samples in the same way and computes something else is not converted, and listed.

    Args:
        model: any module; it may be a deformable module itself.

    Returns:
        Report: the modules that were converted, and those that were not.

    Raises:
        TypeError: `model` is not a module.

    Examples:
        >>> import torchvision
        >>> model = torch.nn.Sequential(torchvision.ops.DeformConv2d(2, 2, 3))
        >>> print(dcnbuild.convert(model))
        0: torchvision.ops.deform_conv.DeformConv2d → dcnbuild.nn.deform_conv2d.DeformConv2d
        1 converted, 0 left
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"convert: model must be a torch.nn.Module, got {type(model).__name__}")
    converted, left = [], []
    unknown: list[tuple[str, nn.Module]] = []
    seen: set[nn.Module] = set()
    for path, module in model.named_modules():
        old = qualified(type(module))
        found = target(module)
        if isinstance(found, str):
            left.append(Left(path, old, found))
        elif found is not None:
            module.__class__ = found
            notes = module.adopt() if isinstance(module, OldConvolution) else []
            converted.append(Converted(path, old, qualified(found), tuple(notes)))
        elif (called := _attend_with_ours(module)) is not None:
            converted.append(Converted(path, old, "dcnbuild.deform_attn", called))
        else:
            unknown.append((path, module))
            continue
        seen.add(module)
    for path, module in unknown:
        reason = looks_deformable(module, seen) or _samples_otherwise(module)
        if reason is not None:
            left.append(Left(path, qualified(type(module)), reason))
    return Report(tuple(converted), tuple(left))


def _samples_otherwise(module: nn.Module) -> str | None:
    """Says why a module that samples like deformable attention was not converted, whatever its name; else None."""
    function = unknown_attention(module)
    if function is None:
        return None
    return (
        f"its {function} samples like deformable attention, but no function in it was found that computes the "
        f"same from "
        "value, sizes, locations and weights"
    )


def _attend_with_ours(module: nn.Module) -> tuple[str, ...] | None:
    """Lets a module call dcnbuild's attention instead of another; returns notes, or None if it calls no other."""
    ours = calling_ours(type(module))
    attributes = attributes_of_ours(module)
    if "forward" in vars(module) or (ours is None and not attributes):
        return None
    if ours is not None:
        module.__class__ = ours
    for name, function in attributes.items():
        setattr(module, name, function)
    return tuple(f"its {name}" for name in attributes)
