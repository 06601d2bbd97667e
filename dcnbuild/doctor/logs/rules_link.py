"""The linker: libraries and functions that it does not find."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PureWindowsPath

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import libraries, names
from dcnbuild.doctor.logs.advice import ASK_TORCH, system_package
from dcnbuild.doctor.logs.rule import Hit

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


def _reference(hit: Hit) -> tuple[str, str] | None:
    symbol = hit["symbol"].removeprefix("__imp_")
    if "THPVariable" in symbol:
        symbol = "THPVariable"
    rows = names.table("references").items()
    return next(((has, how) for start, (has, how) in rows if re.match(start, symbol)), None)


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
    elif not known and "::" not in symbol.split("(")[0]:
        name = re.sub(r"^_Z\d+|\W.*", "", libraries.demangle(symbol))
        yield fixes.command("grep", "-rn", "-e", name, operands=(".",))
        yield fixes.say(
            "the .cu or .cpp file that defines it has to be among the sources, a .cu file with CUDAExtension"
        )
        yield fixes.say("where a file of C defines it, declare it extern C in C++")
    if hit.context.windows:
        yield fixes.command("findstr", "/n", "sources", operands=("setup.py",))
    else:
        yield fixes.command("grep", "-n", "sources", operands=("setup.py",))
    yield fixes.rebuild()


def _nvtx_removed_when(hit: Hit) -> bool:
    return "CUDA::" not in hit.text


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


def _pyd_in_use_fix(hit: Hit) -> Iterable[Fix]:
    return (fixes.command("tasklist", "/M", PureWindowsPath(hit["name"]).name),)
