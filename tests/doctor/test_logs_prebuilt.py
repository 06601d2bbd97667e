"""Tests of packages that are compiled for one torch: which wheel of them, which release, and what else they say."""

from __future__ import annotations

import pytest
from doctor.reading import findings, fix, told

_AT = "https://github.com/Dao-AILab/flash-attention/releases/download/v2.8.3/flash_attn-2.8.3"
_SITE = "/e/lib/python3.12/site-packages"


def _file(path: str, line: str = "") -> str:
    return f'  File "{path}", line 3, in <module>\n    {line}\n'


@pytest.mark.parametrize(
    ("log", "found", "lines"),
    [
        (
            "$ pip install torch==2.6.0 https://github.com/Dao-AILab/flash-attention/releases/download/v2.7.4/flash_attn-2.7.4+cu12torch2.6cxx11abiFALSE-cp310-cp310-linux_x86_64.whl\n"
            "Python 3.12.3\nERROR: flash_attn-2.7.4+cu12torch2.6cxx11abiFALSE-cp310-cp310-linux_x86_64.whl is not a supported wheel on this platform.",
            "wheel-unsupported",
            f"pip install --force-reinstall --no-deps {_AT}+cu12torch2.6cxx11abiFALSE-cp312-cp312-linux_x86_64.whl",
        ),
        (
            "$ pip list\ntorch 2.8.0+cu128\ntorchao 0.16.0\n$ python t.py\n"
            f"{_file(f'{_SITE}/torchao/ops.py')}AttributeError: '_OpNamespace' 'torchao' object has no attribute 'f'",
            "operator-missing",
            "pip install",
        ),
        (
            f"torch 2.8.0+cu128\n{_file(f'{_SITE}/torchcodec/_core/ops.py')}"
            "RuntimeError: Could not load libtorchcodec. Likely causes:\n"
            "FFmpeg version 6: /x/libtorchcodec_core6.so: undefined symbol: _ZNK3c106Device3strB5cxx11Ev",
            "wheel-for-another-torch",
            "'torchcodec==0.7.*' --index-url https://download.pytorch.org/whl/cu128",
        ),
        (
            "RuntimeError: Could not load libtorchcodec. Likely causes:\nFFmpeg version 6: libnppicc.so.12: cannot open shared object file: No such file or directory",
            "libcudart-not-found",
            "https://download.pytorch.org/whl/cpu",
        ),
        (
            "RuntimeError: Could not load libtorchcodec. Likely causes:\nFFmpeg version 6: libavutil.so.58: cannot open shared object file: No such file or directory",
            "library-not-found",
            "ffmpeg",
        ),
        (
            f"{_file(f'{_SITE}/torch/_inductor/hints.py')}ImportError: cannot import name 'AttrsDescriptor' from 'triton.backends.compiler' ({_SITE}/triton/backends/compiler.py)",
            "triton-missing",
            "'triton<3.3'",
        ),
        (
            f"torch 2.6.0+cu124\n{_file(f'{_SITE}/torch/_inductor/codecache.py')}ImportError: cannot import name 'triton_key' from 'triton.compiler.compiler' ({_SITE}/triton/compiler/compiler.py)",
            "triton-missing",
            "triton==3.2.0",
        ),
        (
            "RuntimeError: flashinfer-cubin version (0.5.2) does not match flashinfer version (0.5.3).",
            "version-required",
            "pip install flashinfer-cubin==0.5.3",
        ),
        (
            "Exception: sgl-kernel is installed with version 0.1.4, which is less than the minimum required version 0.1.9. Please reinstall",
            "version-required",
            "pip install 'sgl-kernel>=0.1.9'",
        ),
        (
            f"{_file(f'{_SITE}/awq/quantize/scale.py')}ImportError: cannot import name 'PytorchGELUTanh' from 'transformers.activations' ({_SITE}/transformers/activations.py)",
            "python-api-changed",
            "'transformers<4.57'",
        ),
        (
            "PS C:\\w> pip install vllm\nAssertionError: vLLM only supports Linux platform (including WSL).",
            "other-tool",
            "wsl.exe --install",
        ),
        (
            "make GGML_CUDA=1\nMakefile:2: *** The Makefile build is deprecated. Use the CMake build instead.  Stop.",
            "other-tool",
            "cmake -B build",
        ),
        (
            "  Could NOT find CURL.  Hint: to disable this feature, set -DLLAMA_CURL=OFF",
            "dependency-missing",
            "libcurl4-openssl-dev",
        ),
        (
            "RuntimeError: Using sequence parallelism requires setting the environment variable CUDA_DEVICE_MAX_CONNECTIONS to 1",
            "variable-required",
            "export CUDA_DEVICE_MAX_CONNECTIONS=1",
        ),
        (
            "× Getting requirements to build wheel did not run successfully.\nException: Unable to detect torch version via uv/pip/conda/importlib. Please install torch >= 2.7.1",
            "build-isolation",
            "--no-build-isolation",
        ),
    ],
)
def test_what_helps(log: str, found: str, lines: str) -> None:
    assert told(log)[0] == found
    assert any(lines in line for line in fix(log))


@pytest.mark.parametrize(
    "log",
    [
        " [WARNING]  async_io requires the dev libaio .so object and headers but these were not found.\nTraining completed.",
        "Skipping import of cpp extensions due to incompatible torch version 2.5.1+cu124 for torchao version 0.14.1\n{'loss': 0.4}\nTraining completed.",
        "WARNING 03-05 09:00:05 [topk_topp_sampler.py:69] FlashInfer is not available. Falling back to the PyTorch-native implementation\nINFO:     Application startup complete.",
        "CUDA extension not installed.\nFlash attention is not installed: pip install flash-attn --no-build-isolation\nHello! How can I help you today?",
        "-- Warning: ccache not found\n-- Using CUDA architectures: 89\n[100%] Built target llama-server",
    ],
)
def test_a_run_that_goes_well_alarms_nobody(log: str) -> None:
    assert not findings(log)


def test_nothing_of_wheels_alone_is_compiled() -> None:
    log = f"torch 2.8.0+cu128\n{_file(f'{_SITE}/torchaudio/x.py')}ImportError: {_SITE}/bitsandbytes/libbitsandbytes_cuda128.so: undefined symbol: _ZN3c104f"
    assert not any("--no-binary" in line for line in fix(log))


def test_a_checkout_that_is_not_compiled_is_named() -> None:
    log = f"{_file('/home/u/vllm/examples/a.py')}{_file('/home/u/vllm/vllm/_custom_ops.py')}AttributeError: '_OpNamespace' '_C' object has no attribute 'cutlass_scaled_mm'"
    assert "cd /home/u/vllm" in fix(log)
    assert "export VLLM_USE_PRECOMPILED=1" in fix(log)


def test_a_wheel_that_the_server_does_not_have() -> None:
    log = f"$ pip install {_AT}+cu12torch2.9cxx11abiTRUE-cp312-cp312-linux_x86_64.whl\n  ERROR: HTTP error 404 while getting {_AT}+cu12torch2.9cxx11abiTRUE-cp312-cp312-linux_x86_64.whl"
    assert told(log)[0] == "package-not-found"
    assert any("releases" in line for line in fix(log))


def test_an_example_of_setuptools_scm_is_no_address() -> None:
    log = "$ pip install .\nLookupError: setuptools-scm was unable to detect version for /w/net.\nFor example, if you're using pip, instead of https://github.com/user/proj/archive/master.zip use git+https://github.com/user/proj.git#egg=proj"
    assert not any("user/proj" in line for line in fix(log))
