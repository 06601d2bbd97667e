"""The reader of build logs: its rules, its ranking, and that nothing makes it raise or crawl."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes import effects
from dcnbuild.doctor.fixes.fix import Target, render, together
from dcnbuild.doctor.logs import RULES, LogRule, read_log
from dcnbuild.doctor.logs.context import SHOWN
from dcnbuild.doctor.logs.fix_verbs import VERBS
from dcnbuild.doctor.logs.reader import WORDS
from dcnbuild.doctor.logs.rule import SPECIAL, Level
from dcnbuild.doctor.logs.rule_table import STEPS
from dcnbuild.doctor.parse import SHAPES
from dcnbuild.doctor.parse.locales import PHRASES, to_english
from dcnbuild.doctor.parse.text import LONGEST_LINE, clean, split_lines
from dcnbuild.doctor.templates import ENTITY, look_up, parsed
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
        found = next((pattern for _, pattern in rule.patterns if re.search(pattern, rule.example)), None)
        needles = [needle for needle, pattern in rule.patterns if pattern == found]
        assert not needles or any(needle in rule.example for needle in needles), (rule.id, needles)


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
    assert finding.id == "compile-error" and finding.fix == ("sed -n 3,+2p a.cpp",)


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
    frame = '  File "/usr/lib/python3.11/site-packages/torch/utils/cpp_extension.py", line 413, in _check_cuda_version'
    text = f"{frame}\nThe detected CUDA version (12.4) mismatches the version that was used to compile\nPyTorch (13.0)."
    assert "export CUDA_HOME=/opt/cuda-13" in read_log(text, machine)[0].fix
    other = replace(machine, toolkits=())
    assert "# export CUDA_HOME=/usr/local/cuda-13.0" in read_log(text, other)[0].fix


def test_only_what_comes_first_is_pasted() -> None:
    """Alternatives are comments; those of one step are no alternatives of the next."""
    one = together([fixes.say("a, this"), fixes.say("or that:"), fixes.command("that")])
    steps = [one, fixes.command("then"), fixes.say("or:"), fixes.command("else")]
    assert render(steps, Target()) == ("# a, this", "# or that:", "# that", "then", "# or:", "# else")


@pytest.mark.parametrize("english", PHRASES)
def test_phrases_of_other_languages_become_english(english: str) -> None:
    for phrase in PHRASES[english]:
        assert english in to_english(f"a.cpp:1:1: {phrase} x")


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
@settings(max_examples=400)
def test_pieces_of_messages_never_raise(pieces: list[str]) -> None:
    for finding in read_log("".join(pieces)):
        assert finding.cause and finding.evidence


def test_levels_are_in_order() -> None:
    assert [rule.level for rule in RULES] == sorted(rule.level for rule in RULES)
    assert {rule.level for rule in RULES} == set(Level)


def cpu_seconds(log: str) -> float:
    """The least of three readings."""
    times = []
    for _ in range(3):
        start = time.process_time()
        read_log(log)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        ("error: not found No such file undefined symbol: ", "lib.so."),
        ("error: No such file or directory cannot open ", "/a"),
        ("fatal error: identifier is undefined was not declared ", "'"),
        ("", "a.cu(3): error: foo "),
        ("", "undefined reference to `"),
        ("", "multiple definition of `a'; "),
        ("", "fatal : "),
        ("error: not found ", "1:"),
    ],
)
def test_no_pattern_backtracks_without_end(start: str, repeated: str) -> None:
    """Lines of four times the length take four times as long, or somewhat more: with n² it is 16 times."""

    def lines(length: int) -> str:
        text = start + repeated * ((length - len(start)) // len(repeated))
        return "".join(f"{number} {text}\n" for number in range(12))

    assert cpu_seconds(lines(1900)) < 13 * cpu_seconds(lines(475))


def test_megabytes_are_read_in_proportion() -> None:
    def log(lines: int) -> str:
        noise = "".join(
            f"a{number}.cpp:80:20: warning: ‘type()’ is deprecated [-Wdeprecated-declarations]\n"
            for number in range(lines)
        )
        return noise + THC + "\n" + noise

    assert [f.id for f in read_log(log(24_000))] == ["thc-headers"]
    assert cpu_seconds(log(12_000)) < 10 * cpu_seconds(log(3_000))


def test_a_long_log_is_searched_once_for_all_its_failures() -> None:
    """Each of many failures may ask for what only some line far away tells."""
    logs = sorted((Path(__file__).parent / "cases").glob("*/*.log"))
    failures = "\n".join(path.read_bytes().decode("utf-8", "replace") for path in logs[::6])
    noise = "".join(f"c++ -O3 -fPIC -c /src/part_{n}.cpp -o /build/part_{n}.o -I/usr/include\n" for n in range(20_000))
    assert cpu_seconds(noise + failures) < 3 * (cpu_seconds(noise) + cpu_seconds(failures))


#: What any message, or wording of a rule, names.
ENTITIES = {
    name
    for pattern in (
        *(shape.pattern for shape in SHAPES),
        *(p for rule in RULES for _, p in rule.patterns),
    )
    for name in re.findall(r"\(\?P<(\w+)>", pattern)
}


def leaves(step: Any) -> Iterator[Any]:
    """The steps of a fix without its branches."""
    if isinstance(step, dict):
        for inner in (inner for steps in step.values() for inner in steps):
            yield from leaves(inner)
    else:
        yield [step] if isinstance(step, str) else step


def names(rule: LogRule) -> set[str]:
    """Every name that a rule's templates and conditions ask for."""
    cause = [json.dumps(rule.cause)]
    lets = [text for item in rule.let.values() for text in ([item] if isinstance(item, str) else item)]
    extracts = [text.partition(" ~ ")[0] for text in lets if " ~ " in text]
    templates = [text for text in lets if " ~ " not in text]
    texts = [json.dumps(rule.steps), *templates, *cause]
    found = {match[1] for text in texts for match in ENTITY.finditer(text)}
    pairs = [pair[0] for pair in rule.cause[:-1]] if isinstance(rule.cause, list) else []
    keys = [key for step in rule.steps for key in conditions(step)]
    parts = [part for key in (*pairs, *keys) for option in parsed(key) for part in option]
    return {*found, *extracts, *(part[2] for part in parts)}


def conditions(step: Any) -> Iterator[str]:
    for key, steps in step.items() if isinstance(step, dict) else ():
        if key != "else":
            yield key
        for inner in steps:
            yield from conditions(inner)


@pytest.mark.parametrize("rule", RULES, ids=[f"{i}-{rule.id}" for i, rule in enumerate(RULES)])
def test_every_name_of_a_row_stands_for_something(rule: LogRule) -> None:
    """Also in the branches that no log of the tests takes; what looks like a call, and is none, would be printed."""
    said = re.findall(r"\{\w+\.\w+\([^{}]*\)[\w.]*\}", str((rule.heading, rule.cause, rule.let, rule.steps)))
    assert all(ENTITY.fullmatch(text.replace("\\'", "'")) for text in said), said
    for name in names(rule):
        code = re.fullmatch(r"(\w+\.\w+)(?:\(([\w, '.-]*)\))?(?:\.\w+)*", name)
        if code:
            assert callable(look_up(code[1]))
            arguments = re.findall(r"\w+", re.sub(r"'[^']*'", "", code[2] or ""))
        for word in arguments if code else [name]:
            known = word in ENTITIES or word in SHOWN or word in rule.let or word in SPECIAL
            assert known or re.fullmatch(r"FIRST|NEAR\d+\+\d+", word), (rule.id, word)


@pytest.mark.parametrize("rule", RULES, ids=[f"{i}-{rule.id}" for i, rule in enumerate(RULES)])
def test_every_step_is_a_verb_with_a_known_effect(rule: LogRule) -> None:
    for verb, *_ in (leaf for step in rule.steps for leaf in leaves(step)):
        assert verb in VERBS or verb in STEPS or hasattr(fixes, verb) or callable(look_up(verb[1:])), verb
    unknown = [step for step in rule.steps if None in effects.of_step(step)]
    assert unknown == []
