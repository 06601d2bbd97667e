"""What fails when the built module runs: the driver, the GPU, and a build for another GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.compatibility import cuda_release
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.advice import ASK_TORCH, rebuild
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: What a newer driver is installed with.
_LIST = "TORCH_CUDA_ARCH_LIST"
_FRAME = re.compile(r"File \"([^\"]{1,300})\", line \d+")


def new_driver(hit: Hit) -> Iterator[Fix]:
    """A newer driver: on the host, where the log is of a container or of WSL."""
    if hit.context.wsl:
        yield fixes.say("the newest driver for Windows, from nvidia.com, WSL has none of its own")
    elif hit.context.windows:
        yield fixes.say("the newest driver from nvidia.com, then restart")
    elif hit.context.container:
        yield fixes.say(
            "the newest driver on the host, not in the container, then restart the host"
        )
    else:
        yield fixes.command("ubuntu-drivers", "install", root=True)
        yield fixes.say("or the newest driver from NVIDIA, then restart")


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


def _driver_fix(hit: Hit) -> Iterator[Fix]:
    runs = _found_version(hit)
    wheel = known.wheel_for_major(int(runs.split(".")[0])) if runs else None
    if runs is None or wheel is None:
        yield fixes.command("nvidia-smi")
        yield from new_driver(hit)
        yield fixes.say("or keep the driver, with a torch for an older CUDA:")
        yield fixes.install_torch(cuda="12.6")
        return
    yield from new_driver(hit)
    release = cuda_release(wheel[0])
    oldest = f", which needs driver {release.minimum_driver}" if release else ""
    yield fixes.say(
        f"or keep the driver, with the newest torch for CUDA {runs.split('.')[0]}{oldest}:"
    )
    yield fixes.install_torch(wheel[1], wheel[0])


def _no_gpu_cause(hit: Hit) -> str:
    visible = re.search(
        r"CUDA_VISIBLE_DEVICES[ =:'\"]{1,4}([\w,-]*)", hit.around(before=60, after=10)
    )
    if visible:
        what = (
            "names a MIG instance that is not there"
            if "MIG" in visible[1]
            else "hides every GPU, or names one that is not there"
        )
        return f"No GPU is visible to the program: CUDA_VISIBLE_DEVICES={visible[1]} {what}."
    return "No NVIDIA driver or GPU is visible to the program, or the installed torch is a CPU-only one."


def _no_gpu_fix(hit: Hit) -> Iterator[Fix]:
    if hit.context.wsl:
        yield fixes.say(
            "under WSL the driver is that of Windows: update it there, and install none inside"
        )
    elif hit.context.container:
        yield fixes.say(
            "start the container with its GPUs, docker run --gpus all, with nvidia-container-toolkit on the host"
        )
    yield fixes.command("nvidia-smi", "-L")
    yield ASK_TORCH
    yield fixes.say(
        "an empty CUDA_VISIBLE_DEVICES hides every GPU, a uuid, also of MIG, is to be as nvidia-smi -L has it:"
    )
    yield fixes.command("printenv", "CUDA_VISIBLE_DEVICES")
    yield fixes.unset_env("CUDA_VISIBLE_DEVICES")
    if not (hit.context.windows or hit.context.container or hit.context.wsl):
        yield fixes.say(
            "in a container: docker run --gpus all, with nvidia-container-toolkit on the host"
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


def _older(hit: Hit) -> bool:
    """Whether the GPU is older than what the torch was compiled for."""
    least = re.search(r"(?:capabilities|supports)[^\n]{0,60}?sm_(\d{2,3})", hit.around(after=6))
    return int(hit["sm"]) < int(least[1]) if least else int(hit["sm"]) < 70


def _gpu_cause(hit: Hit) -> str:
    gpu = hit["gpu"] or "The GPU"
    age = "older than" if _older(hit) else "newer than, or not among,"
    return f"{gpu} (sm_{hit['sm']}) is {age} the architectures that this torch was compiled for."


def _gpu_fix(hit: Hit) -> Iterator[Fix]:
    number = int(hit["sm"])
    wheel, last = known.torch_with_kernels_for(number), known.last_toolkit(number)
    if last and number < 75:
        yield fixes.install_torch(known.torch_for_cuda("12.6"), "12.6")
    elif wheel is None:
        yield fixes.install_torch()
    else:
        yield fixes.say(f"torch {wheel[1]} or newer, for CUDA {wheel[0]} or newer:")
        yield fixes.install_torch(cuda=wheel[0])


def _used(hit: Hit) -> str:
    """The file of the package whose kernel was launched: the last frame that is not torch's."""
    for line in reversed(hit.log.near(hit.line, before=40)):
        found = _FRAME.search(line)
        if found and not re.search(
            r"[/\\]torch[/\\]|[/\\]lib[/\\]python3\.\d+[/\\](?!site)", found[1]
        ):
            return found[1]
    return ""


def _rebuild_fix(hit: Hit) -> Iterator[Fix]:
    number = _capability(hit)
    if number:
        yield fixes.set_env(_LIST, known.listed(number))
    else:
        yield fixes.ask_gpus()
    yield from rebuild(hit, _used(hit))


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
            ("driver on your system is too old", r"NVIDIA driver on your system is too old"),
            ("driver version is insufficient", r"CUDA driver version is insufficient"),
            ("cudaErrorInsufficientDriver", r"cudaErrorInsufficientDriver"),
            ("unsatisfied condition: cuda>=", r"unsatisfied condition: cuda>=(?P<cuda>[\d.]+)"),
        ),
        warns=True,
        cause=_driver_cause,
        fix=_driver_fix,
        explains=("ptx-toolchain", "docker-gpu"),
        example="UserWarning: CUDA initialization: The NVIDIA driver on your system is too old "
        "(found version 10010). Please update your GPU driver",
    ),
    LogRule(
        id="no-driver",
        title="No NVIDIA driver or GPU in sight",
        kinds=("no-gpu",),
        patterns=(("no CUDA-capable device", r"no CUDA-capable device is detected"),),
        unless=r"UserWarning|\bwarning\b",
        cause=_no_gpu_cause,
        fix=_no_gpu_fix,
        example="RuntimeError: Found no NVIDIA driver on your system. Please check that you have an "
        "NVIDIA GPU and installed a driver",
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
        warns=True,
        cause=_gpu_cause,
        fix=_gpu_fix,
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
            ("CUDA_ERROR_NO_BINARY_FOR_GPU", r"CUDA_ERROR_NO_BINARY_FOR_GPU"),
            ("device kernel image is invalid", r"device kernel image is invalid"),
            (
                "o GPU supported architecture",
                r"[Nn]o GPU supported architecture|not (?:built|compiled) for (?:this|your) GPU",
            ),
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
            ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", r"CUDA_ERROR_UNSUPPORTED_PTX_VERSION"),
        ),
        cause="The module holds PTX of a CUDA toolkit that is newer than the NVIDIA driver, which "
        "therefore cannot translate it.",
        fix=lambda hit: (
            fixes.say("its CUDA Version is the newest toolkit whose PTX the driver translates:"),
            fixes.command("nvidia-smi"),
            *new_driver(hit),
            fixes.say("or rebuild with machine code for this GPU, which needs no translation:"),
            fixes.ask_gpus(),
            *rebuild(hit, _used(hit)),
        ),
        example="RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ),
    LogRule(
        id="cpu-only-torch",
        title="The installed torch has no CUDA",
        patterns=(
            ("Torch not compiled with CUDA", r"Torch not compiled with CUDA enabled"),
            ("not built with CUDA", r"PyTorch (?:was|is) not (?:built|compiled) with CUDA"),
            ("has no attribute", r"module 'torch\._C' has no attribute '_cuda_\w+'"),
            (
                "Could not run",
                r"Could not run '(?!torchvision)[\w:.]{1,80}' with arguments from the 'CUDA' backend",
            ),
        ),
        cause="The installed torch is a CPU-only build, without CUDA.",
        fix=lambda hit: (
            fixes.say("its CUDA Version is the newest that the driver runs:"),
            fixes.command("nvidia-smi"),
            fixes.install_torch(
                known.torch_for_cuda(hit["toolkit"]) if hit["toolkit"] else None,
                hit["toolkit"] or "12.8",
            ),
        ),
        explains=("not-compiled-with-gpu",),
        example="AssertionError: Torch not compiled with CUDA enabled",
    ),
)
