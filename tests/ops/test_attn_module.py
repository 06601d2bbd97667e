"""Tests `DeformAttn`: its parameters, its positions, and its errors."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from ops.attention_cases import AttnCase, plain_attn
from torch import Tensor, nn

import dcnbuild

SHAPES = ((5, 4), (3, 2))


def module(**changed: int) -> dcnbuild.DeformAttn:
    torch.manual_seed(0)
    made = dcnbuild.DeformAttn(**{"embed_dim": 12, "heads": 3, "levels": 2, "points": 2, **changed})
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.4)
    return made


def inputs(coordinates: int = 2, levels: int = 2, seed: int = 1) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    pixels = AttnCase(shapes=SHAPES).pixels
    return (
        torch.randn(2, 7, 12, generator=generator),
        torch.randn(2, pixels, 12, generator=generator),
        torch.rand(2, 7, levels, coordinates, generator=generator),
    )


def test_keys_and_initialisation() -> None:
    """Those of Deformable DETR's MSDeformAttn: eight heads look at the eight neighbours, point p at p + 1 times the
    way.
    """
    made = dcnbuild.DeformAttn(16, 8, 2, 3)
    shapes = {name: tuple(t.shape) for name, t in made.state_dict().items()}
    assert shapes == {
        "sampling_offsets.weight": (96, 16),
        "sampling_offsets.bias": (96,),
        "attention_weights.weight": (48, 16),
        "attention_weights.bias": (48,),
        "value_proj.weight": (16, 16),
        "value_proj.bias": (16,),
        "output_proj.weight": (16, 16),
        "output_proj.bias": (16,),
    }
    offsets = made.sampling_offsets.bias.detach().view(8, 2, 3, 2)
    neighbours = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    for head, (x, y) in enumerate(neighbours):
        for point in range(3):
            wanted = torch.tensor([x, y]).float().expand(2, 2) * (point + 1)
            torch.testing.assert_close(offsets[head, :, point], wanted, rtol=0, atol=1e-5)
    for name in ("sampling_offsets.weight", "attention_weights.weight", "attention_weights.bias"):
        assert not made.state_dict()[name].any()
    bound = math.sqrt(6 / 32)
    assert 0.9 * bound < made.value_proj.weight.abs().max() <= bound
    assert not made.output_proj.bias.any()


@pytest.mark.parametrize("levels", [2, 1], ids=["a point for each level", "one for all"])
@pytest.mark.parametrize("coordinates", [2, 4], ids=["points", "boxes"])
def test_equals_the_formula(coordinates: int, levels: int) -> None:
    made = module()
    query, value, reference = inputs(coordinates, levels)
    mask = torch.rand(value.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.3
    values = made.value_proj(value).masked_fill(mask[..., None], 0.0).view(2, -1, 3, 4)
    offsets = made.sampling_offsets(query).view(2, 7, 3, 2, 2, 2)
    weights = made.attention_weights(query).view(2, 7, 3, 4).softmax(-1).view(2, 7, 3, 2, 2)
    sizes = torch.tensor(SHAPES).flip(-1)
    moved = offsets / sizes[:, None] if coordinates == 2 else offsets / 2 * reference[:, :, None, :, None, 2:] / 2
    locations = reference[:, :, None, :, None, :2] + moved
    expected = made.output_proj(plain_attn(values, SHAPES, locations, weights))
    for shapes in (SHAPES, torch.tensor(SHAPES)):
        output = made(query, value, reference, shapes, mask)
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    assert expected.abs().max() > 0.1


def test_half_modules_keep_positions_in_float32() -> None:
    made = module().bfloat16()
    query, value, reference = (t.bfloat16() for t in inputs())
    output = made(query, value, reference, SHAPES)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(
        output.float(),
        copy.deepcopy(made).float()(query.float(), value.float(), reference.float(), SHAPES),
        rtol=0.05,
        atol=0.05,
    )


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"embed_dim": 10}, "heads=3 must divide embed_dim=10"),
        ({"levels": 0}, "levels must be at least 1, got 0"),
        ({"points": 1.5}, "points must be an int, got 1.5"),
    ],
)
def test_numbers_that_do_not_fit(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(dcnbuild.ArgumentError, match=f"DeformAttn: .*{message}|{message}"):
        module(**numbers)


def refused() -> dict[str, tuple[dict[str, Any], str]]:
    _, value, reference = inputs()
    return {
        "no tensor": ({"query": None}, "query must be a tensor, got NoneType"),
        "width": ({"value": value[..., 1:]}, r"value has shape .*, expected \(batch, positions, 12\)"),
        "three coordinates": ({"reference_points": reference[..., :1]}, "reference_points has shape"),
        "queries": ({"reference_points": reference[:, 1:]}, "reference_points has shape"),
        "levels": ({"spatial_shapes": SHAPES[:1]}, "spatial_shapes has 1 levels, expected 2"),
        "pixels": ({"value": value[:, 1:]}, "value has 25 positions, expected 26"),
        "a float mask": ({"padding_mask": torch.zeros(2, 26)}, "padding_mask is torch.float32"),
        "mask": ({"padding_mask": torch.zeros(2, 25).bool()}, r"expected torch.bool of shape \(2, 26\)"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(refused()))
def test_what_does_not_fit_is_named(name: str) -> None:
    query, value, reference = inputs()
    changed, message = refused()[name]
    given = {"query": query, "value": value, "reference_points": reference}
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        module()(**{**given, "spatial_shapes": SHAPES, **changed})


def test_other_forms_of_sizes_and_points() -> None:
    """What the function takes, the module takes; reference points of another precision are positions like any."""
    torch.manual_seed(0)
    module = dcnbuild.DeformAttn(8, 2, 2, 1)
    query, value = torch.randn(1, 3, 8), torch.randn(1, 26, 8)
    points = torch.rand(1, 3, 2, 2)
    expected = module(query, value, points, [(4, 5), (2, 3)])
    for sizes in (zip((4, 2), (5, 3)), ((4, 5), (2, 3)), torch.tensor([[4, 5], [2, 3]])):
        torch.testing.assert_close(module(query, value, points, sizes), expected)
    torch.testing.assert_close(module(query, value, points.double(), [(4, 5), (2, 3)]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spatial_shapes": None}, "spatial_shapes must be"),
        ({"spatial_shapes": 5}, "spatial_shapes must be"),
        ({"spatial_shapes": torch.tensor(4)}, r"shape \(\), expected \(levels, 2\)"),
        ({"spatial_shapes": torch.tensor([4, 5])}, r"shape \(2,\), expected \(levels, 2\)"),
        ({"spatial_shapes": torch.ones(2, 3, dtype=torch.long)}, r"shape \(2, 3\), expected \(levels, 2\)"),
        ({"spatial_shapes": torch.ones(2, 2, dtype=torch.long, device="meta")}, "meta device"),
        ({"spatial_shapes": torch.ones(2, 2, dtype=torch.long).to_sparse()}, "expected a strided tensor"),
        ({"padding_mask": [0]}, "padding_mask must be a tensor or None, got list"),
        ({"query": torch.zeros(2, 3, 8)}, "value has a batch of 1, expected 2, that of query"),
        ({"reference_points": torch.zeros(1, 3, 2, 3)}, r"expected \(1, 3, 2, 2 or 4\)"),
    ],
)  # fmt: skip
def test_every_argument_is_refused_by_its_name(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "query": torch.zeros(1, 3, 8),
        "value": torch.zeros(1, 26, 8),
        "reference_points": torch.rand(1, 3, 2, 2),
        "spatial_shapes": [(4, 5), (2, 3)],
    }
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        dcnbuild.DeformAttn(8, 2, 2, 1)(**{**given, **changes})


def test_more_levels_than_a_call_can_have() -> None:
    with pytest.raises(dcnbuild.ArgumentError, match="levels is 65, expected 1 to 64"):
        dcnbuild.DeformAttn(16, 2, 65, 1)
