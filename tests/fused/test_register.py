"""Tests how the fused route is reached: every way to call the operator, on the CPU's dispatch key instead of CUDA's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from fused.test_kernels import PLAIN
from ops.cases import assert_close, run

import dcnbuild
from dcnbuild.ops.deform_conv2d import OPERATOR
from dcnbuild.ops.fused import register, route, tuning

#: With one multiprocessor, as many as run Triton's interpreter.
GPU = route.Device((9, 0), 1)
needs_triton = pytest.mark.skipif(route.unavailable() is not None, reason=f"fused route: {route.unavailable()}")


@pytest.fixture
def served(interpreted: ModuleType, tiles: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the fused route was asked for, while it stands before the CPU's kernels."""
    asked: list[str] = []
    monkeypatch.setattr(tuning, "device", lambda _: GPU)
    monkeypatch.setenv("DCNBUILD_FUSED", "on")
    for name in ("forward", "backward"):
        function = getattr(interpreted, name)

        def noted(*args: object, function: object = function, name: str = name) -> None:
            asked.append(name)
            function(*args)  # type: ignore[operator]

        monkeypatch.setattr(interpreted, name, noted)
    library = register.put_before(OPERATOR, "CPU")
    yield asked
    library._destroy()


def test_functions_take_it(served: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = PLAIN.tensors(0, torch.float32)
    actual = run(dcnbuild.deform_conv2d, PLAIN, tensors)
    assert served == ["forward", "backward"]
    monkeypatch.setenv("DCNBUILD_FUSED", "off")
    expected = run(dcnbuild.deform_conv2d, PLAIN, tensors)
    assert served == ["forward", "backward"]
    assert_close(actual, expected, 2e-6)


def raw(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    arguments = [tensors[name] for name in ("input", "offset", "mask", "weight", "bias")]
    attributes = (PLAIN.stride, PLAIN.padding, PLAIN.dilation, 1, 1)
    output: torch.Tensor = torch.ops.dcnbuild.deform_conv2d(*arguments, *attributes)
    return output


def test_raw_operators_take_it_in_inference_mode(served: list[str]) -> None:
    with torch.inference_mode():
        raw(PLAIN.tensors(0, torch.float32))  # type: ignore[arg-type]
    assert served == ["forward"]


class Layer(torch.nn.Module):
    """A call between operators that a compiler may fuse."""

    def forward(self, **tensors: torch.Tensor) -> torch.Tensor:
        tensors["input"] = tensors["input"] * 2
        return dcnbuild.deform_conv2d(**tensors, padding=PLAIN.padding).relu()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_code_takes_it(backend: str, served: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One graph, which calls the operator: the route is chosen when it runs, not when it is compiled."""
    tensors = {name: t for name, t in PLAIN.tensors(0, torch.float32).items() if t is not None}
    inputs = [t.requires_grad_() for t in tensors.values()]
    torch._dynamo.reset()
    compiled = torch.compile(Layer(), fullgraph=True, backend=backend)
    output = compiled(**tensors)
    grads = torch.autograd.grad(output.square().sum(), inputs)
    assert served == ["forward", "backward"]
    monkeypatch.setenv("DCNBUILD_FUSED", "off")
    expected = Layer()(**tensors)
    torch.testing.assert_close(compiled(**tensors), expected)
    assert served == ["forward", "backward"]
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    for grad, other in zip(grads, torch.autograd.grad(expected.square().sum(), inputs)):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-4)


def test_exported_programs_take_it_when_they_run(served: list[str]) -> None:
    tensors = {name: t for name, t in PLAIN.tensors(0, torch.float32).items() if t is not None}
    program = torch.export.export(Layer(), (), tensors).run_decompositions()
    assert served == [], "tracing runs the fake kernel"
    assert "dcnbuild.deform_conv2d.default" in [str(node.target) for node in program.graph.nodes]
    torch.testing.assert_close(program.module()(**tensors), Layer()(**tensors))
    assert served == ["forward"] * 2


def test_what_it_refuses_is_computed_all_the_same(served: list[str]) -> None:
    tensors = PLAIN.tensors(0, torch.float64)
    expected = run(dcnbuild.reference.deform_conv2d, PLAIN, tensors)
    assert_close(run(dcnbuild.deform_conv2d, PLAIN, tensors), expected, 1e-12)
    torch.use_deterministic_algorithms(True)
    try:
        run(dcnbuild.deform_conv2d, PLAIN, PLAIN.tensors(0, torch.float32))
    finally:
        torch.use_deterministic_algorithms(False)
    assert served == ["forward"], "the gradient of the input would be added in any order"


def test_raw_calls_that_do_not_fit_raise_as_before(served: list[str]) -> None:
    tensors = PLAIN.tensors(0, torch.float32)
    with pytest.raises(RuntimeError, match="offset"):
        raw({**tensors, "offset": tensors["offset"][:, :, :1]})  # type: ignore[index, dict-item]
    assert served == []


@needs_triton
def test_on_without_triton_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCNBUILD_FUSED", "on")
    monkeypatch.setattr(route, "unavailable", lambda: "it needs triton, which is not installed")
    library = register.put_before(OPERATOR, "CPU")
    try:
        with pytest.raises(dcnbuild.ArgumentError, match=r"DCNBUILD_FUSED=on.*needs triton"):
            raw(PLAIN.tensors(0, torch.float32))  # type: ignore[arg-type]
        monkeypatch.setenv("DCNBUILD_FUSED", "off")
        assert raw(PLAIN.tensors(0, torch.float32)).shape[1] == 3  # type: ignore[arg-type]
    finally:
        library._destroy()


@needs_triton
def test_a_missing_triton_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert route.unavailable() is None
    monkeypatch.setitem(sys.modules, "triton", None)
    assert "not installed" in str(route.unavailable())


def test_a_library_of_cuda_brings_the_route_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from dcnbuild.builder import native

    put: list[str] = []
    monkeypatch.setattr(register, "put_before", lambda _, key: put.append(key))
    for value, expected in (("", []), ("auto", []), ("off", []), ("on", ["CUDA"])):
        monkeypatch.setenv("DCNBUILD_FUSED", value)
        for look in native.when_loaded:
            look("cuda")
            look("cpu")
        assert put == expected


def test_importing_dcnbuild_imports_no_triton() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import dcnbuild; dcnbuild.deform_conv2d; "
        "print(sorted(m for m in set(sys.modules) - before if 'triton' in m), 'dcnbuild.ops.fused.register' in "
        "sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[] True"
