"""Prepares the forward pass of a case in other programs that run it on the CPU, where they are installed."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable

import torch
from _cpu_cases import Operands, Work
from torch import Tensor, nn

import dcnbuild


def layer(o: Operands) -> nn.Module:
    """Returns a case's convolution with constant weights, which the programs bring into their own order beforehand."""
    case = o.case
    module = dcnbuild.DeformConv2d(case.channels, case.out_channels, 3, case.stride, 1)
    module.load_state_dict({"weight": o.weight, "bias": o.bias})
    return module.eval()


def given(o: Operands) -> tuple[Tensor, ...]:
    return tuple(t.detach() for t in (o.input, o.offset, o.mask))


def onnxruntime(o: Operands, threads: int) -> Callable[[], Tensor]:
    import onnxruntime as ort

    file = io.BytesIO()
    program = torch.onnx.export(layer(o), given(o), dynamo=True, opset_version=19, verbose=False)
    assert program is not None
    program.save(file)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    inputs = {item.name: tensor.numpy() for item, tensor in zip(session.get_inputs(), given(o))}
    return lambda: torch.from_numpy(session.run(None, inputs)[0])


def openvino(o: Operands, threads: int) -> Callable[[], Tensor]:
    import openvino as ov

    from dcnbuild import export

    model = export.openvino(torch.export.export(layer(o), given(o)))
    # By itself it may compute in bfloat16, and bind the calling thread to a core, where its peers' threads then are.
    asked = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    request = ov.Core().compile_model(model, "CPU", asked).create_infer_request()
    arrays = [tensor.numpy() for tensor in given(o)]
    return lambda: torch.from_numpy(next(iter(request.infer(arrays, share_inputs=True, share_outputs=True).values())))


PEERS = {
    name: prepare
    for name, prepare in (("openvino", openvino), ("onnxruntime", onnxruntime))
    if importlib.util.find_spec(name)
}


def prepared(name: str, o: Operands, threads: int) -> Work:
    """Returns a peer's forward pass, once its result was seen to be ours.

    Raises:
        AssertionError: it computes something else.
    """
    work = PEERS[name](o, threads)
    torch.testing.assert_close(work(), layer(o)(*given(o)).detach(), rtol=1e-4, atol=1e-4)
    return work
