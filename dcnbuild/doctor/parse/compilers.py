"""Shapes of compilers' messages: gcc, clang, nvcc's front end (EDG) and MSVC, kind by kind."""

from __future__ import annotations

from dcnbuild.doctor.parse.patterns import LETTER, START
from dcnbuild.doctor.parse.patterns import QUOTE as Q
from dcnbuild.doctor.parse.record import Shape

#: A name in quotation marks, perhaps qualified; a signature's return type and arguments are left out.
_NAME = rf"{Q}(?P<name>(?:::)?[A-Za-z_~][\w:]{{0,200}}){Q}"
_OWNER = rf"{Q}(?:const |struct |class |enum |union )*(?P<owner>[A-Za-z_][\w:]{{0,200}})[^\"'’”]{{0,300}}?{Q}"
_FUNCTION = rf"{Q}(?:[^\"'‘’“”(]{{0,200}}[\s*&])?(?P<name>[A-Za-z_][\w:]{{0,200}})(?:<[^()]{{0,300}}>)?(?:\(|{Q})"
_TYPES = rf"{Q}(?P<found>[^\"'‘’“”]{{1,300}}){Q}.{{1,80}}?{Q}(?P<wanted>[^\"'‘’“”]{{1,300}}){Q}"
_HEADER = r"(?P<header>[\w./+-]{2,160})"

SHAPES = (
    # a name that nothing declares; `owner` is the namespace or class that lacks it
    *(
        Shape("undeclared-name", tool, needle, pattern)
        for tool, needle, pattern in (
            ("gcc", "was not declared", rf"{_NAME} ?was not declared"),
            ("gcc", "has not been declared", rf"{_NAME} ?has not been declared"),
            ("gcc", "in namespace", rf"{_NAME} in (?:namespace )?{_OWNER} does not name"),
            ("gcc", "does not name a", rf"{_NAME} (?:in {_OWNER} )?does not name a"),
            ("gcc", "is not a member of", rf"{_NAME} is not a member of {_OWNER}"),
            (
                "gcc",
                "has no member named",
                rf"{_OWNER} (?:\{{aka {Q}(?:const |struct |class )*(?P<alias>[\w:]{{1,200}}).{{0,200}}\}} )?has no member named {_NAME}",
            ),
            ("gcc", "undeclared", rf"{_NAME} ?undeclared"),
            ("gcc", "implicit declaration", rf"implicit declaration of function {_NAME}"),
            ("gcc", "is not a template", rf"(?<!\w)(?P<name>\w{{1,120}}){Q}? is not a template"),
            ("clang", "undeclared identifier", rf"use of undeclared identifier {_NAME}"),
            ("clang", "undeclared function", rf"call to undeclared (?:library )?function {_NAME}"),
            ("clang", "unknown type name", rf"unknown type name {_NAME}"),
            (
                "clang",
                "named",
                rf"no (?:member|type|template) named {_NAME} in (?:namespace )?{_OWNER}",
            ),
            ("clang", "named", rf"no (?:member|type|template) named {_NAME}"),
            ("nvcc", "is undefined", rf"identifier {_NAME} is undefined"),
            (
                "nvcc",
                "has no member",
                rf"(?:namespace|class|struct|enum|union) {_OWNER} has no (?:actual )?member (?:class |template )?{_NAME}",
            ),
            ("msvc", "C3861", rf"C3861\s?:\s{{0,3}}{_NAME}"),
            ("msvc", "C2065", rf"C2065\s?:\s{{0,3}}{_NAME}"),
            ("msvc", "C2039", rf"C2039\s?:\s{{0,3}}{_NAME}.{{0,60}}?{_OWNER}"),
            ("msvc", "C2653", rf"C2653\s?:\s{{0,3}}{_NAME}"),
            ("msvc", "C2061", rf"C2061\s?:.{{0,60}}?{_NAME}"),
        )
    ),
    # a header that is nowhere
    Shape(
        "missing-header", "gcc", "o such file", rf"(?:^|[\s:]){_HEADER}\s?[:：] ?[Nn]o such file"
    ),
    Shape("missing-header", "clang", "file not found", rf"{Q}{_HEADER}{Q} file not found"),
    Shape(
        "missing-header",
        "nvcc",
        "cannot open source file",
        rf"cannot open source file {Q}{_HEADER}{Q}",
    ),
    Shape("missing-header", "msvc", "C1083", rf"C1083\s?:.{{0,60}}?{Q}{_HEADER}{Q}"),
    # a source file that is nowhere
    Shape(
        "missing-source",
        "ninja",
        "no known rule",
        r"'(?P<path>[^']{1,300})', needed by .{1,300}missing and no known rule",
    ),
    Shape(
        "missing-source",
        "gcc",
        "o such file",
        r"(?:\+\+|cc|cc1plus|cc1|clang)(?:-\d+)?: (?:fatal )?error: (?P<path>\S{1,300}?\.(?:cpp|cc|cxx|cu|c)): [Nn]o such file",
    ),
    Shape(
        "missing-source",
        "clang",
        "no such file",
        r"error: no such file or directory: '(?P<path>[^']{1,300})'",
    ),
    Shape(
        "missing-source",
        "nvcc",
        "ould not open input",
        r"ould not open input file '?(?P<path>[^\s']{1,300})",
    ),
    Shape(
        "missing-source",
        "nvcc",
        "fatal",
        r"fatal\s{1,4}: '?(?P<path>[^\s']{1,300}\.cu)'?: No such file",
    ),
    Shape(
        "missing-source",
        "msvc",
        "C1083",
        r"C1083: Cannot open source file: '(?P<path>[^']{1,300})'",
    ),
    # a call that no function takes
    Shape(
        "wrong-arguments",
        "gcc",
        "arguments to function",
        rf"too (?:few|many) arguments to function {_FUNCTION}",
    ),
    Shape(
        "wrong-arguments",
        "gcc",
        "no matching function",
        rf"no matching function for call to {_FUNCTION}",
    ),
    Shape(
        "wrong-arguments",
        "gcc",
        "no matching",
        rf"no matching (?:member function|constructor|conversion).{{0,40}}?{_FUNCTION}",
    ),
    Shape(
        "wrong-arguments",
        "nvcc",
        "no instance of",
        rf"no instance of (?:overloaded function|function template|constructor|function) {_FUNCTION}",
    ),
    Shape(
        "wrong-arguments",
        "nvcc",
        "in function call",
        r"error: too (?:few|many) arguments in function call",
    ),
    Shape(
        "wrong-arguments",
        "clang",
        "to function call",
        r"error: too (?:few|many) arguments to function call",
    ),
    Shape("wrong-arguments", "msvc", "C2660", rf"C2660\s?:.{{0,10}}?{_FUNCTION}"),
    Shape("wrong-arguments", "msvc", "C2661", rf"C2661\s?:.{{0,10}}?{_FUNCTION}"),
    Shape("wrong-arguments", "msvc", "C2672", rf"C2672\s?:.{{0,10}}?{_FUNCTION}"),
    # a value of a type that the callee does not take
    Shape("wrong-type", "gcc", "cannot convert", rf"cannot convert {_TYPES}"),
    Shape(
        "wrong-type",
        "gcc",
        "could not convert",
        rf"could not convert {Q}[^\"'‘’“”]{{1,300}}{Q} from {_TYPES}",
    ),
    Shape("wrong-type", "gcc", "invalid conversion", rf"invalid conversion from {_TYPES}"),
    Shape(
        "wrong-type",
        "gcc",
        "incompatible pointer",
        r"incompatible pointer type|from incompatible pointer",
    ),
    Shape("wrong-type", "nvcc", "is incompatible with", rf"(?:argument|value) of type {_TYPES}"),
    Shape(
        "wrong-type",
        "nvcc",
        "no suitable",
        rf"no suitable (?:user-defined )?(?:conversion|constructor).{{0,40}}?{_TYPES}",
    ),
    Shape("wrong-type", "nvcc", "cannot be used to init", rf"value of type {_TYPES}"),
    Shape("wrong-type", "clang", "cannot initialize", rf"cannot initialize .{{1,60}}?{_TYPES}"),
    Shape("wrong-type", "clang", "no viable conversion", rf"no viable conversion from {_TYPES}"),
    Shape("wrong-type", "msvc", "C2664", rf"C2664\s?:.{{0,300}}?cannot convert.{{0,40}}?{_TYPES}"),
    Shape("wrong-type", "msvc", "C2440", rf"C2440\s?:.{{0,60}}?{_TYPES}"),
    # a struct that is only declared
    Shape("incomplete-type", "gcc", "incomplete type", rf"incomplete type (?:named )?{_OWNER}"),
    Shape("incomplete-type", "nvcc", "incomplete", rf"incomplete (?:class )?type {_OWNER}"),
    Shape("incomplete-type", "msvc", "C2027", rf"C2027\s?:.{{0,40}}?{_OWNER}"),
    # code of the host and of the GPU that call each other
    Shape(
        "host-device-call",
        "nvcc",
        "calling a ",
        r"calling a (?P<have>__\w+__(?: __\w+__)?|constexpr __\w+__) function\(\"(?P<name>[^\"]{1,300})\"\).{0,20} from a "
        r"(?P<want>__\w+__(?: __\w+__)?) function\(\"(?P<caller>[^\"]{1,300})",
    ),
    Shape(
        "host-device-call",
        "clang",
        "reference to ",
        r"reference to (?P<have>__\w+__) function '(?P<name>[^']{1,300})' in (?P<want>__\w+__(?: __\w+__)?) function",
    ),
    Shape(
        "host-device-call",
        "nvcc",
        "in device code",
        rf"identifier {_NAME} is undefined in device code",
    ),
    # a name that stands for several things, or an operator that is there twice
    Shape(
        "ambiguous",
        "gcc",
        "is ambiguous",
        rf"(?:call of overloaded|reference to|call to) {_FUNCTION}.{{0,60}}is ambiguous",
    ),
    Shape("ambiguous", "nvcc", "is ambiguous", rf"{_NAME} is ambiguous"),
    Shape(
        "ambiguous",
        "nvcc",
        "more than one",
        rf"more than one (?:instance of overloaded function|operator|conversion function).{{0,20}}?{Q}(?P<name>[^\"]{{1,200}}){Q}",
    ),
    Shape("ambiguous", "msvc", "C2872", rf"C2872\s?:.{{0,10}}?{_NAME}"),
    Shape("ambiguous", "msvc", "C2668", rf"C2668\s?:.{{0,10}}?{_FUNCTION}"),
    # an option that the compiler does not take
    Shape(
        "unknown-option",
        "gcc",
        "unrecognized",
        rf"(?:unrecognized command.line option|unrecognized argument in option) {Q}(?P<option>[^\"'‘’]{{1,200}}){Q}",
    ),
    Shape(
        "unknown-option",
        "clang",
        "unsupported option",
        r"unsupported option '(?P<option>[^']{1,200})'(?: for target '(?P<target>[^']+)')?",
    ),
    Shape(
        "unknown-option",
        "clang",
        "does not support",
        r"compiler does not support '(?P<option>-[^']{1,200})'",
    ),
    Shape(
        "unknown-option",
        "clang",
        "unknown argument",
        r"unknown argument:? '(?P<option>[^']{1,200})'",
    ),
    Shape(
        "unknown-option",
        "clang",
        "invalid value",
        r"invalid value '(?P<name>[^']{1,60})' in '(?P<option>-?[^']{1,200})'",
    ),
    Shape(
        "unknown-option",
        "gcc",
        "bad value",
        rf"bad value {Q}(?P<name>[^\"'‘’]{{1,60}}){Q} for {Q}(?P<option>[^\"'‘’]{{1,60}}){Q}",
    ),
    Shape(
        "unknown-option",
        "nvcc",
        "nknown option",
        r"nvcc.{0,20}[Uu]nknown option ['\"]?(?P<option>-?[\w=+.:/-]{1,100})",
    ),
    Shape("unknown-option", "msvc", "D8021", r"D8021\s?:.{0,60}?'(?P<option>[^']{1,200})'"),
    # what a header or a source itself refuses
    Shape("hash-error", "", "#error", r"#error:? +(?P<text>[^\n]{3,300})"),
    Shape("hash-error", "msvc", "C1189", r"C1189\s?:.{0,12}?#error:?\s+(?P<text>[^\n]{3,300})"),
    Shape(
        "static-assert",
        "",
        "tatic assert",
        r"[Ss]tatic assert(?:ion)? failed(?:: | with |: \(|\s)?(?P<text>.{0,300})",
    ),
    Shape("static-assert", "msvc", "C2338", r"C2338\s?:\s?(?P<text>.{0,300})"),
    Shape(
        "warning-as-error",
        "gcc",
        "-Werror=",
        r"error: (?P<text>.{1,300}?) \[-Werror=(?P<option>[\w+=-]{1,60})\]",
    ),
    Shape(
        "warning-as-error",
        "gcc",
        "error: ",
        r"error: (?P<text>.{1,300}?) \[-W(?P<option>(?!error)[\w+=-]{1,60})\]",
    ),
    Shape(
        "warning-as-error",
        "clang",
        "-Werror,",
        r"error: (?P<text>.{1,300}?) \[-Werror,-W(?P<option>[\w+=-]{1,60})\]",
    ),
    # anything else that a compiler calls an error: file, place and text
    Shape(
        "compile-error",
        "",
        "error",
        rf"{START}(?P<path>(?:[A-Za-z]:)?{LETTER}{{1,200}}?\.(?:cu|cuh|cpp|cc|cxx|c|h|hpp|hxx|inl|inc|mm|pyx))(?::\d+|\(\d+(?:,\d+)?\))"
        r".{0,12}(?:fatal |catastrophic )?error\b.{0,8}?: ?(?P<text>.{3,300})",
    ),
)
