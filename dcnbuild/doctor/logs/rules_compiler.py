"""The host compiler: missing, half there, too new or too old for CUDA, torch and the C++ standard."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known, names
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import port
from dcnbuild.machine.compatibility import cxx_standard, newest_compiler

# -- too new, too old ------------------------------------------------------------------------------------


def _newest(hit: Hit) -> int | None:
    """The newest gcc that goes: what the message says, else what the toolkit in the log takes."""
    if hit["newest"]:
        return int(hit["newest"])
    if hit["below"]:
        return int(hit["below"]) - 1
    toolkit = hit["cuda"] or hit["toolkit"]
    newest = newest_compiler(toolkit, "gcc") if toolkit else None
    have = hit["version"] or hit["gcc"]
    # where nvcc accepts a gcc by its number it may still not parse its headers
    return min(newest or 99, int(have) - 1) if have and _unparsed(hit) else newest


def _unparsed(hit: Hit) -> bool:
    """Whether nvcc failed on a header of gcc, and not on its version number."""
    return "GNU version" not in hit.text and "by CUDA" not in hit.text


def _too_new_cause(hit: Hit) -> str:
    toolkit, newest = hit["cuda"] or hit["toolkit"], _newest(hit)
    compiler = f"gcc {hit['version'] or hit['gcc']}".strip()
    if compiler == "gcc":
        compiler = "The gcc that nvcc uses, or the glibc beside it,"
    cuda = f"CUDA {toolkit}" if toolkit else "this CUDA toolkit"
    return f"{compiler} is newer than {cuda} accepts" + (
        f" (gcc {newest} at most)." if newest else "."
    )


def _too_new_fix(hit: Hit) -> Iterator[Fix]:
    newest, have = _newest(hit), hit["version"] or hit["gcc"]
    if newest is not None:
        yield fixes.use_gcc(newest)
    elif "parameter packs" in hit.text:
        yield fixes.use_gcc(10)
        yield fixes.say("gcc 10 is the last that CUDA before 11.7 takes")
    else:
        yield fixes.command("gcc", "--version")
        yield fixes.command("nvcc", "--version")
    toolkit = known.toolkit_for_gcc(int(have or 0) + _unparsed(hit), hit["cuda"] or hit["toolkit"])
    if have and toolkit:
        yield fixes.say(f"or keep gcc {have}, with a newer CUDA toolkit, {toolkit} or newer:")
        yield fixes.use_toolkit(toolkit)
    elif newest is None or not have:
        yield fixes.say("or a newer CUDA toolkit, which accepts a newer gcc")
    if "intrin.h" in hit.text:
        yield fixes.say("or keep immintrin.h and what includes it out of .cu files")


def _too_old_cause(hit: Hit) -> str:
    wanted, have = hit["wanted"], hit["version"] or hit["gcc"]
    what = f"gcc {have}" if have else "The compiler in use"
    why = f": -std={hit['standard']} is unknown to it" if hit["standard"] else ""
    return f"{what} is too old for this torch{why}" + (
        f" (gcc {wanted} is needed)." if wanted else "."
    )


def _too_old_fix(hit: Hit) -> Iterator[Fix]:
    standard = cxx_standard(hit["torch"]) if hit["torch"] else None
    # gcc 9 knows C++17 in full, gcc 11 what torch uses of C++20
    wanted = hit["wanted"] or ("11" if standard == 20 or "2" in hit["standard"][3:4] else "9")
    yield fixes.use_gcc(int(wanted))


def _fails_after(hit: Hit) -> bool:
    return any(": error: " in line for line in hit.log.near(hit.line, after=1500))


# -- the C++ standard ------------------------------------------------------------------------------------------

#: Names of the standard library, by the C++ standard that brought them.
_STANDARD_OF = {
    14: r"(?:enable_if|decay|conditional|remove_\w+|add_\w+|make_\w+|underlying_type|common_type|result_of)_t"
    r"|index_sequence|make_index_sequence|make_unique|integer_sequence|shared_timed_mutex",
    17: r"optional|nullopt|variant|visit|monostate|get_if|holds_alternative|string_view|any|any_cast|void_t|apply"
    r"|conjunction|disjunction|negation|byte|clamp|invoke|invoke_result_t|invoke_result|is_\w+_v|\w+_v|filesystem"
    r"|scoped_lock|as_const|size|data|in_place_t|in_place|not_fn|reduce|uncaught_exceptions|is_invocable\w*",
    20: r"(?:strong|weak|partial)_ordering|remove_cvref_t|remove_cvref|bit_cast|span|source_location|type_identity_t"
    r"|same_as|convertible_to|is_constant_evaluated|ranges|views|ssize|to_address|integral|floating_point|lerp|midpoint"
    r"|invocable|jthread|latch|barrier|counting_semaphore|erase_if|identity|bit_width|popcount|countl_zero|format",
}
_STD_NAMES = "|".join(reversed(_STANDARD_OF.values()))
_FLAG = re.compile(r"[-/]std[=:](?:c|gnu)\+\+(\d\w)\b")


def _given(hit: Hit) -> re.Match[str] | None:
    """The flag that the compiler was given, on one of the lines above."""
    for number in range(hit.line, max(-1, hit.line - 80), -1):
        found = _FLAG.search(hit.log.text(number))
        if found:
            return found
    return None


def _standard(hit: Hit) -> int | None:
    """The newest standard that the errors from the line on ask for."""
    text = hit.around(after=3000)
    found = {
        int(number) for number in re.findall(r"only available (?:from|with) C\+\+(\d\d)", text)
    }
    if hit["standard"]:
        found.add(int(hit["standard"][-2:]))
    missing = re.findall(rf"\W({_STD_NAMES})\W.{{0,40}}(?:\Wstd\W|has no member)", text)
    for name in {*missing, names.split(hit["name"])[1]}:
        # the newest standard first: remove_cvref_t would pass for one of C++14's as well
        fitting = [
            n for n, all_of_it in reversed(_STANDARD_OF.items()) if re.fullmatch(all_of_it, name)
        ]
        found.update(fitting[:1])
    return max(found, default=None)


def _standard_cause(hit: Hit) -> str:
    standard, given = _standard(hit), _given(hit)
    flag = f", but the build asks for {given.group(0)}" if given else ""
    if given and standard and given.group(1) == str(standard):
        flag = ""
    return f"The headers need C++{standard or 'of a newer standard'}{flag}."


def _standard_fix(hit: Hit) -> Iterator[Fix]:
    standard = _standard(hit) or 17
    yield port(hit)
    if hit.context.windows:
        yield fixes.set_env("CL", f"/std:c++{standard} /Zc:__cplusplus")
        yield fixes.set_env("NVCC_APPEND_FLAGS", f"-std=c++{standard}")
        return
    yield fixes.say("or by hand, the old -std flag of setup.py:")
    script = rf"s/-std=(c|gnu)\+\+1[0-9z]/-std=c++{standard}/g"
    yield fixes.command("sed", "-i", "-E", script, operands=("setup.py",))


def _of_standard(hit: Hit) -> bool:
    """A name of `std` that a newer standard has; not one whose header is not included."""
    scope, name = names.split(hit["name"], hit["owner"])
    if scope != "std" or not re.fullmatch(_STD_NAMES, name):
        return False
    return names.header_of(name, "std") is None


# -- missing -----------------------------------------------------------------------------------------------------------


def _is_conda(hit: Hit) -> bool:
    return "conda" in hit.match.group() or hit.context.conda


def _missing_cause(hit: Hit) -> str:
    name = hit["name"]
    if name == "cc1plus":
        return "gcc is installed without g++, so that it cannot compile C++ (it finds no cc1plus)."
    if hit["header"]:
        return f"The C++ compiler has no standard library: it finds no <{hit['header']}>."
    return f"There is no {name or 'C or C++ compiler (gcc, g++)'} on this machine."


def _missing_fix(hit: Hit) -> Iterator[Fix]:
    found = re.fullmatch(r".*?g(?:cc|\+\+)-(\d{1,2})(?:\.\d)*", hit["name"])
    if found:
        yield fixes.use_gcc(int(found[1]))
        yield fixes.say("or unset the variables that name it:")
        yield fixes.unset_env("CC")
        yield fixes.unset_env("CXX")
    elif hit["name"] == "cc1plus" and hit["gcc"]:
        yield fixes.use_gcc(int(hit["gcc"]))
    elif hit.context.mac:
        yield fixes.command("xcode-select", "--install")
    elif hit.context.target(hit.facts).manager in (None, "apt-get"):
        yield fixes.command("apt-get", "install", "-y", "build-essential", root=True)
    else:
        yield fixes.system_install("g++")


def _glibc_too_new_cause(hit: Hit) -> str:
    return (
        f"glibc {'2.43' if 'rsqrt' in hit['name'] else '2.41'} and newer declare {hit['name']} in a way that the "
        f"headers of {'CUDA ' + hit['toolkit'] if hit['toolkit'] else 'this CUDA toolkit'} contradict."
    )


def _gcc_too_old_when(hit: Hit) -> bool:
    return "ABI-incomp" not in hit.match.group() or _fails_after(hit)


def _compiler_missing_when(hit: Hit) -> bool:
    return not (hit["name"] == "cc1plus" and _is_conda(hit))
