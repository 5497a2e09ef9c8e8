from __future__ import annotations

import pytest

from caten_sd.errors import LispError
from caten_sd.lisp.syntax.datum import Symbol, brief, is_nil, items_of, symbol_of
from caten_sd.lisp.syntax.reader import read_data
from caten_sd.state.keys import fold


def one(text: str):
    (datum,) = read_data(text, "net.lisp")
    return datum


@pytest.mark.parametrize(
    "text",
    ["(a . b)", "'(1 2 . 3)", "`(a ,b ,@c)", "#'f", "#(1 2)", '"a\\"b"', "#\\a", "1/2", "0.5d0"],
)
def test_a_datum_as_text_reads_back(text: str) -> None:
    assert brief(one(text)) == text
    assert one(brief(one(text))) == one(text)


def test_a_long_datum_is_cut() -> None:
    assert len(brief(one("(" + "word " * 1_000 + ")"), 40)) == 40


def test_nil_and_the_empty_list_are_one_value() -> None:
    assert one("()") == one("nil")
    assert is_nil(one("NIL"))
    assert not is_nil(one(":nil"))
    assert items_of(one("()"), "a list") == ()


def test_symbols_compare_by_name_and_keywords_only_with_keywords() -> None:
    assert one("caten/nn::weight") == one("WEIGHT") == one("|WEIGHT|")
    assert one(":weight") != one("weight")
    assert one(":weight") == one("keyword:weight")
    assert isinstance(one("#:gensym"), Symbol)


@pytest.mark.parametrize("take", [items_of, symbol_of])
@pytest.mark.parametrize("text", ["3", ":key", "(a . b)"])
def test_another_datum_than_expected_is_refused_with_its_place(take, text: str) -> None:
    with pytest.raises(LispError, match=r"^net\.lisp:1:2: ") as caught:
        take(one(f" {text}"), "a thing")
    assert text in caught.value.problem
    assert "a thing" in caught.value.remedy


def test_a_letter_without_a_counterpart_of_one_letter_is_kept() -> None:
    assert fold("straße") == "STRAßE"
    assert fold("\u0391\u03a3", str.lower) == "\u03b1\u03c3"  # not the sigma at the end of a word
    assert fold("\u0130x", str.lower) == "\u0130x"
    assert fold("\u1e9e", str.lower) == "\u1e9e"
    assert fold("\u01c5", str.lower) == "\u01c6"
