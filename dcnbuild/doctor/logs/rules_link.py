"""Linking: libraries and functions that the linker does not find."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath

from dcnbuild.doctor.logs.commands import REBUILD
from dcnbuild.doctor.logs.patterns import QUOTE
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _link_fix(hit: Hit) -> tuple[str, ...]:
    name = hit["name"]
    if name in (
        "cudart",
        "cublas",
        "cusparse",
        "cusolver",
        "curand",
        "cufft",
        "nvrtc",
        "cudadevrt",
    ):
        return (
            f'find -L "$CUDA_HOME" -name "lib{name}.so*"',
            'export LIBRARY_PATH="$CUDA_HOME/lib64${LIBRARY_PATH:+:$LIBRARY_PATH}"',
            f'# where only lib{name}.so.N is there: ln -s lib{name}.so.N "$CUDA_HOME/lib64/lib{name}.so"',
        )
    if name == "cuda":
        return ('export LIBRARY_PATH="$CUDA_HOME/lib64/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}"',)
    if re.match(r"torch|c10|caffe2|shm", name):
        return (
            'export LIBRARY_PATH="$(python -c "import os, torch; '
            "print(os.path.join(torch.__path__[0], 'lib'))\")\"",
        )
    python = re.match(r"python(\d\.\d+)", name)
    if python:
        return (f"sudo apt-get install python{python[1]}-dev",)
    if hit.context.windows:
        return ("where /R . " + name + ".lib", r"set LIB=%CUDA_PATH%\lib\x64;%LIB%")
    return (f"apt-file search lib{name}.so  # which -dev package brings it",)


RULES = (
    LogRule(
        id="library-missing",
        title="The linker does not find a library",
        patterns=(
            ("cannot find -l", r"cannot find -l(?P<name>[\w.+-]+?)(?::|\s|$)"),
            ("library not found for", r"library not found for -l(?P<name>[\w.+-]+)"),
            ("error LNK1181", r"LNK1181.{0,60}?[\"'“‘](?:[^\"'”’]*\\)?(?P<name>[\w.+-]+)\.lib"),
            ("error LNK1104", r"LNK1104.{0,60}?[\"'“‘](?:[^\"'”’]*\\)?(?P<name>[\w.+-]+)\.lib"),
        ),
        unless=r"kernel32|ucrt|msvcrt",
        cause="The linker finds no library {name}.",
        fix=_link_fix,
        example="/usr/bin/ld: cannot find -lcudart: No such file or directory",
    ),
    LogRule(
        id="undefined-reference",
        title="The linker does not find a function",
        patterns=(
            (
                "undefined reference to",
                rf"undefined reference to {QUOTE}(?P<name>.{{1,200}}?){QUOTE}",
            ),
            (
                "unresolved external",
                r"LNK20(?:01|19).{0,60}symbol \"?(?P<name>.{1,200}?)\"?(?:$| \()",
            ),
        ),
        unless=r"_?TH(?:C|Cuda|Float|Double)\w",
        cause="The linker finds no {name}: a source file is not compiled in, or a library that has "
        "it is not linked, or was built with another C++ ABI.",
        fix=("grep -n sources setup.py", *REBUILD),
        example="kernel.o: in function `launch': kernel.cpp:(.text+0x1c): undefined reference to "
        "`deform_conv_cuda_forward(at::Tensor)'",
    ),
    LogRule(
        id="multiple-definition",
        title="The linker finds a function twice",
        patterns=(
            (
                "multiple definition of",
                rf"multiple definition of {QUOTE}(?P<name>.{{1,200}}?){QUOTE}; (?P<object>\S{{1,300}}?\.o)\b",
            ),
            (
                "error LNK2005",
                r"LNK2005: \"?(?P<name>.{1,200}?)\"? .{0,60}already defined in (?P<object>\S+)",
            ),
        ),
        cause="{name} is defined in two object files, the other is {object}: a function in a header "
        "without inline, or a source that is listed twice.",
        fix=("grep -n sources setup.py", "git grep -n inline -- '*.h' '*.cuh'"),
        example="/usr/bin/ld: b.o: in function `launch': b.cpp:(.text+0x0): multiple definition of "
        "`launch(float*)'; a.o:a.cpp:(.text+0x0): first defined here",
    ),
    LogRule(
        id="pyd-in-use",
        title="The compiled module is in use",
        patterns=(("error LNK1104", r"LNK1104.{0,60}?[\"'“‘](?P<name>[^\"'”’]+\.pyd)"),),
        cause="The linker cannot replace {name}, because a running Python has it loaded.",
        fix=lambda hit: (f"tasklist /M {PureWindowsPath(hit['name']).name}  & rem shows which",),
        example="LINK : fatal error LNK1104: cannot open file "
        "'build\\lib.win-amd64-cpython-310\\_ext.cp310-win_amd64.pyd'",
    ),
)
