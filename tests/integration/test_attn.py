"""Deformable attention inside PyTorch: torch.compile, export, ONNX, AOTInductor, torch.fx and TorchScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from integration.features import DYNAMIC, needs
from integration.models import gradients as gradients_of
from integration.models import image
from ops.attention_cases import AttnCase, gradients
from ops.cases import assert_close
from torch import Tensor, nn

import dcnbuild

LEVELS = ((5, 4), (3, 2))
OTHERS = ((6, 7), (2, 3))


class Encoder(nn.Module):
    """Attends to feature maps, whose sizes are a list."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attn = dcnbuild.DeformAttn(12, heads=3, levels=2, points=2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.4)

    def forward(self, query: Tensor, points: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        maps = (fine, coarse)
        value = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], 1)
        sizes = [(each.shape[2], each.shape[3]) for each in maps]
        output: Tensor = self.attn(query, value, points, sizes)
        return output


class OfTensor(Encoder):
    """Is given the sizes as a tensor, as in the old packages."""

    def forward(self, query: Tensor, points: Tensor, value: Tensor, sizes: Tensor) -> Tensor:  # type: ignore[override]
        output: Tensor = self.attn(query, value, points, sizes)
        return output


def inputs(
    levels: tuple[tuple[int, int], ...] = LEVELS, batch: int = 2, queries: int = 7, points: int = 2
) -> tuple[Tensor, ...]:
    maps = [image(batch, 12, *size, seed=i + 2) for i, size in enumerate(levels)]
    return image(batch, queries, 12), image(batch, queries, 2, points, seed=9).sigmoid(), *maps


def of_tensor(levels: tuple[tuple[int, int], ...], batch: int, queries: int) -> tuple[Tensor, ...]:
    query, points, *maps = inputs(levels, batch, queries)
    value = torch.cat([each.flatten(2).transpose(1, 2) for each in maps], 1)
    return query, points, value, torch.tensor(levels)


@needs("torch.compile(fullgraph=True)")
@pytest.mark.parametrize("dynamic", DYNAMIC, ids=["static", "dynamic"])
def test_the_function_compiled(dynamic: bool, device: str) -> None:
    torch._dynamo.reset()

    def call(value: Tensor, locations: Tensor, weights: Tensor, shapes: Any) -> Tensor:
        return dcnbuild.deform_attn(value, shapes, locations, weights)

    compiled = torch.compile(call, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for case in (AttnCase(shapes=LEVELS), AttnCase(queries=9, shapes=OTHERS)):
        tensors = case.inputs(0, torch.float32, device)
        actual = gradients(lambda *t, case=case: compiled(*t, case.shapes), tensors)
        assert_close(actual, gradients(case.operate, tensors), 1e-5)


@pytest.mark.slow
@needs("torch.compile(dynamic=True) of sizes")
def test_the_module_compiled() -> None:
    torch._dynamo.reset()
    model = Encoder()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    for given in (inputs(), inputs(OTHERS, 3, 9, points=4)):
        output, expected = compiled(*given), model(*given)
        torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
        wanted = gradients_of(model, expected)
        assert_close(gradients_of(model, output), wanted, 1e-5)


def sizes_of_maps() -> tuple[dict[int, Any], ...]:
    batch, queries = torch.export.Dim("batch"), torch.export.Dim("queries")
    each = [{0: batch, 2: torch.export.Dim(f"h{i}", max=512), 3: torch.export.Dim(f"w{i}", max=512)} for i in range(2)]
    return {0: batch, 1: queries}, {0: batch, 1: queries}, *each


@needs("torch.export with Dim.AUTO")
def test_exported_with_a_list(tmp_path: Path) -> None:
    program = torch.export.export(Encoder(), inputs(), dynamic_shapes=sizes_of_maps())
    torch.export.save(program, tmp_path / "encoder.pt2")
    loaded = torch.export.load(tmp_path / "encoder.pt2").module()
    given = inputs(OTHERS, 3, 9)
    torch.testing.assert_close(loaded(*given), Encoder()(*given))


@needs("torch.export with Dim.AUTO")
def test_exported_with_a_tensor() -> None:
    batch, queries, pixels = (torch.export.Dim(name) for name in ("batch", "queries", "pixels"))
    program = torch.export.export(
        OfTensor(),
        of_tensor(LEVELS, 2, 7),
        dynamic_shapes=({0: batch, 1: queries}, {0: batch, 1: queries}, {0: batch, 1: pixels}, {}),
    )
    given = of_tensor(OTHERS, 3, 9)
    torch.testing.assert_close(program.module()(*given), OfTensor()(*given))
    with pytest.raises(RuntimeError):
        program.module()(*given[:3], torch.tensor(LEVELS))


@pytest.mark.slow
@needs("AOTInductor packages")
def test_compiled_ahead_of_time(tmp_path: Path) -> None:
    with torch.no_grad():
        program = torch.export.export(Encoder(), inputs(), dynamic_shapes=sizes_of_maps())
        path = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "encoder.pt2"))  # fmt: skip
        given = inputs(OTHERS, 3, 9)
        run = torch._inductor.aoti_load_package(path)
        torch.testing.assert_close(run(*given), Encoder()(*given), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@needs("torch.onnx.ops")
def test_onnx_has_a_grid_sample_for_each_level(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    model, path = Encoder().eval(), tmp_path / "encoder.onnx"
    names = [{0: "batch", 1: "queries"}] * 2 + [{0: "batch", 2: f"h{i}", 3: f"w{i}"} for i in (0, 1)]  # fmt: skip
    torch.onnx.export(model, inputs(), path, dynamo=True, verbose=False, dynamic_shapes=tuple(names))
    written = onnx.load(path)
    onnx.checker.check_model(written, full_check=True)
    kinds = [node.op_type for node in written.graph.node]
    assert kinds.count("GridSample") == 2 and not written.functions
    assert [opset.domain for opset in written.opset_import] == [""]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = inputs(OTHERS, 3, 9)
    fed = {entry.name: t.numpy() for entry, t in zip(session.get_inputs(), given)}
    expected = model(*given).detach().numpy()
    np.testing.assert_allclose(session.run(None, fed)[0], expected, rtol=0, atol=1e-4)
    assert np.abs(expected).max() > 0.1
    with pytest.raises(NotImplementedError, match=r"GridSample.*dynamo=True"):
        torch.onnx.export(model, inputs(), tmp_path / "old.onnx", dynamo=False)


def test_symbolic_traces() -> None:
    for model, given in ((Encoder(), inputs()), (OfTensor(), of_tensor(LEVELS, 2, 7))):
        traced = torch.fx.symbolic_trace(model)
        called = [node.target for node in traced.graph.nodes if node.op == "call_function"]
        assert dcnbuild.deform_attn in called
        assert torch.equal(traced(*given), model(*given))


@pytest.mark.filterwarnings("ignore")
def test_torchscript() -> None:
    model, given = Encoder(), inputs()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(model, given)(*given), model(*given))
    scripted = torch.jit.script(dcnbuild.deform_attn)
    case = AttnCase(shapes=LEVELS)
    value, locations, weights = case.inputs()
    output = scripted(value, torch.tensor(LEVELS), locations, weights)
    assert torch.equal(output, case.operate(value, locations, weights))
    with pytest.raises(NotImplementedError, match=r"torch\.jit\.trace or torch\.export"):
        torch.jit.script(model)
