"""What installed packages say of their surroundings: each kind of sentence has its finding, and its values get into the fix."""

from __future__ import annotations

import pytest

from dcnbuild import explain
from dcnbuild.doctor.logs.lookups.messages import TABLES

#: Who says it → what → the finding, and a word of the fix.
_SAID = {
    "transformers: ImportError: Using `bitsandbytes` 4-bit quantization requires accelerate: `pip install 'accelerate>=1.1'`": (
        "dependency-missing",
        "accelerate>=1.1",
    ),
    "transformers: ImportError: This function needs ray installed: `pip install ray[tune]`": (
        "dependency-missing",
        "ray[tune]",
    ),
    "transformers: ImportError: You need to install `schedulefree>=1.4.0` to use it": (
        "dependency-missing",
        "schedulefree>=1.4.0",
    ),
    "transformers: ImportError: Install it with `pip install git+https://github.com/a/GaLore`": (
        "dependency-missing",
        "git+https",
    ),
    "diffusers: ImportError: FusedAttnProcessor2_0 requires PyTorch 2.0, to use it": (
        "dependency-missing",
        "torch>=2.0",
    ),
    "diffusers: RuntimeError: not usable. Please install `xformers>=0.0.29`.": ("dependency-missing", "xformers"),
    "peft: ImportError: Found an incompatible version of torchao. Found version 0.4.0, but only versions above 0.16.0": (
        "dependency-missing",
        "torchao>=0.16.0",
    ),
    "unsloth: ImportError: Your transformers version of 4.40 does not support Gemma. The minimum required version is 4.42.3.": (
        "dependency-missing",
        "transformers>=4.42.3",
    ),
    "accelerate: ImportError: `torchao` was not found on your system": ("dependency-missing", "torchao"),
    "accelerate: ValueError: TransformersEngine was selected, but it is not installed on this machine.": (
        "dependency-missing",
        "transformer-engine[pytorch]",
    ),
    "mmengine: AssertionError: Apex is not installed. Please check it": ("dependency-missing", "NVIDIA/apex"),
    "cupy: RuntimeError: nvtx is not installed": ("dependency-missing", "nvtx"),
    "sglang: ValueError: --bf16-gemm-backend gemv requires SM90 (Hopper) or SM12x": (
        "gpu-too-old",
        "--bf16-gemm-backend",
    ),
    "sglang: ValueError: The 'fa3' backend is not supported on Blackwell GPUs": ("gpu-too-old", "sdpa"),
    "transformers: RuntimeError: No GPU or XPU found. A GPU or XPU is needed for FP8 quantization.": (
        "no-driver",
        "nvidia-smi -L",
    ),
    "accelerate: AssertionError: Megatron requires CUDA.": ("no-driver", "nvidia-smi -L"),
    "ultralytics: AssertionError: export only supported on Linux.": ("system-unsupported", "Linux"),
    "torchaudio: RuntimeError: Detected that PyTorch and TorchAudio were compiled with different CUDA major versions.": (
        "torchvision-mismatch",
        "torchaudio",
    ),
    "bitsandbytes: RuntimeError: Method 'quantize_4bit' not available in CPU-only version of bitsandbytes.": (
        "no-binary-for-cuda",
        "torch",
    ),
    'cuda: cuda.pathfinder.DynamicLibNotFoundError: Failure finding "libnvrtc.so": No such file': (
        "package-message",
        "nvidia-cuda-nvrtc",
    ),
    "numba_cuda: RuntimeError: nvdisasm was not found or could not be executed.": ("package-message", "toolkit"),
}
#: What asks for no package, though it is worded alike.
_OTHERS = (
    "transformers: ValueError: MLLama requires max_seq_length >= 8192 for fast inference",
    "transformers: ValueError: `past_key_values` is required for this call",
    "app: RuntimeError: `claude` is not installed or is not on PATH.",
    "app: ValueError: opset >= 17 is required",
    "app: ImportError: Please install it first.",
    "app: RuntimeError: pip install failed with code 1",
    "diffusers: ValueError: The component requires `num_layers` to be set.",
)


def _traceback(said: str) -> str:
    package, _, message = said.partition(": ")
    place = f"/home/me/env/lib/python3.11/site-packages/{package}/checks.py"
    return f'Traceback (most recent call last):\n  File "{place}", line 3, in check\n    raise error\n{message}\n'


@pytest.mark.parametrize("said", _SAID)
def test_each_sentence_has_its_finding(said: str) -> None:
    finding, word = _SAID[said]
    found = explain(_traceback(said))
    assert found[0].id == finding
    assert word in str(found[0].fix)


@pytest.mark.parametrize("said", _OTHERS)
def test_what_is_no_package_is_not_installed(said: str) -> None:
    assert all(one.id != "dependency-missing" for one in explain(_traceback(said)))


def test_what_a_build_asks_for_is_installed_beside_it() -> None:
    said = "  RuntimeError: Please install einops>=0.6 first\n  [end of output]\n"
    log = f"  error: subprocess-exited-with-error\n  × Getting requirements to build wheel did not run\n{said}"
    (found, *_) = explain(log)
    assert found.id == "dependency-missing"
    assert "--no-build-isolation" in str(found.fix) and "einops>=0.6" in str(found.fix)


def test_every_message_has_a_meaning_and_something_to_do() -> None:
    assert all({"means", "do"} <= row.keys() for row in TABLES.sections["packages"].values())
