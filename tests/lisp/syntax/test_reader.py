from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caten_sd.errors import LispError
from caten_sd.lisp.syntax import reader
from caten_sd.lisp.syntax.datum import Character, Form, Literal, Symbol, brief, walk_data
from caten_sd.lisp.syntax.reader import DEEPEST, MOST_CHARACTERS, read_data

NET = """(defmodel (Net (dim &key (eps 1e-5)) :documentation "A \\"net\\".")
    ((fc-1 (Linear dim `(,dim ,@rest)))   ; the first
     (|Wq-Proj| '(1 . 2) :reader #'car)  #| and #| nested |# more |#
     (last #\\a 1/2 #(1 2) X[~] Start-Pos[])))
"""


def read_one(text: str):
    (datum,) = read_data(text, "net.lisp")
    return datum


def test_every_datum_has_its_line_and_column() -> None:
    lines = NET.split("\n")
    for each in walk_data(read_one(NET)):
        assert each.place.file == "net.lisp"
        begun = lines[each.place.line - 1][each.place.column - 1 :]
        if isinstance(each, Form):
            assert begun.startswith(("(", "'", "`", ",", "#"))
        elif isinstance(each, Symbol) and each.spelling.isalpha():
            assert begun.startswith((each.spelling, ":", "|", "#'", "'", "`", ",", "#("))


def test_case_folds_and_bars_keep_it() -> None:
    assert [each.name for each in read_data("ln-1 |Ln-1| a|B c|D \\a x::|y| X[~]")] == [
        "LN-1",
        "Ln-1",
        "AB cD",
        "a",
        "y",
        "X[~]",
    ]
    assert read_one("Seq-Len]").spelling == "Seq-Len]"


def test_atoms() -> None:
    assert [
        getattr(each, "value", each) for each in read_data('"a\nb" #\\( #\\Space #xFF #b-10')
    ] == [
        "a\nb",
        Character("("),
        Character(" "),
        255,
        -2,
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("#+sbcl a b", "a b"),
        ("#-sbcl a b", "b"),
        ("#+(or clisp (and sbcl (not clisp))) a b", "a b"),
        ("(#-clisp 1 #+clisp 2)", "(1)"),
        ("#+clisp #+sbcl a b c", "b c"),
    ],
)
def test_features_are_those_of_sbcl(text: str, left: str) -> None:
    assert " ".join(map(brief, read_data(text))) == left


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("(a)\n (defmodel\n(b", "2:2", "defmodel.*innermost at line 3"),
        ("\n  (a", "2:3", "never closed"),
        ("a\n)", "2:1", "closes nothing"),
        ("(')", "1:2", "nothing follows the '"),
        ("'", "1:1", "never closed"),
        ("(#.(exit))", "1:2", "runs code"),
        ('a\n "b', "2:2", "string that begins here"),
        ("(|b c)", "1:2", "bars that begins here"),
        ("(a\\", "1:2", "does not end"),
        (" #| #| |#", "1:2", "comment that begins here"),
        ("(a . b c)", "1:1", "dot"),
        ("(. a)", "1:1", "dot"),
        ("(a . )", "1:1", "dot"),
        (" .", "1:2", "dot"),
        ("(a . b . c)", "1:8", "dot"),
        ("...", "1:1", "not a name"),
        ("a:b:c", "1:1", "colons"),
        ("a:", "1:1", "no name"),
        ("#xyz", "1:1", "base 16"),
        ("#+(1) a", "1:3", "condition"),
        ("a" * 20_000, "1:1", "characters"),
        ("(1/0)", "1:2", "zero"),
    ],
)
def test_text_that_is_not_lisp_is_refused_with_its_place(text: str, place: str, said: str) -> None:
    with pytest.raises(LispError, match=rf"^net\.lisp:{place}: .*{said}.*; \w+"):
        read_data(text, "net.lisp")


@pytest.mark.parametrize("text", ["(" * 100_000, ")" * 100_000, "'" * 100_000, "(a" * 100_000])
def test_a_hundred_thousand_parentheses_are_refused_quickly(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(LispError, match=r"^net\.lisp:1:\d+: "):
        read_data(text, "net.lisp")
    assert time.process_time() - begin < 2


def test_the_size_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LispError, match="split"):
        read_data("x" * (MOST_CHARACTERS + 1))
    monkeypatch.setattr(reader, "MOST_DATA", 10)
    assert len(read_data("a " * 10)) == 10
    with pytest.raises(LispError, match="split"):
        read_data("a " * 11)


def test_a_list_at_the_limit_is_read() -> None:
    assert read_data("(" * DEEPEST + "a" + ")" * DEEPEST)


@given(st.text(alphabet="()'`,@#|\\\" ;\n.:ab1-+/eX[~]", max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    message = "net.lisp:"
    try:
        data = read_data(text, "net.lisp")
    except LispError as error:
        data, message = (), str(error)
    assert all(isinstance(each, (Symbol, Literal, Form)) for each in data)
    assert message.startswith("net.lisp:")
    assert "\n" not in message


@given(st.integers(0, len(NET)))
def test_a_truncated_text_is_read_or_refused(end: int) -> None:
    try:
        assert len(read_data(NET[:end])) <= 1
    except LispError:
        assert end < len(NET.rstrip())


SPACE = st.sampled_from([" ", "\n", "\t ", " ; comment )\n", ' #| ( #| " |# |# ', " #+clisp (x) "])


@given(st.data())
def test_white_space_comments_and_case_change_nothing(data) -> None:
    text = "( defmodel ( Net ( dim ) ) ( ( fc ( Linear dim '( 1e-5 :bias nil ) ) ) ) )"
    words = [data.draw(st.sampled_from([w, w.upper(), w.lower()])) for w in text.split()]
    spaced = "".join(word + data.draw(SPACE) for word in words)
    assert read_data(spaced) == read_data(text)


@given(st.text(alphabet="aBc-1 (;\"'", min_size=1))
def test_bars_keep_every_letter(name: str) -> None:
    assert read_one(f"|{name}|").name == name


@pytest.mark.parametrize(
    "text", ['#p"a"', "#*101", "#2r101", "#1=(a)", "#c(1 2)", "#s(a)", "#\\Foo", "#\\(a"]
)
def test_signs_and_characters_that_are_not_known_are_refused(text: str) -> None:
    with pytest.raises(LispError, match=r"^text:1:1: .*(is not read|no character is called)"):
        read_data(text)
