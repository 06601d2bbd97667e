"""The old pooling modules, against plain loops and a hand-written composition."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from compat.pooling_inputs import image_and_rois
from ops.pooling_cases import naive_psroi_pool, naive_roi_pool
from torch import nn

from dcnbuild.compat import (
    dcn_v2,
    mmcv,
    mmdet,
)

PSROI = (1.0, 3, 4, False, 1, None, 2, 0.1)


def _disturb(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)


def test_signatures() -> None:
    empty = inspect.Parameter.empty
    psroi = {"spatial_scale": empty, "pooled_size": empty, "output_dim": empty, "no_trans": empty,
             "group_size": 1, "part_size": None, "sample_per_part": 4, "trans_std": 0.0}  # fmt: skip
    roi = {"spatial_scale": 1.0, "sampling_ratio": 0, "gamma": 0.1}
    pack = {"output_size": empty, "output_channels": empty, "deform_fc_channels": 1024, **roi}
    expected: dict[Any, dict[str, Any]] = {
        dcn_v2.DCNv2Pooling: psroi,
        dcn_v2.DCNPooling: {**psroi, "deform_fc_dim": 1024},
        mmcv.DeformRoIPool: {"output_size": empty, **roi},
        mmcv.DeformRoIPoolPack: pack,
        mmcv.ModulatedDeformRoIPoolPack: pack,
    }
    for function, parameters in expected.items():
        found = {n: p.default for n, p in inspect.signature(function).parameters.items()}
        assert list(found.items()) == list(parameters.items()), function


def test_dcnv2_pooling_is_given_offsets() -> None:
    x, rois = image_and_rois()
    trans = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    expected = naive_psroi_pool(x, rois, trans, 1.0, 1, 3, 3, 2, 0.1)
    torch.testing.assert_close(dcn_v2.DCNv2Pooling(*PSROI)(x, rois, trans), expected, rtol=0, atol=1e-12)
    still = dcn_v2.DCNv2Pooling(1.0, 3, 4, True, sample_per_part=2, trans_std=0.1)
    expected = naive_psroi_pool(x, rois, None, 1.0, 1, 3, 3, 2, 0.1)
    torch.testing.assert_close(still(x, rois, x.new()), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"8 channels, expected 4"):
        still(torch.cat([x, x], 1), rois, x.new())


def test_dcn_pooling_predicts_offsets_and_mask() -> None:
    x, rois = image_and_rois()
    module = dcn_v2.DCNPooling(*PSROI, deform_fc_dim=16).double()
    keys = [f"offset_mask_fc.{i}.{kind}" for i in (0, 2, 4) for kind in ("weight", "bias")]
    assert list(module.state_dict()) == keys
    still = naive_psroi_pool(x, rois, None, 1.0, 1, 3, 3, 2, 0.1)
    torch.testing.assert_close(module(x, rois), still * 0.5, rtol=0, atol=1e-12)
    _disturb(module)
    predicted = module.offset_mask_fc(still.reshape(3, -1)).reshape(3, 3, 3, 3)
    moved = naive_psroi_pool(x, rois, predicted[:, :2].detach(), 1.0, 1, 3, 3, 2, 0.1)
    torch.testing.assert_close(module(x, rois), moved * predicted[:, 2:].sigmoid(), rtol=0, atol=1e-12)
    assert not list(dcn_v2.DCNPooling(1.0, 3, 4, True).parameters())
    with pytest.raises(ValueError, match="part_size"):
        dcn_v2.DCNPooling(1.0, 3, 4, False, part_size=2)


@pytest.mark.parametrize("modulated", [False, True])
def test_mmcv_packs(modulated: bool) -> None:
    x, rois = image_and_rois()
    make = mmcv.ModulatedDeformRoIPoolPack if modulated else mmcv.DeformRoIPoolPack
    module = make((3, 2), 4, 16, 0.5, 2, 0.2).double()
    names = [f"offset_fc.{i}" for i in (0, 2, 4)] + ["mask_fc.0", "mask_fc.2"] * modulated
    assert {key.rpartition(".")[0] for key in module.state_dict()} == set(names)
    still = naive_roi_pool(x, rois, None, (3, 2), 0.5, 2, 0.2)
    scale = 0.5 if modulated else 1.0
    torch.testing.assert_close(module(x, rois), still * scale, rtol=0, atol=1e-12)
    _disturb(module)
    offset = module.offset_fc(still.reshape(3, -1)).reshape(3, 2, 3, 2)
    expected = naive_roi_pool(x, rois, offset.detach(), (3, 2), 0.5, 2, 0.2)
    if modulated:
        expected = expected * module.mask_fc(still.reshape(3, -1)).reshape(3, 1, 3, 2)
    torch.testing.assert_close(module(x, rois), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="output_channels=4"):
        module(x[:, :3], rois)


def test_mmcv_pool_takes_offsets_or_none() -> None:
    x, rois = image_and_rois()
    module = mmcv.DeformRoIPool((3, 2), 0.5, 0, 0.2)
    expected = naive_roi_pool(x, rois, None, (3, 2), 0.5, 0, 0.2)
    for nothing in (None, x.new_zeros(0)):
        torch.testing.assert_close(module(x, rois, nothing), expected, rtol=0, atol=1e-12)


def test_old_packs_have_as_many_layers_as_they_are_told() -> None:
    """mmdetection 1.x: PS-RoI pooling by other names, and layers that can be counted."""
    x, rois = image_and_rois()
    module = mmdet.ModulatedDeformRoIPoolingPack(
        1.0,
        (3, 3),
        4,
        False,
        1,
        None,
        2,
        0.1,
        num_offset_fcs=2,
        num_mask_fcs=3,
        deform_fc_channels=8,
    ).double()
    keys = {key.rpartition(".")[0] for key in module.state_dict()}
    assert keys == {"offset_fc.0", "offset_fc.2", "mask_fc.0", "mask_fc.2", "mask_fc.4"}
    _disturb(module)
    still = naive_psroi_pool(x, rois, None, 1.0, 1, 3, 3, 2, 0.1)
    offset = module.offset_fc(still.flatten(1)).view(3, 2, 3, 3).detach()
    expected = naive_psroi_pool(x, rois, offset, 1.0, 1, 3, 3, 2, 0.1)
    expected = expected * module.mask_fc(still.flatten(1)).view(3, 1, 3, 3)
    torch.testing.assert_close(module(x, rois), expected, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="the same one twice"):
        mmdet.DeformRoIPooling(1.0, (3, 2), 4, False)
