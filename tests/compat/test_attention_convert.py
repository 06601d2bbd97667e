"""Tests what `convert` does with deformable attention: modules that call a plain function of their file."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from compat.attention_modules import (
    CASE,
    SHAPES,
    call_mmcv,
    randomized,
    tensors,
    with_gradients,
)
from compat.attention_repositories import GROUNDING_DINO, PLAIN
from integration.features import needs
from ops.attention_cases import AttnCase, gradients, plain_attn
from ops.cases import assert_close
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat.attention_search import stand_in


def test_a_stand_in_binds_arguments_as_python_does() -> None:
    case = AttnCase()
    value, locations, weights = case.inputs()
    ours = stand_in(plain_attn)
    assert ours is not None
    given = (value, case.shapes, locations, weights)
    for args, kwargs in (
        ((*given, 1), {}),
        (given, {"foo": 1}),
        (given, {"value": value}),
        (given[:3], {}),
    ):
        with pytest.raises(TypeError):
            ours(*args, **kwargs)


@pytest.fixture
def grounding_dino() -> Iterator[Any]:
    """The file as it is without dcnbuild's names."""
    module = types.ModuleType("grounding_dino_file")
    sys.modules["grounding_dino_file"] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(GROUNDING_DINO, vars(module))
    yield module
    del sys.modules["grounding_dino_file"]


def test_convert_switches_over_what_a_forward_calls(grounding_dino: Any) -> None:
    class Mine(grounding_dino.MultiScaleDeformableAttention):
        pass

    for kind in (grounding_dino.MultiScaleDeformableAttention, Mine):
        module = randomized(kind(12, 3, 2, 2))
        before = with_gradients(module, call_mmcv(module))
        parameters = list(module.parameters())
        report = dcnbuild.convert(nn.Sequential(module))
        assert [done.new for done in report.converted] == ["dcnbuild.deform_attn"]
        assert not report.left and isinstance(module, kind)
        assert all(a is b for a, b in zip(parameters, module.parameters()))
        assert_close(with_gradients(module, call_mmcv(module)), before, 1e-5)
        assert calls_ours(module)
        assert not dcnbuild.convert(module).converted
    # The class, and whoever else has one, is as it was.
    assert not calls_ours(randomized(grounding_dino.MultiScaleDeformableAttention(12, 3, 2, 2)))


def calls_ours(module: nn.Module) -> bool:
    """Whether the attention is computed by our operator."""
    with torch.profiler.profile() as profile:
        call_mmcv(module)
    return any(event.key == "dcnbuild::deform_attn" for event in profile.key_averages())


def test_converted_modules_are_copied_and_pickled(grounding_dino: Any) -> None:
    module = randomized(grounding_dino.MultiScaleDeformableAttention(12, 3, 2, 2))
    dcnbuild.convert(module)
    expected = call_mmcv(module)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert type(other) is type(module)
        torch.testing.assert_close(call_mmcv(other), expected)


def plain(align: bool = False) -> Any:
    namespace: dict[str, Any] = {"F": F}
    exec(PLAIN.format(name="multi_scale_deformable_attention", align=align), namespace)
    return namespace["multi_scale_deformable_attention"]


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Outer(nn.Module):
    """A deformable attention of nobody's name, that calls what is in its file."""

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = attention(value, CASE.shapes, locations, weights)
        return output


class Decorated(Outer):
    forward = decorated(Outer.forward)


class Holds(nn.Module):
    """D-FINE keeps the function in an attribute, and has another number of points in each level."""

    def __init__(self) -> None:
        super().__init__()
        self.core = by_points

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        flat = locations.flatten(3, 4)[:, :, :, :3], weights.flatten(3, 4)[:, :, :, :3]
        output: Tensor = self.core(value, CASE.shapes, *flat, [2, 1])
        return output


class Whole(nn.Module):
    """transformers' module without parameters."""

    def forward(
        self,
        value: Tensor,
        value_spatial_shapes: Tensor,
        value_spatial_shapes_list: list[tuple[int, int]],
        level_start_index: Tensor,
        sampling_locations: Tensor,
        attention_weights: Tensor,
        im2col_step: int,
    ) -> Tensor:
        return plain_attn(value, value_spatial_shapes_list, sampling_locations, attention_weights)


class DeformableAttn(nn.Module):
    """Another sampling: of pixels' corners."""

    def forward(self, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        output: Tensor = aligned(value, SHAPES, locations, weights)
        return output


attention, aligned = plain(), plain(align=True)


def by_points(
    value: Tensor,
    value_spatial_shapes: Any,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    num_points_list: list[int],
    method: str = "default",
) -> Tensor:
    parts = zip(
        value_spatial_shapes,
        value.split([h * w for h, w in value_spatial_shapes], 1),
        sampling_locations.split(num_points_list, 3),
        attention_weights.split(num_points_list, 3),
    )
    each = [plain_attn(v, [shape], at[:, :, :, None], w[:, :, :, None]) for shape, v, at, w in parts]
    return torch.stack(each).sum(0)


@pytest.mark.parametrize("kind", [Outer, Decorated, Holds])
def test_convert_knows_functions_by_what_they_compute(kind: type[nn.Module]) -> None:
    module = kind()
    before = gradients(module, tensors())
    assert len(dcnbuild.convert(module).converted) == 1
    assert_close(gradients(module, tensors()), before, 1e-5)
    assert "DeformAttn" in str(module(*(t.requires_grad_() for t in tensors())).grad_fn) or kind is Holds


@needs("torch.compile(fullgraph=True)")
@pytest.mark.parametrize("kind", [Outer, Decorated])
def test_converted_modules_are_compiled_with_ours(kind: type[nn.Module]) -> None:
    torch._dynamo.reset()
    graphs = []

    def look(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        graphs.append(str(graph.graph))
        return graph.forward

    module = kind()
    expected = module(*tensors())
    dcnbuild.convert(module)
    compiled = torch.compile(module, backend=look, fullgraph=True)
    torch.testing.assert_close(compiled(*tensors()), expected)
    assert len(graphs) == 1 and "deform_attn" in graphs[0] and "grid_sample" not in graphs[0]


def test_convert_of_a_module_that_is_the_function() -> None:
    module = Whole()
    value, locations, weights = tensors()
    arguments = (value, SHAPES, [*CASE.shapes], CASE.starts, locations, weights, 64)
    before = module(*arguments)
    dcnbuild.convert(module)
    output = module(*(t.requires_grad_() if t is value else t for t in arguments))
    torch.testing.assert_close(output, before)
    assert "DeformAttnFunction" in str(output.grad_fn)
    by_name = dict(zip(("value", "value_spatial_shapes", "value_spatial_shapes_list", "level_start_index", "sampling_locations", "attention_weights", "im2col_step"), arguments))  # fmt: skip
    torch.testing.assert_close(module(**by_name), before)


def test_convert_leaves_another_sampling_and_names_it() -> None:
    module = DeformableAttn()
    report = dcnbuild.convert(module)
    assert not report.converted and [left.path for left in report.left] == [""]
    assert stand_in(aligned) is None and stand_in(attention) is not None
    assert stand_in(plain_attn) is not None
    assert stand_in(F.grid_sample) is None and stand_in(len) is None
