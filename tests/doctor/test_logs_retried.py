"""Tests that what a program tried again is no fault, and that a program that goes on without its GPU has one."""

from __future__ import annotations

import pytest
from doctor.reading import findings

FAILED = "Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 12.*, and the latest MSVC runtime."
DLOPEN = "W tensorflow/core/common_runtime/gpu/gpu_device.cc:2344] Cannot dlopen some GPU libraries. Please make sure"


@pytest.mark.parametrize(
    ("log", "has"),
    [
        (
            f"a@b:~$ python t.py\n[W:onnxruntime:Default, a.cc:1055 C] {FAILED}\ndone in 4 s",
            "'onnxruntime-gpu[cuda,cudnn]",
        ),
        (
            r"C:\w> python t.py"
            "\n[E:onnxruntime:Default, a.cc:1862 T] FAIL : LoadLibrary failed with error 126 "
            r'"" when trying to load "C:\e\onnxruntime\capi\onnxruntime_providers_cuda.dll"'
            "\n"
            "Falling back to ['CPUExecutionProvider'] and retrying.\ndone in 4 s",
            '"onnxruntime-gpu[cuda,cudnn]',
        ),
        (
            f"a@b:~$ python t.py\n2026-03-01 10:11:12.1: {DLOPEN}\nSkipping registering GPU devices...\nloss: 0.3",
            "[and-cuda]",
        ),
        (
            rf"C:\w> python t.py" f"\n2022-03-01 10:11:12.1: {DLOPEN}\nSkipping registering GPU devices...\nloss: 0.3",
            '"tensorflow<2.11"',
        ),
    ],
)
def test_a_program_without_its_gpu_has_failed(log: str, has: str) -> None:
    found = findings(log)[0]
    assert (found.id, found.severity) == ("libcudart-not-found", "error")
    assert has in "\n".join(found.fix)


@pytest.mark.parametrize(
    "log",
    [
        "NCCL WARN NET/Socket : Connect to 10.0.0.2<4> failed : Connection refused - retrying\nepoch 1 loss: 0.2",
        "NCCL WARN Call to ibv_modify_qp failed with error Connection timed out, will retry\ncheckpoint saved",
        "NCCL WARN NET/IB : Unable to open device mlx5_1, falling back to socket\ntraining finished, checkpoint saved",
        "[W303 10:11:12.1 socket.cpp:752] [c10d] The client socket cannot be initialized to connect to [n2]:29500 "
        "(errno: 97 - Address family not supported by protocol), retrying.\nepoch 1 loss: 0.2",
        "(ReadTimeoutError(\"HTTPSConnectionPool(host='huggingface.co', port=443): Read timed out.\")' thrown while "
        "requesting HEAD\nRetrying in 1s [Retry 1/5].\nTraining completed. Saved checkpoint to out",
        # TensorFlow on a machine without a GPU
        "I tensorflow/cudart_stub.cc:28] Could not find cuda drivers on your machine, GPU will not be used.\nloss: 0.3",
    ],
)
def test_what_was_tried_again_is_no_fault(log: str) -> None:
    assert not findings(log)


@pytest.mark.parametrize(
    ("log", "name"),
    [
        (
            "NCCL WARN NET/Socket : Connect to 10.0.0.2<4> failed : Connection refused - retrying\n"
            "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled system error",
            "nccl",
        ),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(Failed to establish a new "
            "connection: [Errno -3] Temporary failure in name resolution)': /simple/torch/\n"
            "ERROR: No matching distribution found for torch",
            "network",
        ),
    ],
)
def test_what_was_tried_again_in_vain_is_one(log: str, name: str) -> None:
    assert findings(log)[0].id == name
