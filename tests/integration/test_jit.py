"""Tests torch.jit.trace, which torch has deprecated."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from integration.models import Aligned, image


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_traced_saved_and_loaded(tmp_path: Path) -> None:
    model = Aligned().eval()
    traced = torch.jit.trace(model, (image(2, 3, 9, 8),))
    assert "dcnbuild::deform_conv2d" in str(traced.inlined_graph)
    traced.save(str(tmp_path / "model.pt"))
    x = image(1, 3, 5, 6, seed=2)
    assert torch.equal(torch.jit.load(str(tmp_path / "model.pt"))(x), model(x))
