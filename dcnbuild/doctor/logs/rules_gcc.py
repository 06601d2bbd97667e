"""The host compiler's age, against CUDA, torch and the C++ standard."""

from __future__ import annotations

import re

from dcnbuild.compatibility import cxx_standard, newest_compiler
from dcnbuild.doctor.logs.commands import install_gcc, use_gcc
from dcnbuild.doctor.logs.patterns import QUOTE
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _newest(hit: Hit) -> int | None:
    """The newest gcc that goes: what the message says, else what the toolkit in the log takes."""
    if hit["newest"]:
        return int(hit["newest"])
    if hit["below"]:
        return int(hit["below"]) - 1
    toolkit = hit["cuda"] or hit["toolkit"]
    return newest_compiler(toolkit, "gcc") if toolkit else None


def _too_new_cause(hit: Hit) -> str:
    toolkit, newest = hit["cuda"] or hit["toolkit"], _newest(hit)
    compiler = f"gcc {hit['version'] or hit['gcc']}".strip()
    if compiler == "gcc":
        compiler = "The gcc that nvcc uses"
    cuda = f"CUDA {toolkit}" if toolkit else "this CUDA toolkit"
    return f"{compiler} is newer than {cuda} accepts" + (
        f" (gcc {newest} at most)." if newest else "."
    )


def _too_new_fix(hit: Hit) -> tuple[str, ...]:
    newest = _newest(hit)
    if newest is None:
        return ("gcc --version", "nvcc --version", "dcnbuild doctor")
    return (install_gcc(hit, newest), *use_gcc(hit, newest))


def _too_old_cause(hit: Hit) -> str:
    wanted = hit["wanted"]
    have = hit["version"] or hit["gcc"]
    what = f"gcc {have}" if have else "The compiler in use"
    why = f": -std={hit['standard']} is unknown to it" if hit["standard"] else ""
    return f"{what} is too old for this torch{why}" + (
        f" (gcc {wanted} is needed)." if wanted else "."
    )


def _too_old_fix(hit: Hit) -> tuple[str, ...]:
    torch = hit.get("torch")
    standard = cxx_standard(torch) if torch else None
    # gcc 9 knows C++17 in full, gcc 11 what torch uses of C++20
    wanted = hit["wanted"] or ("11" if standard == 20 or "2" in hit["standard"][3:4] else "9")
    return (install_gcc(hit, wanted), *use_gcc(hit, wanted))


#: Names of the standard library, by the C++ standard that brought them.
_STANDARD_OF = {
    14: r"enable_if_t|decay_t|index_sequence|make_index_sequence|make_unique|\w+_t",
    17: r"optional|nullopt|variant|string_view|any|void_t|apply|conjunction|disjunction|byte|clamp"
    r"|invoke_result_t|invoke_result|is_\w+_v|\w+_v",
    20: r"(?:strong|weak|partial)_ordering|remove_cvref_t|remove_cvref|bit_cast|span"
    r"|source_location|type_identity_t|same_as|convertible_to|is_constant_evaluated",
}
_STD_NAMES = "|".join(reversed(_STANDARD_OF.values()))


def _standard(hit: Hit) -> int | None:
    """The newest standard that the errors from the line on ask for."""
    text = "\n".join(hit.log.near(hit.line, after=3000))
    found = {int(number) for number in re.findall(r"only available from C\+\+(\d\d) onwards", text)}
    if hit["standard"]:
        found.add(int(hit["standard"][-2:]))
    missing = re.findall(rf"\W({_STD_NAMES})\W.{{0,40}}(?:\Wstd\W|has no member)", text)
    for name in {*missing, hit["name"]}:
        # the newest standard first: remove_cvref_t would pass for one of C++14's as well
        fitting = [n for n, names in reversed(_STANDARD_OF.items()) if re.fullmatch(names, name)]
        found.update(fitting[:1])
    return max(found, default=None)


def _standard_cause(hit: Hit) -> str:
    standard = _standard(hit)
    for number in range(hit.line, max(-1, hit.line - 80), -1):
        given = re.search(r"[-/]std[=:](?:c|gnu)\+\+(\d\w)\b", hit.log.text(number))
        if given:
            break
    else:
        given = None
    flag = f", but the build asks for {given.group(0)}" if given else ""
    if given and standard and given.group(1) == str(standard):
        flag = ""
    return f"The headers need C++{standard or 'of a newer standard'}{flag}."


def _standard_fix(hit: Hit) -> tuple[str, ...]:
    standard = _standard(hit) or 17
    by_hand = (
        f"sed -i -E 's/-std=(c|gnu)\\+\\+1[0-9z]/-std=c++{standard}/g' setup.py  # the same by hand"
    )
    if hit.context.windows:
        return (
            "dcnbuild port {project}  # drops the old -std flag".format_map(hit),
            f"set CL=/std:c++{standard} /Zc:__cplusplus",
            f"set NVCC_APPEND_FLAGS=-std=c++{standard}",
        )
    return ("dcnbuild port {project}  # drops the old -std flag".format_map(hit), by_hand)


RULES = (
    LogRule(
        id="gcc-too-new",
        title="gcc is too new for this CUDA",
        patterns=(
            (
                "nsupported GNU version",
                r"nsupported GNU version!(?: gcc versions? later than (?P<newest>\d+))?",
            ),
            (
                "maximum required version by CUDA",
                r"installed version of \S+ \((?P<version>\d+)[\d.]*\) is greater than the maximum "
                r"required version by CUDA (?P<cuda>\d+\.\d+)(?:.{0,120}<(?P<below>\d+)\.)?",
            ),
            (
                "error: parameter packs",
                r"/c\+\+/(?P<version>\d+)/.{0,60}error: parameter packs not expanded with",
            ),
            (
                "is undefined",
                r"error: identifier \"(?:_Float(?:16|32|64|128)x?|__float128|__Float32x4_t"
                r"|__SVFloat32_t|__builtin_\w+)\" is undefined",
            ),
            (
                "is undefined",
                r"/(?:c\+\+|gcc/[\w-]+)/(?P<version>\d+)[\d./].{0,80}error: identifier \"__\w+\" is",
            ),
        ),
        cause=_too_new_cause,
        fix=_too_new_fix,
        explains=("nvcc-host-compiler", "glibc-too-new"),
        example="/usr/local/cuda-11.8/bin/../targets/x86_64-linux/include/crt/host_config.h:132:2: "
        "error: #error -- unsupported GNU version! gcc versions later than 11 are not supported!",
    ),
    LogRule(
        id="clang-too-new",
        title="clang does not fit this CUDA",
        patterns=(
            ("nsupported clang version", r"nsupported clang version!.{0,40}?(?P<below>\d+)"),
        ),
        cause=lambda hit: (
            f"CUDA {hit['toolkit']} ".replace("  ", " ").replace("CUDA  ", "CUDA ").strip()
            + f" accepts clang below {hit['below']} only."
        ),
        fix=('export CC=gcc CXX=g++ NVCC_PREPEND_FLAGS="-ccbin $(command -v g++)"',),
        example="crt/host_config.h:151:2: error: -- unsupported clang version! "
        "clang version must be less than 16 and greater than 3.2 .",
    ),
    LogRule(
        id="glibc-too-new",
        title="glibc is too new for this CUDA",
        patterns=(
            (
                "specification is incompatible",
                r"specification is incompatible with that of previous function "
                r"\"(?P<name>(?:cospi|sinpi|rsqrt)f?)\"",
            ),
        ),
        cause=lambda hit: (
            f"glibc 2.41 and newer declare {hit['name']} in a way that the headers of "
            f"{'CUDA ' + hit['toolkit'] if hit['toolkit'] else 'this CUDA toolkit'} contradict."
        ),
        fix=lambda hit: (
            "ldd --version | head -n1",
            "# a CUDA toolkit that knows this glibc (13.3), or a container with an older system",
        ),
        example="/usr/include/bits/mathcalls.h(79): error: exception specification is incompatible "
        'with that of previous function "cospi" (declared at line 2601 of crt/math_functions.h)',
    ),
    LogRule(
        id="gcc-too-old",
        title="gcc is too old",
        patterns=(
            (
                "too old version of GCC",
                r"too old version of GCC\. We need GCC (?P<wanted>\d+)",
            ),
            (
                "error: ",
                r"\b(?:cc1plus|cc1|gcc|g\+\+|cc|c\+\+)(?:-\d+)?: (?:fatal )?error: .{0,80}?"
                rf"{QUOTE}-std=(?P<standard>(?:c|gnu)\+\+\w{{2}}){QUOTE}",
            ),
            (
                "minimum required version by CUDA",
                r"installed version of \S+ \((?P<version>\d+)[\d.]*\) is less than the minimum "
                r"required version by CUDA (?P<cuda>\d+\.\d+) \((?P<wanted>\d+)",
            ),
            (
                "may be ABI-incompatible",
                r"Your compiler \(.{1,80}?(?P<version>\d[\d.]*)?\) may be ABI-incomp",
            ),
        ),
        when=lambda hit: (
            "ABI-incomp" not in hit.match.group()
            or any(": error: " in line for line in hit.log.near(hit.line, after=1500))
        ),
        cause=_too_old_cause,
        fix=_too_old_fix,
        explains=("cxx-standard",),
        example="torch/include/c10/util/C++17.h:13:2: error: #error \"You're trying to build PyTorch "
        'with a too old version of GCC. We need GCC 9 or later."',
    ),
    LogRule(
        id="cxx-standard",
        title="The C++ standard is too old for the headers",
        patterns=(
            (
                "#error",
                r"#error:? +\W{0,3}.{0,80}?(?P<standard>C\+\+(?:11|14|17|20|23))\b.{0,60}"
                r"(?:compatible compiler|required|to (?:compile|use|build)|or (?:later|newer))",
            ),
            ("error", r"error.{0,60}requires (?:at least )?(?P<standard>C\+\+(?:14|17|20))"),
            (
                "only available",
                r"only available (?:with|from) (?:-std=)?(?P<standard>[cC]\+\+\d\d)",
            ),
            (
                "#error",
                r"#error This file requires compiler and library support.{0,40}"
                r"ISO (?P<standard>C\+\+ 20(?:11|14|17))",
            ),
            (
                "is not a member of",
                rf"error: {QUOTE}(?P<name>{_STD_NAMES}){QUOTE} is not a member of {QUOTE}std{QUOTE}",
            ),
            (
                "error: ",
                rf"error: {QUOTE}(?P<name>{_STD_NAMES}){QUOTE} in namespace {QUOTE}std{QUOTE} does",
            ),
            (
                "has no member",
                r"error: namespace \"std\" has no member "
                rf"(?:class |template )?\"(?P<name>{_STD_NAMES})\"",
            ),
        ),
        unless=r"\bwarning\b",
        explains=("torch-api-changed",),
        cause=_standard_cause,
        fix=_standard_fix,
        example="torch/csrc/api/include/torch/all.h:4:2: error: #error C++17 or later compatible "
        "compiler is required to use PyTorch.",
    ),
)
