"""Symbols that the loader does not find: who was loaded, and which library hides the right one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import libraries, names
from dcnbuild.doctor.logs.advice import install, rebuild
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit

_FRAME = re.compile(r"File \"([^\"]{1,300})\", line \d+")


def loader_of(hit: Hit) -> Owner:
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


def cuda_of_log(hit: Hit) -> str:
    found = re.search(r"\+cu(\d{2})\d", hit["torch"])
    return found[1] if found else hit["toolkit"].split(".")[0]


def _wheel(hit: Hit, package: str) -> str:
    """The package on PyPI for the CUDA of this log: "nvidia-nccl-cu13" → "nvidia-nccl-cu12"."""
    cuda = cuda_of_log(hit) or "12"
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
    loader = loader_of(hit)
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
    symbol, loader = hit["symbol"], loader_of(hit)
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
    rows = names.table("references").items()
    known = next((how for start, (_, how) in rows if re.match(start, symbol)), None)
    if known and loader.kind != "package" and not libraries.of_torch(symbol):
        yield fixes.say(f"in setup.py: {known}")
    yield from reinstall(hit, loader)


def reinstall(hit: Hit, loader: Owner) -> Iterator[Fix]:
    """What was built for another torch, built for this one."""
    yield from rebuild(hit, for_loader(hit, loader))
    if loader.name.startswith(("torch-", "pyg-")):
        yield fixes.say(
            "or its wheel for this torch and CUDA, from the page that its project names: data.pyg.org/whl"
        )
    elif loader.kind == "package":
        yield fixes.say(
            f"or the wheel of {loader.name} that names this torch, CUDA and Python, from its releases"
        )


def for_loader(hit: Hit, loader: Owner) -> str:
    """A path in what was being loaded, which says whose it is."""
    module = loader.name.replace("-", "_")
    return hit["library"] or (f"site-packages/{module}/" if loader.kind == "package" else "")
