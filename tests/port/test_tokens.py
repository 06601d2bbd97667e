"""Tests the tokenizer: it loses no text, and recognises comments, strings and directives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcnbuild.port.edits import Edit, Revision
from dcnbuild.port.tokens import Token, revised, tokenize

PIECES = st.sampled_from(
    [
        *("AT_CHECK", "(", ")", "<<<", ">>>", "\n", "\r\n", "\r", " ", "\\\n", "//", "/*", "*/"),
        *('"', "'", 'R"x(', ')x"', "#", "#define ", "#if 0\n", "#endif\n", "#include <a.h>"),
        *("#error don't\n", "1'000", "0x1p-3", "1e+5", "->", "::", "x", "é", "\\", "$", "\0"),
    ]
)


def solid(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokenize(text) if token.solid]


def names(text: str) -> list[str]:
    return [token.text for token in tokenize(text) if token.kind == "name"]


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)) == text


@given(st.lists(PIECES).map("".join))
def test_text_full_of_cpp_comes_back_with_its_offsets(text: str) -> None:
    tokens = tokenize(text)
    assert "".join(token.text for token in tokens) == text
    assert all(text[token.start : token.end] == token.text for token in tokens)


@pytest.mark.parametrize(
    "text",
    [
        "// AT_CHECK(x)\n",
        "// AT_CHECK(x) \\\n AT_CHECK(y)\n",
        "/* AT_CHECK(x)\n AT_CHECK(y) */",
        '"AT_CHECK(x)"',
        '"a \\" AT_CHECK(x)"',
        '"a \\\n AT_CHECK(x)"',
        'u8"AT_CHECK(x)"',
        'R"(AT_CHECK(x)\n" AT_CHECK(y))"',
        'LR"end()" AT_CHECK(x) )en" )end"',
        "'\"' \"AT_CHECK\" '\\''",
        "/* never closed AT_CHECK(x)",
        'R"(never closed AT_CHECK(x)',
        "#error don't call AT_CHECK(x)\n",
        "#warning AT_CHECK(x)\n",
    ],
)
def test_names_in_comments_strings_and_messages_are_not_code(text: str) -> None:
    assert "AT_CHECK" not in names(text)


@pytest.mark.parametrize(
    "text",
    [
        '"/*" AT_CHECK(x) "*/"',
        "'/*' AT_CHECK(x) /**/",
        '"//" AT_CHECK(x)',
        "1'000 + AT_CHECK(x) - 2'000",
        'R"x()")x" AT_CHECK(x)',
        "'\\\\' AT_CHECK('x')",
        "it's AT_CHECK(x)\n",
    ],
)
def test_code_beside_them_is(text: str) -> None:
    assert "AT_CHECK" in names(text)


def test_directives_end_where_their_lines_do() -> None:
    text = "#define A(x) \\\n  B(x)\n#include <a/b.h> // c\nint i;\n  # if C\n"
    tokens = {token.text: token for token in tokenize(text) if token.solid}
    assert (tokens["B"].directive, tokens["B"].line) == ("define", 1)
    assert tokens["<a/b.h>"] == Token("header", "<a/b.h>", tokens["<a/b.h>"].start, "include", 2)
    assert (tokens["int"].directive, tokens["int"].line) == ("", 0)
    assert (tokens["C"].directive, tokens["C"].line) == ("if", 3)


def test_angle_brackets_stay_single_and_numbers_whole() -> None:
    assert solid("k<<<1, 32>>>(a<b<c>>())")[:5] == [
        *(("name", "k"), ("punct", "<"), ("punct", "<"), ("punct", "<"), ("number", "1"))
    ]
    for number in ("1'000'000", "0x1p-3f", "1.5e+10", ".5f", "4096L", "1ULL"):
        assert solid(number) == [("number", number)]


@given(st.lists(PIECES, max_size=30), st.data())
def test_an_edited_text_comes_out_as_if_it_was_read_anew(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    revision, place = Revision(text), st.integers(0, len(text))
    new = st.lists(PIECES, max_size=3).map("".join)
    edits = [
        Edit(min(a, b), max(a, b), put) for a, b, put in data.draw(st.lists(st.tuples(place, place, new), max_size=4))
    ]
    done = [(e.start, e.end, len(e.new)) for e, _ in revision.apply(edits)]
    assert revised(tokenize(text), revision.text, done) == tokenize(revision.text)
