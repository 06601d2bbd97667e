"""What fails when the built module runs: the driver, the GPU, and a build without CUDA."""

from __future__ import annotations

import re

from dcnbuild.compatibility import cuda_release
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.commands import ASK_GPUS, REBUILD, export, pip_torch
from dcnbuild.doctor.logs.rule import Hit, LogRule

_NEW_DRIVER = "sudo ubuntu-drivers install  # or the newest driver from NVIDIA, then reboot"


def _found_version(hit: Hit) -> str | None:
    """The CUDA that a driver runs, out of cudaDriverGetVersion's number: 11040 → "11.4"."""
    found = hit["found"]
    return f"{int(found) // 1000}.{int(found) % 1000 // 10}" if found else None


def _driver_cause(hit: Hit) -> str:
    runs = _found_version(hit)
    if runs:
        return (
            f"The NVIDIA driver runs CUDA {runs} at most, and this torch was built for a newer one."
        )
    return "The NVIDIA driver is older than the CUDA that the program was built with."


def _driver_fix(hit: Hit) -> tuple[str, ...]:
    runs = _found_version(hit)
    wheel = known.wheel_for_major(int(runs.split(".")[0])) if runs else None
    if runs is None or wheel is None:
        return ("nvidia-smi", _NEW_DRIVER)
    release = cuda_release(wheel[0])
    oldest = f" (needs driver {release.minimum_driver})" if release else ""
    return (
        _NEW_DRIVER,
        f"# or keep the driver, with the newest torch for CUDA {runs.split('.')[0]}{oldest}:",
        pip_torch(*wheel),
    )


def _capability(hit: Hit) -> int:
    """The GPU's capability as a number, 0 if the log does not show it."""
    found = re.search(
        r"sm_(\d{2,3})\b|(?:arch|capability)[ =(]{1,3}(\d{1,2})\.(\d)", hit.match.group()
    )
    if found is None:
        for line in hit.log.near(hit.line, before=30, after=30):
            found = re.search(r"CUDA capability sm_(\d{2,3})", line)
            if found:
                return int(found[1])
        return 0
    return int("".join(group for group in found.groups() if group))


def _newer_gpu_cause(hit: Hit) -> str:
    gpu = hit["gpu"].strip() or "The GPU"
    return (
        f"{gpu} (sm_{hit['sm']}) is not among the architectures that this torch was compiled for."
    )


def _newer_gpu_fix(hit: Hit) -> tuple[str, ...]:
    number = int(hit["sm"])
    wheel = known.torch_with_kernels_for(number)
    last = known.last_toolkit(number)
    if last and number < 75:
        found = known.torch_for_cuda("12.6")
        return (pip_torch("12.6", found),)
    if wheel is None:
        return ("pip install --upgrade torch",)
    return (f"# torch {wheel[1]} or newer, for CUDA {wheel[0]} or newer:", pip_torch(wheel[0]))


def _rebuild_fix(hit: Hit) -> tuple[str, ...]:
    number = _capability(hit)
    first = export(hit, "TORCH_CUDA_ARCH_LIST", known.listed(number)) if number else ASK_GPUS
    if hit.context.windows and not number:
        first = "nvidia-smi --query-gpu=compute_cap --format=csv,noheader"
    return (first, *REBUILD)


def _is_missing_kernel(hit: Hit) -> bool:
    """Whether this is the error itself and not nvcc's help or a comment about it."""
    return not re.search(r"^\s*(?:#|//|\*)", hit.log.text(hit.line))


RULES = (
    LogRule(
        id="driver-too-old",
        title="The NVIDIA driver is too old",
        patterns=(
            (
                "driver on your system is too old",
                r"is too old \(found version (?P<found>\d{4,5})\)",
            ),
            (
                "driver on your system is too old",
                r"NVIDIA driver on your system is too old(?P<found>)",
            ),
            ("driver version is insufficient", r"CUDA driver version is insufficient(?P<found>)"),
            ("cudaErrorInsufficientDriver", r"cudaErrorInsufficientDriver(?P<found>)"),
            (
                "forward compatibility was attempted",
                r"forward compatibility was attempted on non supported HW(?P<found>)",
            ),
        ),
        cause=_driver_cause,
        fix=_driver_fix,
        explains=("ptx-toolchain",),
        example="UserWarning: CUDA initialization: The NVIDIA driver on your system is too old "
        "(found version 10010). Please update your GPU driver",
    ),
    LogRule(
        id="no-driver",
        title="No NVIDIA driver",
        patterns=(
            ("no NVIDIA driver", r"[Ff]ound no NVIDIA driver on your system"),
            ("GPUs are available", r"RuntimeError: No CUDA GPUs are available"),
            ("no CUDA-capable device", r"no CUDA-capable device is detected"),
        ),
        unless=r"UserWarning|\bwarning\b",
        cause="No NVIDIA driver or GPU is visible to the program.",
        fix=(
            "nvidia-smi",
            "env | grep CUDA_VISIBLE_DEVICES  # an empty value hides every GPU",
            "# in a container: docker run --gpus all",
        ),
        example="RuntimeError: Found no NVIDIA driver on your system. Please check that you have an "
        "NVIDIA GPU and installed a driver",
    ),
    LogRule(
        id="cuda-unknown-error",
        title="The driver answers with an unknown error",
        patterns=(("CUDA unknown error", r"CUDA unknown error - this may be due to"),),
        cause="The NVIDIA driver is loaded but does not answer, as after suspend or an update "
        "without a reboot.",
        fix=("sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm  # or reboot",),
        severity="warning",
        example="UserWarning: CUDA initialization: CUDA unknown error - this may be due to an "
        "incorrectly set up environment",
    ),
    LogRule(
        id="gpu-newer-than-torch",
        title="torch was not compiled for this GPU",
        patterns=(
            (
                "is not compatible with the current PyTorch",
                r"(?P<gpu>\b(?:NVIDIA|GeForce|Tesla|Quadro|TITAN)\b[\w ().-]{0,60}?)? ?with CUDA capability sm_(?P<sm>\d{2,3}) "
                r"is not compatible with the current PyTorch",
            ),
        ),
        cause=_newer_gpu_cause,
        fix=_newer_gpu_fix,
        explains=("no-kernel-image", "invalid-device-function"),
        example="NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the "
        "current PyTorch installation.",
    ),
    LogRule(
        id="no-kernel-image",
        title="The module has no code for this GPU",
        patterns=(
            ("no kernel image is available", r"no kernel image is available"),
            ("cudaErrorNoKernelImageForDevice", r"cudaErrorNoKernelImageForDevice"),
        ),
        when=_is_missing_kernel,
        cause="The compiled kernels hold no code for the architecture of this GPU.",
        fix=_rebuild_fix,
        example="RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    LogRule(
        id="invalid-device-function",
        title="The module's kernels do not fit this GPU or runtime",
        patterns=(
            ("invalid device function", r"invalid device function"),
            ("cudaErrorInvalidDeviceFunction", r"cudaErrorInvalidDeviceFunction"),
        ),
        when=_is_missing_kernel,
        cause="A kernel was compiled for another GPU architecture, or with another CUDA release "
        "than the runtime that launches it.",
        fix=_rebuild_fix,
        example="error in modulated_deformable_im2col_cuda: invalid device function",
    ),
    LogRule(
        id="ptx-toolchain",
        title="The PTX is newer than the driver",
        patterns=(
            (
                "PTX was compiled with an unsupported",
                r"PTX was compiled with an unsupported toolchain",
            ),
            ("cudaErrorUnsupportedPtxVersion", r"cudaErrorUnsupportedPtxVersion"),
        ),
        cause="The module holds PTX of a CUDA toolkit that is newer than the NVIDIA driver, which "
        "therefore cannot translate it.",
        fix=lambda hit: (
            "nvidia-smi  # its CUDA Version is the newest toolkit whose PTX the driver translates",
            _NEW_DRIVER,
            "# or rebuild with machine code for this GPU, which needs no translation:",
            ASK_GPUS,
            *REBUILD,
        ),
        example="RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ),
    LogRule(
        id="not-compiled-with-gpu",
        title="The extension was built without CUDA",
        patterns=(
            ("compiled with GPU support", r"[Nn]ot compiled with (?:GPU|CUDA) support"),
            ("mplemented on", r"Not [Ii]mplemented on (?:the )?(?:cpu|CPU)"),
            ("not compiled with", r"(?:was|is) not compiled with (?:GPU|CUDA) support"),
        ),
        unless=r"\bwarning\b",
        cause="The extension was compiled without its CUDA part: its setup.py saw no GPU or no nvcc "
        "when it was built.",
        fix=(
            "nvcc --version",
            "export FORCE_CUDA=1  # for a setup.py that asks torch.cuda.is_available()",
            *REBUILD,
        ),
        example="RuntimeError: Not compiled with GPU support",
    ),
    LogRule(
        id="cpu-only-torch",
        title="The installed torch has no CUDA",
        patterns=(("Torch not compiled with CUDA", r"Torch not compiled with CUDA enabled"),),
        cause="The installed torch is a CPU-only build.",
        fix=lambda hit: (
            "nvidia-smi  # its CUDA Version is the newest that the driver runs",
            pip_torch(hit["toolkit"], known.torch_for_cuda(hit["toolkit"]))
            if hit["toolkit"] and known.torch_for_cuda(hit["toolkit"])
            else "pip install --upgrade --force-reinstall torch",
        ),
        explains=("not-compiled-with-gpu",),
        example="AssertionError: Torch not compiled with CUDA enabled",
    ),
    LogRule(
        id="torchvision-mismatch",
        title="torchvision does not fit torch",
        patterns=(
            ("does not exist", r"operator torchvision::\w+ does not exist"),
            ("Could not run", r"Could not run 'torchvision::\w+' with arguments from the 'CUDA'"),
            ("Couldn't load custom C++ ops", r"Couldn't load custom C\+\+ ops"),
            (
                "torchvision were compiled with",
                r"PyTorch and torchvision were compiled with different",
            ),
        ),
        cause="torchvision was built for another torch, or without CUDA.",
        fix=(
            'python -c "import torch; print(torch.__version__, torch.version.cuda)"',
            "pip install --upgrade --force-reinstall torch torchvision",
        ),
        example="NotImplementedError: Could not run 'torchvision::nms' with arguments from the "
        "'CUDA' backend.",
    ),
)
