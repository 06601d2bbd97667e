"""Headers that are not on the machine: CUDA's, Python's, the system's and everybody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import names
from dcnbuild.doctor.logs.advice import system_package
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import whose
from dcnbuild.versions import numbers

_CUDA_HEADERS = (
    r"(?:cuda(?:_runtime|_runtime_api|_fp\d+|_bf16|_profiler_api|_occupancy|_device_runtime_api|_awbarrier\w*"
    r"|_texture_types|_surface_types|_pipeline\w*|GL|_gl_interop|_egl_interop|Typedefs|Profiler)?\.(?:h|hpp)"
    r"|cusparse\w*\.h|cublas\w*\.h|cusolver\w*\.h|curand\w*\.h|cufft\w*\.h|cufile\w*\.h|nvToolsExt\w*\.h|nvtx\d?/[\w./]+"
    r"|nvrtc\w*\.h|nvml\.h|nvjpeg\w*\.h|nvJitLink\w*\.h|npp\w*\.h|cupti\w*\.h|crt/[\w.]+|thrust/[\w./]+|cub/[\w./]+"
    r"|cuda/(?:std/)?[\w./]+|nv/target|cooperative_groups[\w./]*|device_launch_parameters\.h|driver_types\.h"
    r"|vector_types\.h|vector_functions\.h|device_functions\.h|host_defines\.h|texture_\w+\.h|surface_\w+\.h"
    r"|library_types\.h|builtin_types\.h|math_constants\.h|math_functions\.h|mma\.h|fatbinary\w*\.h)"
)
#: Header → the first CUDA that has it.
_SINCE = {
    "cuda_fp8": "11.8",
    "cuda_fp4": "12.8",
    "cuda_fp6": "12.8",
    "cuda_bf16": "11.0",
    "cub/": "11.0",
}
#: Header → (the first CUDA that has it no longer, what stands for it).
_GONE = {
    "nvToolsExt": ("13.0", "nvtx3/nvToolsExt.h: NVTX 3 is header-only, no library is linked"),
    "texture_fetch_functions": ("12.0", "cudaTextureObject_t, whose functions need no header"),
    "cuda_texture_types": ("12.0", "cudaTextureObject_t, whose functions need no header"),
    "cuda_surface_types": ("12.0", "cudaSurfaceObject_t, whose functions need no header"),
    "device_functions": ("13.0", "cuda_runtime.h"),
    "math_functions": ("13.0", "cuda_runtime.h"),
    "host_defines": ("13.0", "crt/host_defines.h, by way of cuda_runtime.h"),
}

_SUBMODULES = "submodules"


def _row(header: str, table: dict[str, tuple[str, str]]) -> tuple[str, str]:
    return next(value for start, value in table.items() if header.startswith(start))


# -- headers of the CUDA toolkit ---------------------------------------------------------------------


def _moved(hit: Hit) -> bool:
    """Whether it is a header of Thrust, CUB or libcu++, which CUDA 13 keeps in a directory of its own."""
    header, toolkit = hit["header"], hit["toolkit"]
    if not re.match(r"(?:thrust|cub|cuda|nv)/", header) or (toolkit and numbers(toolkit) < (13,)):
        return False
    return bool(toolkit) or bool(re.search(r"\.(?:cpp|cc|cxx|c)$", hit["source"]))


def _gone(hit: Hit) -> tuple[str, str] | None:
    found = next((row for start, row in _GONE.items() if hit["header"].startswith(start)), None)
    toolkit = hit["toolkit"]
    if found is None or "/" in hit["header"] or (toolkit and numbers(toolkit) < numbers(found[0])):
        return None
    return found


def _since(hit: Hit) -> str | None:
    """The first CUDA with the header, where the toolkit in use is older."""
    first = next((cuda for start, cuda in _SINCE.items() if hit["header"].startswith(start)), None)
    return first if first and hit["toolkit"] and numbers(hit["toolkit"]) < numbers(first) else None


def _cuda_cause(hit: Hit) -> str:
    header, toolkit = hit["header"], hit["toolkit"]
    if _since(hit):
        return f"{hit['where']} includes {header}, which CUDA has since {_since(hit)} only; this is {toolkit}."
    if header in ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h"):
        return f"No CUDA toolkit is on the include path of {hit['where']}: {header} is not found."
    which = f"The CUDA {toolkit} toolkit in use" if toolkit else "The CUDA toolkit in use"
    return (
        f"{which} has no {header}: it is not a full toolkit (conda's cuda-nvcc, a distribution's "
        "nvcc and a trimmed image lack the libraries' headers), or CUDA_HOME names another one."
    )


def _cuda_fix(hit: Hit) -> Iterator[Fix]:
    toolkit, header = hit["toolkit"], hit["header"]
    if _since(hit):
        yield fixes.install_toolkit(_since(hit) or "")
        return
    if header in ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h"):
        if not hit.context.windows:
            yield fixes.command("sh", "-c", "ls -d /usr/local/cuda*")
        yield fixes.use_toolkit(toolkit or None)
        return
    apt, conda = _row(header, names.table("cuda_headers"))
    if hit.context.conda:
        channel = f"nvidia/label/cuda-{toolkit}.0" if toolkit else "nvidia"
        yield fixes.conda_install(conda, channel=channel)
        yield fixes.use_toolkit(toolkit or None)
        return
    if hit.context.windows:
        yield fixes.use_toolkit(toolkit or None)
        return
    if toolkit:
        yield fixes.say("from the package repository of NVIDIA:")
        yield from system_package(hit, f"{apt}-{toolkit.replace('.', '-')}", header)
    yield fixes.use_toolkit(toolkit or None)
    if numbers(toolkit or "0") >= (13,):
        yield fixes.say("or the headers that came with torch:")
        yield fixes.set_env_from("CPATH", "python", "-c", _TORCHS_HEADERS)


_TORCHS_HEADERS = "import sysconfig; print(sysconfig.get_path('purelib') + '/nvidia/cu13/include')"


def _moved_fix(hit: Hit) -> Iterator[Fix]:
    maker, toolkit = whose(hit), hit["toolkit"]
    home = f"/usr/local/cuda-{toolkit}" if toolkit else "/usr/local/cuda"
    if not hit.context.windows:
        yield fixes.prepend("CPLUS_INCLUDE_PATH", f"{home}/include/cccl")
    if maker.kind != "package":
        yield fixes.say(
            "for good: in setup.py, include_dirs=[CUDA_HOME + /include/cccl], in CMake link CCCL::CCCL"
        )
    yield fixes.say("or include it in .cu files only, where nvcc finds it by itself")


def _gone_fix(hit: Hit) -> Iterator[Fix]:
    found, maker = _gone(hit), whose(hit)
    assert found is not None
    if (
        maker.kind == "own"
        and hit["source"]
        and not hit.context.windows
        and "nvToolsExt" in hit["header"]
    ):
        name = hit["header"]
        yield fixes.command("sed", "-i", f"s|<{name}>|<nvtx3/{name}>|", operands=(hit["source"],))
    yield fixes.say(f"{hit['header']} becomes {found[1]}")
    yield fixes.say(f"or build with a CUDA before {found[0]}")


# -- headers of others --------------------------------------------------------------------------------


def _cudnn_fix(hit: Hit) -> Iterator[Fix]:
    major = hit["toolkit"].split(".")[0]
    if hit.context.conda:
        yield fixes.conda_install("cudnn")
    elif major in ("12", "13"):
        yield fixes.say("from the package repository of NVIDIA:")
        yield from system_package(hit, f"cudnn9-cuda-{major}", "cudnn.h")
    else:
        yield fixes.say("from the package repository of NVIDIA:")
        yield from system_package(hit, "libcudnn8-dev", "cudnn.h")


def _python_fix(hit: Hit) -> Iterator[Fix]:
    python = hit["python"]
    if hit.context.windows:
        yield fixes.say("run the Python installer again, Modify, with the development files")
    elif hit.context.conda:
        yield fixes.conda_install(f"python={python or '3'}")
    elif hit.context.target(hit.facts).manager == "apt-get":
        yield from system_package(hit, f"python{python or '3'}-dev", "Python.h")
    else:
        yield fixes.system_install("python-dev", python or "3")


def _other_fix(hit: Hit) -> Iterator[Fix]:
    header = hit["header"]
    fitting = (
        how
        for start, how in names.table("headers").items()
        if header.startswith(start) or f"/{start}" in header
    )
    how = next(fitting, "")
    if how == _SUBMODULES or not how:
        yield fixes.command("git", "submodule", "update", "--init", "--recursive")
    if how.startswith("pip "):
        yield fixes.pip_install(how.removeprefix("pip "))
    elif how and how != _SUBMODULES:
        for package in how.split():
            yield from system_package(hit, package, header)
    elif not how:
        yield fixes.say("or the package that brings it:")
        yield fixes.command("apt-file", "search", operands=(f"/{header}",))


def _crypt_fix(hit: Hit) -> Iterator[Fix]:
    if hit.context.conda:
        yield fixes.conda_install("libxcrypt")
        yield fixes.command(
            "sh",
            "-c",
            'cp "$CONDA_PREFIX/include/crypt.h" "$(python -c \'import sysconfig; print(sysconfig.get_path("include"))\')"',
        )
    else:
        yield from system_package(hit, "libcrypt-dev", "crypt.h")


_INCLUDES = "{where} includes {header}, which "


def _cccl_moved_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} includes {hit['header']}, which CUDA 13 keeps in include/cccl of the toolkit: nvcc looks "
        "there for .cu files, the C++ compiler does not for others."
    )


def _cuda_header_removed_when(hit: Hit) -> bool:
    return _gone(hit) is not None


def _cuda_header_removed_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} includes {hit['header']}, which CUDA {(_gone(hit) or ('',))[0].removesuffix('.0')} removed: "
        f"today it is {(_gone(hit) or ('', ''))[1]}."
    )


def _python_h_missing_cause(hit: Hit) -> str:
    return (
        f"The headers of Python{' ' + hit['python'] if hit['python'] else ''} are not installed: "
        f"{hit['header']} is not found."
    )


def _header_missing_when(hit: Hit) -> bool:
    return "error" in hit.text or "C1083" in hit.text
