"""Modules under torch.func: functional_call, per-sample gradients, ensembles, Jacobians both ways."""

from __future__ import annotations

import copy

import torch
from integration.models import Aligned, assert_same, image
from torch import Tensor

import dcnbuild


def loss_of(model: torch.nn.Module):  # type: ignore[no-untyped-def]
    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(model, parameters, (x,))
        return output.square().mean()

    return loss


def test_gradients_of_a_functional_call() -> None:
    model, x = Aligned().double(), image(2, 3, 6, 5).double()
    parameters = dict(model.named_parameters())
    grads = torch.func.grad(loss_of(model))({k: p.detach() for k, p in parameters.items()}, x)
    model(x).square().mean().backward()
    assert_same(grads, {k: p.grad for k, p in parameters.items() if p.grad is not None}, 1e-10)


def test_gradients_of_each_sample() -> None:
    model, batch = Aligned().double(), image(3, 1, 3, 6, 5).double()
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    grad = torch.func.grad(loss_of(model))
    each = torch.func.vmap(grad, in_dims=(None, 0))(parameters, batch)
    for index, x in enumerate(batch):
        assert_same({k: g[index] for k, g in each.items()}, grad(parameters, x), 1e-10)


def test_an_ensemble() -> None:
    models = [Aligned().double() for _ in range(3)]
    for model in models[1:]:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    parameters, buffers = torch.func.stack_module_state(models)
    skeleton, x = copy.deepcopy(models[0]).to("meta"), image(2, 3, 6, 5).double()

    def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        output: Tensor = torch.func.functional_call(skeleton, (parameters, buffers), (x,))
        return output

    together = torch.func.vmap(call)(parameters, buffers)
    for output, model in zip(together, models):
        torch.testing.assert_close(output, model(x), rtol=1e-10, atol=1e-10)


def test_jvp_of_a_network_along_its_parameters() -> None:
    """The directional derivative equals the gradient's component in that direction, which backward gives."""
    model, x = Aligned().double(), image(2, 3, 6, 5).double()
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    direction = {k: image(*p.shape, seed=3 + i).double() for i, (k, p) in enumerate(parameters.items())}
    loss = loss_of(model)
    _, slope = torch.func.jvp(lambda p: loss(p, x), (parameters,), (direction,))
    grads = torch.func.grad(loss)(parameters, x)
    expected = sum((grads[k] * direction[k]).sum() for k in parameters)
    assert abs(float(slope)) > 1e-3
    torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-12)


def test_jacobians_agree_both_ways() -> None:
    layer = dcnbuild.DeformConv2d(1, 2, 2).double()
    x, offset = image(1, 1, 3, 4).double(), image(1, 8, 2, 3, seed=2).double()
    forwards = torch.func.jacfwd(layer, argnums=1)(x, offset)
    backwards = torch.func.jacrev(layer, argnums=1)(x, offset)
    assert backwards.abs().max() > 0.1
    torch.testing.assert_close(forwards, backwards, rtol=0, atol=1e-12)
