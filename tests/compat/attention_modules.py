"""A deformable attention in plain torch, and calls of modules that have its parameters under old names."""

from __future__ import annotations

from typing import Any

import torch
from ops.attention_cases import AttnCase, plain_attn
from torch import Tensor, nn

import dcnbuild

CASE = AttnCase(heads=3, channels=4, points=2, shapes=((5, 4), (3, 2)))
SHAPES = torch.tensor(CASE.shapes)


def tensors(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return CASE.inputs(0, dtype)


def randomized(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def module_inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "query": torch.randn(2, 7, 12, generator=generator),
        "value": torch.randn(2, CASE.pixels, 12, generator=generator),
        "reference": torch.rand(2, 7, 2, 2, generator=generator),
        "mask": torch.rand(2, CASE.pixels, generator=generator) < 0.3,
    }


def expected_of(module: nn.Module) -> dict[str, Tensor]:
    """What a DeformAttn with the parameters of `module` computes in plain torch, and the gradients of all
    parameters.
    """
    made = dcnbuild.DeformAttn(12, 3, 2, 2)
    made.load_state_dict(module.state_dict())
    given = module_inputs()
    values = made.value_proj(given["value"]).masked_fill(given["mask"][..., None], 0.0)
    offsets = made.sampling_offsets(given["query"]).view(2, 7, 3, 2, 2, 2)
    weights = made.attention_weights(given["query"]).view(2, 7, 3, 4).softmax(-1)
    locations = given["reference"][:, :, None, :, None] + offsets / SHAPES.flip(-1)[:, None]
    attended = plain_attn(values.view(2, -1, 3, 4), SHAPES, locations, weights.view(2, 7, 3, 2, 2))
    return with_gradients(made, made.output_proj(attended))


def with_gradients(module: nn.Module, output: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*sorted(module.named_parameters()))
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    grads = torch.autograd.grad(output, parameters, upstream)
    return {"output": output.detach(), **dict(zip(names, grads))}


def call_detr(module: nn.Module) -> Tensor:
    given = module_inputs()
    output: Tensor = module(given["query"], given["reference"], given["value"], SHAPES, CASE.starts, given["mask"])
    return output


def call_mmcv(module: nn.Module, batch_first: bool = False, **more: Any) -> Tensor:
    given = module_inputs()
    query, value = given["query"], given["value"]
    if not batch_first:
        query, value = query.transpose(0, 1), value.transpose(0, 1)
    output: Tensor = module(
        query, None, value, reference_points=given["reference"], key_padding_mask=given["mask"],
        spatial_shapes=SHAPES, level_start_index=CASE.starts, **more,
    )  # fmt: skip
    return output if batch_first else output.transpose(0, 1)
