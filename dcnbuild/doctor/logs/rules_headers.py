"""Headers that are not on the machine: CUDA's, Python's, the system's and everybody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.base.versions import numbers
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import names
from dcnbuild.doctor.logs.advice import system_package
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import whose
from dcnbuild.knowledge import Entry, headers

_SUBMODULES = "submodules"


def _row(header: str, table: dict[str, tuple[str, str]]) -> tuple[str, str]:
    return next(value for start, value in table.items() if header.startswith(start))


# -- headers of the CUDA toolkit ---------------------------------------------------------------------


def _entry(hit: Hit) -> Entry | None:
    """What the table of CUDA has of the header, by its whole name."""
    return next(
        (entry for entry in headers.find(hit["header"]) if entry.name == hit["header"]), None
    )


def _moved(hit: Hit) -> bool:
    """Whether the toolkit keeps the header in another directory since some release (Thrust, CUB, libcu++)."""
    entry, toolkit = _entry(hit), hit["toolkit"]
    known = entry.changes[1:] if entry else ()
    since = (
        known[-1][0]
        if known
        else "13.0"
        if re.match(r"(?:thrust|cub|cuda|nv)/", hit["header"])
        else None
    )
    if since is None or (toolkit and numbers(toolkit) < numbers(since)):
        return False
    return bool(toolkit) or bool(re.search(r"\.(?:cpp|cc|cxx|c)$", hit["source"]))


def _gone(hit: Hit) -> tuple[str, str] | None:
    """(the first CUDA without the header, what stands for it); None where the toolkit should have it."""
    entry, toolkit = _entry(hit), hit["toolkit"]
    if (
        entry is None
        or entry.removed is None
        or (toolkit and numbers(toolkit) < numbers(entry.removed))
    ):
        return None
    today = entry.replacement or _TODAY.get(entry.name, "nothing, drop it")
    return entry.removed, today


#: Headers that CUDA removed → what stands for them, where the table does not say.
_TODAY = {"nvToolsExt.h": "nvtx3/nvToolsExt.h: NVTX 3 is header-only, no library is linked"}


def _since(hit: Hit) -> str | None:
    """The first CUDA with the header, where the toolkit in use is older."""
    entry = _entry(hit)
    first = entry.added if entry else None
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


def _cuda_header_removed_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} includes {hit['header']}, which CUDA {(_gone(hit) or ('',))[0].removesuffix('.0')} removed: "
        f"today it is {(_gone(hit) or ('', ''))[1]}."
    )


def _header_missing_when(hit: Hit) -> bool:
    return "error" in hit.text or "C1083" in hit.text
