"""From a line to a record: each tool's wording of a kind of message gives the same kind and entities."""

from __future__ import annotations

import re
import time

import pytest

from dcnbuild.doctor.logs import RULES
from dcnbuild.doctor.parse import SHAPES, Log, Reading, Record
from dcnbuild.doctor.parse.success import Outcome


def records(text: str) -> list[Record]:
    log = Log(text)
    lines = [log.english(number) for number in range(len(log))]
    reading = Reading(log, "\n".join(lines).__contains__)
    return [record for line in lines for record in reading.records(line)]


def found(text: str, kind: str) -> dict[str, str]:
    return next((record.entities for record in records(text) if record.kind == kind), {})


@pytest.mark.parametrize(
    "line",
    [
        "a.cpp:4:24: error: ‘struct cudaDeviceProp’ has no member named ‘clockRate’",
        "a.cpp:4:24: error: ‘const value_type’ {aka ‘const struct cudaDeviceProp’} has no member named ‘clockRate’",
        "a.cpp:4:24: error: no member named 'clockRate' in 'cudaDeviceProp'",
        'a.cu(4): error: class "cudaDeviceProp" has no member "clockRate"',
        "D:\\a.cpp(4): error C2039: 'clockRate': is not a member of 'cudaDeviceProp'",
    ],
)
def test_a_member_that_a_class_lacks(line: str) -> None:
    entities = found(line, "undeclared-name")
    assert entities["name"] == "clockRate"
    assert entities.get("alias", entities["owner"]) == "cudaDeviceProp"


@pytest.mark.parametrize(
    "line",
    [
        "a.cpp:5:14: error: ‘symeig’ is not a member of ‘at’",
        "a.cpp:5:14: Fehler: »symeig« ist kein Element von »at«".replace("ist kein Element von", "is not a member of"),
        "a.cpp:5:14: error: no member named 'symeig' in namespace 'at'",
        'a.cu(5): error: namespace "at" has no member "symeig"',
        "a.cpp(5): error C2039: 'symeig': is not a member of 'at'",
    ],
)
def test_a_name_that_a_namespace_lacks(line: str) -> None:
    assert found(line, "undeclared-name") | {"name": "symeig", "owner": "at"} == found(line, "undeclared-name")


@pytest.mark.parametrize(
    "line",
    [
        "a.cpp:5:14: error: ‘THCState’ was not declared in this scope",
        "a.cpp:5:14: 错误：‘THCState’在此作用域中尚未声明",
        "a.cpp:5:14: error: ‘THCState’ has not been declared",
        "a.cpp:5:14: error: ‘THCState’ does not name a type",
        "a.cpp:5:14: error: use of undeclared identifier 'THCState'",
        "a.cpp:5:14: error: unknown type name 'THCState'",
        'a.cu(5): error: identifier "THCState" is undefined',
        "a.cpp(5): error C2065: 'THCState': undeclared identifier",
        "a.cpp(5): error C3861: 'THCState': identifier not found",
    ],
)
def test_a_name_that_nothing_declares(line: str) -> None:
    assert found(line, "undeclared-name")["name"] == "THCState"


@pytest.mark.parametrize(
    "line",
    [
        "a.cpp:1:10: fatal error: thrust/sort.h: No such file or directory",
        "a.cpp:1:10: fatal error: 'thrust/sort.h' file not found",
        'a.cu(1): fatal error: cannot open source file "thrust/sort.h"',
        "a.cpp(1): fatal error C1083: Cannot open include file: 'thrust/sort.h': No such file or directory",
        "a.cpp:1:10: schwerwiegender Fehler: thrust/sort.h: Datei oder Verzeichnis nicht gefunden",
    ],
)
def test_a_header_that_is_nowhere(line: str) -> None:
    assert found(line, "missing-header")["header"] == "thrust/sort.h"


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/ld: cannot find -lcudart: No such file or directory",
        "ld.lld: error: unable to find library -lcudart",
        "mold: fatal: library not found: cudart",
        "ld: library not found for -lcudart",
        "ld: library 'cudart' not found",
        "LINK : fatal error LNK1181: cannot open input file 'cudart.lib'",
    ],
)
def test_a_library_that_the_linker_does_not_find(line: str) -> None:
    assert found(line, "missing-library")["name"] == "cudart"


@pytest.mark.parametrize(
    ("line", "symbol"),
    [
        ("a.o: undefined reference to `f(int)'", "f(int)"),
        ("ld.lld: error: undefined symbol: f(int)", "f(int)"),
        ('  "_f", referenced from:', "_f"),
        (
            'a.obj : error LNK2019: unresolved external symbol "void f(int)" (?f@@YAXH@Z) referenced in g',
            "void f(int)",
        ),
    ],
)
def test_a_function_that_the_linker_does_not_find(line: str, symbol: str) -> None:
    assert found(line, "undefined-reference")["symbol"] == symbol


@pytest.mark.parametrize(
    "line",
    [
        "ImportError: /x/_C.so: undefined symbol: _ZN2at1fEv",
        "python: symbol lookup error: /x/_C.so: undefined symbol: _ZN2at1fEv",
        "ImportError: dlopen(/x/_C.so, 0x0002): symbol not found in flat namespace '_ZN2at1fEv'",
    ],
)
def test_a_symbol_that_the_loader_does_not_find(line: str) -> None:
    entities = found(line, "undefined-symbol")
    assert (entities["library"], entities["symbol"]) == ("/x/_C.so", "_ZN2at1fEv")


@pytest.mark.parametrize(
    "line",
    [
        "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory",
        "Could not load library libcudnn.so.8. Error: nothing",
        "\tlibcudnn.so.8 => not found",
        "RuntimeError: Unable to load any of {libcudnn.so.8, libcudnn.so}",
    ],
)
def test_a_library_that_the_loader_does_not_find(line: str) -> None:
    assert found(line, "missing-shared-library")["name"] == "libcudnn.so.8"


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("cc1plus: error: unrecognized command-line option ‘-fx’", "-fx"),
        ("clang: error: unsupported option '-fx' for target 'arm64-apple-darwin'", "-fx"),
        ("clang: error: unknown argument: '-fx'", "-fx"),
        ("nvcc fatal   : Unknown option '-fx'", "-fx"),
        ("no such option: --fx", "--fx"),
        ("error: unexpected argument '--fx' found", "--fx"),
        ("error: option --fx not recognized", "--fx"),
    ],
)
def test_an_option_that_a_program_does_not_know(line: str, option: str) -> None:
    assert found(line, "unknown-option")["option"] == option


@pytest.mark.parametrize(
    "line",
    [
        "/bin/sh: 1: git: not found",
        "bash: git: command not found",
        "zsh: command not found: git",
        "fish: Unknown command: git",
        "FileNotFoundError: [Errno 2] No such file or directory: 'git'",
        "'git' is not recognized as an internal or external command,",
        "The term 'git' is not recognized as the name of a cmdlet",
        'exec: "git": executable file not found in $PATH: unknown',
        "ERROR: Cannot find command 'git' - do you have 'git' installed?",
    ],
)
def test_a_program_that_is_not_there(line: str) -> None:
    assert found(line, "missing-command")["name"] == "git"


@pytest.mark.parametrize(
    ("line", "kind", "entities"),
    [
        ("E: Unable to locate package cuda-12", "no-system-package", {"name": "cuda-12"}),
        ("Error: Unable to find a match: cuda-12", "no-system-package", {"name": "cuda-12"}),
        ("error: target not found: cuda-12", "no-system-package", {"name": "cuda-12"}),
        ("No module named 'mmcv._ext'", "missing-module", {"module": "mmcv._ext"}),
        (
            "ImportError: cannot import name '_C' from 'detectron2' (/x/detectron2/__init__.py)",
            "missing-import",
            {"name": "_C", "module": "detectron2", "path": "/x/detectron2/__init__.py"},
        ),
        ("NameError: name '_C' is not defined", "undefined-name", {"name": "_C"}),
        ("RuntimeError: \"f_cuda\" not implemented for 'Half'", "missing-dtype", {"name": "f_cuda", "type": "Half"}),
        ("CMake Error at CMakeLists.txt:3 "
         "(message):", "cmake-error", {"path": "CMakeLists.txt", "line": "3", "command": "message"}),
        ("fatal: detected dubious ownership in repository at '/w'", "git-owner", {"path": "/w"}),
        (
            "ERROR: Could not find a version that satisfies the requirement a==1 (from versions: 2, 3)",
            "no-distribution",
            {"name": "a", "wanted": "==1", "offered": "2, 3"},
        ),
        ("RuntimeError: CUDA error: invalid device ordinal", "cuda-error", {"text": "invalid device ordinal"}),
        ("strangetool: error: it broke", "failed-command", {"tool": "strangetool", "text": "it broke"}),
    ],
)  # fmt: skip
def test_further_kinds(line: str, kind: str, entities: dict[str, str]) -> None:
    assert found(line, kind) | entities == found(line, kind)


@pytest.mark.parametrize("name", ["KeyError", "a.b.Oops", "NoKernels", "torch.AcceleratorError", "SomethingWentWrong"])
@pytest.mark.parametrize("before", ["", "      ", "2026-01-01T10:00:00Z ", "(pid=7)   "])
def test_a_traceback_ends_in_an_exception_of_any_name(name: str, before: str) -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in <module>',
        "    f()",
        f"{name}: so it is",
    ]
    log = Log("".join(f"{before}{line}\n" for line in lines))
    ((number, record),) = Reading(log, "".__contains__).raised.items()
    assert number == 3
    assert record.entities == {"name": name, "text": "so it is"}


def test_successes_take_back_what_failed_before() -> None:
    log = Log("error: x\nSuccessfully installed a-1.0\nerror: y\n===== 3 passed, 1 xfailed in 0.1s =====\n")
    assert Outcome(log).moot(0, ran=False)
    assert Outcome(log).moot(2, ran=True)
    again = Log("Building wheel for b (setup.py)\nerror: x\nSuccessfully installed a-1.0\n")
    assert not Outcome(again).moot(1, ran=False)
    assert not Outcome(Log("error: x\n== 2 failed, 3 passed in 1.0s ==\n")).moot(0, ran=True)


_PATTERNS = {(shape.needle, shape.pattern) for shape in SHAPES} | {
    (needle, pattern) for rule in RULES for needle, pattern in rule.patterns
}
_PIECES = ("(", "'", '"', "/a", "a.so", "a ", "1.", "‘a’", "a::", "error: ", "-l", "= ")


def test_no_pattern_is_super_linear() -> None:
    """Four times the length costs about four times the time; what is quick at full length is not measured."""

    def cost(pattern: re.Pattern[str], line: str) -> float:
        start = time.process_time()
        pattern.search(line)
        return time.process_time() - start

    slow = []
    for needle, text in sorted(_PATTERNS):
        pattern = re.compile(text)
        for piece in (*_PIECES, needle):
            line = f"{needle} {piece * 2000}"[:2000]
            if cost(pattern, line) > 0.01:
                longer, shorter = (min(cost(pattern, line[:length]) for _ in range(5)) for length in (2000, 500))
                if longer > 0.01 and longer > 16 * shorter:
                    slow.append((text, piece, longer))
    assert slow == []
