"""Makes the networks of benchmarks/models.py: those of transformers, and convolutional ones written after their papers.

The convolutional ones use torchvision's operator, as they do today on the CPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

#: A network's arguments by name; a number is a position.
Inputs = dict[str, Any]


class DCN(nn.Module):
    """A deformable convolution that predicts its offsets and mask, on torchvision's operator."""

    def __init__(self, channels: int, out_channels: int, size: int = 3, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.taps = groups * size**2
        self.predict = nn.Conv2d(channels, 3 * self.taps, size, stride, size // 2)
        self.deform = torchvision.ops.DeformConv2d(channels, out_channels, size, stride, size // 2, bias=False)

    def forward(self, input: Tensor, guide: Tensor | None = None) -> Tensor:
        predicted = self.predict(input if guide is None else guide)
        offset, mask = predicted.split([2 * self.taps, self.taps], 1)
        return self.deform(input, offset, mask.sigmoid())


class DeformableResNet(nn.Module):
    """ResNet-50 whose 3×3 convolutions from the third stage on are deformable (Deformable ConvNets v2, section 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torchvision.models.resnet50()
        for stage in (self.net.layer2, self.net.layer3, self.net.layer4):
            for block in stage:
                old = block.conv2
                block.conv2 = DCN(old.in_channels, old.out_channels, 3, old.stride[0])

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.net(image)
        return output


class CenterNet(nn.Module):
    """ResNet-18, then three times a deformable convolution and a transposed one (Objects as Points, appendix A)."""

    def __init__(self) -> None:
        super().__init__()
        net = torchvision.models.resnet18()
        self.encoder = nn.Sequential(*list(net.children())[:-2])
        layers: list[nn.Module] = []
        for channels, width in ((512, 256), (256, 128), (128, 64)):
            layers += [DCN(channels, width), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
        self.decoder = nn.Sequential(*layers)
        self.head = nn.Conv2d(64, 84, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.head(self.decoder(self.encoder(image)))
        return output


class Alignment(nn.Module):
    """Aligns neighbouring frames with the middle one, from coarse to fine (EDVR, section 3.2: PCD), then restores
    it.
    """

    GROUPS = 8

    def __init__(self, channels: int = 64, frames: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, 1) for _ in range(2))
        self.guides = nn.ModuleList(nn.Conv2d(2 * channels, channels, 3, padding=1) for _ in range(3))
        self.dcns = nn.ModuleList(DCN(channels, channels, groups=self.GROUPS) for _ in range(3))
        self.fuse = nn.Conv2d(frames * channels, channels, 1)
        self.restore = nn.Sequential(
            *(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(10)),
            nn.Conv2d(channels, 3, 3, padding=1),
        )

    def levels(self, frame: Tensor) -> list[Tensor]:
        pyramid = [functional.leaky_relu(self.first(frame), 0.1)]
        for down in self.down:
            pyramid.append(functional.leaky_relu(down(pyramid[-1]), 0.1))
        return pyramid

    def forward(self, frames: Tensor) -> Tensor:
        middle = self.levels(frames[:, frames.shape[1] // 2])
        aligned = []
        for frame in frames.unbind(1):
            coarser: Tensor | None = None
            pairs = list(zip(self.levels(frame), middle, self.guides, self.dcns))
            for own, wanted, guide, dcn in reversed(pairs):
                hint = guide(torch.cat([own, wanted], 1))
                if coarser is not None:
                    hint = hint + functional.interpolate(coarser, hint.shape[2:], mode="bilinear")
                coarser = dcn(own, hint)
            assert coarser is not None
            aligned.append(coarser)
        output: Tensor = self.restore(self.fuse(torch.cat(aligned, 1)))
        return output


class SegmentationDecoder(nn.Module):
    """Deformable spatial pyramid pooling with kernels of 1, 3 and 7, at four scales (BiRefNet, section 3.3)."""

    SCALES = ((512, 32), (256, 64), (128, 128), (64, 256))  # channels, side

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.ModuleList(DCN(64, 64, size) for size in (1, 3, 7)) for _ in self.SCALES)
        self.enter = nn.ModuleList(nn.Conv2d(c, 64, 3, padding=1) for c, _ in self.SCALES)
        self.leave = nn.ModuleList(nn.Conv2d(3 * 64, 64, 1) for _ in self.SCALES)
        self.head = nn.Conv2d(64, 1, 1)

    def forward(self, *features: Tensor) -> Tensor:
        carried: Tensor | None = None
        for feature, enter, branches, leave in zip(features, self.enter, self.branches, self.leave):
            x = functional.relu(enter(feature))
            if carried is not None:
                x = x + functional.interpolate(carried, x.shape[2:], mode="bilinear")
            carried = leave(torch.cat([branch(x) for branch in branches], 1))
        assert carried is not None
        output: Tensor = self.head(carried)
        return output


#: A network's name, the function that makes it, and its arguments.
Network = tuple[str, Callable[[], nn.Module], Inputs]


def image(height: int, width: int, scale: float) -> Tensor:
    """Returns an image whose sides are multiples of 32, which every network here can halve five times."""
    return torch.rand(1, 3, *(max(1, round(side * scale / 32)) * 32 for side in (height, width)))


def of_transformers(scale: float) -> Iterator[Network]:
    """Yields detectors in the sizes that their papers have; nothing if transformers is not installed."""
    if importlib.util.find_spec("transformers") is None:
        return
    import transformers as hf

    resnet = {"out_features": ["stage2", "stage3", "stage4"]}
    swin = {"out_features": ["stage2", "stage3", "stage4"]}

    def deformable_detr() -> nn.Module:
        config = hf.DeformableDetrConfig(backbone_config=hf.ResNetConfig(**resnet))
        return hf.DeformableDetrForObjectDetection(config)

    def rt_detr() -> nn.Module:
        return hf.RTDetrForObjectDetection(hf.RTDetrConfig())

    def mask2former() -> nn.Module:
        stages = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
        config = hf.Mask2FormerConfig(backbone_config=hf.SwinConfig(**stages))
        return hf.Mask2FormerForUniversalSegmentation(config)

    def grounding_dino() -> nn.Module:
        config = hf.GroundingDinoConfig(backbone_config=hf.SwinConfig(**swin))
        return hf.GroundingDinoForObjectDetection(config)

    words = {"input_ids": torch.tensor([[101, 1037, 4937, 1012, 1037, 6556, 2491, 1012, 102]])}
    yield "Deformable DETR (ResNet-50)", deformable_detr, {"pixel_values": image(480, 640, scale)}
    yield "RT-DETR (ResNet-50)", rt_detr, {"pixel_values": image(640, 640, scale)}
    yield "Mask2Former (Swin-T)", mask2former, {"pixel_values": image(384, 384, scale)}
    yield (
        "GroundingDINO (Swin-T, BERT)",
        grounding_dino,
        {"pixel_values": image(480, 640, scale)} | words,
    )


def convolutional(scale: float) -> Iterator[Network]:
    """Yields the networks of this file."""
    yield "ResNet-50 with DCNv2", DeformableResNet, {"image": image(224, 224, scale)}
    yield "CenterNet (ResNet-18)", CenterNet, {"image": image(512, 512, scale)}
    frames = torch.stack([image(192, 320, scale) for _ in range(5)], 1)
    yield "EDVR's alignment, 5 frames", Alignment, {"frames": frames}
    scales = [(channels, max(1, round(side * scale))) for channels, side in SegmentationDecoder.SCALES]
    features = {str(n): torch.rand(1, c, side, side) for n, (c, side) in enumerate(scales)}
    yield "BiRefNet's decoder, 1024×1024", SegmentationDecoder, features


def networks(scale: float) -> Iterator[Network]:
    """Yields all networks, with images whose sides are `scale` times as long as in full size."""
    yield from convolutional(scale)
    yield from of_transformers(scale)


#: The ends of the names of layers that predict offsets, masks and weights.
PREDICTING = ("predict", "sampling_offsets", "attention_weights")
#: The standard deviation of what they predict; offsets are in pixels.
SPREAD = 2.0


def randomize(model: nn.Module, inputs: Inputs) -> nn.Module:
    """Makes each layer that predicts offsets predict some of about two pixels, whatever the network feeds it.

    They are zero in a new network, which would hide differences and read each pixel where it lies in the cache. Runs
    the network once, and scales the weights of these layers on the way. Other weights stay as the network's own code
    sets them.
    """

    def scale(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
        assert isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None
        bias = layer.bias if isinstance(layer, nn.Linear) else layer.bias[:, None, None]
        factor = SPREAD / (output - bias).std().clamp_min(1e-6)
        layer.weight.mul_(factor)
        return (output - bias) * factor + bias

    model.eval()
    with torch.no_grad():
        layers = [layer for name, layer in model.named_modules() if name.endswith(PREDICTING)]
        for layer in layers:
            nn.init.normal_(layer.weight)
        hooks = [layer.register_forward_hook(scale) for layer in layers]
        call(model, inputs)
    for hook in hooks:
        hook.remove()
    return model


def call(model: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Calls a network, and returns the floating tensors that it returns."""
    positional = [value for name, value in inputs.items() if name.isdigit()]
    named = {name: value for name, value in inputs.items() if not name.isdigit()}
    returned = model(*positional, **named)
    parts = returned.values() if isinstance(returned, dict) else [returned]
    return [part for part in parts if isinstance(part, Tensor) and part.is_floating_point()]
