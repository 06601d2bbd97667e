"""The reader of build logs: its rules, its ranking, and that nothing makes it raise or crawl."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.doctor.logs import RULES, read_log
from dcnbuild.doctor.logs.reader import WORDS
from dcnbuild.doctor.logs.rule import Level
from dcnbuild.doctor.parse import SHAPES
from dcnbuild.doctor.parse.locales import PHRASES, to_english
from dcnbuild.doctor.parse.text import LONGEST_LINE, clean, split_lines
from dcnbuild.machine.facts import Facts, Machine, Python, Toolkit

THC = "src/a.cu:4:10: fatal error: THC/THC.h: No such file or directory"
GCC = "/usr/local/cuda-11.8/include/crt/host_config.h:132:2: error: #error -- unsupported GNU version! gcc versions later than 11 are not supported!"


def test_every_literal_part_is_seen_by_the_first_look() -> None:
    needles = [needle for rule in RULES for needle, _ in rule.patterns]
    needles += [shape.needle for shape in SHAPES]
    assert [needle for needle in needles if not any(word in needle for word in WORDS)] == []


def test_every_literal_part_is_in_what_it_stands_for() -> None:
    """A needle that a pattern does not need would hide messages from it."""
    for rule in RULES:
        found = [needle for needle, pattern in rule.patterns if re.search(pattern, rule.example)]
        assert all(needle in rule.example for needle in found[:1]), (rule.id, found)


def test_every_kind_that_a_rule_judges_is_parsed() -> None:
    kinds = {shape.kind for shape in SHAPES}
    assert {kind for rule in RULES for kind in rule.kinds} <= kinds


def test_explained_ids_exist() -> None:
    ids = {rule.id for rule in RULES}
    assert {name for rule in RULES for name in rule.explains} <= ids


def test_clean_and_empty_logs_have_no_findings() -> None:
    assert read_log("") == []
    assert read_log(b"") == []
    assert read_log("building '_ext' extension\ncopying _ext.so -> .\n") == []


def test_the_first_cause_comes_first_and_the_second_is_kept() -> None:
    assert [f.id for f in read_log(f"{THC}\n{GCC}\n")] == ["thc-headers", "gcc-too-new"]
    assert [f.id for f in read_log(f"{GCC}\n{THC}\n")] == ["gcc-too-new", "thc-headers"]


def test_symptoms_are_left_out_beside_a_cause() -> None:
    after = "nvcc fatal   : Failed to preprocess host compiler properties.\nninja: build stopped: subcommand failed."
    assert [f.id for f in read_log(f"{THC}\n{after}\n")] == ["thc-headers"]
    assert [f.id for f in read_log(f"{after}\n")] == ["nvcc-host-compiler"]


def test_what_is_explained_is_left_out() -> None:
    text = f'{THC}\nsrc/b.cu(7): error: identifier "THCudaCheck" is undefined\n'
    assert [f.id for f in read_log(text)] == ["thc-headers"]


def test_a_message_wrapped_over_lines_is_recognised() -> None:
    text = 'a.cu(9): error: identifier\n          "THCState_getCurrentStream"\n          is undefined\n'
    assert [f.id for f in read_log(text)] == ["th-api-removed"]


def test_a_later_success_takes_an_unknown_error_back() -> None:
    error = "probe.c:1:1: error: strange\n"
    assert [f.id for f in read_log(error)] == ["compile-error"]
    assert read_log(error + "Successfully installed dcn-0.1\n") == []


def test_unknown_errors_say_only_what_the_log_says() -> None:
    (finding,) = read_log("a.cpp:3:5: error: expected ';'\n")
    assert finding.id == "compile-error" and finding.fix == ()


def test_versions_are_not_guessed() -> None:
    (finding,) = read_log("nvcc fatal   : Unsupported gpu architecture 'compute_86'\n")
    assert "11.1" in finding.cause  # the table's, of the architecture
    assert not any("PTX" in line for line in finding.fix)  # would need the toolkit's version


def test_fixes_name_this_machines_toolkit() -> None:
    machine = Facts(
        machine=Machine(system="Linux"),
        python=Python("3.11.7", Path("/usr/bin/python3"), Path("/usr"), Path("/usr")),
        toolkits=(Toolkit(Path("/opt/cuda-13"), Path("/opt/cuda-13/bin/nvcc"), "13.0"),),
    )
    text = "The detected CUDA version (12.4) mismatches the version that was used to compile\nPyTorch (13.0)."
    assert "export CUDA_HOME=/opt/cuda-13" in read_log(text, machine)[0].fix
    other = replace(machine, toolkits=())
    assert "export CUDA_HOME=/usr/local/cuda-13.0" in read_log(text, other)[0].fix


@pytest.mark.parametrize("english", PHRASES)
def test_phrases_of_other_languages_become_english(english: str) -> None:
    for phrase in PHRASES[english]:
        assert english in to_english(f"a.cpp:1:1: {phrase}x")


@pytest.mark.parametrize(
    "prefix",
    ["2026-03-02T09:14:07.10Z ", "#14 74.52 ", "[python-1] ", "> ", "      ", "│ ", "web-1  | "],
)
def test_prefixes_are_taken_off(prefix: str) -> None:
    assert clean(prefix + THC) == THC


def test_windows_paths_keep_their_backslashes() -> None:
    line = r"C:\new\nvcc.exe C:\notes\nul D:\next"
    assert split_lines(line) == [line]


def test_huge_lines_are_cut_and_still_read() -> None:
    assert all(len(line) <= LONGEST_LINE for line in split_lines("x" * 1_000_000))
    assert [f.id for f in read_log("x " * 200_000 + THC + " x" * 200_000)] == ["thc-headers"]


_PIECES = st.sampled_from(
    [needle for rule in RULES for needle, _ in rule.patterns]
    + [rule.example for rule in RULES]
    + ["\n", "\r", "\\n", "\x1b[31m", "\0", "‘", "'", '"', "(", ")", ":", "C:\\", "99", "sm_", " "]
)


@given(st.lists(st.one_of(_PIECES, st.text(max_size=20)), max_size=30))
@settings(max_examples=400, deadline=None)
def test_pieces_of_messages_never_raise(pieces: list[str]) -> None:
    for finding in read_log("".join(pieces)):
        assert finding.cause and finding.evidence


def test_levels_are_in_order() -> None:
    assert [rule.level for rule in RULES] == sorted(rule.level for rule in RULES)
    assert {rule.level for rule in RULES} == set(Level)


@pytest.mark.parametrize(
    "line",
    [
        "error: not found No such file undefined symbol: " + "lib.so." * 280,
        "error: No such file or directory cannot open " + "/a" * 900,
        "fatal error: identifier is undefined was not declared " + "'" * 1900,
        "a.cu(3): error: foo " * 95,
        "undefined reference to `" * 80,
        "multiple definition of `a'; " * 70,
        "fatal : " * 240,
        "1:" * 900 + " error: not found",
    ],
)
def test_no_pattern_backtracks_without_end(line: str) -> None:
    start = time.process_time()
    read_log(line)
    assert time.process_time() - start < 2


def test_megabytes_are_read_in_seconds() -> None:
    noise = "".join(
        f"a{number}.cpp:80:20: warning: ‘type()’ is deprecated [-Wdeprecated-declarations]\n"
        for number in range(60_000)
    )
    start = time.process_time()
    assert [f.id for f in read_log(noise + THC + "\n" + noise)] == ["thc-headers"]
    assert time.process_time() - start < 10
