"""`DCNv3`, with the arguments, keys and initialisation of InternImage's."""

from __future__ import annotations

from torch import Tensor, nn

from dcnbuild.errors import ArgumentError
from dcnbuild.nn.deform_sample import Sampler, depthwise, start_at_zero, start_projection


class _Permute(nn.Module):
    """Channels from first to last, as a layer: it keeps the numbers of its neighbours' keys."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


_ACTIVATIONS = {"GELU": nn.GELU, "SiLU": nn.SiLU, "ReLU": nn.ReLU}


class DCNv3(Sampler):
    """Deformable convolution v3 (Wang et al., "InternImage", 2023), with InternImage's arguments, keys and
    initialisation.

    Each group of channels samples K positions around every pixel, at offsets and with weights that a depthwise
    convolution predicts; the weights of a group's samples add up to one.

    Args:
        channels: C, of input and output; `group` must divide it.
        kernel_size, stride, pad, dilation: of the sampling grid, in pixels. `pad` must be half of
            dilation · (kernel_size − 1), so that there is one prediction for each output position.
        dw_kernel_size: of the depthwise convolution; `kernel_size` if None.
        group: G.
        offset_scale: how far grid and offsets reach.
        act_layer: "GELU", "SiLU" or "ReLU", and norm_layer: "LN" or "BN", after the depthwise convolution.
        center_feature_scale: mixes each group's output with its input.
        remove_center: leaves the sample in the middle out.

    Attributes:
        dw_conv: depthwise convolution, norm and activation.
        offset, mask: Linear C → G·K·2 and C → G·K, which start at zero.
        input_proj, output_proj: Linear C → C, Xavier-uniform.

    Raises:
        dcnbuild.ArgumentError: an argument is out of range or does not go with another.

    Examples:
        >>> dcnbuild.DCNv3(32, group=4)(torch.rand(1, 16, 16, 32)).shape
        torch.Size([1, 16, 16, 32])
    """

    def __init__(
        self,
        channels: int = 64,
        kernel_size: int = 3,
        dw_kernel_size: int | None = None,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        act_layer: str = "GELU",
        norm_layer: str = "LN",
        center_feature_scale: bool = False,
        remove_center: bool = False,
    ) -> None:
        super().__init__()
        self.set_up(
            channels=channels, kernel_size=kernel_size, stride=stride, pad=pad, dilation=dilation, group=group,
            dw_kernel_size=kernel_size if dw_kernel_size is None else dw_kernel_size, offset_scale=offset_scale,
            center_feature_scale=center_feature_scale, remove_center=remove_center,
        )  # fmt: skip
        for argument, value, known in (
            ("act_layer", act_layer, tuple(_ACTIVATIONS)),
            ("norm_layer", norm_layer, ("LN", "BN")),
        ):
            if value not in known:
                raise ArgumentError(f"DCNv3: {argument} must be one of {known}, got {value!r}")
        if norm_layer == "LN":
            norm = nn.Sequential(_Permute(), nn.LayerNorm(self.channels, eps=1e-6))
        else:
            norm = nn.Sequential(nn.BatchNorm2d(self.channels), _Permute())
        self.dw_conv = nn.Sequential(
            depthwise(self.channels, self.dw_kernel_size, self.stride),
            norm,
            _ACTIVATIONS[act_layer](),
        )
        self.offset = nn.Linear(self.channels, self.group * self.taps * 2)
        self.mask = nn.Linear(self.channels, self.group * self.taps)
        self.input_proj = nn.Linear(self.channels, self.channels)
        self.output_proj = nn.Linear(self.channels, self.channels)
        self.reset_parameters()
        self.make_center_scale()

    def reset_parameters(self) -> None:
        """Initialises predictions and projections anew, as InternImage does."""
        start_at_zero(self.offset, self.mask)
        start_projection(self.input_proj)
        start_projection(self.output_proj)

    def forward(self, input: Tensor) -> Tensor:
        """[N, H, W, C] → [N, H', W', C]. Raises ArgumentError if an argument does not fit."""
        self.check_input(input, 4, "batch, height, width", self.offset)
        values = self.input_proj(input)
        features = self.dw_conv(input.permute(0, 3, 1, 2))
        offset = self.offset(features).unflatten(-1, (self.group, self.taps, 2))
        mask = self.mask(features).unflatten(-1, (self.group, self.taps)).softmax(-1)
        output = self.sample(values, offset, mask.to(offset.dtype))
        projected: Tensor = self.output_proj(self.blended(output, values, features))
        return projected
