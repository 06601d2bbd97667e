"""Sources that are not there, are in each other's way, or are made for another torch."""

from __future__ import annotations

from dcnbuild.doctor.logs.patterns import (
    ASIDE,
    QUOTE,
    missing_header,
)
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _member_cause(hit: Hit) -> str:
    return (
        f"{hit['where']} uses {hit['owner']}::{hit['name']}, which the torch it is compiled against "
        "does not have: the source is written for an older or a newer torch."
    )


RULES = (
    LogRule(
        id="same-object-name",
        title="Two sources make the same object file",
        patterns=(
            (
                "multiple rules generate",
                r"multiple rules generate (?P<name>\S{1,300}?\.o(?:bj)?)\b",
            ),
            (
                "multiple definition of",
                r"multiple definition of .{1,300}?; (?P<name>\S{1,300}?\.o):",
            ),
        ),
        when=lambda hit: (
            "multiple rules" in hit.match.group()
            or hit["name"] in "".join(hit.log.near(hit.line - 1))
        ),
        cause="A .cpp and a .cu (or two files) of the same name both become {name}.",
        fix=("git mv src/name.cu src/name_cuda.cu  # then the same in setup.py",),
        example="ninja: error: build.ninja:31: multiple rules generate build/temp/src/dcn_v2.o",
    ),
    LogRule(
        id="source-missing",
        title="A source file is missing",
        patterns=(
            (
                "missing and no known rule",
                r"ninja: error: '(?P<name>[^']+)', needed by .{1,300}missing and no known rule",
            ),
            (
                "No such file",
                r"(?:g\+\+|gcc|c\+\+|cc|cc1plus|clang\+\+|clang)(?:-\d+)?: (?:fatal )?error: "
                r"(?P<name>\S{1,300}?\.(?:cpp|cc|cxx|cu|c)): No such file",
            ),
            ("fatal", r"fatal\s+: Could not open input file '?(?P<name>\S+\.cu)"),
            ("error C1083", r"C1083: Cannot open source file: '(?P<name>[^']+)'"),
        ),
        cause="The build asks for {name}, which is not there: a submodule is not checked out, or the "
        "build runs in another directory.",
        fix=("git submodule update --init --recursive", "ls -l {name}"),
        example="cc1plus: fatal error: src/dcn_v2.cpp: No such file or directory",
    ),
    LogRule(
        id="torch-too-old-for-source",
        title="Source is newer than torch",
        patterns=missing_header(r"(?:ATen|c10|torch)/(?!extension\.h|torch\.h|types\.h)[\w./-]+"),
        cause=lambda hit: (
            f"{hit['where']} includes {hit['header']}, which the torch it is compiled against "
            f"{'(' + hit['torch'] + ') ' if hit['torch'] else ''}does not have: "
            "the source is written for another, usually newer, torch."
        ),
        fix=lambda hit: (
            "pip install --upgrade torch  # or check out a release of the source for this torch",
            'python -c "import sys, torch; print(sys.executable, torch.__version__)"'
            "  # sudo and cron may run another Python",
        ),
        example="csrc/deform_attn.cu:6:10: fatal error: ATen/ceil_div.h: No such file or directory",
    ),
    LogRule(
        id="torch-headers-missing",
        title="torch's headers are not on the include path",
        patterns=missing_header(r"torch/(?:extension|torch|types|script|library)\.h"),
        cause=lambda hit: (
            f"The compiler was not given torch's include directories, so that {hit['where']} finds "
            f"no {hit['header']}."
        ),
        fix=(
            'export CPLUS_INCLUDE_PATH="$(python -c "from torch.utils.cpp_extension import '
            "include_paths; print(':'.join(include_paths()))\")\"",
        ),
        example="src/box.cpp:1:10: fatal error: torch/extension.h: No such file or directory",
    ),
    LogRule(
        id="torch-api-changed",
        title="torch lacks what the source uses",
        patterns=(
            (
                "is not a member of",
                rf"{QUOTE}(?P<name>[\w:]+){QUOTE} is not a member of "
                rf"{QUOTE}(?P<owner>(?:at|c10|torch|caffe2)(?:::[\w:]+)?){QUOTE}",
            ),
            (
                "has no member",
                rf"(?:namespace|class|struct) {QUOTE}(?P<owner>(?:at|c10|torch)(?:::[\w:]+)?)"
                rf"{QUOTE} has no member {QUOTE}(?P<name>\w+){QUOTE}",
            ),
            (
                "has no member named",
                rf"{QUOTE}(?:const )?(?:class|struct) (?P<owner>(?:at|c10|torch)::[\w:]+){QUOTE} "
                rf"has no member named {QUOTE}(?P<name>\w+){QUOTE}",
            ),
        ),
        unless=ASIDE + r"|lazyInitCUDA|[/\\]torch[/\\]include[/\\]",
        cause=_member_cause,
        fix=(
            "dcnbuild port {project}",
            "# or install the torch release that the project's documentation names",
        ),
        example="src/nms.cpp:21:14: error: 'getType' is not a member of 'at'",
    ),
)
