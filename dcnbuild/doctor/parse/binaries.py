"""Shapes of linkers' and dynamic loaders' messages, on Linux, Windows and macOS."""

from __future__ import annotations

from dcnbuild.doctor.parse.patterns import LETTER, START
from dcnbuild.doctor.parse.patterns import QUOTE as Q
from dcnbuild.doctor.parse.record import Shape

#: A shared library with its path.
_LIBRARY = (
    rf"{START}(?P<library>(?:[A-Za-z]:)?{LETTER}{{1,300}}?\.(?:so|dylib|pyd|dll)[\w.]{{0,20}})"
)
_NEEDED = rf"{START}(?P<name>(?:@rpath/|/(?:{LETTER}{{0,300}}/)?)?[\w+.-]{{1,80}}?\.(?:so|dylib)(?:\.\w{{1,12}}){{0,4}})"
_FOR = r"(?: \(required by (?P<user>[^)\s]{1,300})\)?)?"
_BY = rf"(?:{START}(?P<library>{LETTER}{{1,300}}?\.so[\w.]{{0,20}}): )?"

SHAPES = (
    # -lfoo that is nowhere
    Shape(
        "missing-library",
        "ld",
        "cannot find ",
        r"cannot find -l:?(?:lib)?(?P<name>[\w.+-]{1,80}?)(?:\.so|\.a)?(?::|\s|$)",
    ),
    Shape(
        "missing-library",
        "ld",
        "cannot find ",
        r"\bld(?:\.\w+)?: cannot find (?:.{0,200}/)?lib(?P<name>[\w+-]{1,80})\.(?:so|a)",
    ),
    Shape(
        "missing-library",
        "lld",
        "nable to find library",
        r"nable to find library -l(?P<name>[\w.+-]{1,80})",
    ),
    Shape(
        "missing-library",
        "mold",
        "library not found",
        r"library not found: (?P<name>[\w.+-]{1,80})",
    ),
    Shape(
        "missing-library",
        "ld64",
        "library not found for",
        r"library not found for -l(?P<name>[\w.+-]{1,80})",
    ),
    Shape(
        "missing-library", "ld64", "not found", r"ld: library '(?P<name>[\w.+-]{1,80})' not found"
    ),
    Shape(
        "missing-library",
        "msvc",
        "LNK1181",
        r"LNK1181.{0,60}?[\"'“‘](?:[^\"'”’]{0,300}\\)?(?P<name>[\w.+-]{1,80})\.lib",
    ),
    Shape(
        "missing-library",
        "msvc",
        "LNK1104",
        r"LNK1104.{0,60}?[\"'“‘](?:[^\"'”’]{0,300}\\)?(?P<name>[\w.+-]{1,80})\.lib",
    ),
    Shape(
        "missing-file",
        "ld",
        "o such file",
        r"\bld(?:\.\w+)?: (?:error: cannot open |cannot find )?(?P<path>[^\s:]{1,300}): [Nn]o such file",
    ),
    # a function that no object and no library has
    Shape(
        "undefined-reference",
        "ld",
        "undefined reference to",
        rf"undefined reference to {Q}(?P<symbol>[^\"'‘’“”]{{1,300}}){Q}",
    ),
    Shape(
        "undefined-reference",
        "lld",
        "undefined symbol",
        r"(?:error|mold): undefined symbol: (?P<symbol>.{1,300}?)$",
    ),
    Shape(
        "undefined-reference",
        "msvc",
        "LNK20",
        r"LNK20(?:01|19).{0,60}?symbol \"?(?P<symbol>.{1,300}?)\"?(?:$| \(| referenced)",
    ),
    Shape(
        "undefined-reference",
        "ld64",
        "referenced from",
        r"^\"(?P<symbol>[^\"]{1,300})\", referenced from",
    ),
    Shape(
        "undefined-reference",
        "nvlink",
        "ndefined reference",
        r"nvlink error.{0,20}[Uu]ndefined reference to '(?P<symbol>[^']{1,300})'",
    ),
    Shape(
        "undefined-reference",
        "ld",
        "hidden symbol",
        rf"hidden symbol {Q}(?P<symbol>[^\"'‘’]{{1,300}}){Q} .{{0,200}}is referenced by DSO",
    ),
    # a function that is there twice
    Shape(
        "multiple-definition",
        "ld",
        "multiple definition of",
        rf"multiple definition of {Q}(?P<symbol>[^\"'‘’“”]{{1,300}}){Q}; (?P<object>\S{{1,300}}?\.o)\b",
    ),
    Shape(
        "multiple-definition",
        "lld",
        "uplicate symbol",
        r"uplicate symbol:? '?(?P<symbol>[^'\n]{1,200}?)'?(?: in:?(?P<object>.{0,200}))?$",
    ),
    Shape(
        "multiple-definition",
        "msvc",
        "LNK2005",
        r"LNK2005: \"?(?P<symbol>.{1,200}?)\"? .{0,60}already defined in (?P<object>\S{1,200})",
    ),
    # files of another kind
    Shape(
        "lto-version",
        "gcc",
        "generated with LTO",
        rf"bytecode stream in file {Q}(?P<path>[^\"'‘’]{{1,300}}){Q} generated with LTO version (?P<have>[\d.]+) instead of the expected (?P<want>[\d.]+)",
    ),
    Shape(
        "wrong-format",
        "ld",
        "file in wrong format",
        rf"{START}(?P<path>{LETTER}{{1,300}}): (?:error adding symbols: )?file in wrong format",
    ),
    Shape(
        "wrong-format",
        "ld",
        "skipping incompatible",
        r"skipping incompatible (?P<path>[^\s:]{1,300}) when searching for -l(?P<name>[\w.+-]+)",
    ),
    Shape(
        "wrong-format",
        "ld",
        "is incompatible with",
        rf"{START}(?P<path>{LETTER}{{1,300}})[^\n]{{0,40}} is incompatible with (?P<want>[\w-]{{3,40}})",
    ),
    Shape(
        "wrong-format",
        "ld64",
        "built for",
        r"(?:file|library) .{0,300}built for (?P<have>[\w ,'-]{3,60}) which is not the architecture being linked \((?P<want>\w+)\)",
    ),
    Shape(
        "not-pic",
        "ld",
        "recompile with -fPIC",
        r"(?<!\S)(?P<path>\S{1,300}): relocation \w+ against .{1,300}recompile with -fPIC",
    ),
    Shape("relocation-overflow", "ld", "relocation truncated", r"relocation truncated to fit: \w+"),
    Shape(
        "dso-missing",
        "ld",
        "DSO missing",
        rf"{START}(?P<path>{LETTER}{{1,300}}): error adding symbols: DSO missing from command line",
    ),
    # a shared library that the loader does not find
    Shape(
        "missing-shared-library",
        "Linux",
        "cannot open shared object",
        rf"{_NEEDED}: cannot open shared object file",
    ),
    Shape("missing-shared-library", "Linux", "=> not found", rf"{_NEEDED} => not found"),
    *(
        Shape(
            "missing-shared-library",
            "",
            needle,
            r"(?:Could not|[Uu]nable to|[Ff]ailed to|Cannot) (?:dynamically )?load (?:library |the library |shared library )['\"]?(?P<name>(?:/\S{0,300}/)?lib[\w+.-]{1,80}?\.(?:so|dylib)(?:\.\w{1,12}){0,4})",
        )
        for needle in (
            "Could not load",
            "Could not dynamically",
            "nable to load",
            "ailed to load",
            "Cannot load",
        )
    ),
    Shape(
        "missing-shared-library",
        "",
        "Unable to load any of",
        r"Unable to load any of \{(?P<name>lib[\w+.-]{1,80}\.so[\w.]{0,20})",
    ),
    Shape(
        "missing-shared-library",
        "macOS",
        "ibrary not loaded",
        rf"[Ll]ibrary not loaded:? .{{0,100}}?{_NEEDED}",
    ),
    Shape(
        "missing-shared-library",
        "macOS",
        "no such file",
        rf"dlopen\({_LIBRARY}.{{0,300}}\(no such file\)",
    ),
    Shape(
        "missing-dll",
        "Windows",
        "DLL load failed",
        r"DLL load failed(?: while importing (?P<name>[\w.]+))?:? ?(?P<text>.{0,200})",
    ),
    Shape(
        "missing-dll",
        "Windows",
        "WinError 12",
        r"WinError 12(?P<code>[67])\] ?(?P<text>.{0,90}?)(?:Error loading \"?(?P<library>[^\"]{1,300}\.dll)|$|['\"])",
    ),
    Shape(
        "missing-dll",
        "Windows",
        "WinError 1114",
        r"WinError 1114\] ?(?P<text>.{0,90}?)(?:Error loading \"?(?P<library>[^\"]{1,300}\.dll)|$)",
    ),
    Shape(
        "missing-dll",
        "Windows",
        "ould not find module",
        r"[Cc]ould not find module '(?P<library>[^']{1,300})' \(or one of its dependencies\)",
    ),
    Shape(
        "missing-dll",
        "Windows",
        "ould not locate",
        r"[Cc]ould not locate (?P<library>[\w.-]{1,80}\.dll)",
    ),
    # a symbol that no loaded library has
    Shape(
        "undefined-symbol",
        "Linux",
        "undefined symbol",
        rf"{_LIBRARY}: undefined symbol: (?P<symbol>[^\s,'\"]{{1,400}})(?:, version (?P<version>[\w.+-]+))?",
    ),
    Shape(
        "undefined-symbol",
        "Linux",
        "undefined symbol",
        r"undefined symbol:? ?[`'\"‘]?(?P<symbol>[_A-Za-z][^\s,'\"’]{1,400})(?:, version (?P<version>[\w.+-]+))?",
    ),
    Shape(
        "undefined-symbol",
        "Linux",
        "symbol lookup error",
        rf"symbol lookup error: {_LIBRARY}: undefined symbol: (?P<symbol>[^\s,'\"]{{1,400}})",
    ),
    Shape(
        "undefined-symbol",
        "Linux",
        "not defined in file",
        r"symbol (?P<symbol>\w{1,300}),? version \S+ not defined in file (?P<version>\S+) with link time reference",
    ),
    Shape(
        "undefined-symbol",
        "macOS",
        "ymbol not found",
        r"dlopen\((?P<library>[^\s,()'\"]{1,300}),.{0,120}?[Ss]ymbol not found:? (?:\(?in flat namespace\)? )?['(]?(?P<symbol>[_A-Za-z]\w{1,400})",
    ),
    Shape(
        "undefined-symbol",
        "macOS",
        "ymbol not found",
        r"[Ss]ymbol not found:? (?:\(?in flat namespace\)? )?['(]?(?P<symbol>[_A-Za-z]\w{1,400})",
    ),
    Shape(
        "undefined-symbol",
        "Windows",
        "rocedure entry point",
        r"[Pp]rocedure entry point (?P<symbol>\S{1,300}) could not be located in the dynamic link library (?P<library>\S{1,300})",
    ),
    # a library that is there and of another version, machine or format
    Shape(
        "missing-version",
        "Linux",
        "not found",
        rf"{_BY}version {Q}(?P<version>(?:GLIBCXX|CXXABI|GLIBC|GCC|OMP|OPENSSL|NCURSES\w*|CURL_OPENSSL|lib\w+\.so)_?[\w.]{{1,20}}){Q} not found{_FOR}",
    ),
    Shape(
        "not-loadable",
        "Linux",
        "failed to map segment",
        rf"{_LIBRARY}: failed to map segment from shared object(?P<text>.{{0,60}})",
    ),
    Shape(
        "not-loadable",
        "Linux",
        "executable stack",
        rf"{_LIBRARY}: cannot enable executable stack(?P<text>.{{0,60}})",
    ),
    Shape(
        "not-loadable",
        "Linux",
        "static TLS",
        rf"{_LIBRARY}: cannot allocate memory in static TLS(?P<text>.{{0,60}})",
    ),
    Shape("not-loadable", "Linux", "ELF header", rf"{_LIBRARY}: (?P<text>invalid ELF header)"),
    Shape(
        "not-loadable",
        "Linux",
        "wrong ELF class",
        rf"{_LIBRARY}: (?P<text>wrong ELF class.{{0,40}})",
    ),
    Shape(
        "not-loadable",
        "Linux",
        "ELF load command",
        rf"{_LIBRARY}: (?P<text>ELF load command.{{0,60}})",
    ),
    Shape("not-loadable", "Linux", "file too short", rf"{_LIBRARY}: (?P<text>file too short)"),
    Shape(
        "not-loadable",
        "Linux",
        "cannot read file data",
        rf"{_LIBRARY}: (?P<text>cannot read file data.{{0,60}})",
    ),
    Shape(
        "wrong-machine",
        "macOS",
        "incompatible architecture",
        r"(?:\((?:mach-o file, but is an )?)?incompatible architecture \(have '(?P<have>[\w, -]+)', need '(?P<want>[\w, -]+)'",
    ),
    Shape("wrong-machine", "macOS", "wrong architecture", r"mach-o, but wrong architecture"),
    Shape(
        "wrong-machine",
        "Windows",
        "is not a valid Win32",
        r"(?<!\S)(?P<path>\S{0,300}) is not a valid Win32 application",
    ),
    Shape(
        "wrong-machine",
        "Linux",
        "Exec format error",
        r"(?:(?<!\S)(?P<before>[^\s:'\"]{1,300}): )?(?:cannot execute binary file: )?(?:\[Errno 8\] )?Exec format error(?:: '?(?P<path>[^'\n]{1,300}))?",
    ),
    Shape(
        "no-init-function",
        "",
        "PyInit_",
        r"does not define (?:module export|init) function \(?(?P<symbol>PyInit_\w+)",
    ),
    Shape(
        "code-signature",
        "macOS",
        "code signature",
        rf"{_LIBRARY}.{{0,300}}code signature (?:invalid|.{{0,60}}not valid)",
    ),
)
