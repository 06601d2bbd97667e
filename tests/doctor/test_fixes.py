"""Tests fixes with any values: the shell that a line is pasted into reads exactly the intended values."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from doctor.machines import target
from hypothesis import example, given
from hypothesis import strategies as st

from dcnbuild.base import printable, quoting
from dcnbuild.base.quoting import Shell, UnquotableError
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix, Target, set_once

SHELLS: tuple[Shell, ...] = ("sh", "fish", "csh", "cmd", "powershell")


#: What people and attackers put into names, more often than chance would.
_NASTY = st.sampled_from(
    (
        *("'", '"', "\\", "!", "%", "$(id)", "`id`", ";", "&&", "|", "\n", "\r", "\x1b[2J", "\x9b"),
        *("~", "=", "-", "#", "\u202e", "\u2028", "\u2019", "{a,b}", "*", "?", "<", ">", "^"),
        *("(", ")", "%PATH%", "$HOME", "ü", " "),
    )
)
VALUES = st.lists(st.one_of(st.text(max_size=8), _NASTY), max_size=6).map("".join)


def split(line: str, shell: Shell) -> list[str]:
    """The words that a shell makes of a line, by the rules of its manual.

    Raises ValueError for anything that the shell would replace, run or redirect.
    """
    if shell == "sh":
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
        if words != shlex.split(line):
            raise ValueError(f"an operator in {line!r}")
        return words
    words, word, i = [], None, 0
    quotes = {"fish": "'", "csh": "'", "cmd": '"', "powershell": "'\u2018\u2019\u201a\u201b"}[shell]
    while i < len(line):
        character = line[i]
        if character == " ":
            words, word, i = (words if word is None else [*words, word]), None, i + 1
        elif character in quotes:
            word, i = (word or "") + "", i + 1
            while i < len(line):
                if shell == "fish" and line[i] == "\\" and line[i + 1] in "\\'":
                    word, i = word + line[i + 1], i + 2
                elif shell == "powershell" and line[i] in quotes and line[i + 1 : i + 2] == line[i]:
                    word, i = word + line[i], i + 2
                elif shell == "cmd" and line[i] == "\\" and set(line[i : line.find('"', i)]) == {"\\"}:
                    run = line.find('"', i) - i  # before a quotation mark, two stand for one
                    assert run % 2 == 0
                    word, i = word + "\\" * (run // 2), i + run
                elif line[i] in quotes:
                    break
                elif (shell == "csh" and line[i] == "!") or (shell == "cmd" and line[i] in "%!"):
                    raise ValueError(f"{line[i]} in {line!r}")
                else:
                    word, i = word + line[i], i + 1
            else:
                raise ValueError(f"an open quote in {line!r}")
            i += 1
        elif shell == "csh" and character == "\\":
            word, i = (word or "") + line[i + 1], i + 2
        elif character.isascii() and (character.isalnum() or character in "@+:,./_-=%\\"):
            if character in "%=" and (word is None or shell in ("fish", "cmd")) and character != "=":
                raise ValueError(f"{character} in {line!r}")
            word, i = (word or "") + character, i + 1
        else:
            raise ValueError(f"{character} in {line!r}")
    return words if word is None else [*words, word]


@given(shell=st.sampled_from(SHELLS), value=VALUES)
@example(shell="cmd", value='"\\')
def test_a_value_comes_back_as_it_was(shell: Shell, value: str) -> None:
    (line,) = fixes.command("ls", "-d", value).lines(target(shell))
    if line.startswith(("#", "rem")):
        with pytest.raises(UnquotableError):
            quoting.argument(value, shell)
        separators = "\\" * (shell in ("cmd", "powershell"))  # of paths, which a comment there may hold
        assert not set(line) & set("\n\r;&|$`'\"\\<>(){}*?!%^~\x1b\x9b\u202e\u2028") - set(separators)
    else:
        assert split(line, shell) == ["ls", "-d", value]


@given(value=VALUES)
def test_only_what_is_not_text_is_refused_in_sh(value: str) -> None:
    """A rule that refused everything would pass the test above."""
    (line,) = fixes.command("ls", value).lines(target("sh"))
    assert line.startswith("#") != (value.isprintable() and not set(value) & set("\u2018\u2019"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("shell", SHELLS)
def test_the_output_s_encoding_opens_no_quotes(shell: Shell, encoding: str) -> None:
    """gcc's quotes are shown as apostrophes where the output has no others."""
    value = "/tmp/\u2018;touch pwned;\u2019 \u201b\u00e9\uff07\u02bc"
    (line,) = fixes.command("ls", "-d", value).lines(target(shell))
    shown = line.encode(encoding, printable.ERRORS).decode(encoding)
    assert shown.startswith(("#", "rem")) and not set(shown) & set(";'\"")


@given(shell=st.sampled_from(SHELLS), value=VALUES)
def test_a_variable_gets_the_value(shell: Shell, value: str) -> None:
    (line,) = fixes.set_env("CUDA_HOME", value).lines(target(shell))
    if line.startswith(("#", "rem")):
        return
    if shell == "cmd":  # set takes all between NAME= and the last quotation mark
        text = line.removeprefix("set ")
        text = text[1:-1] if text.startswith('"') else text
        assert text == f"CUDA_HOME={value}" and not set(value) & set('%!"\n')
    elif shell == "powershell":
        assert split(line.removeprefix("$env:CUDA_HOME = "), shell) == [value]
    else:
        words = split(line, shell)
        name = ["CUDA_HOME", value] if shell in ("fish", "csh") else [f"CUDA_HOME={value}"]
        assert words[-len(name) :] == name


@pytest.mark.parametrize("program", ["bash", "dash", "zsh", "fish", "tcsh"])
def test_the_shells_that_are_here_agree(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program}")
    shell: Shell = {"fish": "fish", "tcsh": "csh"}.get(program, "sh")  # type: ignore[assignment]
    values = [
        "a'b!c",
        "$(id)",
        "`id`;id",
        "\\",
        "a\\'b",
        "!!",
        "{a,b}*",
        "=ls",
        "%1",
        "~root",
        "ü",
        "",
    ]
    (line,) = fixes.command("printf", "[%s]", *values).lines(target(shell))
    flags = ["-i"] if program == "bash" else []  # interactive: history is replaced there
    result = subprocess.run([program, *flags, "-c", line], capture_output=True, text=True, check=True)
    assert result.stdout == "".join(f"[{value}]" for value in values)


@pytest.mark.parametrize("path", ["-rf", "--help", "", "a\nb", "a\x1b[0m", "\u202egnp"])
@pytest.mark.parametrize("shell", SHELLS)
def test_what_cannot_be_named_safely_is_told_in_words(path: str, shell: Shell) -> None:
    (line,) = fixes.remove(path).lines(target(shell))
    assert line.startswith("rem By hand" if shell == "cmd" else "# By hand")
    assert line.isprintable()


@given(shell=st.sampled_from(SHELLS), text=VALUES)
def test_a_comment_does_nothing(shell: Shell, text: str) -> None:
    """zsh and csh read on behind a # that was typed: no character may be left that they act upon."""
    line = fixes.say(text).lines(target(shell))[0]
    words = line.removeprefix("#").removeprefix("rem")
    kept = " .,:/+=@_-" + "\\" * (shell in ("cmd", "powershell"))
    assert all(character.isalnum() or character in kept for character in words)


def test_a_comment_keeps_the_paths_of_windows() -> None:
    assert fixes.say(r"in C:\w\a.h: x").lines(target("cmd")) == (r"rem in C:\w\a.h: x",)
    assert fixes.say(r"in C:\w\a.h: x").lines(target("sh")) == ("# in C:_w_a.h: x",)


@pytest.mark.parametrize(
    "requirement",
    [
        "a;touch x",
        "--index-url=x",
        "$(id)",
        "-r x",
        "../x",
        "git+https://x/y",
        "a b",
        "a==1;id",
        "a @ file:///x",
    ],
)
def test_only_requirements_are_installed(requirement: str) -> None:
    assert fixes.pip_install(requirement).lines(Target())[0].startswith("# By hand")


@pytest.mark.parametrize(
    "requirement",
    [
        "numpy<2",
        "torch==2.5.1",
        "setuptools>=40,<70",
        "cuda-toolkit[nvcc,cccl]==13.0.*",
        "a_b.c~=1",
    ],
)
def test_requirements_are_installed(requirement: str) -> None:
    (line,) = fixes.pip_install(requirement).lines(Target())
    assert shlex.split(line) == ["pip", "install", requirement]


@pytest.mark.parametrize("name", ["A B", "A;id", "1A", "", "A=B", "Ä"])
def test_only_names_of_variables_are_set(name: str) -> None:
    for fix in (fixes.set_env(name, "x"), fixes.unset_env(name), fixes.prepend(name, "/x")):
        assert fix.lines(Target())[0].startswith("# By hand")


@pytest.mark.parametrize("version", ["13.0;id", "13", "", "a.b", "13.0 --flag", "-1.0", "13.0\n"])
def test_only_versions_are_versions_of_toolkits(version: str) -> None:
    for fix in (fixes.install_toolkit(version), fixes.use_toolkit(version)):
        (line,) = fix.lines(Target(manager="apt-get"))
        assert line.startswith("# By hand")


def test_quotes_are_not_nested_where_the_shell_cannot() -> None:
    fix = fixes.set_env_from("A", "echo", "a'b c")
    assert fix.lines(target("sh")) == ("export A=\"$(echo 'a'\\''b c')\"",)
    assert fix.lines(target("fish")) == ("set -gx A (echo 'a\\'b c')",)
    for shell, mark in (("csh", "#"), ("cmd", "rem")):
        assert fix.lines(target(shell))[0].startswith(f"{mark} By hand")  # type: ignore[arg-type]


def test_fixes_are_equal_by_their_arguments() -> None:
    assert fixes.set_env("A", "b") == fixes.set_env("A", "b") != fixes.set_env("A", "c")
    assert isinstance(fixes.rebuild(), Fix)


def test_a_variable_that_a_fix_sets_is_not_set_again_for_one_command() -> None:
    lines = ["export CFLAGS=-g0", "CC=gcc-13 CFLAGS='-g -O1' MAX_JOBS=2 pip install ."]
    assert set_once(lines) == ["export CFLAGS=-g0", "CC=gcc-13 MAX_JOBS=2 pip install ."]
    assert set_once(["export CXX=g++", "make CXX=clang++ all"])[-1] == "make CXX=clang++ all"
