"""Binaries that do not fit each other: torch's and Python's symbols, libstdc++ and the C library."""

from __future__ import annotations

import re

from dcnbuild.doctor.logs.commands import REBUILD, rebuild
from dcnbuild.doctor.logs.patterns import QUOTE, START
from dcnbuild.doctor.logs.rule import Hit, LogRule

#: GLIBCXX_3.4.N → the gcc whose libstdc++ brought it.
#: Source: "ABI Policy and Guidelines" of the libstdc++ manual.
GCC_OF_GLIBCXX = {
    20: "4.9", 21: "5", 22: "6", 23: "7", 24: "7.2", 25: "8", 26: "9", 27: "9.2", 28: "9.3",
    29: "11", 30: "12", 31: "13.1", 32: "13.2", 33: "14", 34: "15",
}  # fmt: skip


def _abi(symbol: str) -> str | None:
    """What a missing symbol of torch says about the C++ ABI the extension was compiled with."""
    if "cxx11" in symbol:
        return "1"
    if re.search(r"_ZN(?:K)?\d?(?:2at|3c10|5torch|6caffe2)\w*?(?:RKSs|Ss)", symbol):
        return "0"
    return None


def _symbol_cause(hit: Hit) -> str:
    symbol = hit["symbol"]
    library = hit["library"].rsplit("/", 1)[-1] or "The extension"
    if re.match(r"_?_?nvJitLink", symbol):
        return f"{library} meets an older libnvJitLink than it was made for ({symbol} is missing)."
    if symbol.startswith("iJIT_"):
        return "torch meets a newer MKL than it was made for (iJIT_NotifyEvent is gone from it)."
    if re.match(r"_?Py[A-Z_]", symbol):
        return f"{library} was built for another Python than the one that loads it ({symbol})."
    if re.match(r"__cuda(?:Register|Pop|Push)", symbol):
        return f"{library} was built with another CUDA release than torch ({symbol} is missing)."
    abi = _abi(symbol)
    if abi:
        return (
            f"{library} was compiled with _GLIBCXX_USE_CXX11_ABI={abi} and the torch that loads it "
            f"with {1 - int(abi)}, or it was built for another torch ({symbol} is missing)."
        )
    if re.search(r"_ZNK?\d?(?:2at|3c10|5torch|6caffe2)|torch|aoti|THP", symbol):
        return f"{library} was built for another torch than the one that loads it ({symbol})."
    if re.match(r"_?TH[A-Z]", symbol):
        return f"{library} calls {symbol} of the TH libraries, gone since torch 1.11."
    return (
        f"{library} lacks {symbol}: a source was not linked in, or a library is of another version."
    )


def _symbol_fix(hit: Hit) -> tuple[str, ...]:
    symbol = hit["symbol"]
    if re.match(r"_?_?nvJitLink", symbol):
        return ("unset LD_LIBRARY_PATH", "pip install --upgrade nvidia-nvjitlink-cu12")
    if symbol.startswith("iJIT_"):
        return ("conda install 'mkl<2024.1'",)
    if re.match(r"_?TH[A-Z]", symbol):
        return ("dcnbuild port {project}".format_map(hit), *REBUILD)
    return (
        'python -c "import torch; print(torch.__version__, torch.compiled_with_cxx11_abi())"',
        *rebuild(hit),
    )


def _glibcxx_cause(hit: Hit) -> str:
    minor = int(hit["minor"] or 0)
    gcc = GCC_OF_GLIBCXX.get(minor)
    by = f" (that of gcc {gcc} or newer has it)" if gcc else ""
    return (
        f"The libstdc++ that is loaded{' from ' + hit['library'] if hit['library'] else ''} is older "
        f"than the compiler that built {hit['user'] or 'the extension'}: "
        f"it has no {hit['version']}{by}."
    )


def _glibcxx_fix(hit: Hit) -> tuple[str, ...]:
    gcc = GCC_OF_GLIBCXX.get(int(hit["minor"] or 0), "13").split(".")[0]
    system = "export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
    if "conda" in hit["library"] or "/envs/" in hit["library"]:
        return (
            f'conda install -c conda-forge "libstdcxx-ng>={gcc}"',
            f"{system}  # or the system's",
        )
    if hit["library"].startswith(("/usr/lib", "/lib")):
        return (
            "# inside a conda environment: its own libstdc++",
            f'conda install -c conda-forge "libstdcxx-ng>={gcc}"',
            'export LD_LIBRARY_PATH="$CONDA_PREFIX/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"',
            "# elsewhere: rebuild with this system's own g++",
            *rebuild(hit),
        )
    return (system,)


RULES = (
    LogRule(
        id="undefined-symbol",
        title="A compiled module does not fit what loads it",
        patterns=(
            (
                "undefined symbol",
                rf"{START}(?P<library>[^\s:'\"]{{1,300}}?\.so[\w.]{{0,20}}): undefined symbol: "
                r"(?P<symbol>[^\s,'\"]+)",
            ),
            ("undefined symbol", r"undefined symbol:? ?[`'\"‘]?(?P<symbol>[_A-Za-z][^\s,'\"’]+)"),
            (
                "Symbol not found",
                r"[Ss]ymbol not found:? (?:\(?in flat namespace\)? )?['(]?(?P<symbol>[_A-Za-z]\w+)",
            ),
        ),
        unless=r"\bld\b.{0,20}warning|\bwarning ?:|nvlink",
        cause=_symbol_cause,
        fix=_symbol_fix,
        example="ImportError: /home/user/dcn/_ext.cpython-38-x86_64-linux-gnu.so: undefined symbol: "
        "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE",
    ),
    LogRule(
        id="glibcxx",
        title="libstdc++ is too old",
        patterns=(
            (
                "not found",
                rf"(?:{START}(?P<library>[^\s:'\"]{{1,300}}?\.so[\w.]{{0,20}}): )?version {QUOTE}"
                rf"(?P<version>GLIBCXX_3\.4\.(?P<minor>\d+)){QUOTE} not found"
                r"(?: \(required by (?P<user>[^)\s]+)\)?)?",
            ),
        ),
        cause=_glibcxx_cause,
        fix=_glibcxx_fix,
        example="ImportError: /opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found "
        "(required by /home/user/.cache/torch_extensions/upfirdn2d/upfirdn2d.so)",
    ),
    LogRule(
        id="cxxabi",
        title="libstdc++ is too old (CXXABI)",
        patterns=(
            (
                "not found",
                rf"(?:{START}(?P<library>[^\s:'\"]{{1,300}}?\.so[\w.]{{0,20}}): )?version {QUOTE}"
                rf"(?P<version>CXXABI_[\d.]+){QUOTE} not found"
                r"(?: \(required by (?P<user>[^)\s]+)\)?)?",
            ),
        ),
        cause=lambda hit: _glibcxx_cause(hit),
        fix=_glibcxx_fix,
        example="OSError: /lib64/libstdc++.so.6: version `CXXABI_1.3.11' not found "
        "(required by /home/user/env/lib/python3.8/site-packages/torch/lib/libtorch.so)",
    ),
    LogRule(
        id="glibc",
        title="The system's C library is too old",
        patterns=(
            (
                "not found",
                rf"(?:{START}(?P<library>[^\s:'\"]{{1,300}}?\.so[\w.]{{0,20}}): )?version {QUOTE}"
                rf"(?P<version>GLIBC_[\d.]+){QUOTE} not found"
                r"(?: \(required by (?P<user>[^)\s]+)\)?)?",
            ),
        ),
        cause=lambda hit: (
            f"{hit['user'] or 'The binary'} was built on a newer system: it needs {hit['version']}, "
            "which the C library of this one does not have."
        ),
        fix=lambda hit: (
            "ldd --version | head -n1",
            "# build it on this system instead of taking the binary:",
            *rebuild(hit),
        ),
        example="ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found "
        "(required by /home/user/env/lib/python3.9/site-packages/flash_attn_2_cuda.so)",
    ),
)
