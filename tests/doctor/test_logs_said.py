"""What tools of any kind say in their own words: each wording stands for its brothers."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.doctor.parse.locales import to_english

_RAISED = 'Traceback (most recent call last):\n  File "/w/run.py", line 3, in <module>\n    go()\n'


@pytest.mark.parametrize(
    ("log", "id", "said"),
    [
        ("curl: (22) The requested URL returned error: 503", "http-status", "a fault of its own"),
        ("ERROR: HTTP error 403 while getting https://h.example/a.whl", "http-status", "forbids the download"),
        ("error: toomanyrequests: You have reached your pull rate limit", "http-status", "limit is reached"),
        (_RAISED + "OSError: [Errno 117] Structure needs cleaning: '/data/a.bin'", "system-refuses", "is damaged"),
        (_RAISED + "OSError: [WinError 123] La syntaxe est incorrecte: 'C:\\\\a:b'", "system-refuses", "a character"),
        ("tar: open a: Stale file handle", "system-refuses", "on a network drive"),
        ("error: feature `edition2024` is required", "rust-missing", "Rust 1.85"),
        ("meson.build:1:0: ERROR: Meson version is 0.61.2 but project requires >= 1.1.0", "tool-outdated", "Meson >= 1.1.0"),
        ("train.py: error: the following arguments are required: --data", "argument-invalid", "--data"),
        ("slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2025-01-01T10:00:00 DUE TO PREEMPTION ***", "job-ended", "PREEMPTION"),
        ("error: Please set MY_SDK_ROOT\nERROR: environment variable MY_SDK_ROOT is not set", "variable-missing", "MY_SDK_ROOT"),
        ("free(): invalid pointer\nAborted (core dumped)", "crash", "was damaged"),
        ("a.cpp:7: int main(): Assertion `n > 0' failed.\nAborted (core dumped)", "crash", "Assertion `n > 0' failed"),
        ("Process finished with exit code -1073740940 (0xC0000374)", "crash", "a damaged heap"),
        ("==> Error: concretization failed for the following reasons:\n\n   1. a conflicts with b", "command-failed", "a conflicts with b"),
        ("configure: error: in `/w/a':\nconfigure: error: something is wrong", "command-failed", "something is wrong"),
        ("a.cpp(3): error C2065: \u201cfoo\u201d: \u672a\u77e5", "undeclared-name", "foo"),
        ("Paket: 1\nE: Paket foo-dev kann nicht gefunden werden.", "apt-no-package", "foo-dev"),
    ],
)  # fmt: skip
def test_what_a_tool_says_has_a_plain_meaning(log: str, id: str, said: str) -> None:
    found = findings(log)[0]
    assert said in found.cause and (found.id == id or id == "undeclared-name")


@pytest.mark.parametrize(
    ("line", "english"),
    [
        ("a.cpp:1: Fehler: \u00bbx\u00ab wurde in diesem G\u00fcltigkeitsbereich nicht definiert", "'x' was not declared"),
        ("a.cpp:1: erreur: \u00ab\u00a0x\u00a0\u00bb n'a pas \u00e9t\u00e9 d\u00e9clar\u00e9 dans cette port\u00e9e", "'x' was not declared"),
        ("'nvcc' n\u00e3o \u00e9 reconhecido como um comando interno ou externo", "is not recognized as an internal"),
        ("error C2143: \u8bed\u6cd5\u9519\u8bef: x", "error C2143: syntax error: x"),
    ],
)  # fmt: skip
def test_quotation_marks_and_words_of_other_languages(line: str, english: str) -> None:
    assert english in to_english(line)


def test_what_the_message_itself_asks_for_is_the_fix() -> None:
    log = 'Traceback (most recent call last):\n  File "/e/lib/python3.11/site-packages/quant/a.py", line 5, in load\n'
    fix = findings(f"{log}ImportError: Using this needs a newer fastops: `pip install -U fastops`")[0].fix
    assert "pip install --upgrade fastops" in fix and not any("index versions" in line for line in fix)


def test_advice_is_a_whole_sentence() -> None:
    log = "ERROR: no runtime\nIt is a container. In that case, you need to specify which release\nto use at run time."
    fix = findings(log)[0].fix
    assert "# The log itself says: In that case, you need to specify which release to use at run time." in fix


def test_a_frame_that_a_terminal_broke_is_no_exception() -> None:
    log = "Traceback (most recent call last):\n  File \"/very/long/path.py\", line 331, in\nget_requires\n    x()\nKeyError: 'a'"
    assert "KeyError" in findings(log)[0].title
