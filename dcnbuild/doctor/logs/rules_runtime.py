"""What fails when the built module runs: the driver, the GPU, and a build for another GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import extensions, known
from dcnbuild.doctor.logs.advice import ASK_TORCH, rebuild
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import modules
from dcnbuild.machine.compatibility import cuda_release

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


def _ptx_toolchain_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.say("its CUDA Version is the newest toolkit whose PTX the driver translates:"),
        fixes.command("nvidia-smi"),
        *new_driver(hit),
        fixes.say("or rebuild with machine code for this GPU, which needs no translation:"),
        fixes.ask_gpus(),
        *rebuild(hit, _used(hit)),
    )


def _cpu_only_torch_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.say("its CUDA Version is the newest that the driver runs:"),
        fixes.command("nvidia-smi"),
        fixes.install_torch(
            known.torch_for_cuda(hit["toolkit"]) if hit["toolkit"] else None,
            hit["toolkit"] or "12.8",
        ),
    )


def not_compiled_cause(hit: Hit) -> str:
    """Whose compiled part has no CUDA, as far as the traceback shows it."""
    found = owner(_used(hit))
    what = found.name if found.kind == "package" else "The extension"
    return f"{what} was compiled without its CUDA part: its setup.py saw no GPU or no nvcc when it was built."


def not_compiled_fix(hit: Hit) -> Iterator[Fix]:
    """Builds it with CUDA, in the way of its own project where the table has it."""
    yield fixes.command("nvcc", "--version")
    frame = _used(hit)
    found = owner(frame)
    rows = modules.find(found.name.replace("-", "_")) if found.kind == "package" else []
    if not rows:
        yield fixes.say("for a setup.py that asks torch.cuda.is_available:")
        yield fixes.set_env("FORCE_CUDA", "1")
        yield from rebuild(hit, frame)
        return
    yield fixes.pip("uninstall", "-y", operands=(found.name,))
    yield fixes.say("without an older wheel out of the cache of pip:")
    yield fixes.pip("cache", "remove", operands=(found.name,))
    yield from extensions.build(
        extensions.Extension(rows[0].project, found.name, rows[0]), hit, frame
    )
