"""Compares an exported file, in every installed runtime, with the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import torch
from torch import Tensor, nn

from dcnbuild.export.runtimes import Arrays, Runtime, Unoptimised, installed

#: The largest difference that rounding explains, as a fraction of the largest value: for float32, and for 16 bits.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 2e-2


@dataclass(frozen=True)
class Comparison:
    """One output in one runtime.

    Attributes:
        runtime: "onnxruntime 1.32.0".
        output: its name in the file.
        difference: the largest absolute difference from the model's; infinite if only one is NaN or the shapes differ.
        largest: the largest absolute value of the model's output.
        agrees: whether rounding explains the difference.
        shape: the runtime's shape, if it differs from the model's; else None.
    """

    runtime: str
    output: str
    difference: float
    largest: float
    agrees: bool
    shape: tuple[int, ...] | None = None

    def __str__(self) -> str:
        """Returns the comparison in one line."""
        shape = f", with the shape {list(self.shape)}" if self.shape is not None else ""
        return f"{self.runtime}: {self.output} differs by {self.difference:.2g} of at most {self.largest:.2g}{shape}"


@dataclass(frozen=True)
class Report:
    """The result of `check`; its text has a line for each output of each runtime, and then the cause.

    Attributes:
        comparisons: every output in every runtime.
        causes: runtime → the first operator that differs, or why none is named, for runtimes that do not agree.
        failures: runtime → its error, if it cannot run the file.
    """

    comparisons: tuple[Comparison, ...]
    causes: dict[str, str]
    failures: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every runtime ran the file and agrees with the model."""
        return not self.failures and all(item.agrees for item in self.comparisons)

    def __str__(self) -> str:
        lines = [str(item) for item in self.comparisons]
        lines += [f"{name} does not run the file: {text}" for name, text in self.failures.items()]
        lines += [f"{name}: {text}" for name, text in self.causes.items()]
        return "\n".join(lines)


def check(
    model: nn.Module | Callable[..., Any],
    inputs: Sequence[Tensor],
    file: str | PathLike[str],
    tolerance: float | None = None,
    runtimes: Sequence[Runtime] | None = None,
) -> Report:
    """Runs an ONNX file in the installed runtimes, and compares its outputs with the model's.

    If a runtime differs, it searches the first operator whose result differs while its inputs agree. It compares values
    inside the graph with onnxruntime without optimisations, whose values are all kept in memory. Each try asks the
    runtime for one more output, so that operators that the runtime fuses stay fused. If onnxruntime without
    optimisations differs from the model too, the file is wrong and not the runtime.

    Args:
        model: called with the inputs, without gradients. Put it into `eval` mode first.
        inputs: as for the export, real values and not zeros.
        file: the file that `torch.onnx.export` wrote; up to 2 GiB.
        tolerance: the largest difference that counts as agreement, as a fraction of the output's largest value, or of 1
            if that is larger. By default 1e-3, and 2e-2 for outputs of 16 bits.
        runtimes: the runtimes to compare; by default onnxruntime and OpenVINO, if they are installed.

    Raises:
        ImportError: onnx is not installed, or no runtime is.
        ValueError: the model and the file have different numbers of inputs or outputs.
    """
    import onnx

    chosen = installed() if runtimes is None else list(runtimes)
    if not chosen:
        raise ImportError("no runtime is installed: pip install onnxruntime, or openvino")
    written = onnx.load(fspath(file))
    feeds = _feeds(written, inputs)
    with torch.no_grad():
        expected = _named_outputs(written, model(*inputs))
    content, comparisons = written.SerializeToString(), []
    causes, failures = {}, {}
    for runtime in chosen:
        try:
            outputs = runtime.run(content, feeds)
        except Exception as error:  # each runtime has its own exceptions
            failures[runtime.name] = str(error).strip() or type(error).__name__
            continue
        found = [compare(runtime.name, name, value, outputs[name], tolerance) for name, value in expected.items()]
        comparisons += found
        wrong = [item.output for item in found if not item.agrees]
        if wrong:
            causes[runtime.name] = _cause(written, feeds, expected, runtime, wrong[0], tolerance)
    return Report(tuple(comparisons), causes, failures)


def compare(runtime: str, output: str, expected: Any, got: Any, tolerance: float | None) -> Comparison:
    """Compares two arrays; `tolerance` as for `check`."""
    import numpy as np

    expected, got = np.asarray(expected), np.asarray(got)
    sixteen = expected.dtype.itemsize == 2 and expected.dtype.kind == "f"
    first, second = expected.astype(np.float64), got.astype(np.float64)
    largest = float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    if first.shape != second.shape:
        return Comparison(runtime, output, float("inf"), largest, False, second.shape)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(first - second))
    difference = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))
    part = tolerance if tolerance is not None else _HALF_TOLERANCE if sixteen else _TOLERANCE
    return Comparison(runtime, output, difference, largest, difference <= part * max(1.0, largest))


def _feeds(written: Any, inputs: Sequence[Tensor]) -> Arrays:
    weights = {item.name for item in written.graph.initializer}
    names = [item.name for item in written.graph.input if item.name not in weights]
    if len(names) != len(inputs):
        raise ValueError(f"the file has the inputs {names}, and {len(inputs)} were given")
    return {name: value.detach().cpu().numpy() for name, value in zip(names, inputs)}


def _named_outputs(written: Any, outputs: Any) -> Arrays:
    names = [item.name for item in written.graph.output]
    values = list(_tensors(outputs))
    if len(names) != len(values):
        raise ValueError(f"the file has the outputs {names}, and the model returns {len(values)}")
    return {name: value.detach().cpu().numpy() for name, value in zip(names, values)}


def _tensors(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    nested = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for item in nested if item is not None for tensor in _tensors(item)]


def _cause(
    written: Any,
    feeds: Arrays,
    expected: Arrays,
    runtime: Runtime,
    output: str,
    tolerance: float | None,
) -> str:
    """Returns a text that names the first operator whose result differs while its inputs agree."""
    try:
        reference = Unoptimised()
        truth = reference.run(written.SerializeToString(), feeds)
    except Exception as error:  # onnxruntime is not installed, or does not have an operator
        return f"no operator is named, because onnxruntime does not run the file: {error}"
    exported = compare(reference.name, output, expected[output], truth[output], tolerance)
    if not exported.agrees:
        return f"the file is another computation than the model's: {exported}"
    return _Search(written, feeds, truth, runtime, tolerance).first(output)


class _Search:
    """Asks a runtime for values inside a graph, each at most once."""

    def __init__(self, written: Any, feeds: Arrays, truth: Arrays, runtime: Runtime, tolerance: float | None) -> None:
        self.written, self.feeds, self.truth = written, feeds, truth
        self.runtime, self.tolerance = runtime, tolerance
        self.nodes = list(written.graph.node)
        self.producer = {name: i for i, node in enumerate(self.nodes) for name in node.output}
        self.asked: dict[str, Comparison | None] = {}

    def first(self, output: str) -> str:
        """Bisects the graph to an operator that differs, then goes up while one of its inputs differs."""
        low, high = -1, self.producer[output]
        while high - low > 1:
            middle = (low + high) // 2
            if self._differing(self.nodes[middle].output):
                high = middle
            else:
                low = middle
        while before := self._differing(self.nodes[high].input):
            high = self.producer[before.output]
        node = self.nodes[high]
        found = self._differing(node.output)
        if found is None:  # it differs only if the graph has no additional output
            return f"no operator is named: asked for what lies inside, {self.runtime.name} agrees"
        return (
            f'the first operator that differs is {node.op_type} "{node.name}": {found.output} by '
            f"{found.difference:.2g} of at most {found.largest:.2g}, and its inputs agree"
        )

    def _differing(self, names: Sequence[str]) -> Comparison | None:
        """Returns the first of these values in which the runtime differs from the truth."""
        for name in names:
            if name in self.producer and name in self.truth:
                found = self._value(name)
                if found is not None and not found.agrees:
                    return found
        return None

    def _value(self, name: str) -> Comparison | None:
        if name not in self.asked:
            import onnx

            asking = onnx.ModelProto()
            asking.CopyFrom(self.written)
            if name not in {item.name for item in asking.graph.output}:
                asking.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
            try:
                got = self.runtime.run(asking.SerializeToString(), self.feeds)[name]
                self.asked[name] = compare("", name, self.truth[name], got, self.tolerance)
            except Exception:  # the runtime cannot return this value
                self.asked[name] = None
        return self.asked[name]
