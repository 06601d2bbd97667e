"""Tests deformable attention under its old names: extensions, modules, repositories' own files, and `convert`."""

from __future__ import annotations

import copy
import functools
import importlib
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from compat.attention_repositories import DETR_FUNCTIONS, DETR_MODULE, GROUNDING_DINO, PLAIN
from compat.test_importing import repository, write  # noqa: F401  a fixture
from integration.features import needs
from ops.attn_cases import AttnCase, gradients, plain_attn
from ops.cases import assert_close
from torch import Tensor, nn

import dcnbuild
from dcnbuild.compat import larger_ext, mmcv, ms_deform_attn, ms_deform_attn_ext
from dcnbuild.compat.attention_search import stand_in
from dcnbuild.compat.importing import install

CASE = AttnCase(((5, 4), (3, 2)), width=4)
SHAPES = torch.tensor(CASE.shapes)


def tensors(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return CASE.tensors(0, dtype)


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
    """What a DeformAttn with the parameters of `module` computes in plain torch, and the gradients of all parameters."""
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
    output: Tensor = module(
        given["query"], given["reference"], given["value"], SHAPES, CASE.starts, given["mask"]
    )
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


@pytest.mark.parametrize("extension", [ms_deform_attn_ext, larger_ext])
def test_the_raw_calls(extension: types.ModuleType) -> None:
    value, locations, weights = tensors()
    expected = gradients(CASE.plain, [value, locations, weights])
    arguments = (value, SHAPES, CASE.starts, locations, weights)
    output = extension.ms_deform_attn_forward(*arguments, 64)
    assert not output.requires_grad
    torch.testing.assert_close(output, expected["output"])
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(output.shape, generator=generator, dtype=torch.float64).float()
    grads = extension.ms_deform_attn_backward(*arguments, upstream, 64)
    assert_close(dict(zip(("value", "locations", "weights"), grads)), {k: v for k, v in expected.items() if k != "output"}, 1e-5)  # fmt: skip
    # mmcv adds to tensors of its own.
    sums = [torch.ones_like(t) for t in (value, locations, weights)]
    assert (
        extension.ms_deform_attn_backward(*arguments, upstream, *sums, im2col_step=64)  # type: ignore[func-returns-value]
        is None
    )
    for total, grad in zip(sums, grads):
        torch.testing.assert_close(total, grad + 1)


def test_levels_out_of_order_are_refused() -> None:
    value, locations, weights = tensors()
    with pytest.raises(dcnbuild.ArgumentError, match=r"level_start_index is \[6, 0\], expected \[0, 20\]"):  # fmt: skip
        ms_deform_attn_ext.ms_deform_attn_forward(
            value, SHAPES, torch.tensor([6, 0]), locations, weights, 64
        )


def test_raw_calls_without_queries_and_of_mixed_dtypes() -> None:
    case = AttnCase()
    value, locations, weights = case.tensors(dtype=torch.float32)
    shapes = torch.tensor(case.shapes)
    extension = ms_deform_attn_ext
    for queries in (0, case.queries):
        given = (
            value.half(),
            shapes,
            case.starts,
            locations[:, :queries],
            weights.half()[:, :queries],
        )
        output = extension.ms_deform_attn_forward(*given, 64)
        assert output.shape == (case.batch, queries, case.heads * case.width)
        grads = extension.ms_deform_attn_backward(*given, torch.ones_like(output).float(), 64)
        assert grads is not None
        tensors = [given[0], *given[3:]]
        assert [(g.dtype, g.shape) for g in grads] == [(t.dtype, t.shape) for t in tensors]


@pytest.mark.parametrize(
    ("shapes", "starts", "message"),
    [
        (torch.tensor([[4, 5, 2], [3, 1, 1]]), torch.tensor([0, 20, 26]), r"shape \(2, 3\)"),
        (torch.tensor([[4, 5, 2, 3]]), torch.tensor([0, 20]), r"shape \(1, 4\)"),
        ([(4, 5, 1), (2, 3, 1)], [0, 20], "spatial_shapes must be"),
        (None, [0, 20], "spatial_shapes must be"),
        ([(4, 5), (2, 3)], 0, "level_start_index must be one int for each level, got int"),
        ([(4, 5), (2, 3)], [0.4, 20.9], r"level_start_index\[0\] must be an int"),
        ([(4, 5), (2, 3)], torch.tensor([0.4, 20.9]), "level_start_index is torch.float32"),
    ],
)  # fmt: skip
def test_sizes_and_starts_that_are_none(shapes: Any, starts: Any, message: str) -> None:
    value, locations, weights = (
        torch.ones(1, 26, 1, 2),
        torch.rand(1, 1, 1, 2, 1, 2),
        torch.ones(1, 1, 1, 2, 1),
    )
    with pytest.raises(dcnbuild.ArgumentError, match=message):
        ms_deform_attn_ext.ms_deform_attn_forward(value, shapes, starts, locations, weights, 64)


def test_narrow_and_consumable_sizes() -> None:
    value, locations, weights = (
        torch.ones(1, 406, 1, 2),
        torch.rand(1, 1, 1, 2, 1, 2),
        torch.ones(1, 1, 1, 2, 1),
    )
    expected = dcnbuild.deform_attn(value, [(20, 20), (2, 3)], locations, weights)
    narrow = torch.tensor([[20, 20], [2, 3]], dtype=torch.uint8)
    for shapes in (narrow, zip((20, 2), (20, 3))):
        output = ms_deform_attn_ext.ms_deform_attn_forward(
            value, shapes, torch.tensor([0, 400]), locations, weights, 64
        )
        torch.testing.assert_close(output, expected)


def test_a_stand_in_binds_arguments_as_python_does() -> None:
    case = AttnCase()
    value, locations, weights = case.tensors()
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
    openmmlab = randomized(
        mmcv.MultiScaleDeformableAttention(12, 3, 2, 2, dropout=0.0, batch_first=batch_first)
    )
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
def test_deformable_detr(more: str, repository: Path) -> None:  # noqa: F811
    ops = repository / "models" / "ops"
    write(repository / "models" / "__init__.py")
    write(ops / "__init__.py")
    write(
        ops / "functions" / "__init__.py", "from .ms_deform_attn_func import MSDeformAttnFunction\n"
    )
    write(ops / "functions" / "ms_deform_attn_func.py", DETR_FUNCTIONS)
    write(ops / "modules" / "__init__.py", "from .ms_deform_attn import MSDeformAttn\n")
    write(ops / "modules" / "ms_deform_attn.py", DETR_MODULE.replace("{more}", more))
    install()
    kind = importlib.import_module("models.ops.modules").MSDeformAttn
    assert (kind is ms_deform_attn.MSDeformAttn) == (not more)
    module = randomized(kind(12, 2, 3, 2))
    assert_close(with_gradients(module, call_detr(module)), expected_of(module), 1e-5)


def test_only_the_extension_is_missing(repository: Path) -> None:  # noqa: F811
    """Their Function on our raw calls, where a file has another name."""
    write(repository / "attention_ops.py", DETR_FUNCTIONS)
    install("MultiScaleDeformableAttention")
    function = importlib.import_module("attention_ops").MSDeformAttnFunction
    actual = gradients(lambda v, p, w: function.apply(v, SHAPES, CASE.starts, p, w, 64), tensors())
    assert_close(actual, gradients(CASE.plain, tensors()), 1e-5)


def test_grounding_dino_goes_on_with_ours(repository: Path) -> None:  # noqa: F811
    """It catches the missing extension with a warning, and calls its plain function on the CPU."""
    package = repository / "groundingdino"
    for directory in (package, package / "models", package / "models" / "GroundingDINO"):
        write(directory / "__init__.py")
    write(package / "models" / "GroundingDINO" / "ms_deform_attn.py", GROUNDING_DINO)
    install()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = importlib.import_module("groundingdino.models.GroundingDINO.ms_deform_attn")
    assert (
        file.multi_scale_deformable_attn_pytorch
        is ms_deform_attn.multi_scale_deformable_attn_pytorch
    )
    assert importlib.import_module("groundingdino._C").ms_deform_attn_forward
    module = randomized(file.MultiScaleDeformableAttention(12, 3, 2, 2))
    assert_close(with_gradients(module, call_mmcv(module)), expected_of(module), 1e-5)


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
    each = [
        plain_attn(v, [shape], at[:, :, :, None], w[:, :, :, None]) for shape, v, at, w in parts
    ]
    return torch.stack(each).sum(0)


@pytest.mark.parametrize("kind", [Outer, Decorated, Holds])
def test_convert_knows_functions_by_what_they_compute(kind: type[nn.Module]) -> None:
    module = kind()
    before = gradients(module, tensors())
    assert len(dcnbuild.convert(module).converted) == 1
    assert_close(gradients(module, tensors()), before, 1e-5)
    assert (
        "DeformAttn" in str(module(*(t.requires_grad_() for t in tensors())).grad_fn)
        or kind is Holds
    )


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


def test_half_models_have_float32_positions() -> None:
    value, locations, weights = tensors()
    output = ms_deform_attn.multi_scale_deformable_attn_pytorch(
        value.bfloat16(), SHAPES, locations, weights.bfloat16()
    )
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(
        output.float(), CASE.plain(value, locations, weights), rtol=0.02, atol=0.02
    )
