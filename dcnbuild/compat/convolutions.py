"""Base classes of the old packages' convolution modules. Packages differ in their arguments, which are given as
text.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any, NoReturn

from torch import Tensor, nn

from dcnbuild.compat.shared import deform_conv, uniform_by_fan_in
from dcnbuild.nn import DeformConv2d, PredictsOffsets
from dcnbuild.ops.arguments import pair

#: The first arguments of most packages' modules.
LIKE_CONV2D = "in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1"


def signature_of(arguments: str) -> inspect.Signature:
    """Returns the signature of a `def` with these arguments; defaults are literals."""
    return inspect.signature(eval(f"lambda {arguments}: None", {"__builtins__": {}}))


def constructor(arguments: str) -> Any:
    """Returns an `__init__` with these arguments, which passes them to `set_up` by name."""
    signature = signature_of(f"self, {arguments}")

    def __init__(*args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(args[0]).__name__}: {error}") from None
        bound.apply_defaults()
        given = bound.arguments
        given.update(given.pop("renamed", {}))
        given.pop("self").set_up(**given)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


class OldConvolution(DeformConv2d):
    """Base of an old package's convolution. An instance may come from a pickle, or from `convert`, of that package's
    class.

    Attributes:
        groups_name: the attribute that holds the number of sets of offsets.
        both_names: whether "deformable_groups" is an argument too, rather than an old name with a warning.
        allows_bias: false for v1 modules, which have no bias.
        one_dtype, pad_small: as for `shared.deform_conv`.
    """

    groups_name = "deformable_groups"
    both_names = False
    allows_bias = True
    one_dtype = False
    pad_small = False

    def set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int = 1,
        bias: bool = True,
        **others: Any,
    ) -> None:
        """Does the constructor's work; `others` are the package's own arguments, and become attributes of the same
        name.
        """
        offset_groups = self._offset_groups(others)
        if bias and not self.allows_bias:
            raise ValueError(f"{type(self).__name__} has no bias: bias must be False, as in its package")
        DeformConv2d.__init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        named = {self.groups_name: offset_groups, "with_bias": bias, **others}
        for name, value in named.items():
            setattr(self, name, value)

    def _offset_groups(self, others: dict[str, Any]) -> int:
        """Removes the number of sets of offsets from the arguments and returns it; mmcv renamed it in mmcv 1.0."""
        count = others.pop(self.groups_name)
        renamed = others.pop("deformable_groups", None)
        if renamed is not None:
            if not self.both_names:
                message = f"deformable_groups is called {self.groups_name}"
                warnings.warn(message, DeprecationWarning, stacklevel=4)
            count = renamed
        known = {"im2col_step", "norm", "activation"}
        if not set(others) <= known:
            raise TypeError(f"unexpected keyword arguments {', '.join(sorted(set(others) - known))}")
        return int(count)

    def reset_parameters(self) -> None:
        uniform_by_fan_in(self)

    def convolve(self, x: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Calls the operator with this module's weight, bias, sizes and counts."""
        return deform_conv(
            *(x, offset, mask, self.weight, self.bias, self.stride, self.padding, self.dilation),
            *(self.groups, getattr(self, self.groups_name)),
            one_dtype=self.one_dtype,
            pad_small=self.pad_small,
        )

    def __prepare_scriptable__(self) -> NoReturn:
        """Raises for `torch.jit.script`, which calls this first; torch's own error would complain about an
        annotation.
        """
        raise NotImplementedError(
            f"TorchScript cannot compile {type(self).__module__}.{type(self).__name__}: take torch.jit.trace or "
            "torch.export, or build dcnbuild.DCN or dcnbuild.DeformConv2d in its place and load its state_dict"
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.groups_name}={getattr(self, self.groups_name)}"

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        self.adopt()

    def adopt(self) -> list[str]:
        """Converts attributes that another package set to dcnbuild's form; returns notes on the changes."""
        for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            setattr(self, name, pair(name, getattr(self, name), least))
        self.__dict__.setdefault("groups", 1)
        if "bias" not in self.__dict__:
            self._parameters.setdefault("bias", None)
        found = next((name for name in PredictsOffsets.OFFSET_NAMES if name in self._modules), None)
        if found is None:
            return []
        setattr(self, "offset_name", found)  # noqa: B010  an attribute of PredictsOffsets
        conv = self._modules[found]
        if isinstance(conv, nn.Conv2d) and conv.dilation != self.dilation:
            # DCNv2's DCN ignores the dilation, and reads an offset map of another size as if it fitted.
            before, conv.dilation = conv.dilation, self.dilation
            return [f"dilation of the offset convolution {before} → {self.dilation}"]
        return []


class PaddedV1(OldConvolution):
    """v1 like mmdetection's and mmcv's: without bias; pads small images."""

    allows_bias = False
    pad_small = True

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] → [N, O, H', W']."""
        return self.convolve(x, offset)


class V2(OldConvolution):
    """v2, with offset and mask as arguments."""

    def init_weights(self) -> None:
        """Initialises weight and bias again."""
        self.reset_parameters()

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """x [N, C, H, W], offset [N, 2·G'·kh·kw, H', W'] and mask [N, G'·kh·kw, H', W'] → [N, O, H', W']."""
        return self.convolve(x, offset, mask)


class PackedV1(PredictsOffsets, PaddedV1):
    """v1 that predicts its offset with `conv_offset`; does not pad."""

    _version = 2
    pad_small = False

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        super().set_up(*args, **kwargs)
        self.add_offset_conv(getattr(self, self.groups_name), modulated=False)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        return self.convolve(x, *self.predict(x, modulated=False))


class PackedV2(PredictsOffsets, V2):
    """v2 that predicts offset and mask.

    Like mmdetection's and mmcv's, it does not call `init_offset` while it is constructed: BasicVSR++'s alignment, a
    subclass, replaces `conv_offset` afterwards and has an `init_offset` for its own.
    """

    _version = 2

    def set_up(self, *args: Any, **kwargs: Any) -> None:
        super().set_up(*args, **kwargs)
        self.add_offset_conv(getattr(self, self.groups_name), modulated=True)

    def start_offset(self) -> None:
        PredictsOffsets.init_offset(self)

    def init_weights(self) -> None:
        super().init_weights()
        if self.offset_name in self._modules:
            self.start_offset()

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, C, H, W] → [N, O, H', W']."""
        return self.convolve(x, *self.predict(x, modulated=True))
