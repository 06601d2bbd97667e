"""Tests deformable attention's modules under their old names, alone and in repositories' own files."""

from __future__ import annotations

import importlib
import pickle
import warnings
from pathlib import Path

import pytest
import torch
from compat.attention_modules import (
    CASE,
    SHAPES,
    call_detr,
    call_mmcv,
    expected_of,
    module_inputs,
    randomized,
    tensors,
    with_gradients,
)
from compat.attention_repositories import DETR_FUNCTIONS, DETR_MODULE, GROUNDING_DINO
from compat.files import write
from ops.attention_cases import gradients
from ops.cases import assert_close

from dcnbuild.compat import mmcv, ms_deform_attn
from dcnbuild.compat.importing import install


@pytest.mark.parametrize("batch_first", [False, True])
def test_modules_have_the_old_arguments(batch_first: bool) -> None:
    detr = randomized(ms_deform_attn.MSDeformAttn(d_model=12, n_levels=2, n_heads=3, n_points=2))
    assert_close(with_gradients(detr, call_detr(detr)), expected_of(detr), 1e-5)
    dino = randomized(
        ms_deform_attn.MultiScaleDeformableAttention(
            embed_dim=12, num_heads=3, num_levels=2, num_points=2, batch_first=batch_first
        )
    )
    output = call_mmcv(dino, batch_first)
    assert_close(with_gradients(dino, output), expected_of(dino), 1e-5)
    openmmlab = randomized(mmcv.MultiScaleDeformableAttention(12, 3, 2, 2, dropout=0.0, batch_first=batch_first))
    expected = expected_of(openmmlab)
    expected["output"] = expected["output"] + module_inputs()["query"]
    assert_close(with_gradients(openmmlab, call_mmcv(openmmlab, batch_first)), expected, 1e-5)


def test_modules_of_old_packages_load_from_pickles() -> None:
    made = randomized(ms_deform_attn.MSDeformAttn(12, 2, 3, 2))
    expected = call_detr(made)
    for name in ("embed_dim", "heads", "levels", "points"):
        del made.__dict__[name]  # theirs have other names
    assert torch.equal(call_detr(pickle.loads(pickle.dumps(made))), expected)


@pytest.mark.parametrize("more", ["", ", use_4D_normalizer=False"], ids=["the same", "an argument more"])  # fmt: skip
def test_deformable_detr(more: str, repository: Path) -> None:
    ops = repository / "models" / "ops"
    write(repository / "models" / "__init__.py")
    write(ops / "__init__.py")
    write(ops / "functions" / "__init__.py", "from .ms_deform_attn_func import MSDeformAttnFunction\n")
    write(ops / "functions" / "ms_deform_attn_func.py", DETR_FUNCTIONS)
    write(ops / "modules" / "__init__.py", "from .ms_deform_attn import MSDeformAttn\n")
    write(ops / "modules" / "ms_deform_attn.py", DETR_MODULE.replace("{more}", more))
    install()
    kind = importlib.import_module("models.ops.modules").MSDeformAttn
    assert (kind is ms_deform_attn.MSDeformAttn) == (not more)
    module = randomized(kind(12, 2, 3, 2))
    assert_close(with_gradients(module, call_detr(module)), expected_of(module), 1e-5)


def test_only_the_extension_is_missing(repository: Path) -> None:
    """Their Function on our raw calls, where a file has another name."""
    write(repository / "attention_ops.py", DETR_FUNCTIONS)
    install("MultiScaleDeformableAttention")
    function = importlib.import_module("attention_ops").MSDeformAttnFunction
    actual = gradients(lambda v, p, w: function.apply(v, SHAPES, CASE.starts, p, w, 64), tensors())
    assert_close(actual, gradients(CASE.plain, tensors()), 1e-5)


def test_grounding_dino_goes_on_with_ours(repository: Path) -> None:
    """It catches the missing extension with a warning, and calls its plain function on the CPU."""
    package = repository / "groundingdino"
    for directory in (package, package / "models", package / "models" / "GroundingDINO"):
        write(directory / "__init__.py")
    write(package / "models" / "GroundingDINO" / "ms_deform_attn.py", GROUNDING_DINO)
    install()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = importlib.import_module("groundingdino.models.GroundingDINO.ms_deform_attn")
    assert file.multi_scale_deformable_attn_pytorch is ms_deform_attn.multi_scale_deformable_attn_pytorch
    assert importlib.import_module("groundingdino._C").ms_deform_attn_forward
    module = randomized(file.MultiScaleDeformableAttention(12, 3, 2, 2))
    assert_close(with_gradients(module, call_mmcv(module)), expected_of(module), 1e-5)
