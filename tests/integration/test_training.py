"""Tests modules in training code: parametrisations, tied weights, checkpointing, saved and restored state."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from integration.models import Aligned, assert_same, gradients, image
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

import dcnbuild


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def test_parametrize() -> None:
    layer = dcnbuild.DCN(3, 4, 3, padding=1)
    x = image(2, 3, 6, 5)
    plain = layer(x) - layer.bias[:, None, None]  # type: ignore[index]
    parametrize.register_parametrization(layer, "weight", Doubled())
    torch.testing.assert_close(layer(x) - layer.bias[:, None, None], 2 * plain)  # type: ignore[index]
    layer(x).square().mean().backward()
    grad = layer.parametrizations.weight.original.grad  # type: ignore[union-attr, index]
    assert grad.abs().max() > 0  # type: ignore[union-attr]
    parametrize.remove_parametrizations(layer, "weight")
    torch.testing.assert_close(layer(x) - layer.bias[:, None, None], 2 * plain)  # type: ignore[index]


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "orthogonal"])
def test_torch_s_own_parametrisations(name: str) -> None:
    if not hasattr(parametrizations, name):
        pytest.skip(f"torch {torch.__version__} lacks parametrizations.{name}")
    torch.manual_seed(0)
    layer = dcnbuild.DeformConv2d(3, 4, 3, padding=1)
    getattr(parametrizations, name)(layer)
    x, offset = image(2, 3, 6, 5), image(2, 18, 6, 5, seed=2)
    expected = dcnbuild.deform_conv2d(x, offset, layer.weight, layer.bias, padding=1)
    layer.eval()
    torch.testing.assert_close(layer(x, offset), expected, rtol=1e-3, atol=1e-3)
    layer.train()
    layer(x, offset).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())
    twin = copy.deepcopy(layer)
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin.eval()(x, offset), layer.eval()(x, offset))


def test_tied_weights_get_both_gradients() -> None:
    first, second = (dcnbuild.DeformConv2d(2, 2, 3, padding=1, bias=False) for _ in range(2))
    second.weight = first.weight
    x, offset = image(2, 2, 6, 5), image(2, 18, 6, 5, seed=2)
    both = nn.ModuleList([first, second])
    assert len(list(both.parameters())) == 1
    second(first(x, offset), offset).sum().backward()

    apart = [first.weight.detach().clone().requires_grad_() for _ in range(2)]
    hidden = dcnbuild.deform_conv2d(x, offset, apart[0], padding=1)
    dcnbuild.deform_conv2d(hidden, offset, apart[1], padding=1).sum().backward()
    assert first.weight.grad is not None and apart[0].grad is not None
    torch.testing.assert_close(first.weight.grad, apart[0].grad + apart[1].grad)  # type: ignore[operator]


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool) -> None:
    model, x = Aligned(), image(2, 3, 6, 5).requires_grad_()
    output = checkpoint(model, x, use_reentrant=reentrant)
    output.square().mean().backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert_same(grads, gradients(model, model(x)), 1e-6)


def test_checkpointing_frees_what_backward_would_keep() -> None:
    """Checkpointing keeps only the input between the passes, and runs the operators a second time."""
    model, x = Aligned(), image(2, 3, 6, 5).requires_grad_()
    kept: list[tuple[int, ...]] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        model(x)
    assert (2, 18, 6, 5) in kept
    kept.clear()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        checkpoint(model, x, use_reentrant=False)
    assert [shape for shape in kept if shape != (0,)] == [tuple(x.shape)]  # torch 2.4 also keeps an empty tensor


def test_state_is_saved_and_restored_safely(tmp_path: Path) -> None:
    model = Aligned()
    torch.save(model.state_dict(), tmp_path / "state.pt")
    twin = Aligned()
    nn.init.zeros_(twin.first.weight)
    twin.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    x = image(2, 3, 6, 5)
    assert torch.equal(twin(x), model(x))


def test_modules_move_through_meta() -> None:
    """Builds modules like large models: on the meta device, then emptied onto a device, then loaded."""
    with torch.device("meta"):
        twin = Aligned()
    assert twin(torch.empty(2, 3, 6, 5, device="meta")).shape == (2, 2, 6, 5)
    twin = twin.to_empty(device="cpu")
    model, x = Aligned(), image(2, 3, 6, 5)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), model(x))


def test_hooks_see_the_module_s_tensors() -> None:
    layer, seen = dcnbuild.DCN(3, 4, 3, padding=1), []
    layer.register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    layer.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append(tuple(grad_out[0].shape)))
    layer(image(2, 3, 6, 5).requires_grad_()).sum().backward()
    assert seen == [(2, 4, 6, 5)] * 2
