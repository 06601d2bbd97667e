"""Tests `dcnbuild.convert` on Hugging Face's detectors, with random weights and tiny configurations."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dcnbuild

transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")

RESNET = {
    "embedding_size": 8,
    "hidden_sizes": [8, 8, 8, 8],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "out_features": ["stage2", "stage3", "stage4"],
}
SWIN = {
    "image_size": 64,
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 2,
}
DETR = {
    "d_model": 32,  # group norms have 32 groups
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8,
    "decoder_ffn_dim": 8,
    "num_queries": 6,
}
RT_DETR = {
    **DETR,
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [8, 8, 8],
    "decoder_in_channels": [32, 32, 32],
    "num_denoising": 0,
}


def deformable_detr() -> nn.Module:
    backbone = transformers.ResNetConfig(**RESNET)
    config = transformers.DeformableDetrConfig(backbone_config=backbone, encoder_layers=1, **DETR)
    return transformers.DeformableDetrForObjectDetection(config)


def rt_detr() -> nn.Module:
    backbone = transformers.RTDetrResNetConfig(**RESNET)
    return transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(backbone_config=backbone, **RT_DETR))


def rt_detr_v2(method: str = "default") -> nn.Module:
    backbone = transformers.RTDetrResNetConfig(**RESNET)
    config = transformers.RTDetrV2Config(backbone_config=backbone, decoder_method=method, **RT_DETR)
    return transformers.RTDetrV2ForObjectDetection(config)


def rt_detr_v2_discrete() -> nn.Module:
    return rt_detr_v2("discrete")


def d_fine() -> nn.Module:
    """D-FINE has another number of points in each level."""
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 8, 8],
        stage_mid_channels=[4, 4, 4, 4],
        stage_out_channels=[8, 8, 8, 8],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        embedding_size=8,
    )
    config = transformers.DFineConfig(backbone_config=backbone, decoder_n_points=[3, 6, 3], **RT_DETR)
    return transformers.DFineForObjectDetection(config)


def mask2former() -> nn.Module:
    stages = ["stage1", "stage2", "stage3", "stage4"]
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(**SWIN, out_features=stages),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=8,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=8,
        num_queries=6,
    )
    return transformers.Mask2FormerForUniversalSegmentation(config)


def grounding_dino() -> nn.Module:
    text = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
    )
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(**SWIN, out_features=["stage2", "stage3", "stage4"]),
        text_config=text,
        max_text_len=16,
        encoder_layers=1,
        **DETR,
    )
    return transformers.GroundingDinoForObjectDetection(config)


#: model, how many of its modules are switched over, and the output that is compared.
MODELS: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "deformable DETR": (deformable_detr, 3, "last_hidden_state"),
    "RT-DETR": (rt_detr, 2, "last_hidden_state"),
    "RT-DETRv2": (rt_detr_v2, 2, "last_hidden_state"),
    "RT-DETRv2, discrete": (rt_detr_v2_discrete, 2, "last_hidden_state"),
    "D-FINE": (d_fine, 2, "last_hidden_state"),
    "Mask2Former": (mask2former, 1, "pixel_decoder_last_hidden_state"),
    "GroundingDINO": (grounding_dino, 3, "last_hidden_state"),
}


def randomized(model: nn.Module) -> nn.Module:
    """Weights that keep signals up, with which the attention makes a difference to the output."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "sampling_offsets" in name or "attention_weights" in name:
            nn.init.normal_(parameter, std=0.3)
        elif parameter.dim() >= 2:
            nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    return model.eval()


def run(model: nn.Module, output: str) -> tuple[Tensor, dict[str, Tensor]]:
    """An output, and all parameters' gradients for a fixed random upstream gradient."""
    given = {"pixel_values": torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(1))}
    if "GroundingDino" in type(model).__name__:
        given["input_ids"] = torch.tensor([[1, 5, 6, 12, 2]])
    result = model(**given)[output]
    model.zero_grad()
    result.backward(torch.randn(result.shape, generator=torch.Generator().manual_seed(2)))
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return result.detach(), grads


@pytest.mark.parametrize("name", MODELS)
def test_converted_models_compute_the_same(name: str) -> None:
    make, count, output = MODELS[name]
    model = randomized(make())
    expected, slopes = run(model, output)
    converted = copy.deepcopy(model)
    report = dcnbuild.convert(converted)
    assert len(report.converted) == count and not report.left, str(report)
    assert {done.new for done in report.converted} == {"dcnbuild.deform_attn"}
    actual, grads = run(converted, output)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    largest = max(float(slope.abs().max()) for slope in slopes.values())
    assert grads.keys() == slopes.keys() and largest > 0
    for parameter, slope in slopes.items():
        if name == "D-FINE" and ".decoder." not in parameter:
            # Its encoder's gradients depend on how the gradient of the value lies in memory, in plain torch too.
            continue
        torch.testing.assert_close(grads[parameter], slope, rtol=1e-3, atol=1e-4 * largest)
    with torch.profiler.profile() as profile:
        converted_again, _ = run(copy.deepcopy(converted), output)
    ran = {event.key for event in profile.key_averages()}
    discrete = "discrete" in name  # picks pixels, and samples nothing
    assert ("dcnbuild::deform_attn_backward" in ran) != discrete
    assert not any(key.rpartition("::")[2] == "grid_sampler_2d" for key in ran)
    torch.testing.assert_close(converted_again, actual)
