"""What torch, Triton and tools that download say of their surroundings: each kind of message has its finding."""

from __future__ import annotations

import pytest

from dcnbuild import explain

_RAISED = {
    "FileNotFoundError: nvcc not found at '/opt/cuda/bin/nvcc'. Ensure CUDA path '/opt/cuda' is correct.": "nvcc-not-found",
    "RuntimeError: nvcc is required to build fatbin": "nvcc-not-found",
    "OSError: SYCL runtime is not detected. Please setup the pytorch prerequisites for Intel GPU": "torch-message",
    "OSError: Intel GPU driver is not properly installed, please follow the instruction in": "torch-message",
    "ValueError: setuptools>=49.4.0 is required": "torch-message",
    "RuntimeError: device 3 is not visible (CUDA_VISIBLE_DEVICES=0,1)": "device-ordinal",
    "AssertionError: Invalid device id": "device-ordinal",
    "torch.cuda.DeferredCudaCallError: CUDA call failed lazily at initialization with error: device >= 0 && "
    'device < num_gpus INTERNAL ASSERT FAILED at "CUDAContext.cpp":50': "device-ordinal",
    "ModuleNotFoundError: nvidia-ml-py does not seem to be installed or it can't be imported.": "module-missing",
    "AssertionError: libcudart functions unavailable. It looks like you have a broken build?": "cpu-only-torch",
    "RuntimeError: cuda driver can't be loaded, is cuda enabled?": "no-driver",
    "RuntimeError: Torch.compile() is only support MSVC with English language pack": "torch-message",
    "RuntimeError: Installed triton version too old, please upgrade": "torch-message",
    "RuntimeError: cannot locate libamdhip64.so after attempted paths ['/opt/rocm/lib']": "torch-message",
    "RuntimeError: Cannot find ptxas": "torch-message",
    "ValueError: libcublas.so.*[0-9] not found in the system path ['/home/me/env/bin']": "torch-message",
    "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory": "lfs-pointer",
    "RuntimeError: unexpected EOF, expected 117 more bytes. The file might be corrupted.": "lfs-pointer",
    "RuntimeError: Pin memory thread exited unexpectedly": "torch-message",
    "RuntimeError: FIND was unable to find an engine to execute this computation": "torch-message",
    "urllib.error.ContentTooShortError: <urlopen error retrieval incomplete: got only 9 out of 12 bytes>": "damaged-download",
    "EOFError: Compressed file ended before the end-of-stream marker was reached": "damaged-download",
    "http.client.RemoteDisconnected: Remote end closed connection without response": "network",
}
_SAID = {
    "curl: (28) Failed to connect to example.org port 443 after 130000 ms: Connection timed out": "network",
    "curl: (35) OpenSSL SSL_connect: Connection reset by peer in connection to example.org:443": "network",
    "curl: (56) Recv failure: Connection reset by peer": "network",
    "curl: (18) transfer closed with 1000 bytes remaining to read": "damaged-download",
    "wget: unable to resolve host address 'example.org'": "network",
    "tar: Unexpected EOF in archive": "damaged-download",
    "xz: (stdin): Unexpected end of input": "damaged-download",
    "gzip: stdin: not in gzip format": "damaged-download",
    "  End-of-central-directory signature not found.  Either this file is not": "damaged-download",
}
_STATUSES = {
    "CUSPARSE_STATUS_INSUFFICIENT_RESOURCES": "found no memory",
    "CUFFT_NO_WORKSPACE": "found no memory",
    "CURAND_STATUS_LAUNCH_FAILURE": "an earlier one has",
    "CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED": "a part of itself",
    "CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER": "older than it needs",
    "CUSPARSE_STATUS_VERSION_MISMATCH": "different releases",
    "NVRTC_ERROR_INVALID_OPTION": "newer than it",
    "NVJITLINK_ERROR_UNSUPPORTED_ARCH": "newer than it",
    "CUSOLVER_STATUS_IRS_MATRIX_SINGULAR": "cannot be inverted",
}


@pytest.mark.parametrize("message", [*_RAISED, *_SAID])
def test_each_message_has_its_finding(message: str) -> None:
    traceback = 'Traceback (most recent call last):\n  File "run.py", line 1, in <module>\n    main()\n'
    found = explain(f"{traceback}{message}\n" if message in _RAISED else f"{message}\n")
    assert [one.id for one in found][:1] == [_RAISED.get(message) or _SAID[message]]


@pytest.mark.parametrize("status", _STATUSES)
def test_a_status_of_any_library_is_explained(status: str) -> None:
    (found, *_) = explain(f"RuntimeError: error: {status}")
    assert _STATUSES[status] in found.cause
